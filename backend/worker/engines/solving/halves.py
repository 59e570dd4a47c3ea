# SPDX-License-Identifier: GPL-3.0-or-later
"""What a solve is good for, asked of itself: either half of the tracks solves the shot alone.

How far the two solves drift apart, in px of slip, is an error that no residual shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ....accuracy import slip
from ....camera import Array, CameraTrack, Similarity, matrices_from_colmap
from .bundle import Check, Settings, adjusted
from .linear import Freedom
from .marks import Flags, Marks
from .scene import Scene

_POINTS = 80
_ITERATIONS = 8
_FEWEST = 3
_LEAST_POINTS = 8


@dataclass(frozen=True)
class Halves:
    """Px RMS that the solve is expected to `slip` by, infinite when a half cannot be solved, and
    the relative error that its focal length is expected to have.

    Each half has twice the variance of the whole, their difference four times.
    """

    slip: float
    focal: float


def compared(
    marks: Marks, scene: Scene, freedom: Freedom, frames: Sequence[int], check: Check
) -> Halves:
    """Solves either half of the tracks on some of the frames."""
    chosen = np.zeros(marks.frames, dtype=np.bool_)
    chosen[list(frames)] = True
    placed = scene.placed & chosen
    marks = marks.only(placed[marks.frame])
    counts = np.bincount(marks.track, minlength=marks.tracks)
    known = scene.known & (counts >= 2)
    scene = replace(scene, placed=placed, known=known)
    even = np.cumsum(known) % 2 == 0
    halves = [_half(marks, scene, known & part, freedom, check) for part in (even, ~even)]
    points = _points(scene)
    if len(points) < _LEAST_POINTS:
        return Halves(float("inf"), float("inf"))
    try:
        found = slip(_track(halves[0], marks), _track(halves[1], marks), points)
    except (ValueError, np.linalg.LinAlgError):
        return Halves(float("inf"), float("inf"))
    return Halves(found.rms / 2, abs(found.focal_error) / 2)


def _half(marks: Marks, scene: Scene, tracks: Flags, freedom: Freedom, check: Check) -> Scene:
    part = marks.only(tracks[marks.track])
    seen = np.bincount(part.frame, minlength=marks.frames) >= _FEWEST
    scene = replace(scene, known=tracks, placed=scene.placed & seen)
    settings = Settings(_ITERATIONS, tolerance=1e-4, damping=1e-6)
    return adjusted(part, scene, freedom, settings, check).scene


def _points(scene: Scene) -> Array:
    """Some points (n, 3) of the cloud in the axes of `_track`."""
    index = np.flatnonzero(scene.known & (scene.points[:, 3] > 1e-3))
    index = index[:: max(1, len(index) // _POINTS)]
    places = scene.points[index, :3] / scene.points[index, 3:]
    return Similarity.axes_only().apply(places)


def _track(scene: Scene, marks: Marks) -> CameraTrack:
    placed = np.flatnonzero(scene.placed)
    focal = scene.lens.focal[placed]
    world = Similarity.axes_only()
    return CameraTrack(
        frames=placed,
        matrices=matrices_from_colmap(scene.rotation[placed], scene.translation[placed], world),
        focal=np.stack([focal, focal * scene.lens.ratio], axis=1),
        center=np.tile([marks.width / 2, marks.height / 2], (len(placed), 1)),
        solved=np.ones(len(placed), dtype=np.bool_),
        width=round(marks.width),
        height=round(marks.height),
        fps=Fraction(24),
    )
