# SPDX-License-Identifier: GPL-3.0-or-later
"""Residuals and derivatives of marks, in groups of whole tracks.

f frames, t tracks, m marks, d unknowns a frame (3 turn, 3 shift, 1 log focal length when the lens
zooms), g shared unknowns (lens).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ....camera import Array, Integers
from .lens import Lens
from .marks import Flags, Marks
from .scene import Scene, project

_GROUP = 8000
"""Marks that are worked on at once: what stays in the processor's cache."""

_LEAST_GROUP = 2500
"""Marks below which a group is not worth its overhead."""

_SHORTEST_KIND = 5
"""Tracks that span fewer frames than two to this power's double go together."""

_EPOCHS = 2
"""Epochs that the tracks of a group begin within: each half as long as they are at least."""

_FAR = 1e-7
"""Least depth of a point before the camera, over its homogeneous length."""

_LOST = 1e8
"""Square px that a point behind the camera is taken to be off."""


@dataclass(frozen=True)
class Freedom:
    """What an adjustment may change besides points.

    `radial` is the number of distortion coefficients; `smooth` the standard deviation of the
    change of slope of the log focal length from frame to frame, 0 for no such tie.
    """

    focal: bool = True
    ratio: bool = False
    radial: int = 0
    zoom: bool = False
    smooth: float = 0.0

    @property
    def per_frame(self) -> int:
        return 7 if self.zoom else 6

    @property
    def shared(self) -> tuple[str, ...]:
        focal = ("focal",) if self.focal and not self.zoom else ()
        ratio = ("ratio",) if self.ratio else ()
        return (*focal, *ratio, *("k1", "k2")[: self.radial])


@dataclass(frozen=True, eq=False)
class Group:
    """Marks (m,) of a run of tracks. `frame` and `track` (m,) are indices within the group.

    `starts` (t,) is where each track's marks begin; `by_frame` (m,) orders the marks by frame, and
    `bounds` (f + 1,) is where each frame's begin then.
    """

    frames: Integers
    tracks: Integers
    frame: Integers
    track: Integers
    starts: Integers
    by_frame: Integers
    bounds: Integers
    marks: Integers


def groups_of(marks: Marks, chosen: Integers) -> list[Group]:
    """The chosen marks in groups of whole tracks.

    Tracks of like length that start together go together: a group then spans few frames, and
    what it adds to the normal equations is small and dense.
    """
    if not len(chosen):
        return []
    track, frame = marks.track[chosen], marks.frame[chosen]
    cuts = np.flatnonzero(np.diff(track)) + 1
    starts, ends = np.concatenate([[0], cuts]), np.concatenate([cuts, [len(track)]])
    first, last = frame[starts], frame[ends - 1]
    kind = np.maximum(np.log2(last - first + 2).astype(np.int64), _SHORTEST_KIND)
    epoch = first // 2 ** (kind - 1)
    order = np.lexsort((first, epoch, kind))
    lengths = (ends - starts)[order]
    filled = np.concatenate([[0], np.cumsum(lengths)])
    place = np.repeat(starts[order] - filled[:-1], lengths) + np.arange(len(track))
    edges = _edges(filled, kind[order], epoch[order])
    return [
        _group(marks, chosen[place[filled[a] : filled[b]]]) for a, b in itertools.pairwise(edges)
    ]


def _edges(filled: Integers, kind: Integers, epoch: Integers) -> list[int]:
    """Where groups begin and the last ends: `filled` (t + 1,) marks before each track.

    A group that is small still ends before it reaches over many epochs.
    """
    edges = [0]
    new = {*(np.flatnonzero((np.diff(kind) != 0) | (np.diff(epoch) != 0)) + 1).tolist()}
    for track in range(1, len(filled) - 1):
        count, first = filled[track] - filled[edges[-1]], edges[-1]
        wide = kind[track] != kind[first] or epoch[track] >= epoch[first] + _EPOCHS
        if count >= _GROUP or (track in new and (wide or count >= _LEAST_GROUP)):
            edges.append(track)
    return [*edges, len(filled) - 1]


def _group(marks: Marks, chosen: Integers) -> Group:
    frames, frame = np.unique(marks.frame[chosen], return_inverse=True)
    track = marks.track[chosen]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(track)) + 1])
    lengths = np.diff(np.concatenate([starts, [len(track)]]))
    by_frame = np.argsort(frame, kind="stable")
    bounds = np.searchsorted(frame[by_frame], np.arange(len(frames) + 1))
    local = np.repeat(np.arange(len(starts)), lengths)
    return Group(frames, track[starts], frame, local, starts, by_frame, bounds, chosen)


@dataclass(frozen=True, eq=False)
class Linear:
    """Weighted derivatives: rows (m, 2, d + g + 1), the residual last, and inner (m, 2, 3) by the
    point's tangents; the robust `costs` (m,), px^2."""

    rows: Array
    inner: Array
    costs: Array


def linearized(
    group: Group, marks: Marks, scene: Scene, poses: Array, freedom: Freedom, loss: float
) -> Linear:
    frame = group.frames[group.frame]
    points = scene.points[group.tracks]
    pose, point = poses[frame], points[group.track]
    local = (pose @ point[:, :, None])[:, :, 0]
    view = _View.of(local, scene.lens, frame)
    residual = view.pixel - marks.pixel[group.marks]
    squares = (residual**2).sum(axis=1) * marks.weight[group.marks] ** 2
    squares = np.where(view.seen, squares, _LOST)
    over = 1 + squares / loss**2
    weight = np.where(view.seen, marks.weight[group.marks] / np.sqrt(over), 0.0)
    by_local = view.by_local * weight[:, None, None]
    rows = np.empty((len(frame), 2, freedom.per_frame + len(freedom.shared) + 1))
    _turn_columns(rows, by_local, local)
    rows[:, :, 3:6] = by_local * point[:, None, 3:]
    view.lens_columns(rows[:, :, 6:-1], weight, freedom)
    rows[:, :, -1] = residual * weight[:, None]
    tangent = tangents(points)
    inner = (by_local @ pose) @ tangent[group.track]
    return Linear(rows, inner, loss**2 * np.log(over))


def costs_of(group: Group, marks: Marks, scene: Scene, poses: Array, loss: float) -> Array:
    """The `costs` (m,) that `linearized` has, alone."""
    frame = group.frames[group.frame]
    point = scene.points[group.tracks][group.track]
    local = (poses[frame] @ point[:, :, None])[:, :, 0]
    seen = local[:, 2] > _FAR
    residual = project(local, scene.lens, frame) - marks.pixel[group.marks]
    with np.errstate(invalid="ignore"):
        squares = (residual**2).sum(axis=1) * marks.weight[group.marks] ** 2
    costs: Array = loss**2 * np.log1p(np.where(seen, squares, _LOST) / loss**2)
    return costs


def _turn_columns(rows: Array, by_local: Array, local: Array) -> None:
    """Derivatives by a small turn of the camera: by_local @ (axis x local)."""
    x, y, z = local[:, None, 0], local[:, None, 1], local[:, None, 2]
    rows[:, :, 0] = by_local[:, :, 2] * y - by_local[:, :, 1] * z
    rows[:, :, 1] = by_local[:, :, 0] * z - by_local[:, :, 2] * x
    rows[:, :, 2] = by_local[:, :, 1] * x - by_local[:, :, 0] * y


@dataclass(frozen=True, eq=False)
class _View:
    """Projections: pixel (m, 2), by_local (m, 2, 3), seen (m,); `bare` (m, 2) is the pixel without
    its bend, `square` (m,) the ray's squared distance from the axis."""

    pixel: Array
    by_local: Array
    seen: Flags
    bare: Array
    square: Array

    @classmethod
    def of(cls, local: Array, lens: Lens, frame: Integers) -> _View:
        seen = local[:, 2] > _FAR
        inverse = 1 / np.where(seen, local[:, 2], 1.0)
        x, y = local[:, 0] * inverse, local[:, 1] * inverse
        square = np.asarray(x * x + y * y, dtype=np.float64)
        bend = 1 + square * (lens.k1 + square * lens.k2)
        slope = 2 * (lens.k1 + 2 * square * lens.k2)
        across = lens.focal[frame]
        down = across * lens.ratio
        by_local = np.empty((len(local), 2, 3))
        ux, uy = across * (bend + x * x * slope), across * x * y * slope
        vx, vy = down * x * y * slope, down * (bend + y * y * slope)
        by_local[:, 0, 0], by_local[:, 0, 1], by_local[:, 0, 2] = ux, uy, -(ux * x + uy * y)
        by_local[:, 1, 0], by_local[:, 1, 1], by_local[:, 1, 2] = vx, vy, -(vx * x + vy * y)
        by_local *= inverse[:, None, None]
        bare = np.stack([across * x, down * y], axis=1)
        pixel: Array = bare * bend[:, None]
        return cls(pixel, by_local, seen, bare, square)

    def lens_columns(self, rows: Array, weight: Array, freedom: Freedom) -> None:
        """Fills the derivatives (m, 2, ...) by the frame's log focal length, then the lens."""
        column = 0
        if freedom.zoom:
            rows[:, :, 0] = self.pixel * weight[:, None]
            column = 1
        for name in freedom.shared:
            rows[:, :, column] = self._by(name) * weight[:, None]
            column += 1

    def _by(self, name: str) -> Array:
        if name == "focal":
            return self.pixel
        if name == "ratio":
            return self.pixel * [0.0, 1.0]
        power = self.square if name == "k1" else self.square**2
        by: Array = self.bare * power[:, None]
        return by


def tangents(points: Array) -> Array:
    """(t, 4, 3) directions at right angles to homogeneous points (t, 4) of unit length.

    The first three columns of the Householder reflection that takes the last axis to the point.
    """
    v = points.copy()
    v[:, 3] += np.where(points[:, 3] < 0, -1.0, 1.0)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    basis: Array = np.eye(4)[:, :3] - 2 * v[:, :, None] * v[:, None, :3]
    return basis


def inverse_roots(matrix: Array) -> Array:
    """Inverses (t, 3, 3) of the lower Cholesky roots of symmetric matrices, written out: LAPACK
    spends most of its time on the call at this size."""
    a, b, c = matrix[:, 0, 0], matrix[:, 1, 0], matrix[:, 2, 0]
    tiny = 1e-30
    i0 = 1 / np.sqrt(np.maximum(a, tiny))
    l10, l20 = b * i0, c * i0
    i1 = 1 / np.sqrt(np.maximum(matrix[:, 1, 1] - l10 * l10, tiny))
    l21 = (matrix[:, 2, 1] - l20 * l10) * i1
    i2 = 1 / np.sqrt(np.maximum(matrix[:, 2, 2] - l20 * l20 - l21 * l21, tiny))
    root = np.zeros_like(matrix)
    root[:, 0, 0], root[:, 1, 1], root[:, 2, 2] = i0, i1, i2
    root[:, 1, 0] = -l10 * i0 * i1
    root[:, 2, 1] = -l21 * i1 * i2
    root[:, 2, 0] = (l10 * l21 * i1 - l20) * i0 * i2
    return root
