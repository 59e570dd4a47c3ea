# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a plane matches at one pixel, for numba.

The cost of a view is one minus the normalized cross correlation of the patch, weighted by distance
and by likeness to the center (bilateral), 0 to 1. Both variances carry that of the grain, so that
a patch of grain alone costs nearly 1 whatever its plane.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .layout import BEST, GEOMETRIC, ONE, REACH, SAMPLES, STRIDE, ZERO
from .planes import Real

GRAIN = np.float32((1.5 / 255) ** 2)
LIKENESS = np.float32(0.5 / (12.0 / 255) ** 2)
NEARNESS = np.float32(0.5 / 5.0**2)
FARTHEST = np.float32(3.0)
"""Errors of reprojection count up to so many pixels (Xu and Tao, section 4)."""
TOO_MUCH = np.float32(9.0)
ACROSS = np.tile(np.arange(-REACH, REACH + 1, STRIDE, np.float32), 6)
DOWN = np.repeat(np.arange(-REACH, REACH + 1, STRIDE, np.float32), 6)
MARGIN = np.float32(0.01)
"""Rounding may push a sample over the edge by less, once the patch's corners are inside."""
SHALLOW = np.float32(1e-4)
HALF_PIXEL = np.float32(0.5)


def fill_patch(x: Any, y: Any, image: Any, patch: Any) -> Any:
    """Puts the samples' weights, of sum 1, in patch[0], weight times value less mean in patch[1];
    the mean and the variance. (1 - t / 8)^8 stands for exp(-t), which takes three times as long."""
    height, width = image.shape
    center = image[y, x]
    total, mean, square = ZERO, ZERO, ZERO
    k = 0
    for dy in range(-REACH, REACH + 1, STRIDE):
        for dx in range(-REACH, REACH + 1, STRIDE):
            weight, value = ZERO, ZERO
            if 0 <= x + dx < width and 0 <= y + dy < height:
                seen = image[y + dy, x + dx] - center
                if not math.isnan(seen):
                    away = np.float32(dx * dx + dy * dy) * NEARNESS
                    weight = max(ONE - (seen * seen * LIKENESS + away) * np.float32(0.125), ZERO)
                    weight *= weight
                    weight *= weight
                    weight *= weight
                    value = seen
            patch[0, k] = weight
            patch[1, k] = value
            total += weight
            mean += weight * value
            square += weight * value * value
            k += 1
    total = max(total, np.float32(1e-9))
    mean = mean / total
    for k in range(SAMPLES):
        patch[0, k] /= total
        patch[1, k] = patch[0, k] * (patch[1, k] - mean)
    return center + mean, max(square / total - mean * mean, ZERO)


def match(
    x: Any, y: Any, plane: Any, view: Any, stack: Any, cameras: Any, patch: Any, moments: Any
) -> Real:
    """The photometric cost of a plane (w, gx, gy) in a source view; 1 where it cannot be seen."""
    w, gx, gy = plane
    c = cameras[view]
    right, below = np.float32(x), np.float32(y)
    bx = c[0] * right + c[1] * below + c[2] + c[9] * w
    by = c[3] * right + c[4] * below + c[5] + c[10] * w
    bz = c[6] * right + c[7] * below + c[8] + c[11] * w
    xx, yx, zx = c[0] + c[9] * gx, c[3] + c[10] * gx, c[6] + c[11] * gx
    xy, yy, zy = c[1] + c[9] * gy, c[4] + c[10] * gy, c[7] + c[11] * gy
    last_x = np.float32(stack.shape[2] - 1) - MARGIN
    last_y = np.float32(stack.shape[1] - 1) - MARGIN
    reach = np.float32(REACH)
    # A plane's picture of the square patch is convex: its corners decide for all samples.
    for corner in range(4):
        ox = reach if corner & 1 else -reach
        oy = reach if corner & 2 else -reach
        z = bz + zx * ox + zy * oy
        if not z > SHALLOW:
            return ONE
        u, v = (bx + xx * ox + xy * oy) / z, (by + yx * ox + yy * oy) / z
        if not (MARGIN <= u <= last_x and MARGIN <= v <= last_y):
            return ONE
    mean, square, product = ZERO, ZERO, ZERO
    for k in range(SAMPLES):
        ox, oy = ACROSS[k], DOWN[k]
        scale = ONE / (bz + zx * ox + zy * oy)
        u = (bx + xx * ox + xy * oy) * scale
        v = (by + yx * ox + yy * oy) * scale
        column, row = np.int32(u), np.int32(v)
        u -= np.float32(column)
        v -= np.float32(row)
        upper = stack[view, row, column]
        upper += u * (stack[view, row, column + 1] - upper)
        lower = stack[view, row + 1, column]
        lower += u * (stack[view, row + 1, column + 1] - lower)
        value = upper + v * (lower - upper) - moments[0]
        weight = patch[0, k]
        value = value if weight > ZERO else ZERO
        mean += weight * value
        square += weight * value * value
        product += patch[1, k] * value
    variance = max(square - mean * mean, ZERO)
    likeness = product / math.sqrt((moments[1] + GRAIN) * (variance + GRAIN))
    if math.isnan(likeness):
        return ONE
    return min(ONE - likeness, ONE)


def reprojected(x: Any, y: Any, w: Real, view: Any, cameras: Any, maps: Any, backs: Any) -> Any:
    """There by this pixel's depth and back by the view's own: how far off in pixels, and how much
    the inverse depths differ by ratio. FARTHEST and 1 where the view has no depth."""
    c = cameras[view]
    right, below = np.float32(x), np.float32(y)
    z = c[6] * right + c[7] * below + c[8] + c[11] * w
    if not z > SHALLOW:
        return FARTHEST, ONE
    u = (c[0] * right + c[1] * below + c[2] + c[9] * w) / z
    v = (c[3] * right + c[4] * below + c[5] + c[10] * w) / z
    if not (-HALF_PIXEL < u < np.float32(maps.shape[2]) - HALF_PIXEL):
        return FARTHEST, ONE
    if not (-HALF_PIXEL < v < np.float32(maps.shape[1]) - HALF_PIXEL):
        return FARTHEST, ONE
    column, row = np.int32(u + HALF_PIXEL), np.int32(v + HALF_PIXEL)
    there = maps[view, row, column, 0]
    if there <= ZERO:
        return FARTHEST, ONE
    there += maps[view, row, column, 1] * (u - np.float32(column))
    there += maps[view, row, column, 2] * (v - np.float32(row))
    b = backs[view]
    z = b[6] * u + b[7] * v + b[8] + b[11] * there
    if not (there > ZERO and z > SHALLOW):
        return FARTHEST, ONE
    off_x = (b[0] * u + b[1] * v + b[2] + b[9] * there) / z - right
    off_y = (b[3] * u + b[4] * v + b[5] + b[10] * there) / z - below
    off = math.sqrt(off_x * off_x + off_y * off_y)
    return min(off, FARTHEST), min(abs(there / (z * w) - ONE), ONE)


def view_cost(
    x: Any, y: Any, plane: Any, view: Any, scene: Any, patch: Any, moments: Any, settings: Any
) -> Real:
    """Photometric cost, and with a weight for it the error of reprojection."""
    stack, cameras, maps, backs = scene
    cost = match(x, y, plane, view, stack, cameras, patch, moments)
    if settings[GEOMETRIC] > ZERO:
        off, _ = reprojected(x, y, plane[0], view, cameras, maps, backs)
        cost += settings[GEOMETRIC] * off
    return cost


def ranked(cost: Real, first: Real, second: Real, third: Real) -> Any:
    """The three smallest of four, in order."""
    if cost < first:
        return cost, first, second
    if cost < second:
        return first, cost, second
    if cost < third:
        return first, second, cost
    return first, second, third


def mean_of_best(first: Real, second: Real, third: Real, views: Any) -> Real:
    """The mean of the three smallest costs, of fewer when there are fewer views."""
    if views >= BEST:
        return (first + second + third) / np.float32(3)
    if views == 2:
        return (first + second) / np.float32(2)
    return first


def evaluate(
    x: Any,
    y: Any,
    plane: Any,
    chosen: Any,
    count: Any,
    bound: Real,
    scene: Any,
    patch: Any,
    moments: Any,
    settings: Any,
) -> Real:
    """The mean cost of the best of the `count` views that `chosen` has bits for; TOO_MUCH once it
    is sure to be over `bound`."""
    first, second, third = TOO_MUCH, TOO_MUCH, TOO_MUCH
    total = ZERO
    few = min(count, BEST)
    most = bound * np.float32(few)
    for view in range(scene[0].shape[0]):
        if (chosen >> view) & 1:
            cost = view_cost(x, y, plane, view, scene, patch, moments, settings)
            first, second, third = ranked(cost, first, second, third)
            total += cost
            if count <= BEST and total > most:
                return TOO_MUCH
    return mean_of_best(first, second, third, count)
