# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters over the frames of a motion. n frames."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from ...camera import Array, Integers

_REACH = 3.0
"""Standard deviations that a Gaussian is cut off at."""


def stretches(frames: Integers) -> Iterator[slice]:
    """Frames (n,) without gaps."""
    breaks = [0, *(np.flatnonzero(np.diff(frames) != 1) + 1).tolist(), len(frames)]
    yield from (slice(start, end) for start, end in itertools.pairwise(breaks))


def gaussian(values: Array, width: float, frames: Integers | None = None) -> Array:
    """Values (n, ...) smoothed by a Gaussian of that standard deviation, in frames; over no gap of
    `frames`. At the ends the first and last value go on."""
    if frames is not None:
        parts = [gaussian(values[stretch], width) for stretch in stretches(frames)]
        return np.concatenate(parts)
    radius = max(1, int(np.ceil(_REACH * width)))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(width, 1e-6)) ** 2)
    kernel /= kernel.sum()
    flat = values.reshape(len(values), -1)
    wide = np.pad(flat, ((radius, radius), (0, 0)), mode="edge")
    found = np.stack([np.convolve(column, kernel, "valid") for column in wide.T], axis=1)
    return found.reshape(values.shape)


def lowest(values: Array, radius: int) -> Array:
    """The least of values (n,) within so many frames."""
    wide = np.pad(values, radius, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, 2 * radius + 1)
    found: Array = windows.min(axis=1)
    return found
