# SPDX-License-Identifier: GPL-3.0-or-later
"""The marks of a plate as the solver takes them: square pixels about the center of the picture.

f frames, t tracks, m marks. Frames and tracks are indices from 0; `Tracks` has plate frame
numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....camera import Array, Integers
from ....tracks import Tracks

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Marks:
    """Marks sorted by track, then frame.

    frame   (m,) index into the frames
    track   (m,) index into the tracks
    pixel   (m, 2) square pixels about the center of the picture, y down
    weight  (m,) `sigma` over the sigma of the mark: 1 for the usual one
    sigma   px that the usual mark is expected to be off by, in either direction
    width, height  of the picture in square pixels
    """

    frames: int
    tracks: int
    frame: Integers
    track: Integers
    pixel: Array
    weight: Array
    width: float
    height: float
    sigma: float

    @property
    def size(self) -> float:
        """The longer side of the picture."""
        return max(self.width, self.height)

    @property
    def lengths(self) -> Integers:
        """(t,) marks of each track."""
        return np.bincount(self.track, minlength=self.tracks).astype(np.int64)

    @property
    def counts(self) -> Integers:
        """(f,) marks in each frame."""
        return np.bincount(self.frame, minlength=self.frames).astype(np.int64)

    def only(self, keep: Flags) -> Marks:
        """The marks with `keep` (m,); frames and tracks keep their indices."""
        return self.take(np.flatnonzero(keep))

    def take(self, index: Integers) -> Marks:
        """The marks at `index`, which must ascend."""
        return Marks(
            self.frames,
            self.tracks,
            self.frame[index],
            self.track[index],
            self.pixel[index],
            self.weight[index],
            self.width,
            self.height,
            self.sigma,
        )


_REFERENCE_LIMITS = (0.02, 2.0)
_WEIGHT_LIMITS = (0.1, 4.0)


def marks_of(
    tracks: Tracks, frames: Sequence[int], width: int, height: int, aspect: float
) -> Marks:
    """The marks of `tracks` in plate `frames` (ascending); marks in other frames are left out."""
    numbers = np.asarray(frames, dtype=np.int64)
    place = np.searchsorted(numbers, tracks.frame).clip(max=len(numbers) - 1)
    known = numbers[place] == tracks.frame
    center = np.array([width / 2, height / 2])
    sigma = tracks.sigma[known].astype(np.float64)
    usual = float(np.median(sigma)) if len(sigma) else 1.0
    usual = float(np.clip(usual, *_REFERENCE_LIMITS))
    return Marks(
        frames=len(numbers),
        tracks=len(tracks.ids),
        frame=place[known],
        track=tracks.track[known],
        pixel=(tracks.pixel[known] - center) * [aspect, 1.0],
        weight=np.clip(usual / np.maximum(sigma, 1e-6), *_WEIGHT_LIMITS),
        width=width * aspect,
        height=float(height),
        sigma=usual,
    )


def of_frame(marks: Marks) -> list[Integers]:
    """For each frame the indices of its marks, by track."""
    order = np.argsort(marks.frame, kind="stable")
    bounds = np.searchsorted(marks.frame[order], np.arange(marks.frames + 1))
    return [order[start:end] for start, end in itertools.pairwise(bounds)]
