# SPDX-License-Identifier: GPL-3.0-or-later
"""The pieces that breaks part a plate into, and which of their frames are good to match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ....tracks import Tracks
from ..tracking import Faults, Tracking

_CROSSING, _CROSSING_SHARE = 5, 0.25
"""Tracks that must live on from one frame to the next for the two to be one piece, and share of
the usual number of them: a few always find something alike beyond a cut."""

_PLENTY, _NONE = 50, 0.05
"""Tracks in a frame, and share of them in the next, with which that is another picture."""

SHORTEST = 4
"""Frames that a piece must have to be joined to others."""

_SHARP, _FULL = 0.75, 0.5
"""Least share of the usual sharpness, and of the usual number of tracks, in a frame to match."""

_AROUND = 10
"""Frames either way that tell how sharp frames usually are. A plate's other pieces tell nothing."""

_SECOND = 6
"""Frames from the first choice at the end of a piece to the next."""


@dataclass(frozen=True)
class Piece:
    """Plate frames (ascending) that tracks hold together; `starts` and `ends` are those to match
    with what comes before and after, the best first. None where the piece cannot be joined."""

    numbers: tuple[int, ...]
    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()


def pieces_of(tracking: Tracking, numbers: Sequence[int]) -> list[Piece]:
    """The plate's frames `numbers` (ascending) in pieces."""
    faults = tracking.faults
    cuts = {*faults.frames[faults.cuts].tolist(), *_breaks(tracking, numbers)}
    edges = [numbers[0], *sorted(cuts - {numbers[0]}), numbers[-1] + 1]
    parts = [
        tuple(number for number in numbers if start <= number < end)
        for start, end in pairwise(edges)
    ]
    if len(parts) == 1:
        return [Piece(parts[0])]
    counts = mark_counts(tracking.tracks, numbers)
    return [_piece(part, faults, counts) for part in parts]


def _piece(numbers: tuple[int, ...], faults: Faults, counts: dict[int, int]) -> Piece:
    if len(numbers) < SHORTEST:
        return Piece(numbers)
    good = good_frames(numbers, faults, counts)
    return Piece(numbers, _first_two(good), _first_two(good[::-1]))


def good_frames(numbers: Sequence[int], faults: Faults, counts: dict[int, int]) -> list[int]:
    """Those of the frames of a piece that are sharp, beside the frames of the piece around them,
    and full of tracks."""
    known = dict(zip(faults.frames.tolist(), faults.sharpness.tolist(), strict=True))
    sharpness = np.array([known.get(number, 0.0) for number in numbers])
    marks = np.array([counts.get(number, 0) for number in numbers])
    usual = [
        np.percentile(sharpness[max(0, index - _AROUND) : index + _AROUND + 1], 75)
        for index in range(len(numbers))
    ]
    good = (sharpness >= _SHARP * np.array(usual)) & (marks > _FULL * np.median(marks))
    return [numbers[index] for index in np.flatnonzero(good).tolist()]


def _first_two(good: Sequence[int]) -> tuple[int, ...]:
    further = [number for number in good[1:] if abs(number - good[0]) >= _SECOND]
    return (*good[:1], *further[:1])


def mark_counts(tracks: Tracks, numbers: Sequence[int]) -> dict[int, int]:
    """How many marks each frame has."""
    found, counts = np.unique(tracks.frame, return_counts=True)
    have = dict(zip(found.tolist(), counts.tolist(), strict=True))
    return {number: have.get(number, 0) for number in numbers}


def near(numbers: Sequence[int], frame: int, offsets: Sequence[int]) -> list[int]:
    """The frames of a piece at those offsets from one of it, either way."""
    wanted = {frame + sign * offset for offset in offsets for sign in (-1, 1)}
    return [number for number in numbers if number in wanted]


def _breaks(tracking: Tracking, numbers: Sequence[int]) -> list[int]:
    """Frames that next to no track of the frames before lives to see."""
    tracks, faults = tracking.tracks, tracking.faults
    if not len(tracks.ids):
        # Nothing lasts: either there is nothing to track, or there is, in each frame anew.
        plenty = np.append(False, faults.features[:-1] >= _PLENTY)
        others = faults.frames[plenty & (faults.survival < _NONE)]
        return sorted({*others.tolist()} & {*numbers})
    starts = np.searchsorted(tracks.track, np.arange(len(tracks.ids)))
    ends = np.append(starts[1:], len(tracks.track)) - 1
    first = np.searchsorted(numbers, tracks.frame[starts])
    last = np.searchsorted(numbers, tracks.frame[ends])
    alive = np.zeros(len(numbers) + 1, dtype=np.int64)
    np.add.at(alive, first + 1, 1)
    np.add.at(alive, last + 1, -1)
    crossing = np.cumsum(alive)[: len(numbers)]
    least = max(_CROSSING, _CROSSING_SHARE * float(np.median(crossing[1:])))
    return [numbers[index] for index in range(1, len(numbers)) if crossing[index] < least]
