# SPDX-License-Identifier: GPL-3.0-or-later
"""Compositing nodes that put what is rendered into the plate by depth, behind what is in front.

A node group of the shot holds plate and depth maps, and Depth Combine. It is made anew each time;
of the scene's own nodes only what leads straight from the render to the output is changed. Where
the lens bends, plate and depth are looked up through a picture of where each of the render's pixels
lies on the plate. (Blender's Movie Distortion moves the picture by whole pixels.)
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ...backend.errors import UsageError
from ...backend.lens import bend
from ...backend.reconstruction import CameraModel
from . import parts, placed
from .depth import SeenDepth
from .parts import Role
from .placed import DEPTH_SCALE
from .sequences import play, sequence

_TITLE = "Depth Compositing"


@dataclass(frozen=True)
class Compositing:
    """`connected`: whether the result is what the scene renders; `warnings` are sentences."""

    group: bpy.types.NodeTree
    connected: bool
    warnings: tuple[str, ...]


def build_compositing(context: bpy.types.Context, depth: SeenDepth) -> Compositing:
    """Makes or renews the shot's node group and its place in the scene's nodes.

    Raises ShotGopherError.
    """
    if not depth.shot.frame_file(depth.plate.first_frame).is_file():
        raise UsageError("The plate's frames are missing: set the shot up again.")
    places = None if depth.lens.is_pinhole else _lens_map(depth)
    group = _group(depth)
    _fill(group, depth, places)
    scene = context.scene
    scene.render.use_compositing = scene.render.film_transparent = True
    context.view_layer.use_pass_z = True
    warnings = ()
    if np.ptp(depth.focal) > 0 and not depth.lens.is_pinhole:
        warnings = (
            "The lens zooms, and one lens is taken out of the whole plate: frames zoomed otherwise "
            "fit the render only near the middle.",
        )
    return Compositing(group, _connect(scene, group), warnings)


def _lens_map(depth: SeenDepth) -> bpy.types.Image:
    """For each of the render's pixels, which a pinhole sees, its place on the plate, 0 to 1."""
    lens, source = depth.lens, str(depth.shot.path.resolve())
    image = parts.find(bpy.data.images, Role.LENS_MAP, source)
    if image is not None and tuple(image.size) != (lens.width, lens.height):
        bpy.data.images.remove(image)
        image = None
    if image is None:
        name = f"{depth.shot.name} Lens Map"
        image = bpy.data.images.new(
            name, lens.width, lens.height, alpha=True, float_buffer=True, is_data=True
        )
        parts.tag(image, Role.LENS_MAP, source)
    image.pixels.foreach_set(_places(lens).ravel())
    image.update()
    image.pack()
    return image


def _places(lens: CameraModel) -> np.ndarray:
    """(h, w, 4) from the lowest row up; the third channel says that there is a place."""
    x, y = np.meshgrid(np.arange(lens.width) + 0.5, np.arange(lens.height)[::-1] + 0.5)
    slopes = (np.stack([x, y], axis=-1).reshape(-1, 2) - lens.center) / lens.focal
    share = bend(lens, slopes) / [lens.width, lens.height]
    places = np.ones((len(share), 4), dtype=np.float32)
    places[:, :2] = share * [1, -1] + [0, 1]
    return places.reshape(lens.height, lens.width, 4)


# The shot's group


def _group(depth: SeenDepth) -> bpy.types.NodeTree:
    source = str(depth.shot.path.resolve())
    group = parts.find(bpy.data.node_groups, Role.COMPOSITING, source)
    if group is not None:
        return group
    group = bpy.data.node_groups.new(f"{depth.shot.name} {_TITLE}", "CompositorNodeTree")
    parts.tag(group, Role.COMPOSITING, source)
    for way in ("INPUT", "OUTPUT"):
        group.interface.new_socket("Image", in_out=way, socket_type="NodeSocketColor")
        group.interface.new_socket("Depth", in_out=way, socket_type="NodeSocketFloat")
    return group


def _fill(group: bpy.types.NodeTree, depth: SeenDepth, places: bpy.types.Image | None) -> None:
    group.nodes.clear()
    link, shot = group.links.new, depth.shot
    start, combine = _node(group, "NodeGroupInput", 3, 1), _node(group, "CompositorNodeZcombine", 4)
    end = _node(group, "NodeGroupOutput", 5)
    plate = sequence(shot, shot.frame_file(depth.plate.first_frame), "Plate")
    maps = sequence(shot, shot.depth.map(depth.record.frames[0]), "Depth Map", data=True)
    where = None
    if places is not None:
        where = _node(group, "CompositorNodeImage", 0, -2)
        where.image, where.label = places, "Lens"
    shown = _seen(group, depth, plate, where, 0)
    far = _seen(group, depth, maps, where, -1)
    scaled = _scaled(group, far, depth)
    _set(combine, "use_alpha", "Use Alpha", True)
    sources = (start.outputs["Image"], start.outputs["Depth"], shown, scaled)
    for socket, source in zip(combine.inputs, sources, strict=False):
        link(source, socket)
    link(combine.outputs[0], end.inputs["Image"])
    link(combine.outputs[1], end.inputs["Depth"])


def _seen(
    group: bpy.types.NodeTree,
    depth: SeenDepth,
    image: bpy.types.Image,
    where: bpy.types.Node | None,
    row: int,
) -> bpy.types.NodeSocket:
    """The image of each frame as the render's camera sees it, in the render's size.

    Depth is never mixed between pixels: between near and far there is nothing.
    """
    is_depth = image.colorspace_settings.is_data
    picture = _node(group, "CompositorNodeImage", 0, row)
    picture.image, picture.label = image, "Depth" if is_depth else "Plate"
    play(picture, depth.plate)
    seen = picture.outputs["Image"]
    if where is not None:
        straight = _node(group, "CompositorNodeMapUV", 1, row)
        if is_depth:
            _set(straight, "filter_type", "Interpolation", "NEAREST")
        group.links.new(seen, straight.inputs["Image"])
        group.links.new(where.outputs["Image"], straight.inputs["UV"])
        seen = straight.outputs["Image"]
    sized = _node(group, "CompositorNodeScale", 2, row)
    _set(sized, "space", "Type", "RENDER_SIZE")
    if is_depth:
        _set(sized, "interpolation", "Interpolation", "NEAREST")
    group.links.new(seen, sized.inputs["Image"])
    return sized.outputs["Image"]


def _scaled(
    group: bpy.types.NodeTree, far: bpy.types.NodeSocket, depth: SeenDepth
) -> bpy.types.NodeSocket:
    """Depth in the scene's units. That of no world is as large as the artist has made the card."""
    size = _node(group, _math_kind(), 3, -1)
    size.operation = "MULTIPLY"
    size.name = size.label = DEPTH_SCALE
    group.links.new(far, size.inputs[0])
    if depth.place is not None:
        size.inputs[1].default_value = depth.scale
        placed.note(group, depth.place)
    else:
        size.inputs[1].default_value = _card_size(depth)
        placed.forget(group)
    return size.outputs[0]


def _card_size(depth: SeenDepth) -> float:
    source = str(depth.shot.path.resolve())
    card = parts.find(bpy.data.objects, Role.CARD, source)
    return placed.size_of(card) if card is not None else 1.0


def _math_kind() -> str:
    """Compositing shares the shader's node from 5.0 on."""
    return "CompositorNodeMath" if hasattr(bpy.types, "CompositorNodeMath") else "ShaderNodeMath"


def _set(node: bpy.types.Node, name: str, socket: str, value: str | bool) -> None:
    """Sets what is a property up to 4.5 and a socket from then on, whose menu has titles.

    Blenders that do not let one choose do without.
    """
    if socket in node.inputs:
        title = value.replace("_", " ").title() if isinstance(value, str) else value
        node.inputs[socket].default_value = title
    elif hasattr(node, name):
        setattr(node, name, value)


def _node(tree: bpy.types.NodeTree, kind: str, column: int, row: int = 0) -> bpy.types.Node:
    node = tree.nodes.new(kind)
    node.location = (220 * column, 320 * row)
    return node


# The scene's own nodes


def _connect(scene: bpy.types.Scene, group: bpy.types.NodeTree) -> bool:
    """Puts the group between render and output where nothing else is. Whether it leads there."""
    tree = _scene_tree(scene)
    mine = next((each for each in tree.nodes if getattr(each, "node_tree", None) == group), None)
    render = next((each for each in tree.nodes if each.type == "R_LAYERS"), None)
    if render is None:
        render = _node(tree, "CompositorNodeRLayers", -2)
    if mine is None:
        mine = _framed(tree, group, render)
    for name in ("Image", "Depth"):
        if not mine.inputs[name].is_linked:
            tree.links.new(render.outputs[name], mine.inputs[name])
    target = _output(tree)
    now = target.links[0].from_node if target.is_linked else None
    if now is None or now == render:
        tree.links.new(mine.outputs["Image"], target)
    return now in (None, render, mine)


def _scene_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    if not hasattr(scene, "compositing_node_group"):
        scene.use_nodes = True
        return scene.node_tree
    if scene.compositing_node_group is None:
        tree = bpy.data.node_groups.new("Compositing Nodes", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
    return scene.compositing_node_group


def _framed(
    tree: bpy.types.NodeTree, group: bpy.types.NodeTree, render: bpy.types.Node
) -> bpy.types.Node:
    """The node of the group in a frame that says whose it is, above all that is there."""
    top = max(each.location.y for each in tree.nodes)
    frame, node = tree.nodes.new("NodeFrame"), tree.nodes.new("CompositorNodeGroup")
    frame.label = f"Shot Gopher: {_TITLE}"
    node.node_tree, node.width = group, 220
    node.location = (render.location.x + 150, top + 300)
    node.parent = frame
    return node


def _output(tree: bpy.types.NodeTree) -> bpy.types.NodeSocket:
    """The input that the scene's picture comes from, the first one where reroutes lie between."""
    kind = "NodeGroupOutput"
    if hasattr(bpy.types, "CompositorNodeComposite"):
        kind = "CompositorNodeComposite"
    node = next((each for each in tree.nodes if each.bl_idname == kind), None)
    socket = (node or _node(tree, kind, 4)).inputs[0]
    while socket.is_linked and socket.links[0].from_node.bl_idname == "NodeReroute":
        socket = socket.links[0].from_node.inputs[0]
    return socket
