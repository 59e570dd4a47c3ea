# SPDX-License-Identifier: GPL-3.0-or-later
"""How strong a plate's grain is, by brightness, and grain of that strength."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_BINS = 12
_FEWEST = 100
_ROUNDING = 0.35
"""Deviation in code values that rounding alone makes of frames that differ in exposure (0.29)."""


@dataclass(frozen=True, eq=False)
class Grain:
    """Standard deviations (b, c) at brightnesses (b,), in code values; b may be 0: no grain."""

    levels: Floats
    sigma: Floats

    @property
    def is_none(self) -> bool:
        return not self.sigma.any()

    def at(self, colors: Floats) -> Floats:
        """(p, c) the deviation of grain over colors (p, c)."""
        if self.is_none:
            return np.zeros_like(colors)
        channels = [
            np.interp(colors[:, channel], self.levels, self.sigma[:, channel])
            for channel in range(colors.shape[1])
        ]
        return np.stack(channels, axis=1).astype(np.float32)


NO_GRAIN = Grain(np.zeros(0, np.float32), np.zeros((0, 3), np.float32))


class GrainMeasure:
    """Gathers how frames differ from one of them in pixels that no mask covers.

    The difference of two frames has twice the variance of either's grain. What moves in a frame
    counts as little as it can: frames count by their median, and in each what is more than 3
    robust deviations off is left out.
    """

    def __init__(self, reference: Floats, top: float) -> None:
        """`reference` is (s, c); `top` the brightest code value."""
        self._reference = reference
        self._edges = np.linspace(0, top, _BINS + 1)
        bins = np.digitize(reference, self._edges[1:-1])
        self._pixels = [[np.flatnonzero(row == place) for row in bins.T] for place in range(_BINS)]
        self._found: list[Floats] = []

    def add(self, values: Floats) -> None:
        """One other frame's values (s, c), at the reference's exposure."""
        self._found.append(self._deviations(values - self._reference))

    def grain(self) -> Grain:
        if not self._found:
            return NO_GRAIN
        found = np.stack(self._found)
        known = ~np.isnan(found).any(axis=(0, 2))
        if not known.any():
            return NO_GRAIN
        sigma = np.median(found[:, known], axis=0)
        sigma[sigma < _ROUNDING] = 0
        middles = (self._edges[:-1] + self._edges[1:]) / 2
        return Grain(middles[known].astype(np.float32), sigma.astype(np.float32))

    def _deviations(self, off: Floats) -> Floats:
        """(b, c) in each span of brightness, NaN where too few pixels have it."""
        found = np.full((_BINS, off.shape[1]), np.nan, np.float32)
        for place, channels in enumerate(self._pixels):
            for channel, pixels in enumerate(channels):
                if len(pixels) >= _FEWEST:
                    found[place, channel] = _deviation(off[pixels, channel]) / np.sqrt(2)
        return found


def _deviation(off: Floats) -> float:
    distance = np.abs(off)
    agree = distance <= max(3 * 1.4826 * float(np.median(distance)), 2.0)
    return float(np.sqrt(np.mean(off[agree].astype(float) ** 2)))
