# SPDX-License-Identifier: GPL-3.0-or-later
"""Lens distortion without COLMAP: where a ray falls on the plate, and which ray a pixel saw.

COLMAP's polynomial models (src/colmap/sensor/models.h). A ray is given by its slopes (x / z, y / z)
in the camera's axes: x right, y down, z forward. m rays.
"""

from __future__ import annotations

import numpy as np

from .camera import Array
from .errors import FormatError
from .reconstruction import CameraModel

_RADIAL = {"SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV"}
_STEPS = 12
_EXACT = 1e-7
"""Pixels that an undistorted position may be off by when it is bent again."""
_PROBE = 1e-6


def bend(lens: CameraModel, slopes: Array) -> Array:
    """Pixels (m, 2) of the plate that rays with slopes (m, 2) fall on.

    Raises FormatError for a lens that is no polynomial (fisheyes and the like).
    """
    pixels: Array = _distorted(lens, slopes) * lens.focal + np.array(lens.center)
    return pixels


def straighten(lens: CameraModel, pixels: Array, start: Array | None = None) -> Array:
    """Slopes (m, 2) of the rays that fall on pixels (m, 2): Newton's method from `start` (m, 2).

    Raises FormatError as `bend` does.
    """
    wanted = (pixels - lens.center) / lens.focal
    if lens.is_pinhole:
        return wanted
    slopes = wanted if start is None else start
    for _ in range(_STEPS):
        away = wanted - _distorted(lens, slopes)
        if np.abs(away).max(initial=0.0) * max(lens.focal) < _EXACT:
            break
        slopes = slopes + _solved(lens, slopes, away)
    return slopes


def _distorted(lens: CameraModel, slopes: Array) -> Array:
    if lens.model not in _RADIAL:
        raise FormatError(f"The lens {lens.model} of this solve cannot be drawn here.")
    terms = lens.distortion()
    squares = (slopes**2).sum(axis=1, keepdims=True)
    k1, k2, k3 = terms.get("k", terms.get("k1", 0.0)), terms.get("k2", 0.0), terms.get("k3", 0.0)
    factor = 1 + squares * (k1 + squares * (k2 + squares * k3))
    if "k6" in terms:
        factor /= 1 + squares * (terms["k4"] + squares * (terms["k5"] + squares * terms["k6"]))
    bent: Array = slopes * factor
    if "p1" in terms:
        tangential = np.array([terms["p1"], terms["p2"]])
        products = 2 * slopes.prod(axis=1, keepdims=True)
        bent = bent + products * tangential + (squares + 2 * slopes**2) * tangential[::-1]
    return bent


def _solved(lens: CameraModel, slopes: Array, away: Array) -> Array:
    """The step (m, 2) that would take `away` (m, 2) away if the lens bent evenly around."""
    columns = [
        (_distorted(lens, slopes + step) - _distorted(lens, slopes - step)) / (2 * _PROBE)
        for step in np.eye(2) * _PROBE
    ]
    (a, c), (b, d) = (column.T for column in columns)
    x, y = away.T
    step: Array = np.stack([d * x - b * y, a * y - c * x], axis=1) / (a * d - b * c)[:, None]
    return step
