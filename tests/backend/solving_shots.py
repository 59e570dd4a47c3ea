# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up shots with a known camera, as tracks: points of a room seen by a moving pinhole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from backend.camera import (
    Array,
    CameraTrack,
    Similarity,
    matrices_from_colmap,
    rotations_from_vectors,
)
from backend.tracks import UNUSED, Tracks
from backend.worker.engines.solving.lens import Lens
from backend.worker.engines.solving.marks import Marks
from backend.worker.engines.solving.placing import triangulated
from backend.worker.engines.solving.scene import Scene

WIDTH, HEIGHT = 1280, 720


@dataclass(frozen=True)
class Shot:
    """A path gives the camera's place and turn (rotation vector) over time from 0 to 1."""

    path: Callable[[float], tuple[Array, Array]]
    frames: int = 60
    focal: Callable[[float], float] = lambda _time: 1100.0
    points: int = 1500
    noise: float = 0.1
    outliers: float = 0.02
    movers: float = 0.0
    k1: float = 0.0
    k2: float = 0.0
    squeeze: float = 1.0
    life: float = 30.0
    depth: tuple[float, float] = (3.0, 14.0)
    seed: int = 1
    first: int = 1


@dataclass(frozen=True, eq=False)
class Made:
    """`truth` and `points` as `backend.accuracy` has them, and the tracks of the shot."""

    truth: CameraTrack
    points: Array
    tracks: Tracks


def dolly(time: float) -> tuple[Array, Array]:
    """Forward with the small movements of a hand."""
    shake = 0.03 * np.array([np.sin(31 * time), np.sin(23 * time + 1), np.sin(17 * time)])
    turn = 0.02 * np.array([np.sin(27 * time), np.sin(19 * time + 2), np.sin(29 * time)])
    return np.array([0.3 * time, 0.0, 3.0 * time]) + shake, turn


def orbit(time: float) -> tuple[Array, Array]:
    """A quarter round a point 7 units ahead."""
    angle = 1.4 * (time - 0.5)
    place = np.array([7 * np.sin(angle), 0.1 * np.sin(9 * time), 7 - 7 * np.cos(angle)])
    return place, np.array([0.01 * np.sin(21 * time), -angle, 0.0])


def slow(time: float) -> tuple[Array, Array]:
    """Hardly any travel."""
    place, turn = dolly(time)
    return place * [0.3, 0.3, 0.06], turn


def make(shot: Shot) -> Made:
    random = np.random.default_rng(shot.seed)
    times = np.linspace(0, 1, shot.frames)
    places, turns = (np.array(part) for part in zip(*map(shot.path, times), strict=True))
    turned = rotations_from_vectors(turns)
    focal = np.array([shot.focal(float(time)) for time in times])
    points = _room(random, shot, places)
    rows = _marks(random, shot, places, turned, focal, points)
    truth = _truth(shot, places, turned, focal)
    return Made(truth, points[: len(points) // 4] * [1, -1, -1], _tracks(rows))


def _room(random: np.random.Generator, shot: Shot, places: Array) -> Array:
    near, far = shot.depth
    low, high = places.min(axis=0), places.max(axis=0)
    depth = random.uniform(near, far, shot.points)
    side = random.uniform(-1, 1, (shot.points, 2)) * depth[:, None] * [0.9, 0.5]
    middle = random.uniform(0, 1, (shot.points, 1)) * (high - low) + low
    return middle + np.concatenate([side, depth[:, None]], axis=1)


def _marks(
    random: np.random.Generator,
    shot: Shot,
    places: Array,
    turned: Array,
    focal: Array,
    points: Array,
) -> Array:
    """Rows of track, frame, x, y: every sight of a point is cut into lives of its own."""
    count, rows = len(points), []
    moving = np.arange(count) < shot.movers * count
    drift = np.array([0.9, 0.2, -0.3])
    birth = random.integers(-int(shot.life), 1, count)
    length = random.exponential(shot.life, (count, 50)).astype(int) + 4
    ends = np.cumsum(length, axis=1) + birth[:, None]
    for index in range(shot.frames):
        time = index / max(shot.frames - 1, 1)
        there = points + np.where(moving[:, None], drift * time, 0.0)
        local = (there - places[index]) @ turned[index]
        x, y = local[:, 0] / local[:, 2], local[:, 1] / local[:, 2]
        square = x * x + y * y
        bend = 1 + square * (shot.k1 + square * shot.k2)
        pixel = np.stack([x * bend / shot.squeeze, y * bend], axis=1) * focal[index]
        pixel += [WIDTH / 2, HEIGHT / 2]
        seen = (local[:, 2] > 0.3) & (pixel > 4).all(axis=1)
        seen &= (pixel < [WIDTH - 4, HEIGHT - 4]).all(axis=1) & (square < 1.2)
        life = (ends <= index).sum(axis=1)
        pixel += random.normal(0, shot.noise, pixel.shape)
        pixel += np.where(random.random((count, 1)) < shot.outliers, 8.0, 0.0)
        chosen = np.flatnonzero(seen)
        track = chosen * 60 + life[chosen]
        rows.append(
            np.column_stack([track, np.full(len(chosen), shot.first + index), pixel[chosen]])
        )
    return np.concatenate(rows)


def _tracks(rows: Array) -> Tracks:
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    ids, track, counts = np.unique(rows[:, 0], return_inverse=True, return_counts=True)
    every = Tracks(
        ids=np.arange(1, len(ids) + 1),
        manual=np.zeros(len(ids), dtype=np.bool_),
        errors=np.full(len(ids), UNUSED),
        track=track.astype(np.int64),
        frame=rows[:, 1].astype(np.int64),
        pixel=rows[:, 2:],
        sigma=np.full(len(rows), 0.1, dtype=np.float32),
    )
    return every.only(counts >= 3)


def _truth(shot: Shot, places: Array, turned: Array, focal: Array) -> CameraTrack:
    """Blender's axes: z up is y down turned over, so the world is mirrored in y and z."""
    flip = np.diag([1.0, -1.0, -1.0])
    matrices = np.tile(np.eye(4), (shot.frames, 1, 1))
    matrices[:, :3, :3] = flip @ turned @ flip
    matrices[:, :3, 3] = places @ flip
    return CameraTrack(
        frames=np.arange(shot.first, shot.first + shot.frames),
        matrices=matrices,
        focal=np.stack([focal / shot.squeeze, focal], axis=1),
        center=np.tile([WIDTH / 2, HEIGHT / 2], (shot.frames, 1)),
        solved=np.ones(shot.frames, dtype=np.bool_),
        width=WIDTH,
        height=HEIGHT,
        fps=Fraction(24),
    )


def true_scene(made: Made, marks: Marks) -> Scene:
    """Poses of the truth, points triangulated from them."""
    flip = np.diag([1.0, -1.0, -1.0])
    rotation = np.swapaxes(flip @ made.truth.matrices[:, :3, :3] @ flip, 1, 2)
    centers = made.truth.matrices[:, :3, 3] @ flip
    scene = Scene.empty(marks, Lens.fixed(float(made.truth.focal[0, 0]), marks.frames))
    scene = replace(
        scene,
        rotation=rotation,
        translation=-np.einsum("fij,fj->fi", rotation, centers),
        placed=np.ones(marks.frames, dtype=bool),
    )
    return triangulated(marks, scene, np.ones(marks.tracks, dtype=bool), 0.5)


def camera_of(scene: Scene, made: Made, aspect: float = 1.0) -> CameraTrack:
    """What was solved, in the axes and with the times of the truth."""
    placed = scene.placed
    focal = scene.lens.focal[placed]
    world = Similarity.axes_only()
    return replace(
        made.truth,
        frames=made.truth.frames[placed],
        matrices=matrices_from_colmap(scene.rotation[placed], scene.translation[placed], world),
        focal=np.stack([focal / aspect, focal * scene.lens.ratio], axis=1),
        center=made.truth.center[placed],
        solved=made.truth.solved[placed],
    )


def ignore() -> None:
    """Checks for no cancel."""
