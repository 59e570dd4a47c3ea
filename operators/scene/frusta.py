# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the camera stood at each frame: one mesh of edges with a pyramid a frame and the path.

On a tripod all pyramids share one tip: there is one for every few degrees of turn, and no path.
"""

from __future__ import annotations

import bpy
import numpy as np

from ...backend.camera import Array, CameraTrack, Integers
from ...backend.frusta import DEPTH_SHARE, EDGES, VERTICES, pyramids
from .footage import Footage

FRAME = "frame"
"""Vertex attribute: the frame a vertex belongs to."""
INTERPOLATED = "interpolated"
"""Vertex group: the pyramids of frames that were not solved, which are drawn smaller, too."""

_TRIPOD_STEP = 5.0
"""Degrees from one pyramid to the next where the camera only turns."""


def build_frusta(
    footage: Footage,
    collection: bpy.types.Collection,
    existing: bpy.types.Object | None,
    distance: float,
) -> bpy.types.Object:
    """Makes the mesh, or gives `existing` a new one; `distance` decides the pyramids' size."""
    track = _thinned(footage.track)
    frusta = existing or _new_object(f"{footage.name} Frusta", collection)
    mesh = frusta.data
    mesh.clear_geometry()
    vertices = pyramids(track, distance * DEPTH_SHARE).reshape(-1, 3)
    edges = _edges(track)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", vertices.astype(np.float32).ravel())
    mesh.edges.add(len(edges))
    mesh.edges.foreach_set("vertices", edges.astype(np.int32).ravel())
    numbers = mesh.attributes.new(FRAME, "INT", "POINT")
    numbers.data.foreach_set("value", np.repeat(track.frames, VERTICES).astype(np.int32))
    _group_interpolated(frusta, np.flatnonzero(np.repeat(~track.solved, VERTICES)))
    mesh.update()
    return frusta


def _new_object(name: str, collection: bpy.types.Collection) -> bpy.types.Object:
    frusta = bpy.data.objects.new(name, bpy.data.meshes.new(name))
    frusta.hide_render = True
    frusta.display_type = "WIRE"
    collection.objects.link(frusta)
    return frusta


def _thinned(track: CameraTrack) -> CameraTrack:
    """The track itself when the camera travels, else the frames that look another way.

    First and last frame always stay.
    """
    if track.travels:
        return track
    turns = track.matrices[:, :3, :3]
    kept = [0]
    for index in range(1, len(turns)):
        if _degrees_between(turns[kept[-1]], turns[index]) >= _TRIPOD_STEP:
            kept.append(index)
    return track.only(np.union1d(kept, len(turns) - 1))


def _degrees_between(one: Array, other: Array) -> float:
    cosine = (np.trace(one.T @ other) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _edges(track: CameraTrack) -> Integers:
    tips = np.arange(len(track.frames)) * VERTICES
    pyramids = (tips[:, None, None] + EDGES).reshape(-1, 2)
    if not track.travels:
        return pyramids
    path = np.stack([tips[:-1], tips[1:]], axis=1)
    return np.concatenate([pyramids, path])


def _group_interpolated(frusta: bpy.types.Object, vertices: Integers) -> None:
    group = frusta.vertex_groups.get(INTERPOLATED) or frusta.vertex_groups.new(name=INTERPOLATED)
    if len(vertices):
        group.add(vertices.tolist(), 1.0, "REPLACE")
