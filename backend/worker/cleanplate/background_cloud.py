# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the background is: depth maps of keyframes, looked at from other frames.

The dense stage's maps are taken where they are today's; else stereo finds some here, as it does
there. What is removed is in none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...camera import Array
from ...dense import DenseRecord, Place
from ...errors import FormatError
from ...shot import DenseFolder, Shot
from ..dense.choice import choose_stereo
from ..dense.depth_work import DepthWork
from ..dense.map_files import read_maps
from ..dense.shot_views import ShotViews
from ..dense.views import DepthMap, View
from ..depth.geometry import MapView
from ..report import Report
from .hole_grid import Flags, Floats, HoleGrid

_SIZE, _MOST = 800, 40
"""Pixels of the longer side of maps that are found here, and how many frames get one at most."""
_SURE = 0.1
"""Confidence of stereo from which on a point has a say: those of a cell outvote each other."""
_NEAREST = 12
"""Keyframes, the nearest in time, whose maps count."""
_ALIKE, _ENOUGH = 0.02, 0.4
"""Share of depth within which points agree, and of the most that agree how many are enough."""
_HIDDEN = 1.06
"""Share of depth by which something has to be before a place to hide it."""
_DRAWN = 4
"""Nodes of a whole frame's grid across a pixel of what hides."""


def find_clouds(
    shot: Shot, place: Place, masks: Mapping[int, Path], folder: Path, report: Report
) -> dict[int, Array]:
    """Points (p, 3) of the background in the shot's world by keyframe. `masks` are of what is
    removed, and `folder` takes maps that have to be found. Raises SolveError for a camera that does
    not travel, PlateError, FormatError, OutputError."""
    found = _of_dense_stage(shot, place)
    if found is None:
        views = ShotViews.of(shot, _SIZE, _MOST, use_masks=True)
        views = views if views.masks else views.with_masks(masks)
        work = DepthWork(views, DenseFolder(folder), report)
        if work.missing():
            if work.unmatched():
                work.match(choose_stereo("auto", report)[1])
            work.fill()
        found = views, DenseFolder(folder), 1.0
    views, maps, scale = found
    return {
        number: _points(views.outline(number), read_maps(maps, views.outline(number)), scale)
        for number in views.numbers
    }


def _of_dense_stage(shot: Shot, place: Place) -> tuple[ShotViews, DenseFolder, float] | None:
    """None where that was not run, or on another solve."""
    try:
        record = DenseRecord.load(shot.dense.record)
    except FormatError:
        return None
    step = record.place.step_to(place)
    image = (record.details or {}).get("image")
    if step is None or image is None:
        return None
    views = ShotViews.of(shot, max(image), len(record.frames), False, keyframes=record.frames)
    return views, shot.dense, step.scale


def _points(view: View, found: DepthMap, scale: float) -> Array:
    rows, columns = np.nonzero((found.depth > 0) & (found.confidence >= _SURE))
    depth = found.depth[rows, columns].astype(float)[:, None] * scale
    pixels = np.stack([columns, rows], axis=1) + 0.5
    rays = np.concatenate([(pixels - view.center) / view.focal, np.ones((len(rows), 1))], axis=1)
    points: Array = (rays * depth - view.translation) @ view.rotation
    return points


class BackgroundCloud:
    """Points (p, 3) of the shot's world by keyframe, as other frames see them.

    In a cell of a grid those are believed that most others of it agree with, or that are nearer and
    have enough that do: what is behind them is hidden.
    """

    def __init__(self, clouds: Mapping[int, Array]) -> None:
        self._clouds = clouds
        self._drawn = lru_cache(maxsize=64)(self._draw)

    def inverse_depth(self, view: MapView, grid: HoleGrid) -> Floats:
        """1 / depth (n, m) of a frame at the grid's nodes, 0 where nothing is known."""
        return self._cells(view, grid, 1)

    def hidden(self, view: MapView, pixels: Array, depth: Array, strict: bool) -> Flags:
        """(k,) whether a frame has something before places at these pixels (k, 2) and depths;
        where `strict`, or may have, since it has right beside them."""
        near, scale = self._drawn(view)
        if strict:
            near = np.asarray(cv2.dilate(near, np.ones((3, 3), np.uint8)), np.float32)
        x, y = np.floor(np.nan_to_num(pixels, nan=-1e6) / scale).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < near.shape[1]) & (y < near.shape[0])
        found: Flags = inside.copy()
        found[inside] = near[y[inside], x[inside]] * depth[inside] > _HIDDEN
        return found

    def _draw(self, view: MapView) -> tuple[Floats, float]:
        """1 / depth of a frame, and the pixels across one of its cells."""
        whole = HoleGrid.whole(np.zeros(view.size[::-1], np.bool_))
        return self._cells(view, whole, _DRAWN), float(whole.step * _DRAWN)

    def _cells(self, view: MapView, grid: HoleGrid, apart: int) -> Floats:
        nearest = sorted(self._clouds, key=lambda number: abs(number - view.number))[:_NEAREST]
        local = view.local(np.concatenate([self._clouds[number] for number in nearest]))
        local = local[local[:, 2] > 0]
        row, column = grid.cells_of(view.pixels(local), apart)
        inside = row >= 0
        shape = (-(-grid.holes.shape[0] // apart), -(-grid.holes.shape[1] // apart))
        return voted(row[inside] * shape[1] + column[inside], 1 / local[inside, 2], shape)


def voted(cells: NDArray[np.int64], inverse: Array, shape: tuple[int, int]) -> Floats:
    """1 / depth (n, m) of cells, 0 where there is none, by points in `cells` (p,) of it."""
    found = np.zeros(shape, np.float32)
    if not len(cells):
        return found
    level = np.floor(np.log(inverse) / _ALIKE).astype(np.int64)
    level -= level.min()
    levels = int(level.max()) + 1
    keys, inside, counts = np.unique(
        cells * levels + level, return_inverse=True, return_counts=True
    )
    means = np.bincount(inside, weights=inverse) / counts
    most = np.zeros(found.size)
    np.maximum.at(most, keys // levels, counts)
    believed = counts >= _ENOUGH * most[keys // levels]
    # Keys ascend with 1 / depth within a cell: the last that is believed is the nearest.
    found.ravel()[(keys // levels)[believed]] = means[believed]
    return found
