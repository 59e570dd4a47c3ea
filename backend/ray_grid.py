# SPDX-License-Identifier: GPL-3.0-or-later
"""A grid over the plate's pixels with the ray that each has seen: what depth is hung on.

A pixel's slopes change with the focal length. Where the lens zooms, the rays are kept for a few
focal lengths, and each frame mixes them: exactly without distortion, where slopes are linear in
1 / f; by a polynomial through all of them with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from .camera import Array, Integers
from .lens import bend, straighten
from .reconstruction import CameraModel

_EXACT = 0.01
"""Pixels that a ray may fall beside its own: past that the lens model has no ray for it."""
_BENT_KNOTS = 5
"""Zooming to twice the focal length, a strong lens is then off by less than 0.001 px."""


@dataclass(frozen=True, eq=False)
class RayGrid:
    """Pixels (m, 2) at the middle of the plate's, quads (q, 4) of their indices, and rays (k, m, 3)
    in Blender's camera axes: x right, y up, -1 forward, so that depth times ray is the place.

    `focal` (k,) has the focal lengths, fx in px, that the rays were shot with.
    """

    pixels: Array
    quads: Integers
    rays: Array
    focal: Array

    def weights(self, focal: Array) -> Array:
        """(n, k): how much each of the rays counts at focal lengths (n,); a row's sum is 1.

        Lagrange's polynomials in 1 / f.
        """
        at, knots = 1 / focal[:, None], 1 / self.focal
        columns = [
            np.prod((at - others) / (knot - others), axis=1)
            for knot, others in ((knot, knots[knots != knot]) for knot in knots)
        ]
        return np.stack(columns, axis=1)


def ray_grid(lens: CameraModel, focal: Array, faces: int) -> RayGrid:
    """A grid of about so many quads; never finer than the plate, and up to its outermost pixels.

    `focal` (n,) is fx in px of each frame. Pixels that the lens has no ray for are left out.
    Raises FormatError for a lens that is no polynomial.
    """
    step = max(1, round(sqrt(lens.width * lens.height / faces)))
    x, y = (_ticks(size, step) for size in (lens.width, lens.height))
    pixels = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    knots = _knots(lens, focal)
    lenses = [lens.with_focal(each, each * lens.focal[1] / lens.focal[0]) for each in knots]
    rays, seen = _rays(lenses, pixels)
    quads = _quads(len(x), len(y))
    return RayGrid(pixels, quads[seen[quads].all(axis=1)], rays, knots)


def _ticks(size: int, step: int) -> Array:
    ticks: Array = np.union1d(np.arange(0, size, step), [size - 1]) + 0.5
    return ticks


def _knots(lens: CameraModel, focal: Array) -> Array:
    """Focal lengths between the shortest and the longest, Chebyshev's in 1 / f."""
    near, far = 1 / focal.max(), 1 / focal.min()
    if near == far:
        return focal[:1]
    count = 2 if lens.is_pinhole else _BENT_KNOTS
    share = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, count))
    knots: Array = 1 / (near + (far - near) * share)
    return knots


def _rays(lenses: Sequence[CameraModel], pixels: Array) -> tuple[Array, NDArray[np.bool_]]:
    """(k, m, 3), zeros where a lens has none, and (m,) bool of those that all lenses have."""
    rays = np.zeros((len(lenses), len(pixels), 3))
    seen = np.ones(len(pixels), dtype=np.bool_)
    with np.errstate(all="ignore"):
        for lens, ray in zip(lenses, rays, strict=True):
            slopes = straighten(lens, pixels)
            found = np.abs(bend(lens, slopes) - pixels).max(axis=1) < _EXACT
            ray[found, :2] = slopes[found] * [1, -1]
            ray[found, 2] = -1
            seen &= found
    return rays, seen


def _quads(columns: int, rows: int) -> Integers:
    """Counterclockwise as the camera sees them, of pixels that go row by row from the top."""
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    quads: Integers = np.stack([first, first + columns, first + columns + 1, first + 1], axis=1)
    return quads
