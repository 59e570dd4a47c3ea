# SPDX-License-Identifier: GPL-3.0-or-later
"""Which points the artist has selected, in the shot's world."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bmesh
import bpy
import numpy as np
from mathutils import Matrix

from ...backend.camera import Array, Similarity
from . import parts

Vectors = list[tuple[float, float, float]]


def selected_points(context: bpy.types.Context, cloud: bpy.types.Object) -> Array:
    """(p, 3): the selected vertices in Edit Mode, the places of the selected objects otherwise.

    The first that was selected comes first, as far as Blender knows. `cloud` is the shot's points,
    whose own axes are the shot's world: whatever it was parented to counts for all.
    """
    back = cloud.matrix_world.inverted()
    if context.mode == "EDIT_MESH":
        found = [
            (back @ edited.matrix_world) @ place
            for edited in context.objects_in_mode
            for place in _selected_vertices(edited)
        ]
    else:
        found = [back @ each.matrix_world.translation for each in _selected_objects(context, cloud)]
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def _selected_vertices(edited: bpy.types.Object) -> list[bpy.types.MeshVertex]:
    mesh = bmesh.from_edit_mesh(edited.data)
    chosen = [vertex for vertex in mesh.verts if vertex.select]
    # Sliced, because its iterator is broken in Blender 4.3 with Python 3.13.
    history = mesh.select_history[:]
    picked = [each.index for each in history if isinstance(each, bmesh.types.BMVert)]
    place = {index: position for position, index in enumerate(picked)}
    chosen.sort(key=lambda vertex: place.get(vertex.index, len(place)))
    return [vertex.co.copy() for vertex in chosen]


def _selected_objects(
    context: bpy.types.Context, cloud: bpy.types.Object
) -> list[bpy.types.Object]:
    """Those that mark a place; the active one, which was selected last, comes last."""
    chosen = [each for each in context.selected_objects if _marks_a_place(each, cloud)]
    chosen.sort(key=lambda each: each == context.active_object)
    return chosen


def _marks_a_place(each: bpy.types.Object, cloud: bpy.types.Object) -> bool:
    """Not what was imported with the shot: its data moves with the world by itself."""
    ours = parts.same_source(each.get(parts.SOURCE), str(cloud[parts.SOURCE]))
    return not ours and each.type != "CAMERA"


def take_along(context: bpy.types.Context, cloud: bpy.types.Object, step: Similarity) -> None:
    """Moves the selected objects, which mark places of the scene, with the world."""
    turn = Matrix((step.scale * step.rotation).tolist()).to_4x4()
    turn.translation = step.translation.tolist()
    move = cloud.matrix_world @ turn @ cloud.matrix_world.inverted()
    for marker in _selected_objects(context, cloud):
        placed = marker.matrix_world.copy()
        placed.translation = move @ marker.matrix_world.translation
        marker.matrix_world = placed


@contextmanager
def in_object_mode(context: bpy.types.Context, cloud: bpy.types.Object) -> Iterator[None]:
    """Leaves Edit Mode for a block, and takes it up again with the same vertices selected."""
    if context.mode != "EDIT_MESH":
        yield
        return
    bpy.ops.object.mode_set(mode="OBJECT")
    mesh = cloud.data
    selected = np.empty(len(mesh.vertices), dtype=np.bool_)
    mesh.vertices.foreach_get("select", selected)
    try:
        yield
        if len(mesh.vertices) == len(selected):
            mesh.vertices.foreach_set("select", selected)
    finally:
        bpy.ops.object.mode_set(mode="EDIT")
