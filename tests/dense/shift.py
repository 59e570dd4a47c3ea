# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a depth map is off as a whole, in parts of a pixel, told from its errors.

A found depth puts a point into the world. Where the other views see that point, less where they see
the true one, is what is measured. Noise scatters about zero. A map whose depth belongs half a pixel
beside its pixels is off by what half a pixel's step changes in true depth: nothing on a wall that
faces the camera, one way on a floor, the other on a ceiling. One least squares over surfaces of
several slopes therefore tells such a shift from depth that is too near or too far everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.worker.dense.views import DepthMap, View

from .room_views import rays_of

FAIR = 2.0
"""Errors of more pixels in the source views are mistakes, of which a shift tells nothing."""
PATCH = 36
"""So many pixels nearby err alike: patches overlap. For the uncertainty only."""
ROUNDS = 20


@dataclass(frozen=True)
class Shift:
    """In pixels: the found depth at a place is the true one so much further right and down.

    along          too near (over 0) or too far, by pixels in the source views
    uncertain      one standard deviation of `right`, `down`, `along`, by how the errors scatter
    pixels         how many were used
    """

    right: float
    down: float
    along: float
    uncertain: tuple[float, float, float]
    pixels: int


def shift_of(
    view: View, found: DepthMap, truth: DepthMap, sources: Sequence[View], sure: float = 0.5
) -> Shift:
    """Of the pixels that `found` is `sure` of and whose patch has no edge of a surface in it."""
    fair = (found.confidence > sure) & (found.depth > 0) & _smooth(truth.depth)
    rows, values = _equations(view, found, truth, sources, fair)
    use = np.abs(values) < FAIR
    answer, weights = _robust(rows[use], values[use])
    off = values[use] - rows[use] @ answer
    count = use.sum() / len(sources)
    spread = np.sqrt(np.average(off**2, weights=weights))
    inverse = np.linalg.inv(rows[use].T @ rows[use]) * len(sources) * PATCH
    uncertain = tuple((spread * np.sqrt(np.diag(inverse))).tolist())
    return Shift(*answer.tolist(), uncertain=uncertain, pixels=int(count))


def shifted(truth: DepthMap, view: View, right: float, down: float) -> DepthMap:
    """The map whose depth at a place is that of the surface's plane so much further."""
    inverse = 1 / np.maximum(truth.depth, 1e-9)
    across, below = _slopes(view, truth)
    depth = np.where(truth.depth > 0, 1 / (inverse + across * right + below * down), 0)
    return DepthMap(truth.number, depth.astype(np.float32), truth.normal, truth.confidence)


def _equations(
    view: View, found: DepthMap, truth: DepthMap, sources: Sequence[View], fair: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What a pixel's shift to the right, one down, and one along the picture of its line of
    sight move each point by in each source, in pixels on that line, and what it is off by."""
    right, down = (slope[fair] for slope in _slopes(view, truth))
    true, wrong = 1 / truth.depth[fair].astype(float), 1 / found.depth[fair].astype(float)
    rows, values = [], []
    for source in sources:
        there = _seen(view, source, true, fair)
        step = 1e-4 * true
        line = (_seen(view, source, true + step, fair) - there) / step[:, None]
        speed = np.linalg.norm(line, axis=1)
        line /= np.maximum(speed, 1e-12)[:, None]
        values.append(((_seen(view, source, wrong, fair) - there) * line).sum(axis=1))
        rows.append(np.stack([right * speed, down * speed, np.ones_like(speed)], axis=1))
    return np.concatenate(rows), np.concatenate(values)


def _seen(view: View, source: View, inverse: np.ndarray, fair: np.ndarray) -> np.ndarray:
    """Where a source sees the pixels' points at inverse depths."""
    points = (rays_of(view)[fair] / inverse[:, None] - view.translation) @ view.rotation
    local = points @ source.rotation.T + source.translation
    pixels: np.ndarray = local[:, :2] / local[:, 2:] * source.focal + source.center
    return pixels


def _slopes(view: View, truth: DepthMap) -> tuple[np.ndarray, np.ndarray]:
    """How the true surface's inverse depth grows by a pixel to the right and down."""
    facing = (truth.normal * rays_of(view)).sum(-1)
    facing = np.where(np.abs(facing) > 1e-3, facing, np.inf)
    scale = 1 / np.maximum(truth.depth, 1e-9) / facing
    x, y = truth.normal[..., 0] / view.focal[0], truth.normal[..., 1] / view.focal[1]
    return x * scale, y * scale


def _smooth(depth: np.ndarray, reach: int = 6) -> np.ndarray:
    """Where inverse depth bends nowhere within a patch: no silhouette and no fold."""
    inverse = 1 / np.maximum(depth, 1e-9)
    bent = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        bend = np.abs(np.diff(inverse, 2, axis=axis)) > 2e-3 * np.take(
            inverse, range(1, inverse.shape[axis] - 1), axis
        )
        bent |= np.pad(bend, [(1, 1) if one == axis else (0, 0) for one in (0, 1)])
    sums = np.pad(bent, reach + 1).cumsum(0).cumsum(1)
    size = 2 * reach + 1
    near = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    found: np.ndarray = near[: depth.shape[0], : depth.shape[1]] == 0
    return found & (depth > 0)


def _robust(rows: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares with Tukey's weights: what is over five deviations off does not count."""
    weights = np.ones(len(values))
    for _ in range(ROUNDS):
        weighted = rows * weights[:, None]
        answer = np.linalg.solve(weighted.T @ rows, weighted.T @ values)
        off = values - rows @ answer
        scale = 5 * 1.4826 * np.median(np.abs(off)) + 1e-9
        weights = np.maximum(1 - (off / scale) ** 2, 0) ** 2
    return answer, weights
