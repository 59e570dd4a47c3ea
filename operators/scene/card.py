# SPDX-License-Identifier: GPL-3.0-or-later
"""A 2.5-D card: the plate as a surface before its camera, as deep in each frame as its depth says.

A grid hangs on the camera. Each vertex stores the ray that its pixel has seen, and geometry nodes
put it at depth times ray of the current frame. Depth is taken at the very pixel, because a mean
over an edge lies where nothing is. The material shows the plate by pixel, so that the card looks
from the camera as the plate does, distortion and all.
"""

from __future__ import annotations

import bpy
import numpy as np

from ...backend.depth import NOTHING, SKY
from ...backend.ray_grid import RayGrid, ray_grid
from . import nodes, parts, placed
from .animation import key_channels
from .depth import SeenDepth, collection_of
from .parts import Role
from .sequences import play, sequence

FACES = 200_000
_UV_MAP = "UVMap"
_PIXEL = "plate_uv"
"""Attribute: where a vertex lies on the plate, both ways from 0 at the lower left to 1."""
_RAY = "ray"
"""Attributes: what becomes the vertex times depth, one for each focal length of the grid."""
_STRETCH = 0.1


def build_card(scene: bpy.types.Scene, depth: SeenDepth, faces: int = FACES) -> bpy.types.Object:
    """Makes the shot's card of about so many faces, or makes it anew in place: materials, the
    settings of its modifier and other modifiers stay. Raises ShotGopherError."""
    source, name = str(depth.shot.path.resolve()), f"{depth.shot.name} Card"
    card = parts.find_object(scene, Role.CARD, source)
    parts.check_editable((card,))
    grid = ray_grid(depth.lens, depth.focal, faces)
    made = card is None
    if card is None:
        card = bpy.data.objects.new(name, bpy.data.meshes.new(name))
        card.lock_location = card.lock_rotation = (True, True, True)
        collection_of(scene, depth.shot).objects.link(card)
        card.data.materials.append(_material(depth))
        parts.tag(card, Role.CARD, source)
    _fill(card.data, grid, depth)
    _hang(card, depth, made)
    _update_nodes(card, grid, depth)
    return card


def _fill(mesh: bpy.types.Mesh, grid: RayGrid, depth: SeenDepth) -> None:
    mesh.clear_geometry()
    count, corners = len(grid.pixels), grid.quads.astype(np.int32).ravel()
    mesh.vertices.add(count)
    # One unit away, for programs that read the mesh without its modifier.
    mesh.vertices.foreach_set("co", grid.rays[0].astype(np.float32).ravel())
    mesh.loops.add(len(corners))
    mesh.loops.foreach_set("vertex_index", corners)
    mesh.polygons.add(len(grid.quads))
    starts = np.arange(0, len(corners), 4, dtype=np.int32)
    mesh.polygons.foreach_set("loop_start", starts)
    share = grid.pixels / [depth.lens.width, depth.lens.height]
    place = (share * [1, -1] + [0, 1]).astype(np.float32)
    layer = mesh.uv_layers.new(name=_UV_MAP, do_init=False)
    layer.uv.foreach_set("vector", place[corners].ravel())
    mesh.attributes.new(_PIXEL, "FLOAT2", "POINT").data.foreach_set("vector", place.ravel())
    for index, rays in enumerate(grid.rays.astype(np.float32)):
        kept = mesh.attributes.new(f"{_RAY}_{index}", "FLOAT_VECTOR", "POINT")
        kept.data.foreach_set("vector", rays.ravel())
    mesh.update(calc_edges=True)


def _hang(card: bpy.types.Object, depth: SeenDepth, made: bool) -> None:
    """Onto its camera. The size of depth without a world is the artist's."""
    if card.parent != depth.camera:
        card.parent = depth.camera
        card.matrix_parent_inverse.identity()
    if depth.place is not None:
        placed.set_size(card, depth.scale)
        placed.note(card, depth.place)
    elif not made:
        placed.forget(card)


# The material


def _material(depth: SeenDepth) -> bpy.types.Material:
    source = str(depth.shot.path.resolve())
    material = parts.find(bpy.data.materials, Role.CARD_MATERIAL, source)
    if material is not None:
        return material
    material = bpy.data.materials.new(f"{depth.shot.name} Card")
    parts.tag(material, Role.CARD_MATERIAL, source)
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    place, picture, shader, output = (
        _node(tree, kind, 250 * column)
        for column, kind in enumerate(
            ("UVMap", "TexImage", "Emission", "OutputMaterial"),
        )
    )
    place.uv_map = _UV_MAP
    first = depth.shot.frame_file(depth.plate.first_frame)
    picture.image = sequence(depth.shot, first, "Plate")
    play(picture.image_user, depth.plate)
    picture.extension = "EXTEND"
    tree.links.new(place.outputs["UV"], picture.inputs["Vector"])
    tree.links.new(picture.outputs["Color"], shader.inputs["Color"])
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    tree.nodes.active = picture
    return material


def _node(tree: bpy.types.NodeTree, kind: str, x: float, y: float = 0.0) -> bpy.types.Node:
    node = tree.nodes.new(f"ShaderNode{kind}")
    node.location = (x, y)
    return node


# The nodes that give it depth


def _update_nodes(card: bpy.types.Object, grid: RayGrid, depth: SeenDepth) -> None:
    """Makes the inside of the card's node group anew; what the artist set outside of it stays."""
    own = (each for each in card.modifiers if each.type == "NODES" and _is_own(each.node_group))
    modifier = next(own, None)
    group = modifier.node_group if modifier is not None else _new_group(card)
    group.nodes.clear()
    group.animation_data_clear()
    _add_nodes(group, grid, depth)
    if modifier is None:
        modifier = card.modifiers.new("Depth", "NODES")
        modifier.node_group = group


def _is_own(group: bpy.types.NodeTree | None) -> bool:
    return group is not None and group.get(parts.ROLE) == Role.CARD.value


def _new_group(card: bpy.types.Object) -> bpy.types.NodeTree:
    group = bpy.data.node_groups.new(card.name, "GeometryNodeTree")
    group.is_modifier = True
    parts.tag(group, Role.CARD, card[parts.SOURCE])
    sockets = group.interface
    for way in ("INPUT", "OUTPUT"):
        sockets.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    stretch = sockets.new_socket("Stretch", in_out="INPUT", socket_type="NodeSocketFloat")
    stretch.description = "Faces between depths that differ by more than this share are left out"
    stretch.default_value, stretch.min_value = _STRETCH, 0.0
    return group


def _add_nodes(group: bpy.types.NodeTree, grid: RayGrid, depth: SeenDepth) -> None:
    add, link = group.nodes.new, group.links.new
    start, placed_at, cut, end = (
        add(kind)
        for kind in (
            "NodeGroupInput",
            "GeometryNodeSetPosition",
            "GeometryNodeDeleteGeometry",
            "NodeGroupOutput",
        )
    )
    cut.domain, cut.mode = "EDGE", "ALL"
    for column, node in enumerate((start, placed_at, cut, end)):
        node.location = (250 * column, 0)
    deep = nodes.add(group, "ShaderNodeVectorMath", operation="SCALE")
    link(_ray(group, grid, depth), deep.inputs[0])
    link(_depth_of_frame(group, depth), deep.inputs["Scale"])
    link(start.outputs["Geometry"], placed_at.inputs["Geometry"])
    link(deep.outputs["Vector"], placed_at.inputs["Position"])
    link(placed_at.outputs["Geometry"], cut.inputs["Geometry"])
    link(_is_torn(group, start.outputs["Stretch"]), cut.inputs["Selection"])
    link(cut.outputs["Geometry"], end.inputs["Geometry"])


def _depth_of_frame(group: bpy.types.NodeTree, depth: SeenDepth) -> bpy.types.NodeSocket:
    """Depth at a vertex's pixel in the current frame; 0 in a frame that has no file."""
    picture = nodes.add(
        group, "GeometryNodeImageTexture", interpolation="Closest", extension="EXTEND"
    )
    first = depth.shot.depth.map(depth.record.frames[0])
    picture.inputs["Image"].default_value = sequence(depth.shot, first, "Depth Map", data=True)
    now = nodes.add(group, "GeometryNodeInputSceneTime")
    group.links.new(now.outputs["Frame"], picture.inputs["Frame"])
    group.links.new(_attribute(group, _PIXEL), picture.inputs["Vector"])
    channel = nodes.add(group, "FunctionNodeSeparateColor")
    group.links.new(picture.outputs["Color"], channel.inputs[0])
    return channel.outputs[0]


def _ray(group: bpy.types.NodeTree, grid: RayGrid, depth: SeenDepth) -> bpy.types.NodeSocket:
    """A vertex's ray at the current frame's focal length."""
    if len(grid.rays) == 1:
        return _attribute(group, f"{_RAY}_0")
    shares, mixed = grid.weights(depth.focal), None
    for index, share in enumerate(shares.T):
        value = nodes.add(group, "ShaderNodeValue", name=f"Share {index}", label=f"Share {index}")
        path = f'nodes["{value.name}"].outputs[0].default_value'
        key_channels(group, {(path, 0): share}, depth.frames)
        term = nodes.add(group, "ShaderNodeVectorMath", operation="SCALE")
        group.links.new(_attribute(group, f"{_RAY}_{index}"), term.inputs[0])
        group.links.new(value.outputs[0], term.inputs["Scale"])
        if mixed is None:
            mixed = term.outputs["Vector"]
            continue
        added = nodes.add(group, "ShaderNodeVectorMath", operation="ADD")
        group.links.new(mixed, added.inputs[0])
        group.links.new(term.outputs["Vector"], added.inputs[1])
        mixed = added.outputs["Vector"]
    return mixed


def _is_torn(group: bpy.types.NodeTree, stretch: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """Whether depth jumps along an edge, or one of its ends is in the sky or has no depth.

    far > (1 + stretch) * near holds for a jump, and for a near end without depth; sky at both ends
    is told by its depth.
    """
    ends = nodes.add(group, "GeometryNodeInputMeshEdgeVertices")
    depths = []
    for name in ("Position 1", "Position 2"):
        apart = nodes.add(group, "ShaderNodeSeparateXYZ")
        group.links.new(ends.outputs[name], apart.inputs[0])
        depths.append(nodes.math(group, "MULTIPLY", apart.outputs["Z"], -1.0))
    near, far = nodes.math(group, "MINIMUM", *depths), nodes.math(group, "MAXIMUM", *depths)
    most = nodes.math(group, "MINIMUM", nodes.math(group, "MULTIPLY_ADD", near, stretch, near), SKY)
    jumps = nodes.math(group, "GREATER_THAN", far, most)
    return nodes.math(group, "MAXIMUM", jumps, nodes.math(group, "LESS_THAN", near, 1 / NOTHING))


def _attribute(group: bpy.types.NodeTree, name: str) -> bpy.types.NodeSocket:
    node = nodes.add(group, "GeometryNodeInputNamedAttribute", data_type="FLOAT_VECTOR")
    node.inputs["Name"].default_value = name
    return node.outputs["Attribute"]
