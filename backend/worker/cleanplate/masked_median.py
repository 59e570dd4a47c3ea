# SPDX-License-Identifier: GPL-3.0-or-later
"""The median over time of those samples of each pixel that no mask covers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 15
"""Bytes of one frame that are looked at together: those of many frames stay in the processor's
cache."""


def masked_median(samples: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(c, p) from uint8 or uint16 `samples` (n, c, p) where they are `known` (n, p); 0 where none
    is. Of an even number it is the mean of the middle two.

    Each bit of the lower middle value is found by counting the samples below a trial value: time
    is in proportion to the frames, and no more memory than for some thousand pixels is taken.
    """
    _frames, channels, pixels = samples.shape
    median = np.empty((channels, pixels), np.float32)
    step = max(_BLOCK // samples.dtype.itemsize, 1)
    for start in range(0, pixels, step):
        span = slice(start, start + step)
        count = known[:, span].sum(axis=0, dtype=np.int32)
        # As large as can be, what is not known is never counted among those below.
        unknown = (known[:, span].view(np.uint8) - np.uint8(1)).astype(samples.dtype)
        if samples.dtype == np.uint16:
            unknown *= 257
        for channel in range(channels):
            found = _middle(samples[:, channel, span] | unknown, count)
            median[channel, span] = np.where(count > 0, found, 0)
    return median


def _middle(samples: NDArray[Any], count: NDArray[np.int32]) -> NDArray[np.float32]:
    """(p,) of samples (n, p), of which the `count` (p,) smallest are meant."""
    lower = _of_rank(samples, (count - 1) // 2)
    above = _next_above(samples, lower)
    upper = np.where(_count(np.less_equal, samples, lower) > count // 2, lower, above)
    middle: NDArray[np.float32] = (lower.astype(np.float32) + upper) / np.float32(2)
    return middle


def _of_rank(samples: NDArray[Any], rank: NDArray[np.int32]) -> NDArray[Any]:
    """(p,) the value that `rank` (p,) samples come before, by bisection from the highest bit."""
    value = np.zeros(samples.shape[1], samples.dtype)
    bit = int(np.iinfo(samples.dtype).max) // 2 + 1
    while bit:
        trial = value | samples.dtype.type(bit)
        value = np.where(_count(np.less, samples, trial) <= rank, trial, value)
        bit //= 2
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
