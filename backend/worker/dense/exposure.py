# SPDX-License-Identifier: GPL-3.0-or-later
"""How views differ in exposure and sharpness, from the surface points that they share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

_ROUNDS, _SMALL = 6, 0.02
_ANCHOR = 1e-3


def to_linear(encoded: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light 0..1 of sRGB-encoded values 0..1 (IEC 61966-2-1)."""
    low = encoded / np.float32(12.92)
    high = ((encoded + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(encoded <= 0.04045, low, high).astype(np.float32)


def to_srgb(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of `to_linear`; light under 0 becomes 0."""
    light = np.maximum(light, 0)
    high = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(light <= 0.0031308, light * np.float32(12.92), high).astype(np.float32)


def offsets(values: Doubles, weights: Doubles) -> Doubles:
    """(v,) by how much each view reads higher than the others, from values (v, p) of p points.

    The least absolute differences of values[i, j] - offset[i] - level[j], by iteratively
    reweighted least squares with the levels eliminated; `weights` (v, p) are 0 where a view does
    not see a point. A view that shares no point gets 0, and the offsets' mean is 0.
    """
    solved = np.zeros(len(values))
    weight = weights.copy()
    for _ in range(_ROUNDS):
        total = weight.sum(axis=0)
        share = weight / np.maximum(total, 1e-12)
        level = (share * values).sum(axis=0)
        matrix = np.diag(weight.sum(axis=1)) - weight @ share.T
        right = (weight * (values - level)).sum(axis=1)
        anchor = _ANCHOR * max(float(np.diag(matrix).mean()), 1e-9)
        solved = np.linalg.solve(matrix + anchor * np.eye(len(values)), right)
        level = (share * (values - solved[:, None])).sum(axis=0)
        residual = np.abs(values - solved[:, None] - level)
        weight = weights / np.maximum(residual, _SMALL)
    centered: Doubles = solved - solved.mean()
    return centered
