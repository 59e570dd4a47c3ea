# SPDX-License-Identifier: GPL-3.0-or-later
"""How much brighter each frame is than another one, from pixels that no mask ever covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..frame_files import Pixels

Floats = NDArray[np.float32]

STEADY = 0.001
"""A gain this near to 1 changes no color by a quarter of a level of 8 bits up to its middle."""

_MOST, _FEWEST = 6000, 500
_ROUNDS = 4
_DARK, _BRIGHT = 0.04, 0.96
"""Of the brightest value; what is near to either end may be clipped."""


@dataclass(frozen=True)
class SteadyPixels:
    """Pixels that no mask ever covers: `places` (s,) in a frame's pixels, row by row."""

    places: NDArray[np.int64]

    @classmethod
    def outside(cls, covered: NDArray[np.bool_]) -> SteadyPixels:
        """Some thousand, evenly spread over what is not `covered` (h, w)."""
        free = np.flatnonzero(~covered)
        return cls(free[:: max(len(free) // _MOST, 1)])

    def of(self, frame: Pixels) -> Floats:
        """(s, c) of a frame; c is 1 for a gray one."""
        flat = frame.reshape(frame.shape[0] * frame.shape[1], -1)
        values: Floats = flat[self.places].astype(np.float32)
        return values


def gains(values: Floats, reference: Floats, top: float) -> Floats:
    """(c,) by which `values` (s, c) are `reference` (s, c); `top` is the brightest code value.

    The ratio of sums over the pixels that agree with it to 3 deviations, found anew until it stays.
    Code values of a plate follow a power of light closely enough for a change of exposure to
    multiply them. 1 where too few pixels are neither black nor clipped.
    """
    found = np.ones(values.shape[1], np.float32)
    for channel in range(values.shape[1]):
        own, other = values[:, channel], reference[:, channel]
        low, high = _DARK * top, _BRIGHT * top
        usable = (own > low) & (own < high) & (other > low) & (other < high)
        if int(usable.sum()) >= _FEWEST:
            found[channel] = _ratio(own[usable].astype(float), other[usable].astype(float))
    return found


def _ratio(own: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    ratio = float(np.median(own / other))
    for _ in range(_ROUNDS):
        off = np.abs(own - ratio * other)
        agree = off <= max(3 * 1.4826 * float(np.median(off)), 1.0)
        before, ratio = ratio, float(own[agree].sum() / other[agree].sum())
        if ratio == before:
            break
    return ratio
