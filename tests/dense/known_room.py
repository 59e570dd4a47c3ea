# SPDX-License-Identifier: GPL-3.0-or-later
"""The textured room's depth maps, perfect or spoiled, and how far points are from its planes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from backend.worker.dense.fusion import Seen
from backend.worker.dense.views import DepthMap
from tests.backend.textured_room import Plane, picture, room, sideways, track
from tests.dense.room_views import true_depth, view

WIDTH, HEIGHT, COUNT = 160, 90, 7
PLANES = room()
NUMBERS = tuple(range(1, COUNT + 1))
SOURCES = {
    number: [other for other in sorted(NUMBERS, key=lambda n: abs(n - number)) if other != number]
    for number in NUMBERS
}


@cache
def truth() -> dict[int, Seen]:
    """Each frame's view with its exact depth and normals."""
    camera = track(sideways, COUNT, WIDTH, HEIGHT)
    seen = {}
    for index in range(COUNT):
        one = view(camera, index, picture(PLANES, camera, index))
        depth, normal = true_depth(one, PLANES)
        seen[one.number] = one, depth_map(one.number, depth, normal)
    return seen


def depth_map(number: int, depth: np.ndarray, normal: np.ndarray) -> DepthMap:
    known = np.isfinite(depth) & (depth > 0)
    return DepthMap(
        number,
        np.where(known, depth, 0).astype(np.float32),
        np.where(known[..., None], normal, 0).astype(np.float32),
        known.astype(np.float32),
    )


@cache
def spoiled() -> dict[int, Seen]:
    """With noise of half a pixel's width, normals 5 degrees off, a tenth of the pixels anywhere,
    and a hole of 10 x 8 pixels in each."""
    found = {}
    for number, (one, exact) in truth().items():
        random = np.random.default_rng(number)
        depth = exact.depth * (1 + 0.5 / one.focal[0] * random.normal(size=exact.depth.shape))
        lost = random.random(depth.shape) < 0.1
        depth = np.where(lost, random.uniform(one.near, one.far, depth.shape), depth)
        x, y = random.integers(10, 60, 2)
        depth[y : y + 8, x : x + 10] = 0
        normal = exact.normal + random.normal(scale=0.05, size=exact.normal.shape)
        normal /= np.linalg.norm(normal, axis=2, keepdims=True)
        found[number] = one, depth_map(number, depth, normal)
    return found


def nearest_on(plane: Plane, points: np.ndarray) -> np.ndarray:
    """Where on the parallelogram (a rectangle in this room) each point is nearest."""
    sides = np.stack([plane.u, plane.v]).astype(float)
    shares = (points - plane.corner) @ sides.T / (sides**2).sum(axis=1)
    return plane.corner + np.clip(shares, 0, 1) @ sides


def distances(points: np.ndarray, planes: Sequence[Plane] = PLANES) -> np.ndarray:
    """(n,) from the nearest of the planes."""
    points = points.astype(float)
    return np.min(
        [np.linalg.norm(points - nearest_on(plane, points), axis=1) for plane in planes], axis=0
    )
