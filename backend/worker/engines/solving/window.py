# SPDX-License-Identifier: GPL-3.0-or-later
"""A few frames of a long shot as a small scene of their own, so that work on them costs what they
hold and not what the shot does."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....camera import Integers
from .marks import Flags, Marks, of_frame
from .scene import Scene


@dataclass(frozen=True, eq=False)
class Window:
    """Frames and tracks (ascending indices) of a shot; `marks` counts both from 0."""

    frames: Integers
    tracks: Integers
    marks: Marks

    def part(self, scene: Scene) -> Scene:
        """The shot's scene as this window sees it."""
        return Scene(
            rotation=scene.rotation[self.frames],
            translation=scene.translation[self.frames],
            points=scene.points[self.tracks],
            lens=replace(scene.lens, focal=scene.lens.focal[self.frames]),
            placed=scene.placed[self.frames],
            known=scene.known[self.tracks],
        )

    def back(self, scene: Scene, part: Scene) -> Scene:
        """The shot's scene with what the window's has come to."""
        whole = replace(
            scene,
            rotation=scene.rotation.copy(),
            translation=scene.translation.copy(),
            points=scene.points.copy(),
            lens=replace(scene.lens, focal=scene.lens.focal.copy()),
            placed=scene.placed.copy(),
            known=scene.known.copy(),
        )
        whole.rotation[self.frames] = part.rotation
        whole.translation[self.frames] = part.translation
        whole.lens.focal[self.frames] = part.lens.focal
        whole.placed[self.frames] = part.placed
        whole.points[self.tracks] = part.points
        whole.known[self.tracks] = part.known
        return whole


class Windows:
    """Cuts windows out of one set of marks."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self._seen = of_frame(marks)
        self._starts = np.searchsorted(marks.track, np.arange(marks.tracks + 1))

    def around(self, near: Integers, frames: Flags) -> Window:
        """The tracks that the frames `near` see, in those of the `frames` (f,) that see them."""
        marks = self.marks
        tracks = np.unique(marks.track[np.concatenate([self._seen[frame] for frame in near])])
        begin, counts = self._starts[tracks], np.diff(self._starts)[tracks]
        shift = np.repeat(begin - np.cumsum(counts) + counts, counts)
        index = np.arange(len(shift)) + shift
        index = index[frames[marks.frame[index]]]
        held, frame = np.unique(marks.frame[index], return_inverse=True)
        part = marks.take(index)
        part = replace(
            part,
            frames=len(held),
            tracks=len(tracks),
            frame=frame.astype(np.int64),
            track=np.searchsorted(tracks, part.track),
        )
        return Window(held, tracks, part)
