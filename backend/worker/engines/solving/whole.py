# SPDX-License-Identifier: GPL-3.0-or-later
"""From a scene on keyframes to one on every frame, adjusted as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .bundle import Adjusted, Check, Settings, adjusted
from .linear import Freedom
from .mapping import SEED, interpolated, nearest_pose
from .marks import Flags, Marks
from .placing import inlier_shares, moved_poses, resected, triangulated
from .scene import Scene

_WIDE = (8.0, 3.0, 1.0)
_REACH = 4.0
_LEAST_SHARE = 0.3
_LEAST_MARKS = 8
_CUTS = (4.0, 1.5)
_SHORTEST = 3
_NEAR = 1e-6
"""Damping of an adjustment that starts near its end."""


@dataclass(frozen=True)
class WholeSettings:
    """`iterations` of each round of the adjustment at most; `loss` px; a round ends when a step
    gains less than `tolerance` of the cost."""

    iterations: tuple[int, int] = (4, 4)
    loss: float = 0.5
    tolerance: float = 1e-3


def placed_everywhere(marks: Marks, scene: Scene, check: Check) -> Scene:
    """Gives every frame a pose that its points support, from its neighbors' first."""
    rest = ~scene.placed
    trial = interpolated(scene, rest)
    check()
    trial = moved_poses(marks, trial, rest, _WIDE)
    scene = _accepted(marks, trial, rest)
    while True:
        missing = np.flatnonzero(~scene.placed)
        before = int(scene.placed.sum())
        for frame in missing.tolist():
            check()
            scene = _one(marks, scene, frame)
        if int(scene.placed.sum()) == before:
            return scene


def _accepted(marks: Marks, scene: Scene, frames: Flags) -> Scene:
    shares, counts = inlier_shares(marks, scene, _REACH)
    good = (shares >= _LEAST_SHARE) & (counts * shares >= _LEAST_MARKS)
    return replace(scene, placed=scene.placed | (frames & good))


def _one(marks: Marks, scene: Scene, frame: int) -> Scene:
    flags = np.zeros(marks.frames, dtype=np.bool_)
    flags[frame] = True
    near = _accepted(marks, moved_poses(marks, nearest_pose(scene, frame), flags, _WIDE), flags)
    if near.placed[frame]:
        return near
    far = resected(marks, scene, frame, _REACH, SEED)
    return _accepted(marks, moved_poses(marks, far, flags, _WIDE[1:]), flags)


def with_all_points(marks: Marks, scene: Scene) -> Scene:
    """Points for every track, anew."""
    return triangulated(marks, scene, np.ones(marks.tracks, dtype=np.bool_), 1.0)


def cut(marks: Marks, scene: Scene, limit: float) -> tuple[Marks, Scene]:
    """The marks within `limit` px, and the scene without points that too few of them are left
    for; the marks of points that are not known are kept."""
    usable = scene.usable(marks)
    errors = np.full(len(marks.track), 0.0)
    errors[usable] = scene.errors(marks.only(usable))
    kept = marks.only(errors < limit)
    counts = np.bincount(kept.track[scene.usable(kept)], minlength=marks.tracks)
    return kept, replace(scene, known=scene.known & (counts >= _SHORTEST))


def adjusted_whole(
    marks: Marks, scene: Scene, freedom: Freedom, settings: WholeSettings, check: Check
) -> tuple[Marks, Adjusted]:
    """Rounds of adjustment over all frames, outliers cut between; returns the marks that stay."""
    result = Adjusted(scene, np.inf, 0, 0)
    for iterations, limit in zip(settings.iterations, _CUTS, strict=True):
        marks, scene = cut(marks, scene, limit)
        part = Settings(iterations, settings.loss, settings.tolerance, damping=_NEAR)
        result = adjusted(marks, scene, freedom, part, check)
        scene = result.scene
    return marks, result
