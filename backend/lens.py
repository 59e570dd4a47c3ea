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
_STEPS, _STEPS_A_DERIVATIVE = 16, 4
_EXACT = 1e-6
"""Pixels that an undistorted position may be off by when it is bent again."""
_PROBE = 1e-6
_BORDER = 33
"""Points along a side of the plate that tell how far it reaches."""


def is_polynomial(lens: CameraModel) -> bool:
    """Whether `bend` and `straighten` know the lens: all models but fisheyes and the like."""
    return lens.model in _RADIAL


def bend(lens: CameraModel, slopes: Array) -> Array:
    """Pixels (m, 2) of the plate that rays with slopes (m, 2) fall on.

    Raises FormatError for a lens that is no polynomial (fisheyes and the like).
    """
    pixels: Array = _distorted(lens, slopes) * lens.focal + np.array(lens.center)
    return pixels


def reach(lens: CameraModel) -> float:
    """The largest length of slopes that the plate holds. Raises FormatError as `bend` does."""
    along, start, end = np.linspace(0, 1, _BORDER), np.zeros(_BORDER), np.ones(_BORDER)
    sides = ((along, start), (along, end), (start, along), (end, along))
    border = np.concatenate([np.stack(side, axis=1) for side in sides])
    slopes = straighten(lens, border * [lens.width, lens.height])
    return float(np.linalg.norm(slopes, axis=1).max())


def straighten(lens: CameraModel, pixels: Array, start: Array | None = None) -> Array:
    """Slopes (m, 2) of the rays that fall on pixels (m, 2), found from `start` (m, 2).

    Newton's method, its derivative renewed every few steps. Raises FormatError as `bend` does.
    """
    wanted = (pixels - lens.center) / lens.focal
    if lens.is_pinhole:
        return wanted
    slopes = wanted if start is None else start
    inverse: tuple[Array, ...] = ()
    for step in range(_STEPS):
        away = wanted - _distorted(lens, slopes)
        if np.abs(away).max(initial=0.0) * max(lens.focal) < _EXACT:
            break
        if step % _STEPS_A_DERIVATIVE == 0:
            inverse = _inverse(lens, slopes)
        x, y = away.T
        a, b, c, d = inverse
        slopes = slopes + np.stack([a * x + b * y, c * x + d * y], axis=1)
    return slopes


def _distorted(lens: CameraModel, slopes: Array) -> Array:
    if not is_polynomial(lens):
        raise FormatError(f"The lens {lens.model} of this solve cannot be drawn here.")
    terms = lens.distortion()
    x, y = slopes.T
    squares = x * x + y * y
    k1, k2, k3 = terms.get("k", terms.get("k1", 0.0)), terms.get("k2", 0.0), terms.get("k3", 0.0)
    factor = 1 + squares * (k1 + squares * (k2 + squares * k3))
    if "k6" in terms:
        factor /= 1 + squares * (terms["k4"] + squares * (terms["k5"] + squares * terms["k6"]))
    p1, p2 = terms.get("p1", 0.0), terms.get("p2", 0.0)
    bent_x = x * factor + 2 * p1 * x * y + p2 * (squares + 2 * x * x)
    bent_y = y * factor + 2 * p2 * x * y + p1 * (squares + 2 * y * y)
    return np.stack([bent_x, bent_y], axis=1)


def _inverse(lens: CameraModel, slopes: Array) -> tuple[Array, ...]:
    """The inverse of the distortion's derivative at each of the slopes: its rows, each (m,)."""
    before, after = (
        [_distorted(lens, slopes + sign * step) for step in np.eye(2) * _PROBE] for sign in (-1, 1)
    )
    (a, c), (b, d) = (
        (high - low).T / (2 * _PROBE) for low, high in zip(before, after, strict=True)
    )
    determinant = a * d - b * c
    return d / determinant, -b / determinant, -c / determinant, a / determinant
