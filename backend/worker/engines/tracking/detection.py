# SPDX-License-Identifier: GPL-3.0-or-later
"""Corners worth tracking, evenly over the frame (Shi and Tomasi, Good Features to Track, 1994)."""

from __future__ import annotations

import cv2
import numpy as np

from ....camera import Integers
from ....tracks import Floats
from .frames import Bytes
from .records import Booleans

_BLOCK = 7
"""Coarse px, side of the area a corner is judged in."""

MEDIAN_OF_ABSOLUTE = 0.6745
"""Median of the absolute values of a normal distribution of unit variance."""


def image_noise(gray: Bytes) -> float:
    """Standard deviation of the noise in gray levels, from the median of the Laplacian."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    filtered = cv2.filter2D(gray, cv2.CV_32F, kernel)
    middle = float(np.median(np.abs(filtered[1:-1:2, 1:-1:2])))
    return max(middle / MEDIAN_OF_ABSOLUTE / 6.0, 0.1)


def corner_strength(gray: Bytes) -> Floats:
    """Root mean square gradient around each pixel in its weakest direction, gray levels a px."""
    # OpenCV scales the Sobel of an 8-bit picture so that this is 2 / 255 of it, squared.
    eigenvalue = cv2.cornerMinEigenVal(gray, _BLOCK, ksize=3)
    return np.asarray(np.sqrt(np.maximum(eigenvalue, 0)) * np.float32(255 / 2))


def new_corners(
    strength: Floats, allowed: Booleans, live: Floats, cell: int, least: float
) -> Floats:
    """The strongest allowed pixel (k, 2) of each cell that holds no live position, best first.

    `live` (n, 2) are positions in the same picture; a new one keeps half a cell away from them.
    """
    padded = _padded(strength * _free(allowed, live, 0.45 * cell), cell)
    rows, columns = padded.shape[0] // cell, padded.shape[1] // cell
    cells = padded.reshape(rows, cell, columns, cell).transpose(0, 2, 1, 3)
    flat = cells.reshape(rows * columns, cell * cell)
    place = flat.argmax(axis=1)
    best = np.take_along_axis(flat, place[:, None], axis=1)[:, 0]
    best[_cell_of(live, cell, rows, columns)] = 0
    row, column = np.divmod(np.arange(len(flat)), columns)
    found = np.stack([column * cell + place % cell, row * cell + place // cell], axis=1)
    chosen = np.argsort(-best, kind="stable")[: int((best > least).sum())]
    return np.asarray(found[chosen], dtype=np.float32)


def _free(allowed: Booleans, live: Floats, apart: float) -> Bytes:
    free = allowed.astype(np.uint8)
    for x, y in np.rint(live).astype(int).tolist():
        cv2.circle(free, (x, y), max(1, round(apart)), (0,), -1)
    return free


def _padded(picture: Floats, cell: int) -> Floats:
    """With zeros on the right and at the bottom, so that it divides into whole cells."""
    height, width = picture.shape
    return np.pad(picture, ((0, -height % cell), (0, -width % cell)))


def _cell_of(positions: Floats, cell: int, rows: int, columns: int) -> Integers:
    row = np.clip(np.rint(positions[:, 1]) // cell, 0, rows - 1)
    column = np.clip(np.rint(positions[:, 0]) // cell, 0, columns - 1)
    return np.asarray(row * columns + column, dtype=np.int64)
