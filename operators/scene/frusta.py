# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the camera stood at each frame: one mesh of edges with a pyramid a frame and the path.

On a tripod all pyramids share one tip: there is one for every few degrees of turn, and no path.
"""

from __future__ import annotations

import bpy
import numpy as np

from ...backend.camera import Array, CameraTrack, Integers
from .footage import Footage

FRAME = "frame"
"""Vertex attribute: the frame a vertex belongs to."""
INTERPOLATED = "interpolated"
"""Vertex group: the pyramids of frames that were not solved, which are drawn smaller, too."""

_DEPTH_SHARE = 0.012
"""Height of a pyramid as a share of the middle distance from the camera to the points."""
_INTERPOLATED_SIZE = 0.5
_TRIPOD_STEP = 5.0
"""Degrees from one pyramid to the next where the camera only turns."""
_PYRAMID = np.array([[0, 1], [0, 2], [0, 3], [0, 4], [1, 2], [2, 3], [3, 4], [4, 1]])


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
    vertices, edges = _vertices(track, distance * _DEPTH_SHARE), _edges(track)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", vertices.astype(np.float32).ravel())
    mesh.edges.add(len(edges))
    mesh.edges.foreach_set("vertices", edges.astype(np.int32).ravel())
    numbers = mesh.attributes.new(FRAME, "INT", "POINT")
    numbers.data.foreach_set("value", np.repeat(track.frames, 5).astype(np.int32))
    _group_interpolated(frusta, np.flatnonzero(np.repeat(~track.solved, 5)))
    mesh.update()
    return frusta


def _new_object(name: str, collection: bpy.types.Collection) -> bpy.types.Object:
    frusta = bpy.data.objects.new(name, bpy.data.meshes.new(name))
    frusta.hide_render = True
    frusta.display_type = "WIRE"
    collection.objects.link(frusta)
    return frusta


def _vertices(track: CameraTrack, size: float) -> Array:
    """(n * 5, 3): of each pyramid its tip, then the corners of the image."""
    heights = np.where(track.solved, size, size * _INTERPOLATED_SIZE)
    corners = np.array([[0, 0], [track.width, 0], [track.width, track.height], [0, track.height]])
    slopes = (corners[None] - track.center[:, None]) / track.focal[:, None]
    local = np.zeros((len(track.frames), 5, 3))
    local[:, 1:, 0], local[:, 1:, 1], local[:, 1:, 2] = slopes[..., 0], -slopes[..., 1], -1
    local *= heights[:, None, None]
    placed = np.einsum("nij,nkj->nki", track.matrices[:, :3, :3], local)
    vertices: Array = (placed + track.matrices[:, None, :3, 3]).reshape(-1, 3)
    return vertices


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
    tips = np.arange(len(track.frames)) * 5
    pyramids = (tips[:, None, None] + _PYRAMID).reshape(-1, 2)
    if not track.travels:
        return pyramids
    path = np.stack([tips[:-1], tips[1:]], axis=1)
    return np.concatenate([pyramids, path])


def _group_interpolated(frusta: bpy.types.Object, vertices: Integers) -> None:
    group = frusta.vertex_groups.get(INTERPOLATED) or frusta.vertex_groups.new(name=INTERPOLATED)
    if len(vertices):
        group.add(vertices.tolist(), 1.0, "REPLACE")
