# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a plate that tell what kind of shot it is: frames far apart that share tracks.

A window has a handful of frames, as far apart as the tracks last, and the tracks that are seen in
all of them. w windows, s samples (frames of a window), t tracks of all windows together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ....camera import Array, Integers
from ....tracks import Tracks
from .tripod_plate import ranks

SAMPLES = 7
_WINDOWS = 8
_MOST_TRACKS = 220
_CELLS_ACROSS = 16
_FEWEST_TRACKS = 24
_SHORTEST = 4
"""Frames from first to last at least; where that is less than the samples, some come twice."""

_SURVIVING = 0.4
"""Share of a window's tracks that must last to its last frame."""


def within(tracks: Tracks, frames: Sequence[int]) -> Tracks:
    """The tracks with their marks in `frames` alone; some may have none left."""
    keep = np.isin(tracks.frame, np.array(list(frames), dtype=np.int64))
    return replace(
        tracks,
        track=tracks.track[keep],
        frame=tracks.frame[keep],
        pixel=tracks.pixel[keep],
        sigma=tracks.sigma[keep],
    )


@dataclass(frozen=True, eq=False)
class Windows:
    """pixel (t, s, 2) from the picture's center, velocity (t, s, 2) px a frame, sigma (t,) px,
    window (t,), frames (w, s)."""

    pixel: Array
    velocity: Array
    sigma: Array
    window: Integers
    frames: Integers

    @property
    def count(self) -> int:
        return len(self.frames)

    def shifts(self) -> Array:
        """(t,) the farthest that each track is from where its window begins, in px."""
        apart = np.linalg.norm(self.pixel - self.pixel[:, :1], axis=2)
        shifts: Array = apart.max(axis=1)
        return shifts


def windows_of(tracks: Tracks, frames: Sequence[int], width: int, height: int) -> Windows:
    """Up to eight windows, evenly over the shot; none where hardly any tracks last."""
    numbers = np.array(sorted(frames), dtype=np.int64)
    spans = _Spans.of(tracks, numbers, max(width, height) / _CELLS_ACROSS)
    found = [spans.window(image, image >= len(numbers) / 2) for image in _starts(len(numbers))]
    good = [one for one in found if one is not None]
    center = np.array([width / 2, height / 2])
    empty = np.zeros((0, SAMPLES, 2))
    return Windows(
        pixel=np.concatenate([empty, *(one.pixel for one in good)]) - center,
        velocity=np.concatenate([empty, *(one.velocity for one in good)]),
        sigma=np.concatenate([np.zeros(0), *(one.sigma for one in good)]),
        window=np.repeat(np.arange(len(good)), [len(one.sigma) for one in good]),
        frames=np.array([one.frames for one in good], dtype=np.int64).reshape(-1, SAMPLES),
    )


def _starts(count: int) -> list[int]:
    """Where windows begin; those of the second half are followed back in time."""
    return sorted(set(np.linspace(0, count - 1, _WINDOWS).astype(int).tolist()))


@dataclass(frozen=True, eq=False)
class _Window:
    pixel: Array
    velocity: Array
    sigma: Array
    frames: list[int]


@dataclass(frozen=True, eq=False)
class _Spans:
    """First and last image (t,) of each track, and a key that finds any mark."""

    tracks: Tracks
    numbers: Integers
    first: Integers
    last: Integers
    keys: Integers
    cell: float

    @classmethod
    def of(cls, tracks: Tracks, numbers: Integers, cell: float) -> _Spans:
        image = np.searchsorted(numbers, tracks.frame)
        count = len(tracks.ids)
        lengths = tracks.lengths
        ends = np.cumsum(lengths)
        some = lengths > 0
        first, last = np.zeros(count, np.int64), np.full(count, -1)
        first[some], last[some] = image[(ends - lengths)[some]], image[ends[some] - 1]
        keys = tracks.track * (len(numbers) + 1) + image
        return cls(tracks, numbers, first, last, keys, cell)

    def window(self, start: int, back: bool) -> _Window | None:
        """From one image to the farthest that enough of its tracks see; None if hardly any do."""
        here = np.flatnonzero((self.first <= start) & (self.last >= start))
        if len(here) < _FEWEST_TRACKS:
            return None
        lasting = start - self.first[here] if back else self.last[here] - start
        length = int(np.sort(lasting)[-max(_FEWEST_TRACKS, round(_SURVIVING * len(here)))])
        if length < _SHORTEST:
            return None
        first = start - length if back else start
        images = np.linspace(first, first + length, SAMPLES).round().astype(np.int64)
        chosen = self._seen(here[lasting >= length], images)
        if len(chosen) < _FEWEST_TRACKS:
            return None
        sigma = self.tracks.sigma[chosen].astype(np.float64).mean(axis=1)
        pixel, velocity = self.tracks.pixel[chosen], self._velocity(chosen)
        return _Window(pixel, velocity, sigma, self.numbers[images].tolist())

    def _seen(self, tracks: Integers, images: Integers) -> Integers:
        """The marks (t, s) of some of the tracks, those that are in all the images."""
        keys = tracks[:, None] * (len(self.numbers) + 1) + images
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        seen = np.flatnonzero((self.keys[place] == keys).all(axis=1))
        return place[self._even(seen, self.tracks.pixel[place[seen, 0]])]

    def _even(self, seen: Integers, pixel: Array) -> Integers:
        """Some of the tracks, as evenly over the picture as they lie."""
        mixed = np.random.default_rng(3).permutation(len(seen))
        cell = np.floor(pixel[mixed] / self.cell).astype(np.int64)
        rank = ranks(cell[:, 1] * 1000 + cell[:, 0])
        chosen: Integers = seen[mixed[np.argsort(rank, kind="stable")[:_MOST_TRACKS]]]
        return np.sort(chosen)

    def _velocity(self, marks: Integers) -> Array:
        """How fast the tracks move at the marks (t, s), in px a frame."""
        tracks = self.tracks
        after = np.minimum(marks + 1, len(tracks.track) - 1)
        before = np.maximum(marks - 1, 0)
        after = np.where(tracks.track[after] == tracks.track[marks], after, marks)
        before = np.where(tracks.track[before] == tracks.track[marks], before, marks)
        frames = np.maximum(tracks.frame[after] - tracks.frame[before], 1)
        velocity: Array = (tracks.pixel[after] - tracks.pixel[before]) / frames[:, :, None]
        return velocity
