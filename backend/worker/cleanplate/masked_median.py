# SPDX-License-Identifier: GPL-3.0-or-later
"""The median over time of those samples of each pixel that no mask covers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_PIECE = 1 << 16
"""Bytes of one frame that are looked at together: those of many frames stay in the processor's
cache."""


def masked_median(samples: NDArray[Any], count: NDArray[np.int32]) -> NDArray[np.float32]:
    """(p,) from uint8 or uint16 `samples` (n, p), of which the `count` (p,) smallest are meant:
    what is masked is as large as can be. 0 where none is; of an even number the mean of the middle
    two.

    The lower middle value is found bit by bit, by counting the samples below a trial value, in the
    range that the samples have: time is in proportion to the frames, and hardly any memory is
    taken.
    """
    median = np.zeros(samples.shape[1], np.float32)
    step = max(_PIECE // samples.dtype.itemsize, 1)
    for start in range(0, len(median), step):
        span = slice(start, start + step)
        if count[span].any():
            median[span] = _middle(samples[:, span], count[span])
    median[count == 0] = 0
    return median


def _middle(samples: NDArray[Any], count: NDArray[np.int32]) -> NDArray[np.float32]:
    top = samples.dtype.type(np.iinfo(samples.dtype).max)
    rank = (count - 1) // 2
    lowest, highest = samples.min(axis=0), _highest(samples)
    # What is white is no different from what is masked: it is where the others are too few.
    darker = _count(np.less, samples, np.full_like(lowest, top))
    highest = np.where(darker > 0, highest, lowest)
    if (highest == lowest).all() and ((darker == 0) | (darker >= count)).all():
        flat: NDArray[np.float32] = lowest.astype(np.float32)
        return flat
    lower = np.where(darker > rank, _of_rank(samples, rank, lowest, highest), top)
    above = _next_above(samples, lower)
    upper = np.where(_count(np.less_equal, samples, lower) > count // 2, lower, above)
    middle: NDArray[np.float32] = (lower.astype(np.float32) + upper) / np.float32(2)
    return middle


def _highest(samples: NDArray[Any]) -> NDArray[Any]:
    """(p,) the largest sample that is not as large as can be; anything where there is none."""
    # One more wraps what is as large as can be around to 0, under everything else.
    one = samples.dtype.type(1)
    highest: NDArray[Any] = (samples + one).max(axis=0) - one
    return highest


def _of_rank(
    samples: NDArray[Any], rank: NDArray[np.int32], lowest: NDArray[Any], highest: NDArray[Any]
) -> NDArray[Any]:
    """(p,) the value that `rank` (p,) samples come before, between `lowest` and `highest` (p,), by
    bisection from the highest bit of their greatest distance."""
    value, top = lowest, int(np.iinfo(samples.dtype).max)
    bits = int((highest - lowest).max()).bit_length()
    for bit in (1 << place for place in reversed(range(bits))):
        step = samples.dtype.type(bit)
        trial = np.minimum(value, samples.dtype.type(top - bit)) + step
        value = np.where(_count(np.less, samples, trial) <= rank, trial, value)
    return value


def _count(relation: np.ufunc, samples: NDArray[Any], trial: NDArray[Any]) -> NDArray[np.int32]:
    """(p,) how many samples stand in that relation to the trial value (p,)."""
    total = np.zeros(samples.shape[1], np.int32)
    part = np.zeros(samples.shape[1], np.uint8)
    holds = np.empty(samples.shape[1], np.bool_)
    for place, row in enumerate(samples, 1):
        relation(row, trial, out=holds)
        np.add(part, holds.view(np.uint8), out=part)
        # In bytes as long as they hold it: a quarter of the memory to go through.
        if place % 255 == 0:
            total += part
            part[:] = 0
    total += part
    return total


def _next_above(samples: NDArray[Any], value: NDArray[Any]) -> NDArray[Any]:
    """(p,) the smallest sample over `value` (p,); anything where there is none."""
    # Unsigned, what is not over it wraps around to more than all that is.
    first = value + samples.dtype.type(1)
    least = np.full_like(value, np.iinfo(value.dtype).max)
    beyond = np.empty_like(value)
    for row in samples:
        np.subtract(row, first, out=beyond)
        np.minimum(least, beyond, out=least)
    above: NDArray[Any] = first + least
    return above
