# SPDX-License-Identifier: GPL-3.0-or-later
"""A pixel's plane, for numba: its inverse depth w and how w grows by one pixel to the right, down.

The inverse depth of a plane is linear in pixel coordinates, so a plane reaches a neighbor by one
addition, and no normal is needed while searching. Coordinates here have a pixel's center at whole
numbers; centers of projection are moved to match.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .layout import (
    CENTER_X,
    CENTER_Y,
    CLOSE,
    DISTANT,
    FOCAL_X,
    FOCAL_Y,
    ONE,
    SEED,
    TWO,
    ZERO,
)

Real = Any
"""A float32 of numba's."""


def mixed(state: Any) -> Any:
    """The next of a row of random 32-bit numbers (O'Neill's PCG-RXS-M-XS permutation)."""
    state = (state * 747796405 + 2891336453) & 0xFFFFFFFF
    word = (((state >> ((state >> 28) + 4)) ^ state) * 277803737) & 0xFFFFFFFF
    return (word >> 22) ^ word


def seeded(x: Any, y: Any, seed: Any) -> Any:
    """A random state of a pixel and an iteration."""
    return mixed(mixed(mixed(np.int64(x)) ^ np.int64(y)) ^ np.int64(seed))


def centered(state: Any) -> Real:
    """-1 to 1, from a random state."""
    return np.float32(state & 0xFFFFFF) * np.float32(2.0**-23) - ONE


def start_pixel(
    x: Any, y: Any, planes: Any, depths: Any, normals: Any, settings: Any, numbers: Any
) -> None:
    """A plane from a depth in range and a normal where there is a depth, else at random when there
    is a seed, else none."""
    depth = depths[y, x]
    if depth > ZERO:
        w = max(settings[DISTANT], min(settings[CLOSE], ONE / depth))
        across = (np.float32(x) - settings[CENTER_X]) / settings[FOCAL_X]
        down = (np.float32(y) - settings[CENTER_Y]) / settings[FOCAL_Y]
        nx, ny, nz = normals[y, x, 0], normals[y, x, 1], normals[y, x, 2]
        facing = nx * across + ny * down + nz
        gx, gy = ZERO, ZERO
        if facing < -np.float32(0.05):
            gx = nx / settings[FOCAL_X] * w / facing
            gy = ny / settings[FOCAL_Y] * w / facing
        planes[y, x, 0], planes[y, x, 1], planes[y, x, 2] = w, gx, gy
    elif numbers[SEED] > 0:
        state = seeded(x, y, numbers[SEED])
        share = (centered(state) + ONE) / TWO
        w = settings[DISTANT] + share * (settings[CLOSE] - settings[DISTANT])
        state = mixed(state)
        planes[y, x, 0] = w
        planes[y, x, 1] = centered(state) * w / settings[FOCAL_X]
        planes[y, x, 2] = centered(mixed(state)) * w / settings[FOCAL_Y]
    else:
        planes[y, x, 0], planes[y, x, 1], planes[y, x, 2] = ZERO, ZERO, ZERO


def finer_pixel(x: Any, y: Any, planes: Any, coarse: Any, settings: Any) -> None:
    """The plane of the coarser level's pixel, carried to this pixel's center."""
    height, width = planes.shape[0], planes.shape[1]
    scale_x = np.float32(coarse.shape[1]) / np.float32(width)
    scale_y = np.float32(coarse.shape[0]) / np.float32(height)
    at_x = (np.float32(x) + np.float32(0.5)) * scale_x
    at_y = (np.float32(y) + np.float32(0.5)) * scale_y
    column = min(np.int32(at_x), np.int32(coarse.shape[1] - 1))
    row = min(np.int32(at_y), np.int32(coarse.shape[0] - 1))
    gx, gy = coarse[row, column, 1], coarse[row, column, 2]
    if coarse[row, column, 0] <= ZERO:
        gx, gy = ZERO, ZERO
    right = at_x - np.float32(0.5) - np.float32(column)
    below = at_y - np.float32(0.5) - np.float32(row)
    w = coarse[row, column, 0] + gx * right + gy * below
    planes[y, x, 0] = max(settings[DISTANT], min(settings[CLOSE], w))
    planes[y, x, 1] = gx * scale_x
    planes[y, x, 2] = gy * scale_y


def facing_normal(x: Any, y: Any, w: Real, gx: Real, gy: Real, settings: Any) -> Any:
    """The plane's normal of length 1, towards the camera."""
    nx = settings[FOCAL_X] * gx
    ny = settings[FOCAL_Y] * gy
    nz = w + gx * (settings[CENTER_X] - np.float32(x)) + gy * (settings[CENTER_Y] - np.float32(y))
    length = math.sqrt(nx * nx + ny * ny + nz * nz) + np.float32(1e-20)
    return -nx / length, -ny / length, -nz / length


def allowed(x: Any, y: Any, w: Real, gx: Real, gy: Real, settings: Any) -> Any:
    """Whether the depth is in range and the plane is seen at less than about 84 degrees."""
    if w < settings[DISTANT] or w > settings[CLOSE]:
        return False
    across = (np.float32(x) - settings[CENTER_X]) / settings[FOCAL_X]
    down = (np.float32(y) - settings[CENTER_Y]) / settings[FOCAL_Y]
    nx, ny, nz = facing_normal(x, y, w, gx, gy, settings)
    cosine = -(nx * across + ny * down + nz)
    return cosine > np.float32(0.1) * math.sqrt(across * across + down * down + ONE)
