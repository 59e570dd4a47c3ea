# SPDX-License-Identifier: GPL-3.0-or-later
"""Which views a view is matched with: those that see the same, from a good angle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .views import View

Doubles = NDArray[np.float64]

COUNT = 6
GOOD_ANGLE = 5.0
"""Degrees between two rays from which on depth is told well."""
WIDE_ANGLE = 20.0
"""Degrees from which on a surface looks too different."""
CLOSE_BY = 0.3
"""A view nearer to a chosen one than this share of its baseline tells little more."""


def select_sources(
    views: Sequence[View], points: Doubles | None = None, count: int = COUNT
) -> list[list[int]]:
    """For each view the places in `views` of its sources, the best first, at most `count`.

    `points` (n, 3) are the solve's, in the world; without them each view's range of depth is
    sampled. A view that shares nothing with others has no sources.
    """
    return [_sources_of(index, views, points, count) for index in range(len(views))]


def _sources_of(index: int, views: Sequence[View], points: Doubles | None, count: int) -> list[int]:
    view = views[index]
    seen = _range_points(view) if points is None else points[_in_view(view, points)]
    if not len(seen):
        seen = _range_points(view)
    scores = np.array(
        [0.0 if other == index else _score(view, views[other], seen) for other in range(len(views))]
    )
    return _varied(scores, np.array([other.eye for other in views]), view.eye, count)


def _range_points(view: View) -> Doubles:
    """A grid over the picture at three depths, evenly in inverse depth."""
    width, height = view.size
    x = (np.linspace(0.1, 0.9, 6) * width - view.center[0]) / view.focal[0]
    y = (np.linspace(0.1, 0.9, 4) * height - view.center[1]) / view.focal[1]
    depth = 1 / np.linspace(1 / view.far, 1 / view.near, 5)[1:4]
    grid = np.stack(np.meshgrid(x, y, depth, indexing="ij"), -1).reshape(-1, 3)
    local = np.column_stack([grid[:, :2] * grid[:, 2:], grid[:, 2]])
    found: Doubles = (local - view.translation) @ view.rotation
    return found


def _in_view(view: View, points: Doubles) -> NDArray[np.bool_]:
    local = points @ view.rotation.T + view.translation
    depth = np.maximum(local[:, 2], 1e-12)
    pixels = local[:, :2] / depth[:, None] * view.focal + view.center
    within: NDArray[np.bool_] = ((pixels >= 0) & (pixels < view.size)).all(axis=1)
    return within & (local[:, 2] > 0)


def _score(view: View, other: View, points: Doubles) -> float:
    """0 to 1: the share of points that both see, by the angle between their rays."""
    both = _in_view(other, points)
    if not both.any():
        return 0.0
    here, there = points[both] - view.eye, points[both] - other.eye
    product = np.linalg.norm(here, axis=1) * np.linalg.norm(there, axis=1)
    cosine = (here * there).sum(axis=1) / np.maximum(product, 1e-12)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    rising = np.minimum(angle / GOOD_ANGLE, 1) ** 1.5
    falling = np.exp(-((np.maximum(angle - WIDE_ANGLE, 0) / WIDE_ANGLE) ** 2))
    return float(both.mean() * (rising * falling).mean())


def _varied(scores: Doubles, eyes: Doubles, eye: Doubles, count: int) -> list[int]:
    """The best, one after the other; each makes those close by half as good."""
    scores = scores.copy()
    chosen: list[int] = []
    while len(chosen) < count and scores.max(initial=0) > 1e-3:
        best = int(scores.argmax())
        chosen.append(best)
        scores[best] = 0
        baseline = np.linalg.norm(eyes[best] - eye)
        scores[np.linalg.norm(eyes - eyes[best], axis=1) < CLOSE_BY * baseline] *= 0.5
    return chosen
