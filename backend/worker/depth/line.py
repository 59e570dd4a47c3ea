# SPDX-License-Identifier: GPL-3.0-or-later
"""The line that takes what a model guesses to depth: a scale and a shift, of depth or of 1 / depth.

Models of relative depth leave both open, in one or the other of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_LINES = 400
_ROUNDS = 8
_TUKEY = 4.685
"""Standard deviations beyond which a point counts nothing: 95 % efficient with normal errors."""


@dataclass(frozen=True)
class Line:
    """value = slope * guess + shift, and the median of what it is off by, as a share of depth.

    `inverse`: guess and value are 1 / depth.
    """

    inverse: bool
    slope: float
    shift: float
    error: float

    def depth(self, guess: Floats) -> Floats:
        """Of guesses; 0 where there is none, or no depth."""
        known = guess > 0
        safe = np.where(known, guess, np.float32(1))
        value = (1 / safe if self.inverse else safe) * self.slope + self.shift
        with np.errstate(divide="ignore"):
            depth = 1 / value if self.inverse else value
        fine = known & (value > 0) & np.isfinite(depth)
        found: Floats = np.where(fine, depth, 0).astype(np.float32)
        return found


def robust_line(guess: Doubles, depth: Doubles, inverse: bool, depth_is_exact: bool = True) -> Line:
    """The line with the least median share of depth off (Rousseeuw 1984), among lines through two
    points each, and from there that of Tukey's biweight (Huber and Ronchetti 2009). All inputs are
    over 0; the error is infinite where no line rises.

    Guesses are what is wrong: their errors are made small, not those of depth, whose line would be
    too flat (regression dilution). Where depth has errors of the same size, the line is in between
    (reduced major axis).
    """
    x, y = (1 / guess, 1 / depth) if inverse else (guess, depth)
    start = _least_median(x, y)
    if start is None:
        return Line(inverse, 0.0, 0.0, np.inf)
    back = _refined(y, x, np.array([1 / start[0], -start[1] / start[0]]))
    if not back[0] > 0:
        return Line(inverse, 0.0, 0.0, np.inf)
    slope, shift = 1 / back[0], -back[1] / back[0]
    if not depth_is_exact:
        slope, shift = _between(np.array([slope, shift]), _refined(x, y, start))
    error = float(np.median(np.abs(x * slope + shift - y) / y))
    return Line(inverse, float(slope), float(shift), error)


def _least_median(x: Doubles, y: Doubles) -> Doubles | None:
    """Slope and shift; None where no line rises."""
    one, other = np.random.default_rng(0).integers(0, len(x), (2, _LINES))
    apart = np.abs(x[one] - x[other]) > 1e-9 * np.abs(x[one])
    one, other = one[apart], other[apart]
    slope = (y[one] - y[other]) / (x[one] - x[other])
    shift = y[one] - slope * x[one]
    off = np.abs(slope[:, None] * x + shift[:, None] - y) / y
    error = np.where(slope > 0, np.median(off, axis=1), np.inf)
    if not len(error) or not np.isfinite(error.min()):
        return None
    best = error.argmin()
    return np.array([slope[best], shift[best]])


def _between(one: Doubles, other: Doubles) -> tuple[float, float]:
    """The line through where two lines meet, with the geometric mean of their slopes."""
    slope = float(np.sqrt(max(one[0] * other[0], 1e-24)))
    apart = one[0] - other[0]
    if abs(apart) < 1e-9 * abs(one[0]):
        return slope, float((one[1] + other[1]) / 2)
    meet = (other[1] - one[1]) / apart
    return slope, float(one[0] * meet + one[1] - slope * meet)


def _refined(x: Doubles, y: Doubles, line: Doubles) -> Doubles:
    """Least squares of the shares that y is off by, with Tukey's weights from round to round."""
    rows = np.stack([x, np.ones_like(x)], axis=1) / y[:, None]
    for _ in range(_ROUNDS):
        off = rows @ line - 1
        reach = _TUKEY * max(1.4826 * float(np.median(np.abs(off))), 1e-7)
        weight = np.clip(1 - (off / reach) ** 2, 0, None)
        line = np.linalg.lstsq(rows * weight[:, None], weight, rcond=None)[0]
    return line
