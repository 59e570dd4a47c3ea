# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames and which tracks carry the solve."""

from __future__ import annotations

import numpy as np

from ....camera import Array, Integers
from .marks import Flags, Marks, of_frame

_COLUMNS, _ROWS = 12, 8


def keyframes(marks: Marks, motion: float, survival: float, gap: int) -> list[int]:
    """Frames between which the picture moves `motion` (share of the width) at the median, or less
    than `survival` of the tracks live on, at most `gap` apart; first and last included."""
    seen = of_frame(marks)
    keys = [0]
    for frame in range(1, marks.frames):
        key = keys[-1]
        shared, here, there = np.intersect1d(
            marks.track[seen[key]],
            marks.track[seen[frame]],
            assume_unique=True,
            return_indices=True,
        )
        moves = marks.pixel[seen[frame][there]] - marks.pixel[seen[key][here]]
        moved = float(np.median(np.linalg.norm(moves, axis=1))) if len(shared) else np.inf
        lost = len(shared) < survival * len(seen[key])
        if lost and frame - 1 > key:
            keys.append(frame - 1)
        if lost or moved > motion * marks.width or frame - key >= gap:
            keys.append(frame)
    if keys[-1] != marks.frames - 1:
        keys.append(marks.frames - 1)
    return keys


def spread(marks: Marks, per_frame: int, always: Flags | None = None) -> Flags:
    """Tracks (t,) that give about `per_frame` marks a frame: long ones, all over the picture.

    A track is taken when at least half its marks are among the longest of their cell.
    """
    if len(marks.track) <= per_frame * marks.frames:
        return np.ones(marks.tracks, dtype=np.bool_)
    rank = _ranks(marks)
    lengths = np.maximum(marks.lengths, 1)
    low, high = 1, max(2, int(rank.max()) + 1)
    while high - low > 1:
        cap = (low + high) // 2
        chosen = _within(marks, rank, cap, lengths)
        enough = int(lengths[chosen].sum()) >= per_frame * marks.frames
        low, high = (low, cap) if enough else (cap, high)
    chosen = _within(marks, rank, high, lengths)
    return chosen if always is None else chosen | always


def _within(marks: Marks, rank: Integers, cap: int, lengths: Integers) -> Flags:
    good = np.bincount(marks.track, rank < cap, marks.tracks)
    chosen: Flags = good >= 0.5 * lengths
    return chosen


def _ranks(marks: Marks) -> Integers:
    """(m,) the place of each mark among those of its cell, the longest track first."""
    size: Array = np.array([marks.width, marks.height])
    cell = ((marks.pixel / size + 0.5) * [_COLUMNS, _ROWS]).astype(np.int64)
    cell = cell.clip(0, [_COLUMNS - 1, _ROWS - 1])
    bins = (marks.frame * _ROWS + cell[:, 1]) * _COLUMNS + cell[:, 0]
    order = np.lexsort((-marks.lengths[marks.track], bins))
    starts = np.flatnonzero(np.diff(bins[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = place
    return rank
