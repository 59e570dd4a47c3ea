# SPDX-License-Identifier: GPL-3.0-or-later
"""The loops of fusion over pixels and points.

A pixel (x, y) has its center at (x + 0.5, y + 0.5), where its depth is measured. `lens` is fx, fy,
cx, cy; `turn` (3, 3) and `move` (3,) take one camera's axes, or the world, into another's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import compiled

_GRAZING = 0.1
"""Cosine between a ray and a normal under which the surface's plane tells nothing of its depth."""


@compiled
def nearest_around(depth: Any, x: int, y: int) -> Any:
    """The smallest depth of a pixel and the eight around it, 0 where none has any."""
    height, width = depth.shape
    least = np.float32(0)
    for row in range(max(y - 1, 0), min(y + 2, height)):
        for column in range(max(x - 1, 0), min(x + 2, width)):
            here = depth[row, column]
            if here > 0 and (least == 0 or here < least):
                least = here
    return least


@compiled
def met(normal: Any, px: float, py: float, pz: float, rx: float, ry: float, fallback: float) -> Any:
    """The depth at which the ray (rx, ry, 1) meets the plane through p, or `fallback`."""
    facing = normal[0] * rx + normal[1] * ry + normal[2]
    length = np.sqrt(rx * rx + ry * ry + 1)
    if abs(facing) < _GRAZING * length:
        return fallback
    return (normal[0] * px + normal[1] * py + normal[2] * pz) / facing


@compiled
def agree(
    start: int, end: int, index: int, turn: Any, move: Any,
    lens: Any, depth: Any, normal: Any, free: Any,
    other_lens: Any, other_depth: Any, other_normal: Any, other_weight: Any, other_colors: Any,
    limits: Any, depths: Any, weights: Any, sums: Any, against: Any,
) -> None:  # fmt: skip
    """What another view says of the pixels in rows `start` to `end` that are `free`.

    `depths` and `weights` (views, h, w) get at `index` the depth on the pixel's own ray and its
    weight, `sums` (h, w, 6) the weighted normal in this camera's axes and the weighted color,
    `against` (h, w) one more where the other looks through the point. `limits` are the most pixels
    between a pixel and its way there and back, the most difference of depth as a share, and the
    least cosine between normals.
    """
    height, width = other_depth.shape
    most_pixels, most_share, least_cosine = limits[0], limits[1], limits[2]
    turned = np.empty(3)
    for y in range(start, end):
        ry = (y + 0.5 - lens[3]) / lens[1]
        for x in range(depth.shape[1]):
            if not free[y, x]:
                continue
            d = depth[y, x]
            rx = (x + 0.5 - lens[2]) / lens[0]
            there_z = d * (turn[2, 0] * rx + turn[2, 1] * ry + turn[2, 2]) + move[2]
            if there_z <= 0:
                continue
            qx = (d * (turn[0, 0] * rx + turn[0, 1] * ry + turn[0, 2]) + move[0]) / there_z
            qy = (d * (turn[1, 0] * rx + turn[1, 1] * ry + turn[1, 2]) + move[1]) / there_z
            u = int(np.floor(qx * other_lens[0] + other_lens[2]))
            v = int(np.floor(qy * other_lens[1] + other_lens[3]))
            if u < 0 or v < 0 or u >= width or v >= height:
                continue
            weight, found = other_weight[v, u], other_depth[v, u]
            if weight <= 0 or found <= 0:
                continue
            there = other_normal[v, u]
            sx = found * (u + 0.5 - other_lens[2]) / other_lens[0]
            sy = found * (v + 0.5 - other_lens[3]) / other_lens[1]
            z = met(there, sx, sy, found, qx, qy, found)
            if abs(z - found) > most_share * found:
                z = found
            if abs(z - there_z) > most_share * there_z:
                if nearest_around(other_depth, u, v) > there_z * (1 + most_share):
                    against[y, x] += 1
                continue
            bx, by, bz = z * qx - move[0], z * qy - move[1], z - move[2]
            back_z = turn[0, 2] * bx + turn[1, 2] * by + turn[2, 2] * bz
            if back_z <= 0:
                continue
            back_x = (turn[0, 0] * bx + turn[1, 0] * by + turn[2, 0] * bz) / back_z
            back_y = (turn[0, 1] * bx + turn[1, 1] * by + turn[2, 1] * bz) / back_z
            if np.hypot((back_x - rx) * lens[0], (back_y - ry) * lens[1]) > most_pixels:
                continue
            for axis in range(3):
                turned[axis] = (
                    turn[0, axis] * there[0] + turn[1, axis] * there[1] + turn[2, axis] * there[2]
                )
            own = normal[y, x]
            if turned[0] * own[0] + turned[1] * own[1] + turned[2] * own[2] < least_cosine:
                continue
            own_z = met(turned, back_x * back_z, back_y * back_z, back_z, rx, ry, back_z)
            if abs(own_z - d) > most_share * d:
                continue
            depths[index, y, x] = own_z
            weights[index, y, x] = weight
            for axis in range(3):
                sums[y, x, axis] += weight * turned[axis]
                sums[y, x, 3 + axis] += weight * other_colors[v, u, axis]


@compiled
def settle(
    start: int, end: int, least: int, depth: Any, weight: Any, free: Any, depths: Any, weights: Any,
    against: Any, found: Any, confidence: Any,
) -> None:  # fmt: skip
    """The depth that the views agree on, in `found`, 0 where fewer than `least` agree.

    It is the weighted mean of those near the median, nearness being three robust standard
    deviations (Hampel 1974). `confidence` is the mean weight times the share of views that agree
    with it among those that say anything.
    """
    values = np.empty(depths.shape[0] + 1)
    trusts = np.empty(depths.shape[0] + 1)
    for y in range(start, end):
        for x in range(depth.shape[1]):
            found[y, x] = 0
            if not free[y, x]:
                continue
            values[0], trusts[0], count = depth[y, x], weight[y, x], 1
            for index in range(depths.shape[0]):
                if weights[index, y, x] > 0:
                    values[count], trusts[count] = depths[index, y, x], weights[index, y, x]
                    count += 1
            if count < least or against[y, x] >= count:
                continue
            median = np.median(values[:count])
            near = 3 * 1.4826 * np.median(np.abs(values[:count] - median)) + 1e-6 * median
            total = trust = 0.0
            for index in range(count):
                if abs(values[index] - median) <= near:
                    total += trusts[index] * values[index]
                    trust += trusts[index]
            found[y, x] = total / trust
            confidence[y, x] = trusts[:count].sum() / (count + against[y, x])


@compiled
def cover(
    points: Any, sizes: Any, turn: Any, move: Any, lens: Any, depth: Any, share: float, free: Any
) -> None:
    """Takes out of `free` the pixels that show points (n, 3) of the world already.

    `sizes` (n,) is how wide a point is in the world. It covers the pixels whose centers it
    reaches, of those around the one it falls into; a nearer view adds its finer detail.
    """
    height, width = depth.shape
    for index in range(points.shape[0]):
        px, py, pz = points[index, 0], points[index, 1], points[index, 2]
        z = turn[2, 0] * px + turn[2, 1] * py + turn[2, 2] * pz + move[2]
        if z <= 0:
            continue
        x = lens[0] * (turn[0, 0] * px + turn[0, 1] * py + turn[0, 2] * pz + move[0]) / z + lens[2]
        y = lens[1] * (turn[1, 0] * px + turn[1, 1] * py + turn[1, 2] * pz + move[1]) / z + lens[3]
        if x < 0 or y < 0 or x >= width or y >= height:
            continue
        u, v = int(x), int(y)
        reach = min(0.75 * sizes[index] * lens[0] / z, 1.0)
        for row in range(max(v - 1, 0), min(v + 2, height)):
            for column in range(max(u - 1, 0), min(u + 2, width)):
                own = row == v and column == u
                if not own and np.hypot(column + 0.5 - x, row + 0.5 - y) > reach:
                    continue
                if abs(depth[row, column] - z) <= share * z:
                    free[row, column] = False
