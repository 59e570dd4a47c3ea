# SPDX-License-Identifier: GPL-3.0-or-later
"""From a scene on keyframes to one on every frame, adjusted as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....camera import Integers
from .bundle import Adjusted, Check, Settings, adjusted
from .guessed_poses import interpolated, nearest_pose
from .linear import Freedom
from .mapping import SEED
from .marks import Flags, Marks, of_frame
from .placing import inlier_shares, moved_poses, resected, triangulated
from .scene import Scene

_WIDE = (8.0, 3.0, 1.0)
_REACH = 4.0
_LEAST_SHARE = 0.3
_LEAST_MARKS = 8
_CUTS = (4.0, 1.5)
_SHORTEST = 3
_LONGEST = 120
"""Frames that a track spans at most in the adjustment of a whole shot."""

_UNSEEN = 12
"""Frames that a longer time without a mark counts as."""

_PASSES = 4
"""Times that frames which found no pose are tried again once others have one."""

_NEAR = 1e-6
"""Damping of an adjustment that starts near its end."""


@dataclass(frozen=True)
class WholeSettings:
    """`iterations` of each round of the adjustment at most; `loss` px; a round ends when a step
    gains less than `tolerance` of the cost."""

    iterations: tuple[int, int] = (4, 4)
    loss: float = 0.2
    tolerance: float = 1e-3


@dataclass(frozen=True, eq=False)
class Pieces:
    """Marks whose tracks span few frames each, so that adjusting a long shot costs linearly with
    its length: longer tracks are cut, and `origin` (t',) is the track that each was."""

    marks: Marks
    origin: Integers

    @classmethod
    def of(cls, marks: Marks, longest: int = _LONGEST) -> Pieces:
        starts = np.searchsorted(marks.track, np.arange(marks.tracks))
        # A track that is seen again later spans the frames it is seen around, not those between.
        same = np.diff(marks.track, prepend=-1) == 0
        step = np.where(same, np.diff(marks.frame, prepend=0).clip(max=_UNSEEN), 0)
        clock = np.cumsum(step)
        first = np.append(clock, 0)[starts][marks.track]
        span = np.bincount(marks.track, minlength=marks.tracks)
        np.maximum.at(span, marks.track, clock - first + 1)
        length = -(-span // np.maximum(-(-span // longest), 1))
        piece = (clock - first) // np.maximum(length, 1)[marks.track]
        counts = np.ones(marks.tracks, dtype=np.int64)
        np.maximum.at(counts, marks.track, piece + 1)
        begin = np.cumsum(counts) - counts
        origin = np.repeat(np.arange(marks.tracks), counts)
        track = begin[marks.track] + piece
        return cls(replace(marks, tracks=len(origin), track=track), origin)

    def scene(self, scene: Scene) -> Scene:
        """The scene with a point for each piece."""
        return replace(scene, points=scene.points[self.origin], known=scene.known[self.origin])

    def joined(self, scene: Scene, before: Scene) -> Scene:
        """The scene of the pieces with points for tracks; those of tracks that were cut are not
        known any more."""
        counts = np.bincount(self.origin, minlength=len(before.known))
        points, known = before.points.copy(), np.zeros(len(before.known), dtype=np.bool_)
        whole = counts[self.origin] == 1
        points[self.origin[whole]], known[self.origin[whole]] = (
            scene.points[whole],
            scene.known[whole],
        )
        return replace(scene, points=points, known=known)

    def tracks(self, marks: Marks) -> Marks:
        """Marks of the pieces as marks of the tracks."""
        return replace(marks, tracks=int(self.origin[-1]) + 1, track=self.origin[marks.track])


def placed_everywhere(marks: Marks, scene: Scene, check: Check) -> Scene:
    """Gives every frame a pose that its points support, from its neighbors' first."""
    rest = ~scene.placed
    trial = interpolated(scene, rest)
    check()
    trial = moved_poses(marks, trial, rest, _WIDE)
    scene = _accepted(marks, trial, rest)
    seen = of_frame(marks) if not scene.placed.all() else []
    for _ in range(_PASSES):
        before = int(scene.placed.sum())
        for frame in np.flatnonzero(~scene.placed).tolist():
            check()
            scene = _one(marks.take(seen[frame]), scene, frame)
        if int(scene.placed.sum()) == before:
            break
    return scene


def _accepted(marks: Marks, scene: Scene, frames: Flags) -> Scene:
    shares, counts = inlier_shares(marks, scene, _REACH)
    good = (shares >= _LEAST_SHARE) & (counts * shares >= _LEAST_MARKS)
    return replace(scene, placed=scene.placed | (frames & good))


def _one(marks: Marks, scene: Scene, frame: int) -> Scene:
    """Places a frame by its `marks`."""
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
