# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the background's depth fine: to where frames that show it agree in color.

A plane sweep (Collins, "A space-sweep approach to true multi-image matching", CVPR 1996) through
depths around what was told: for each, the grid's nodes look up their colors in the other frames,
and the depth at which they differ least is the background's. In the ring around the holes the
frame's own colors have to be met. Neighbors are alike, but for jumps (`semi_global`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...camera import Array
from ..dense.compiled import in_spans
from ..depth.geometry import MapView, step_between
from .hole_grid import Flags, Floats, HoleGrid
from .pinholes import Pinhole
from .semi_global import smoothed
from .sweep_loops import disagreement

_WINDOW = 5
"""Nodes across which colors are compared."""
_PIXELS = 1.5
"""By how much a place may move in another frame, to either side."""
_SHARES = np.linspace(-1.0, 1.0, 7)
"""Of that, what is tried."""
_UNKNOWN = 15.0
"""What a depth costs at which fewer than two frames can be compared."""
_WAYS = (0.5, 2.0)
"""What it costs when a neighbor has the next depth, and any other."""
_STAY = 0.3
"""Levels that it costs to leave what was told, at the end of what is tried."""
Indices = NDArray[np.int64]

FAR = 1e-9
"""1 / depth of what is infinitely far."""


@dataclass(frozen=True, eq=False)
class SweepSource:
    """Another frame as a pinhole shows it: colors (h, w, 3) 0 to 255 at the exposure of the frame
    that is filled, and where it does not show the background (h, w)."""

    view: MapView
    pinhole: Pinhole
    colors: Floats
    covered: NDArray[np.uint8]


class Sweep:
    """`slopes` (k, 2) are the rays of the grid's nodes in a frame and `own` (k, 3) its colors
    there."""

    def __init__(
        self,
        view: MapView,
        grid: HoleGrid,
        slopes: Array,
        own: Floats,
        sources: Sequence[SweepSource],
    ) -> None:
        self._grid, self._slopes = grid, np.ascontiguousarray(slopes)
        self._own = np.ascontiguousarray(own)
        self._ring = grid.ring[grid.nodes].astype(np.uint8)
        self._poses = np.array([np.column_stack(step_between(view, s.view)) for s in sources])
        self._lenses = np.array([(s.pinhole.focal, *s.pinhole.center) for s in sources])
        self._pictures, self._covered = _stacked(sources)

    def made_fine(self, told: Floats) -> Floats:
        """1 / depth (n, m) around what was told (n, m): where frames agree best, some pixels to
        either side in the frames that tell depth best."""
        if not len(self._poses):
            return told
        every, around = np.arange(len(self._slopes)), told[self._grid.nodes].astype(float)
        step = _PIXELS / self._pixels_per_unit(around)
        costs = [
            self._costs(every, around + share * step, _WINDOW) + abs(share) * _STAY
            for share in _SHARES
        ]
        labels = best_label(smoothed(np.stack(costs).astype(np.float32), *_WAYS))
        shares = _SHARES[0] + labels * (_SHARES[1] - _SHARES[0])
        return without_lonely(told + shares * np.float32(step), self._grid.nodes)

    def _pixels_per_unit(self, inverse: Array) -> float:
        """By how many pixels a place moves with 1 / depth, in the frames where it does most."""
        rays = np.concatenate([self._slopes, np.ones((len(self._slopes), 1))], axis=1)[::7]
        most = 1e-12
        for pose, lens in zip(self._poses, self._lenses, strict=True):
            local = rays @ pose[:, :3].T + pose[:, 3] * inverse[::7, None]
            depth = np.where(local[:, 2] > 1e-9, local[:, 2], np.nan)
            slopes = local[:, :2] / depth[:, None]
            moved = np.abs(pose[:2, 3] - slopes * pose[2, 3]).max(axis=1) * lens[0] / depth
            moved = moved[np.isfinite(moved)]
            most = max(most, float(np.median(moved)) if len(moved) else 0.0)
        return most

    def _costs(self, at: Indices, inverse: Array, window: int) -> Floats:
        """(n, m) what it costs to have nodes `at` (j,) at these 1 / depth."""
        cost, seen = np.zeros(len(at)), np.zeros(len(at), np.int64)
        node = (self._slopes[at], np.maximum(inverse, 0), self._own[at], self._ring[at])
        source = (self._poses, self._lenses, self._pictures, self._covered)

        def work(first: int, last: int) -> None:
            disagreement(first, last, *node, *source, cost, seen)

        in_spans(work, len(at))
        known = (seen >= 2).astype(float)
        return _over_window(self._grid.spread(cost), self._grid.spread(known), window)


def _stacked(sources: Sequence[SweepSource]) -> tuple[Floats, NDArray[np.uint8]]:
    """The pictures of all sources (s, h, w, 3) and what is covered (s, h, w): where a zoom makes
    them smaller than the largest, too."""
    width = max((source.pinhole.size[0] for source in sources), default=2)
    height = max((source.pinhole.size[1] for source in sources), default=2)
    pictures = np.zeros((len(sources), height, width, 3), np.float32)
    covered = np.ones((len(sources), height, width), np.uint8)
    for index, source in enumerate(sources):
        part = (index, slice(source.covered.shape[0]), slice(source.covered.shape[1]))
        pictures[part], covered[part] = source.colors, source.covered
    return pictures, covered


def _over_window(cost: Floats, known: Floats, window: int) -> Floats:
    """Means over the window around each node, of what is known."""
    size = (window, window)
    total = cv2.blur(cost * known, size, borderType=cv2.BORDER_CONSTANT)
    share = cv2.blur(known, size, borderType=cv2.BORDER_CONSTANT)
    found: Floats = np.where(share > 0.05, total / np.maximum(share, 1e-3), _UNKNOWN)
    return found.astype(np.float32)


def best_label(costs: Floats) -> Floats:
    """(n, m) the label of the lowest of costs (labels, n, m), between labels by the parabola
    through three."""
    at = costs.argmin(axis=0)
    inner = np.clip(at, 1, len(costs) - 2)
    low, middle, high = (
        np.take_along_axis(costs, (inner + step)[None], axis=0)[0] for step in (-1, 0, 1)
    )
    bend = low - 2 * middle + high
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where((inner == at) & (bend > 1e-6), 0.5 * (low - high) / bend, 0.0)
    found: Floats = (at + np.clip(shift, -0.5, 0.5)).astype(np.float32)
    return found


def without_lonely(values: Floats, nodes: Flags) -> Floats:
    """Medians over 3 x 3 nodes: a node that all around disagree with is wrong."""
    if nodes.any() and not nodes.all():
        # What is no node does not count: it takes the value of the nearest that is.
        _distance, labels = cv2.distanceTransformWithLabels(
            (~nodes).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        at = np.zeros(int(np.asarray(labels).max()) + 1, np.float32)
        at[np.asarray(labels)[nodes]] = values[nodes]
        values = at[np.asarray(labels)]
    found: Floats = np.asarray(
        cv2.medianBlur(np.ascontiguousarray(values, np.float32), 3), np.float32
    )
    return found
