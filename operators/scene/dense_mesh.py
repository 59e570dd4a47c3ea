# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense mesh as an object: faces, its place in the texture, smooth shading; how it renders."""

from __future__ import annotations

from enum import Enum

import bpy
import numpy as np

from ...backend.camera import Similarity
from ...backend.dense_files import Triangles

UV_MAP = "UVMap"
_SHARP = np.radians(40.0)
"""Faces that meet at more than this angle keep an edge. Stereo's noise stays under it."""


class Use(Enum):
    """What a mesh is for when the scene renders: name, and what Blender's tooltip says."""

    RENDERED = ("Rendered", "It is in the picture like everything else")
    CATCHER = ("Shadow Catcher", "It shows the shadows that fall on it and nothing else (Cycles)")
    HOLDOUT = ("Holdout", "It cuts a hole into what lies behind it")
    HIDDEN = ("Not Rendered", "It is seen in the viewport alone")


def build_mesh(
    name: str,
    triangles: Triangles,
    step: Similarity,
    collection: bpy.types.Collection,
    existing: bpy.types.Object | None,
) -> bpy.types.Object:
    """Makes the mesh, moved by `step`, or gives `existing` new faces; its materials stay."""
    if existing is not None:
        _fill(existing.data, triangles, step)
        return existing
    mesh = bpy.data.meshes.new(name)
    _fill(mesh, triangles, step)
    made = bpy.data.objects.new(name, mesh)
    collection.objects.link(made)
    return made


def _fill(mesh: bpy.types.Mesh, triangles: Triangles, step: Similarity) -> None:
    mesh.clear_geometry()
    count = len(triangles.faces)
    mesh.vertices.add(len(triangles.positions))
    places = step.apply(triangles.positions).astype(np.float32)
    mesh.vertices.foreach_set("co", places.ravel())
    mesh.loops.add(3 * count)
    mesh.loops.foreach_set("vertex_index", triangles.faces.ravel())
    mesh.polygons.add(count)
    mesh.polygons.foreach_set("loop_start", np.arange(0, 3 * count, 3, dtype=np.int32))
    if triangles.uvs is not None:
        layer = mesh.uv_layers.new(name=UV_MAP, do_init=False)
        layer.uv.foreach_set("vector", np.ascontiguousarray(triangles.uvs).ravel())
    mesh.update(calc_edges=True)
    mesh.shade_smooth()
    mesh.set_sharp_from_angle(angle=_SHARP)


def set_use(mesh: bpy.types.Object, use: Use) -> None:
    mesh.is_shadow_catcher = use is Use.CATCHER
    mesh.is_holdout = use is Use.HOLDOUT
    mesh.hide_render = use is Use.HIDDEN


def use_of(mesh: bpy.types.Object) -> Use:
    if mesh.hide_render:
        return Use.HIDDEN
    if mesh.is_holdout:
        return Use.HOLDOUT
    return Use.CATCHER if mesh.is_shadow_catcher else Use.RENDERED
