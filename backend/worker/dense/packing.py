# SPDX-License-Identifier: GPL-3.0-or-later
"""Flat charts packed into a square: each, the largest first, goes to the first free place.

Charts and the square are bitmaps of cells, so that small charts fill the holes of large ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .views import Floats

Ints = NDArray[np.int32]
Doubles = NDArray[np.float64]

_CELLS = 2048
_FULL, _STEP = 0.8, 0.98
"""The share of the square that is tried first, and how much smaller charts get at each try."""
_TOUCH = 0.71
"""A triangle that reaches into a cell is at most so far from its center."""
_CROWDED, _ROOM = 0.6, 4.0
_CLASSES = 48


def pack(places: Doubles, charts: Ints, size: int, padding: int) -> Floats:
    """(m, 3, 2) corners in the unit square from places (m, 3, 2) of faces in their charts (m,).

    All charts are scaled alike. At `size` texels a side, `padding` of them lie between charts.
    """
    count = int(charts.max()) + 1
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    np.minimum.at(low, charts, places.min(axis=1))
    np.maximum.at(high, charts, places.max(axis=1))
    local = places - low[charts][:, None]
    cells = max(min(_CELLS, size), 64, int(_ROOM * np.sqrt(count)))
    gap = padding * cells / size
    by_chart = np.argsort(charts, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(charts, minlength=count))])
    spans = high - low
    order = np.argsort(-spans.prod(axis=1), kind="stable").astype(np.int32)
    (ax, ay), (bx, by) = (local[:, 1] - local[:, 0]).T, (local[:, 2] - local[:, 0]).T
    doubled = ax * by - ay * bx
    scale = cells * np.sqrt(_FULL / max(float(np.abs(doubled).sum()) / 2, 1e-30))
    scale = min(scale, (cells - 4) / max(float(spans.max()), 1e-30))
    first = scale
    local = np.ascontiguousarray(local[by_chart])
    shift = np.zeros((count, 2))
    while not _placed(local, starts, spans, order, scale, gap, cells, shift):
        scale *= _STEP
        # Where charts are smaller than the padding, it is the padding that has to give way.
        gap *= _STEP if scale < _CROWDED * first else 1
    packed: Floats = ((places - low[charts][:, None]) * scale + shift[charts][:, None]).astype(
        np.float32
    ) / np.float32(cells)
    return packed


@compiled
def _placed(
    local: Any, starts: Any, spans: Any, order: Any, scale: float, gap: float, cells: int,
    shift: Any,
) -> bool:  # fmt: skip
    """Whether all charts found a place; the corner of each in `shift` (charts, 2), in cells."""
    margin = int(np.ceil(gap)) + 1
    taken = np.zeros((cells, cells // 64 + 4), np.uint64)
    mask = np.zeros((cells + 2 * margin + 2, cells // 64 + 4), np.uint64)
    found = np.zeros((_CLASSES, _CLASSES), np.int64)
    for chart in order:
        own = local[starts[chart] : starts[chart + 1]] * scale
        wide = int(spans[chart, 0] * scale) + 2
        high = int(spans[chart, 1] * scale) + 2
        if wide > cells or high > cells:
            return False
        # The mask is wider than the chart by a margin on each side.
        rows, words = high + 2 * margin, (wide + 2 * margin + 63) // 64
        if words > mask.shape[1]:
            return False
        mask[:rows, :words] = 0
        _mark(own, margin, margin, _TOUCH + gap, mask, rows, words * 64)
        row, column = _class(high), _class(wide)
        start = found[row, column]
        for i in range(row + 1):
            for j in range(column + 1):
                start = max(start, found[i, j])
        place = _first_free(mask, rows, words, taken, wide, high, margin, cells, start)
        if place < 0:
            return False
        found[row, column] = place
        y, x = place // cells, place % cells
        shift[chart, 0], shift[chart, 1] = x, y
        _mark(own, x, y, _TOUCH, taken, cells, cells)
    return True


@compiled
def _class(length: int) -> int:
    """Lengths by powers of the square root of two."""
    return min(int(2 * np.log2(length)), _CLASSES - 1)


@compiled
def _mark(
    triangles: Any, left: int, top: int, reach: float, bits: Any, rows: int, columns: int
) -> None:
    """Sets the bits of cells whose centers are at most `reach` from a triangle, in a bitmap whose
    cell (top, left) is at the triangles' origin."""
    for face in range(len(triangles)):
        ax, ay = triangles[face, 0, 0] + left, triangles[face, 0, 1] + top
        bx, by = triangles[face, 1, 0] + left, triangles[face, 1, 1] + top
        cx, cy = triangles[face, 2, 0] + left, triangles[face, 2, 1] + top
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        sign = 1.0 if area >= 0 else -1.0
        ab = sign / max(np.hypot(bx - ax, by - ay), 1e-9)
        bc = sign / max(np.hypot(cx - bx, cy - by), 1e-9)
        ca = sign / max(np.hypot(ax - cx, ay - cy), 1e-9)
        first_row = max(int(np.ceil(min(ay, by, cy) - reach - 0.5)), 0)
        last_row = min(int(np.floor(max(ay, by, cy) + reach - 0.5)), rows - 1)
        first_column = max(int(np.ceil(min(ax, bx, cx) - reach - 0.5)), 0)
        last_column = min(int(np.floor(max(ax, bx, cx) + reach - 0.5)), columns - 1)
        for row in range(first_row, last_row + 1):
            y = row + 0.5
            for column in range(first_column, last_column + 1):
                x = column + 0.5
                if (
                    ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) * ab >= -reach
                    and ((cx - bx) * (y - by) - (cy - by) * (x - bx)) * bc >= -reach
                    and ((ax - cx) * (y - cy) - (ay - cy) * (x - cx)) * ca >= -reach
                ):
                    bits[row, column // 64] |= np.uint64(1) << np.uint64(column % 64)


@compiled
def _first_free(
    mask: Any, rows: int, words: int, taken: Any, wide: int, high: int, margin: int, cells: int,
    start: int,
) -> int:  # fmt: skip
    """The first place, as row * cells + column, where the mask meets nothing; -1 for none."""
    step = max(1, min(wide, high) // 24)
    for y in range(start // cells, cells - high + 1, step):
        first = start % cells if y == start // cells else 0
        for x in range(first, cells - wide + 1, step):
            if _free(mask, rows, words, taken, x - margin, y - margin, cells):
                return y * cells + x
    return -1


@compiled
def _free(mask: Any, rows: int, words: int, taken: Any, x: int, y: int, cells: int) -> bool:
    """Whether the mask with its corner at (x, y) meets nothing; coarsely first, as most do."""
    word, bit = x >> 6, np.uint64(x & 63)
    none = np.uint64(0)
    stride = 8 if rows > 16 else 1
    for phase in range(stride):
        for row in range((phase + stride // 2) % stride, rows, stride):
            there = y + row
            if there < 0 or there >= cells:
                continue
            for k in range(words):
                own = mask[row, k]
                if own == none:
                    continue
                at = word + k
                if at >= 0 and (own << bit) & taken[there, at] != none:
                    return False
                if bit == none or at + 1 < 0:
                    continue
                if (own >> (np.uint64(64) - bit)) & taken[there, at + 1] != none:
                    return False
    return True
