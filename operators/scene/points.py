# SPDX-License-Identifier: GPL-3.0-or-later
"""The solved points as a mesh of vertices, drawn as colored dots by a modifier.

A mesh, because its vertices can be snapped to, selected and deleted in Edit Mode, as point clouds
cannot in all of Blender 4.2 to 5.2.
"""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ...backend.camera import Array
from ...backend.reconstruction import Points
from . import parts
from .footage import Footage

COLOR = "color"
ID = "id"
"""COLMAP's number of the point, by which the command line names it."""
ERROR = "reprojection_error"
TRACK_LENGTH = "track_length"

_RADIUS_SHARE = 0.002
"""Radius of a dot as a share of the middle distance from the camera."""

_SOLID_COLOR = (1.0, 0.55, 0.05, 1.0)
"""All dots in Solid shading, which shows no colors of its own for points."""

_codes = np.arange(256) / 255
_LINEAR_FROM_SRGB = np.where(
    _codes <= 0.04045, _codes / 12.92, ((_codes + 0.055) / 1.055) ** 2.4
).astype(np.float32)
"""Scene-linear values of the 256 codes of sRGB (IEC 61966-2-1)."""


def build_points(
    footage: Footage,
    collection: bpy.types.Collection,
    existing: bpy.types.Object | None,
    distance: float,
) -> bpy.types.Object:
    """Makes the cloud, or gives `existing` new vertices.

    `distance` is how far the camera typically is; it decides the size of the dots, once.
    """
    if existing is not None:
        _fill(existing.data, footage.points, footage.positions)
        return existing
    name = f"{footage.name} Points"
    mesh = bpy.data.meshes.new(name)
    _fill(mesh, footage.points, footage.positions)
    cloud = bpy.data.objects.new(name, mesh)
    cloud.hide_render = True
    collection.objects.link(cloud)
    draw_dots(cloud, distance * _RADIUS_SHARE)
    return cloud


def draw_dots(cloud: bpy.types.Object, radius: float) -> None:
    """Draws the vertices of a mesh as dots in the colors of its attribute COLOR."""
    material = _material()
    cloud.data.materials.append(material)
    modifier = cloud.modifiers.new("Points", "NODES")
    modifier.node_group = _dots(cloud.name, radius, material)


def fill_places(mesh: bpy.types.Mesh, positions: Array, colors: NDArray[np.uint8]) -> None:
    """Gives a mesh new vertices: positions (p, 3), colors (p, 3) in sRGB. Attributes go."""
    mesh.clear_geometry()
    mesh.vertices.add(len(positions))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(positions, dtype=np.float32).ravel())
    linear = np.ones((len(positions), 4), dtype=np.float32)
    linear[:, :3] = _LINEAR_FROM_SRGB[colors]
    add_attribute(mesh, COLOR, "FLOAT_COLOR").foreach_set("color", linear.ravel())
    mesh.color_attributes.active_color_name = COLOR


def _fill(mesh: bpy.types.Mesh, points: Points, positions: Array) -> None:
    fill_places(mesh, positions, points.colors)
    add_attribute(mesh, ERROR, "FLOAT").foreach_set("value", points.errors.astype(np.float32))
    add_attribute(mesh, ID, "INT").foreach_set("value", points.ids.astype(np.int32))
    add_attribute(mesh, TRACK_LENGTH, "INT").foreach_set("value", points.tracks.astype(np.int32))
    mesh.update()


def add_attribute(mesh: bpy.types.Mesh, name: str, kind: str) -> bpy.types.bpy_prop_collection:
    return mesh.attributes.new(name, kind, "POINT").data


def _material() -> bpy.types.Material:
    """The one material of all clouds: the points' own colors, whatever the light."""
    material = parts.find(bpy.data.materials, parts.Role.POINT_MATERIAL, "")
    if material is not None:
        return material
    material = bpy.data.materials.new("Shot Gopher Points")
    parts.tag(material, parts.Role.POINT_MATERIAL, "")
    if material.node_tree is None:
        material.use_nodes = True
    material.diffuse_color = _SOLID_COLOR
    tree = material.node_tree
    tree.nodes.clear()
    color, emission, output = _add_nodes(
        tree, "ShaderNodeAttribute", "ShaderNodeEmission", "ShaderNodeOutputMaterial"
    )
    color.attribute_name = COLOR
    tree.links.new(color.outputs["Color"], emission.inputs["Color"])
    tree.links.new(emission.outputs["Emission"], output.inputs["Surface"])
    return material


def _dots(name: str, radius: float, material: bpy.types.Material) -> bpy.types.NodeTree:
    """Geometry nodes that put a dot on each vertex and keep the vertices, to be snapped to.

    Radius and material are inputs, shown in the modifier; a group of its own for each cloud makes
    their defaults right without setting modifier inputs, which 5.2 does in another way than 4.2.
    """
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    tree.is_modifier = True
    _add_sockets(tree.interface, radius, material)
    given, dots, painted, joined, result = _add_nodes(
        tree,
        "NodeGroupInput",
        "GeometryNodeMeshToPoints",
        "GeometryNodeSetMaterial",
        "GeometryNodeJoinGeometry",
        "NodeGroupOutput",
    )
    link = tree.links.new
    link(given.outputs["Geometry"], dots.inputs["Mesh"])
    link(given.outputs["Radius"], dots.inputs["Radius"])
    link(given.outputs["Material"], painted.inputs["Material"])
    link(dots.outputs["Points"], painted.inputs["Geometry"])
    link(painted.outputs["Geometry"], joined.inputs["Geometry"])
    link(given.outputs["Geometry"], joined.inputs["Geometry"])
    link(_edge_on_a_vertex(tree, given), joined.inputs["Geometry"])
    link(joined.outputs["Geometry"], result.inputs["Geometry"])
    return tree


def _add_sockets(
    face: bpy.types.NodeTreeInterface, radius: float, material: bpy.types.Material
) -> None:
    face.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    face.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    size = face.new_socket("Radius", in_out="INPUT", socket_type="NodeSocketFloat")
    size.subtype, size.min_value, size.default_value = "DISTANCE", 0.0, radius
    paint = face.new_socket("Material", in_out="INPUT", socket_type="NodeSocketMaterial")
    paint.default_value = material


def _edge_on_a_vertex(tree: bpy.types.NodeTree, given: bpy.types.Node) -> bpy.types.NodeSocket:
    """An edge without length on the first vertex.

    The viewport marks every vertex of a mesh that has no edge with a black square, which would
    hide the dots.
    """
    position, first, edge = _add_nodes(
        tree, "GeometryNodeInputPosition", "GeometryNodeSampleIndex", "GeometryNodeMeshLine"
    )
    first.data_type = "FLOAT_VECTOR"
    edge.inputs["Count"].default_value = 2
    edge.inputs["Offset"].default_value = (0, 0, 0)
    link = tree.links.new
    link(given.outputs["Geometry"], first.inputs["Geometry"])
    link(position.outputs["Position"], first.inputs["Value"])
    link(first.outputs["Value"], edge.inputs["Start Location"])
    return edge.outputs["Mesh"]


def _add_nodes(tree: bpy.types.NodeTree, *kinds: str) -> list[bpy.types.Node]:
    """New nodes in a row, below those that are there."""
    height = min((node.location.y for node in tree.nodes), default=250) - 250
    nodes = [tree.nodes.new(kind) for kind in kinds]
    for index, node in enumerate(nodes):
        node.location = (index * 200, height)
    return nodes
