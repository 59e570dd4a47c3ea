# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a solve: from poses for all frames to the adjusted scene with all its points."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from . import choosing
from .bundle import Check
from .lens_choice import relative_sigmas
from .linear import Freedom
from .marks import Flags, Marks
from .placing import moved_poses, triangulated
from .presets import Preset
from .scene import Scene
from .whole import Pieces, adjusted_whole, with_all_points

_KEPT = 1.5
"""Px within which a mark of a track outside the adjustment counts as seen."""

_LEAST_KEPT = 0.6
_SHORTEST = 3


class Clock:
    """CPU seconds of the calling thread by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.thread_time()

    def lap(self, name: str) -> None:
        """The time since the last lap goes to `name`."""
        now = time.thread_time()
        self.seconds[name] = round(self.seconds.get(name, 0.0) + now - self._last, 3)
        self._last = now


@dataclass(frozen=True, eq=False)
class Finished:
    """A solved scene. `marks` are those it rests on, `all_marks` those of every track that has a
    point, `sigmas` the standard deviations of the lens (focal: relative), `error` the median
    reprojection error in px."""

    scene: Scene
    marks: Marks
    all_marks: Marks
    freedom: Freedom
    sigmas: dict[str, float]
    error: float


def finished(
    marks: Marks,
    scene: Scene,
    freedom: Freedom,
    preset: Preset,
    check: Check,
    always: Flags,
    clock: Clock,
) -> Finished:
    """The scene adjusted over all frames. `always` (t,) are tracks that must have their say.

    An even share of the tracks settles points and lens; all of them have a say in the poses.
    """
    part = marks.only(choosing.spread(marks, preset.per_frame, always)[marks.track])
    pieces = Pieces.of(part)
    start = with_all_points(pieces.marks, pieces.scene(scene))
    clock.lap("triangulate")
    kept, result = adjusted_whole(pieces.marks, start, freedom, preset.whole, check)
    clock.lap("adjust")
    sigmas = relative_sigmas(kept, result, freedom, preset.whole.loss)
    clock.lap("sigmas")
    part = pieces.tracks(kept)
    scene, every = _completed(marks, pieces.joined(result.scene, scene))
    scene = moved_poses(every, scene, scene.placed, (preset.whole.loss,))
    clock.lap("complete")
    return Finished(scene, part, every, freedom, sigmas, _typical_error(part, scene))


def _completed(marks: Marks, scene: Scene) -> tuple[Scene, Marks]:
    """The scene with points for the tracks that were left out of the adjustment, and the marks
    that lie on the points."""
    scene = triangulated(marks, scene, ~scene.known, 0.5)
    usable = marks.only(scene.usable(marks))
    near = usable.only(scene.errors(usable) < _KEPT)
    counts = np.bincount(near.track, minlength=marks.tracks)
    share = counts / np.maximum(np.bincount(usable.track, minlength=marks.tracks), 1)
    kept = scene.known & (counts >= _SHORTEST) & (share > _LEAST_KEPT)
    return replace(scene, known=kept), near.only(kept[near.track])


def _typical_error(marks: Marks, scene: Scene) -> float:
    usable = marks.only(scene.usable(marks))
    return float(np.median(scene.errors(usable))) if len(usable.track) else np.inf
