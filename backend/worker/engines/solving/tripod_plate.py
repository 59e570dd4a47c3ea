# SPDX-License-Identifier: GPL-3.0-or-later
"""A plate's tracks as a turning camera's adjustment takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ....camera import Array, Integers
from ....tracks import Tracks
from .tripod_model import Marks, Mask
from .tripod_start import Chain

FEWEST_MARKS = 3
"""Marks that make a track worth using."""

_SMALLEST_SIGMA = 0.02
_CELLS = 8
_PART = 12
_BRIEF = 6
"""Images to a part of the shot, and marks below which a track is taken late."""


@dataclass(frozen=True, eq=False)
class PlateMarks:
    """The tracks as marks about the picture's center. `frames` (n,) are the images' numbers, `ids`
    (t,) those of the tracks."""

    frames: Integers
    ids: Integers
    marks: Marks
    tracks: int
    width: int
    height: int

    @classmethod
    def of(cls, tracks: Tracks, frames: Sequence[int], width: int, height: int) -> PlateMarks:
        numbers = np.array(sorted(frames), dtype=np.int64)
        image = np.searchsorted(numbers, tracks.frame)
        image = np.minimum(image, len(numbers) - 1)
        known = numbers[image] == tracks.frame
        counts = np.bincount(tracks.track[known], minlength=len(tracks.ids))
        known &= counts[tracks.track] >= FEWEST_MARKS
        sigma = np.maximum(tracks.sigma[known].astype(np.float64), _SMALLEST_SIGMA)
        marks = Marks(
            track=tracks.track[known],
            image=image[known],
            pixel=tracks.pixel[known] - [width / 2, height / 2],
            weight=1 / sigma**2,
        )
        return cls(numbers, tracks.ids, marks, len(tracks.ids), width, height)

    def joined(self, chain: Chain) -> PlateMarks:
        """The images that hang together, and their marks."""
        marks = self.marks.only(chain.joined[self.marks.image])
        place: Integers = np.cumsum(chain.joined, dtype=np.int64) - 1
        counts = np.bincount(marks.track, minlength=self.tracks)
        marks = replace(marks, image=place[marks.image])
        marks = marks.only(counts[marks.track] >= 2)
        return replace(self, frames=self.frames[chain.joined], marks=marks)

    def even(self, wanted: int, among: Mask | None = None) -> Marks:
        """Marks of tracks spread evenly over the picture, about `wanted` to each image."""
        lengths = np.bincount(self.marks.track, minlength=self.tracks)
        starts = np.cumsum(lengths) - lengths
        order = self._spread(lengths, starts)
        filled = np.zeros(len(self.frames), dtype=np.int64)
        keep = np.zeros(self.tracks, dtype=bool)
        for track in order.tolist():
            if among is not None and not among[track]:
                continue
            images = self.marks.image[starts[track] : starts[track] + lengths[track]]
            if len(images) >= 2 and filled[images].min() < wanted:
                filled[images] += 1
                keep[track] = True
        return self.marks.only(keep[self.marks.track])

    def _spread(self, lengths: Integers, starts: Integers) -> Integers:
        """The tracks in an order that takes one from each part of picture and shot in turn.

        Not the longest first: those that stay in the picture while the camera turns are movers.
        """
        there = np.random.default_rng(2).permutation(np.flatnonzero(lengths))
        cell = np.floor(self.marks.pixel[starts[there]] / (self.width / _CELLS)).astype(np.int64)
        part = self.marks.image[starts[there]] // _PART
        key = (part * 64 + cell[:, 1] + 32) * 64 + cell[:, 0] + 32
        late = _PART * (lengths[there] < _BRIEF)
        chosen: Integers = there[np.argsort(ranks(key) + late, kind="stable")]
        return chosen


def wide_pairs(marks: Marks, images: int, most: int = 10) -> list[tuple[Array, Array]]:
    """Marks (m, 2), (m, 2) that images far apart share, over the whole shot."""
    order = np.argsort(marks.image, kind="stable")
    bounds = np.searchsorted(marks.image[order], np.arange(images + 1))
    pairs = []
    for first in np.unique(np.linspace(0, max(images - 2, 0), most).astype(int)).tolist():
        mine = order[bounds[first] : bounds[first + 1]]
        gap = images - 1 - first
        while gap > 0:
            theirs = order[bounds[first + gap] : bounds[first + gap + 1]]
            _same, a, b = np.intersect1d(
                marks.track[mine], marks.track[theirs], assume_unique=True, return_indices=True
            )
            if len(a) >= max(20, 0.3 * len(mine)):
                pairs.append((marks.pixel[mine[a]], marks.pixel[theirs[b]]))
                break
            gap //= 2
    return pairs


def ranks(key: Integers) -> Integers:
    """For each entry, how many with the same key come before it."""
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=key[order[:1]] - 1))
    place = np.empty(len(key), dtype=np.int64)
    place[order] = np.arange(len(key)) - np.repeat(first, np.diff(first, append=len(key)))
    return place
