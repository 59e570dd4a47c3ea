# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds tracks again in frames they were lost in, where a first solve says that they should be.

The patch of a track's birth is registered from the prediction: first coarsely (every other sample
of a smoothed picture) from a few starts around it, then finely from the best. What is found
ambiguously, too far away or too unlike is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....camera import Array, Integers
from ....tracks import Floats
from ...report import Report
from .anchoring import Registration, Window, expected_error, inverses, references, register
from .frames import Bytes, ignored_area, working_picture
from .mark_log import plate_sigma
from .records import Booleans, Patches, Tracking, visible
from .wide import REACH, found_widely, inner, smoothed, wide_references

_FINE = Window(10)

_CORRELATION = 0.85

_BENT = 0.5
"""Most that the warp may depart from the one predicted (Frobenius norm of the change): a patch
that had to be bent so far shows something else."""

_SANE = 100.0
"""Entries that no warp worth looking at has."""

_AGREED = 0.6
"""Working px between the coarse and the fine registration from which neither is believed."""

_SIGMA = 0.15
"""Working px; what may miss by more is left out."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """What to look for in one frame.

    ids     (k,) track ids
    pixel   (k, 2) plate px where each should be
    shape   (k, 2, 2) affine from its birth patch to this frame, in px; None: as it was born
    """

    ids: Integers
    pixel: Array
    shape: Array | None = None


@dataclass(frozen=True, eq=False)
class Found:
    """New marks.

    ids    (m,) track ids
    frame  (m,) plate frame numbers
    pixel  (m, 2) plate px
    sigma  (m,) expected standard deviation of the position in plate px
    """

    ids: Integers
    frame: Integers
    pixel: Array
    sigma: Floats

    @staticmethod
    def joined(parts: Sequence[Found]) -> Found:
        """The marks of several goes, one after the other; none of none."""
        return Found(
            ids=np.concatenate([np.zeros(0, np.int64), *(part.ids for part in parts)]),
            frame=np.concatenate([np.zeros(0, np.int64), *(part.frame for part in parts)]),
            pixel=np.concatenate([np.zeros((0, 2)), *(part.pixel for part in parts)]),
            sigma=np.concatenate([np.zeros(0, np.float32), *(part.sigma for part in parts)]),
        )

    def take(self, index: Integers) -> Found:
        return Found(self.ids[index], self.frame[index], self.pixel[index], self.sigma[index])


def reacquire(
    tracking: Tracking,
    wanted: Mapping[int, Wanted],
    frames: Mapping[int, Path],
    masks: Mapping[int, Path],
    report: Report,
) -> Found:
    """Looks for tracks in the frames of `wanted`; reads those frames only. Marks come by frame.

    Tracks whose birth patch was not kept (`tracking.patches.ids`) are not found.
    Raises SolveError for a frame or mask that cannot be read or has the wrong size.
    """
    numbers = sorted(number for number, ask in wanted.items() if len(ask.ids) and number in frames)
    parts: list[Found] = []
    pictures = _pictures(numbers, frames, masks, tracking.patches)
    for done, (number, picture, ignored) in enumerate(pictures, 1):
        parts.append(_found(tracking.patches, wanted[number], number, picture, ignored))
        report.progress(done, len(numbers), "frames")
        report.check()
    return Found.joined(parts)


def _pictures(
    numbers: list[int], frames: Mapping[int, Path], masks: Mapping[int, Path], patches: Patches
) -> Iterator[tuple[int, Floats, Bytes | None]]:
    """Each frame's working picture and masked area, the next one read ahead."""
    sizes = patches.sizes

    def read(number: int) -> tuple[int, Floats, Bytes | None]:
        ignored = (
            ignored_area(masks[number], sizes, patches.mask_margin) if number in masks else None
        )
        return number, working_picture(frames[number], sizes), ignored

    with ThreadPoolExecutor(1) as thread:
        ahead = [thread.submit(read, number) for number in numbers[:2]]
        try:
            for index in range(len(numbers)):
                yield ahead.pop(0).result()
                if index + 2 < len(numbers):
                    ahead.append(thread.submit(read, numbers[index + 2]))
        finally:
            for future in ahead:
                future.cancel()


def _found(
    patches: Patches, ask: Wanted, number: int, picture: Floats, ignored: Bytes | None
) -> Found:
    """The tracks of one frame."""
    known = np.isin(ask.ids, patches.ids)
    ids = ask.ids[known]
    index = np.searchsorted(patches.ids, ids)
    guess = patches.sizes.to_working(ask.pixel[known])
    shape = np.tile(np.eye(2, dtype=np.float32), (len(ids), 1, 1))
    if ask.shape is not None:
        shape = ask.shape[known].astype(np.float32)
    values = patches.values[index].astype(np.float32)
    start, clear = found_widely(smoothed(picture), wide_references(values), guess, shape)
    fine = references(inner(values, _FINE), _FINE)
    found = register(picture, fine, _FINE, start.center, start.shape, steps=8)
    settled = (np.hypot(*(found.center - start.center).T) < _AGREED) & _sane(found.shape)
    seen = np.flatnonzero(clear & settled)
    fine, found, ids = fine.take(seen), found.take(seen), ids[seen]
    sigma = expected_error(fine, found)
    good = _believed(found, guess[seen], shape[seen]) & (sigma < _SIGMA)
    good &= visible(found.center, patches.sizes, ignored, _FINE.radius)
    return Found(
        ids=ids[good],
        frame=np.full(int(good.sum()), number, dtype=np.int64),
        pixel=patches.sizes.to_plate(found.center[good]),
        sigma=plate_sigma(sigma[good], patches.sizes),
    )


def _sane(shape: Floats) -> Booleans:
    """False for warps (n, 2, 2) that ran away, whose figures would overflow."""
    return np.asarray((np.abs(shape) < _SANE).all(axis=(1, 2)))


def _believed(found: Registration, guess: Floats, shape: Floats) -> Booleans:
    near = np.hypot(*(found.center - guess).T) < REACH
    change = found.shape @ inverses(shape) - np.eye(2, dtype=np.float32)
    straight = np.square(change).sum(axis=(1, 2)) < _BENT**2
    return np.asarray(near & straight & (found.correlation > _CORRELATION) & (found.gain > 0.1))
