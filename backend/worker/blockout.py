# SPDX-License-Identifier: GPL-3.0-or-later
"""A blockout: a rough mesh over a solve's sparse points, for a shot without dense depth.

A few images that see most of the points are chosen one after the other. The points that one sees
are joined by a Delaunay triangulation in its picture; a face is dropped where it joins what is far
apart in the picture, where it runs along the ray from a near point to a far one, or where other
images see points behind it (free-space carving). Only the solver's own points are vertices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..camera import Array, Integers, rotations_from_quaternions
from ..dense_files import Triangles
from ..reconstruction import Observations, Reconstruction

LEAST_POINTS = 20
"""Fewer points in an image make no surface."""
_IMAGES = 60
"""Of a long shot so many images, evenly spaced, are asked."""
_REFERENCES = 8
_NEW = 0.03
"""A reference must see this share of all points anew."""
_TRACK = 3
"""A point seen by fewer images is not sure enough."""
_LONG = 3.0
"""An edge is long from so many times the usual length of the edges at its ends."""
_STEEP = 4.0
"""An edge along a ray is so many times as deep as wide ..."""
_JUMP = 0.05
"""... and this share of its nearer end's depth deep."""
_ALONE = 0.35
"""A point may be astray where fewer of those around it than this share are as far as it."""
_MARGIN = 0.05
"""A face is in front of points from this share of their depth on."""
_PIECE = 0.01
_SCALE = 8192.0

Faces = NDArray[np.int64]
Flags = NDArray[np.bool_]


def blockout(model: Reconstruction) -> Triangles | None:
    """The mesh in the model's own world; None where the points are too few for one.

    `model` has observations. Takes seconds for 100 000 points.
    """
    if model.observations is None:
        raise ValueError("a blockout needs observations")
    if not len(model.points.positions):
        return None
    images = _images(model, _sure(model, model.observations))
    places = model.points.positions
    chosen = _references(images, places)
    found = _joined([_faces(image, places) for image in chosen], len(places))
    found = found[~_seen_through(found, places, images)]
    found = _without_small_pieces(found, len(places))
    return _mesh(places, found) if len(found) else None


@dataclass(frozen=True, eq=False)
class _Image:
    """What an image sees: `points` (k,) indices, `turn` and `move` the world into its axes, and in
    a grid over its picture, from `low` in cells of size `cell` (at x / z, y / z), the `nearest` and
    the `farthest` of its points in a cell and the eight around it; inf and 0 without any."""

    points: Integers
    turn: Array
    move: Array
    low: Array
    cell: float
    nearest: NDArray[np.float32]
    farthest: NDArray[np.float32]

    def flat(self, places: Array) -> tuple[Array, Array]:
        """Where places (n, 3) are in the picture (n, 2), and their depths (n,); the picture's
        place is far off where the depth is not positive."""
        local = places @ self.turn.T + self.move
        depth = local[:, 2]
        return np.where(depth[:, None] > 0, local[:, :2] / np.maximum(depth, 1e-12)[:, None],
                        1e9), depth  # fmt: skip

    def around(self, flat: Array) -> tuple[Array, Array]:
        """The nearest and the farthest depth (n,) around places in the picture (n, 2)."""
        rows, columns = self.nearest.shape
        place = np.floor((flat - self.low) / self.cell)
        inside = ((place >= 0) & (place < (columns, rows))).all(axis=1)
        column, row = np.where(inside[:, None], place, 0).astype(int).T
        near = np.where(inside, self.nearest[row, column], np.inf)
        return near, np.where(inside, self.farthest[row, column], 0)


def _sure(model: Reconstruction, seen: Observations) -> Observations:
    """The observations of points that enough images see and that are not the solve's worst."""
    errors = model.points.errors
    good = (model.points.tracks >= _TRACK) & (errors <= 3 * np.median(errors))
    good &= np.isfinite(model.points.positions).all(axis=1)
    kept = good[seen.point]
    return Observations(seen.image[kept], seen.point[kept], seen.pixel[kept])


def _images(model: Reconstruction, seen: Observations) -> list[_Image]:
    counts = np.bincount(seen.image, minlength=len(model.names))
    able = np.flatnonzero(counts >= LEAST_POINTS)
    if len(able) > _IMAGES:
        able = able[np.linspace(0, len(able) - 1, _IMAGES).round().astype(int)]
    turns = rotations_from_quaternions(model.quaternions)
    order = np.argsort(seen.image, kind="stable")
    ends = np.cumsum(counts)
    found = []
    for index in able:
        points = np.unique(seen.point[order[ends[index] - counts[index] : ends[index]]])
        image = _image(points, turns[index], model.translations[index], model.points.positions)
        if len(image.points) >= LEAST_POINTS:
            found.append(image)
    return found


def _image(points: Integers, turn: Array, move: Array, places: Array) -> _Image:
    local = places[points] @ turn.T + move
    points, local = points[local[:, 2] > 0], local[local[:, 2] > 0]
    flat = local[:, :2] / local[:, 2:]
    low, size = np.zeros(2), np.ones(2)
    if len(points):
        low, size = flat.min(axis=0), np.ptp(flat, axis=0)
    cell = max(float(np.sqrt(size.prod() / max(len(points), 1))), float(size.max()) / 500, 1e-9)
    columns, rows = (np.floor(size / cell).astype(int) + 1).tolist()
    column, row = np.floor((flat - low) / cell).astype(int).T
    nearest = np.full((rows, columns), np.inf, np.float32)
    farthest = np.zeros((rows, columns), np.float32)
    np.minimum.at(nearest, (row, column), local[:, 2].astype(np.float32))
    np.maximum.at(farthest, (row, column), local[:, 2].astype(np.float32))
    square = np.ones((3, 3), np.uint8)
    near, far = cv2.erode(nearest, square), cv2.dilate(farthest, square)
    return _Image(points, turn, move, low, cell, near.astype(np.float32), far.astype(np.float32))


def _faces(image: _Image, places: Array) -> Faces:
    """(f, 3) points joined in an image's picture, counterclockwise seen from the camera."""
    points = image.points
    points = points[~_astray(*image.flat(places[points]))]
    flat, depth = image.flat(places[points])
    faces = _delaunay(flat)
    a, b = _edges(faces)
    wide = np.linalg.norm(flat[a] - flat[b], axis=1)
    usual = _usual(np.concatenate([a, b]), np.concatenate([wide, wide]), len(flat))
    long = wide > _LONG * np.maximum(usual[a], usual[b])
    steep = _steep(a, b, flat, depth)
    found: Faces = points[faces[~(long | steep).reshape(-1, 3).any(axis=1)]]
    return found


def _edges(faces: Faces) -> tuple[Integers, Integers]:
    """The ends (3 f,) of each face's edges, face by face."""
    return faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)


def _steep(a: Integers, b: Integers, flat: Array, depth: Array) -> Flags:
    """Which edges run along a ray."""
    near, deep = np.minimum(depth[a], depth[b]), np.abs(depth[a] - depth[b])
    wide = np.linalg.norm(flat[a] - flat[b], axis=1) * near
    found: Flags = (deep > _JUMP * near) & (deep > _STEEP * wide)
    return found


def _astray(flat: Array, depth: Array) -> Flags:
    """(n,) which points are neither near the plane through those around them nor as far as some
    of them: not on their surface, and on no edge in front of it."""
    faces = _delaunay(flat)
    a, b = (np.concatenate(ends) for ends in zip(_edges(faces), _edges(faces)[::-1], strict=True))
    level = np.abs(depth[a] - depth[b]) < _JUMP * np.minimum(depth[a], depth[b])
    edges = np.bincount(a, minlength=len(flat))
    few = np.bincount(a, level, len(flat)) < _ALONE * edges
    off = np.abs(_smooth(a, flat[b] - flat[a], 1 / depth[b], len(flat)) * depth - 1) > _MARGIN
    found: Flags = few & off
    return found


def _smooth(index: Integers, offsets: Array, values: Array, count: int) -> Array:
    """(count,) at each place the value of the plane through the values around it, by least squares:
    on a plane of the world 1 / z is one in the picture. `index` (e,) tells which place each value
    is around, `offsets` (e, 2) from there."""
    rows = np.concatenate([np.ones((len(index), 1)), offsets], axis=1)
    products = [rows[:, i] * rows[:, j] for i in range(3) for j in range(3)]
    sums = np.stack([np.bincount(index, each, count) for each in products], 1).reshape(-1, 3, 3)
    right = np.stack([np.bincount(index, row * values, count) for row in rows.T], 1)
    found: Array = np.linalg.solve(sums + 1e-9 * np.eye(3), right[..., None])[:, 0, 0]
    return found


def _delaunay(flat: Array) -> Faces:
    """(f, 3) triangles of places (n, 2), x right and y down, counterclockwise to the eye."""
    span = max(float(np.ptp(flat, axis=0).max()), 1e-12)
    spread = ((flat - flat.min(axis=0)) / span * _SCALE).astype(np.float32) + np.float32(1)
    division = cv2.Subdiv2D((0, 0, int(_SCALE) + 3, int(_SCALE) + 3))
    division.insert(spread.tolist())
    corners = np.asarray(division.getTriangleList(), np.float32).reshape(-1, 2)
    keys, order = np.unique(_keys(spread), return_index=True)
    place = np.minimum(np.searchsorted(keys, _keys(corners)), len(keys) - 1)
    known = (keys[place] == _keys(corners)).reshape(-1, 3).all(axis=1)
    faces = order[place].reshape(-1, 3)[known].astype(np.int64)
    a, b, c = flat[faces].transpose(1, 0, 2)
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    faces[area > 0] = faces[area > 0, ::-1]
    found: Faces = faces[area != 0]
    return found


def _keys(places: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.ascontiguousarray(places).view(np.int64).reshape(-1)


def _usual(ends: Faces, lengths: Array, count: int) -> Array:
    """(count,) the median length of the edges at each vertex."""
    order = np.lexsort((lengths, ends))
    edges = np.bincount(ends, minlength=count)
    middle = np.cumsum(edges) - edges + edges // 2
    found = np.zeros(count)
    found[edges > 0] = lengths[order][middle[edges > 0]]
    return found


def _references(images: Sequence[_Image], places: Array) -> list[_Image]:
    """The images that together see most points, the best first; what lies on an earlier one's
    surface counts for no later one."""
    left = np.zeros(len(places), bool)
    for image in images:
        left[image.points] = True
    least = max(_NEW * left.sum(), LEAST_POINTS / 2)
    chosen: list[_Image] = []
    while images and len(chosen) < _REFERENCES:
        best = max(images, key=lambda image: int(left[image.points].sum()))
        if left[best.points].sum() < least:
            break
        chosen.append(best)
        left &= ~_covered(best, places)
        left[best.points] = False
    return chosen


def _covered(image: _Image, places: Array) -> Flags:
    """(p,) which points lie about where an image sees points."""
    flat, depth = image.flat(places)
    near, far = image.around(flat)
    found: Flags = (depth > near * (1 - _MARGIN)) & (depth < far * (1 + _MARGIN))
    return found


def _joined(parts: Sequence[Faces], count: int) -> Faces:
    """All faces of the first part, and of each further one those that have a new point."""
    known = np.zeros(count, bool)
    found = [np.empty((0, 3), np.int64)]
    for faces in parts:
        found.append(faces[~known[faces].all(axis=1)])
        known[faces] = True
    return np.concatenate(found)


def _seen_through(faces: Faces, places: Array, images: Sequence[_Image]) -> Flags:
    """(f,) which faces stand in front of points that at least two images see past them."""
    corners = places[faces]
    middle = corners.mean(axis=1, keepdims=True)
    samples = np.concatenate([middle, (corners + np.roll(corners, 1, axis=1)) / 2], axis=1)
    through = np.zeros(len(faces), int)
    for image in images:
        flat, depth = image.flat(samples.reshape(-1, 3))
        near, _far = image.around(flat)
        before = np.isfinite(near) & (depth > 0) & (depth < near * (1 - _MARGIN))
        through += before.reshape(-1, 4).any(axis=1)
    return through >= 2


def _without_small_pieces(faces: Faces, count: int) -> Faces:
    """Without the pieces, joined by vertices, that have less than a share of all faces."""
    if not len(faces):
        return faces
    label = np.arange(count)
    while True:
        before = label.copy()
        for corner in range(3):
            np.minimum.at(label, faces[:, corner], label[faces].min(axis=1))
        label = label[label]
        if np.array_equal(label, before):
            break
    piece = label[faces[:, 0]]
    found: Faces = faces[np.bincount(piece, minlength=count)[piece] >= _PIECE * len(faces)]
    return found


def _mesh(places: Array, faces: Faces) -> Triangles:
    used, index = np.unique(faces, return_inverse=True)
    return Triangles(places[used].astype(np.float32), index.reshape(-1, 3).astype(np.int32))
