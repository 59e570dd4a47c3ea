# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a solve starts: pairs of keyframes that show one scene from two places.

COLMAP's own rule refuses forward moves and small travel, so the pairs are ranked by what counts:
many tracks seen by both, and motion that no single plane or turn explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ....camera import Array, Integers
from .lens import Lens
from .marks import Flags, Marks, of_frame
from .placing import triangulated
from .scene import Scene

_STEPS = (1, 2, 3, 4, 6, 8, 11, 15)
_LEAST_SHARED = 30
_FIT_STEPS = 3
_ERRORS, _SIGMAS = (0.3, 1.5), 6.0
"""Px that a track may miss its epipolar line by, between those and so many times what it is
expected to be off by: more would let what moves by itself tell where the camera went."""

_CALM = 60.0
"""Percent of the tracks of a pair, those that a plane explains best, that nearly all hold still."""

_LEAST_INLIERS = 20


@dataclass(frozen=True, eq=False)
class Pair:
    """Two keyframes and the tracks both see; `depth` is the parallax proxy in px, the motion that
    a homography leaves over at the third quartile."""

    first: int
    second: int
    shared: Integers
    here: Array
    there: Array
    depth: float

    @property
    def merit(self) -> float:
        """Parallax counts up to a few px, then tracks do."""
        return min(self.depth, 12.0) * float(np.sqrt(len(self.shared)))


def pairs(marks: Marks, keys: Sequence[int]) -> list[Pair]:
    """Pairs of `keys` with enough in common, the best first."""
    seen = of_frame(marks)
    found = []
    for step in _STEPS:
        for index in range(len(keys) - step):
            pair = _pair(marks, seen, keys[index], keys[index + step])
            if pair is not None:
                found.append(pair)
    return sorted(found, key=lambda pair: pair.merit, reverse=True)


def widest(found: Sequence[Pair]) -> list[Pair]:
    """Pairs with plenty in common, those the farthest apart first."""
    rich = [pair for pair in found if len(pair.shared) >= 2 * _LEAST_SHARED]
    return sorted(rich, key=lambda pair: pair.second - pair.first, reverse=True)


def calm(pair: Pair, size: float) -> Pair:
    """The pair without the tracks that move most against the rest: where the camera travels little,
    what moves by itself moves most."""
    residuals = plane_residuals(pair.here, pair.there, size)
    still = residuals <= np.percentile(residuals, _CALM)
    return replace(pair, shared=pair.shared[still], here=pair.here[still], there=pair.there[still])


def _pair(marks: Marks, seen: list[Integers], first: int, second: int) -> Pair | None:
    shared, i, j = np.intersect1d(
        marks.track[seen[first]], marks.track[seen[second]], assume_unique=True, return_indices=True
    )
    if len(shared) < _LEAST_SHARED:
        return None
    here, there = marks.pixel[seen[first][i]], marks.pixel[seen[second][j]]
    depth = float(np.percentile(plane_residuals(here, there, marks.size), 75))
    return Pair(first, second, shared, here, there, depth)


def plane_residuals(here: Array, there: Array, size: float) -> Array:
    """(n,) px that the best homography from `here` to `there` leaves, outliers weighed down."""
    a, b = here / size, there / size
    one, zero = np.ones((len(a), 1)), np.zeros((len(a), 3))
    across = np.concatenate([a, one, zero, -b[:, :1] * a], axis=1)
    down = np.concatenate([zero, a, one, -b[:, 1:] * a], axis=1)
    weight, residuals = np.ones(len(a)), np.zeros(len(a))
    for _ in range(_FIT_STEPS):
        rows = np.concatenate([across, down]) * np.tile(weight, 2)[:, None]
        right = np.concatenate([b[:, 0], b[:, 1]]) * np.tile(weight, 2)
        matrix = rows.T @ rows + 1e-12 * np.eye(8)
        plane = np.linalg.solve(matrix, rows.T @ right)
        scale = 1 + a @ plane[6:]
        moved = np.stack([across[:, :3] @ plane[:3], down[:, 3:6] @ plane[3:6]], axis=1)
        residuals = np.linalg.norm(moved / scale[:, None] - b, axis=1)
        usual = max(float(np.median(residuals)), 1e-6)
        weight = 1 / np.maximum(residuals / usual, 0.3)
    return residuals * size


def started(marks: Marks, pair: Pair, lens: Lens, seed: int) -> Scene | None:
    """The pair's two poses and the points both see, or None where they do not fit."""
    focal = lens.focal[pair.first]
    every = np.full(len(pair.shared), focal)
    here = lens.rays(pair.here.copy(), every)[:, :2]
    there = lens.rays(pair.there.copy(), np.full(len(every), lens.focal[pair.second]))[:, :2]
    error = float(np.clip(_SIGMAS * marks.sigma, *_ERRORS))
    cv2.setRNGSeed(seed)
    essential, inliers = cv2.findEssentialMat(
        here, there, np.eye(3), cv2.USAC_MAGSAC, 0.999, error / focal
    )
    if essential is None or essential.shape != (3, 3) or int(inliers.sum()) < _LEAST_INLIERS:
        return None
    _count, rotation, shift, _mask = cv2.recoverPose(
        essential, here, there, np.eye(3), mask=inliers.copy()
    )
    scene = Scene.empty(marks, lens)
    rotations, translations = scene.rotation.copy(), scene.translation.copy()
    rotations[pair.second], translations[pair.second] = rotation, shift.ravel()
    placed = scene.placed.copy()
    placed[[pair.first, pair.second]] = True
    scene = replace(scene, rotation=rotations, translation=translations, placed=placed)
    return triangulated(marks, scene, _flags(pair.shared[inliers.ravel() > 0], marks.tracks), 1.0)


def _flags(chosen: Integers, count: int) -> Flags:
    flags = np.zeros(count, dtype=np.bool_)
    flags[chosen] = True
    return flags
