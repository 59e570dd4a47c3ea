# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh cut into charts that can be laid flat: connected faces that look about the same way.

Charts grow over faces (Levy et al. 2002, Least squares conformal maps, grow them too), by normals
that are averaged over the neighborhood, since those of a mesh from stereo are noisy. Then their
borders are straightened, and small charts join their neighbors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled

Ints = NDArray[np.int32]
Doubles = NDArray[np.float64]

_SMOOTHING, _STRAIGHTENING, _JOINING = 10, 6, 8
_CONE = np.cos(np.radians(50))
"""A face joins a growing chart whose mean it is not farther from."""
_WIDEST = 0.35
"""A chart's most length, as a share of the side of a square as large as the mesh."""
_STRAY = np.cos(np.radians(65))
"""The most between a face and the chart that it joins to straighten a border."""
_SMALL = ((2e-5, np.cos(np.radians(70))), (5e-4, np.cos(np.radians(50))))
"""Charts under this share of all area join a neighbor within this angle."""


def neighbors_of(faces: Ints) -> Ints:
    """(m, 3) the face across the edge that begins at each corner, -1 at borders."""
    ends = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2).astype(np.int64)
    low, high = ends.min(axis=1), ends.max(axis=1)
    key = low * (int(faces.max()) + 1) + high
    order = np.argsort(key, kind="stable")
    same = key[order][1:] == key[order][:-1]
    across = np.full(len(key), -1, np.int32)
    first, second = order[:-1][same], order[1:][same]
    across[first], across[second] = second // 3, first // 3
    return across.reshape(-1, 3)


def charts_of(corners: Doubles, normals: Doubles, neighbors: Ints) -> Ints:
    """(m,) the chart of each face, from 0, by its corners (m, 3, 3); `normals` (m, 3) are twice
    as long as the faces are large."""
    smooth, coherence = _smoothed(normals, neighbors)
    order = np.argsort(-coherence, kind="stable").astype(np.int32)
    charts: Ints = _grow(order, smooth, neighbors, _CONE)
    for _ in range(_STRAIGHTENING):
        _straighten(charts, unit(sums(charts, normals)), smooth, neighbors, _STRAY)
    charts = connected(_tiled(corners, normals, charts), neighbors)
    for _ in range(_JOINING):
        joined = _join_small(charts, normals, neighbors)
        if joined.max() == charts.max():
            break
        charts = joined
    return charts


def connected(labels: Ints, neighbors: Ints) -> Ints:
    """(m,) connected pieces of one label, numbered from 0."""
    pieces: Ints = _pieces(labels, neighbors)
    return pieces


def sums(charts: Ints, values: Doubles) -> Doubles:
    """(charts, columns) the values (m, columns) added up by chart."""
    return np.stack([np.bincount(charts, column) for column in values.T], axis=1)


def unit(vectors: Doubles) -> Doubles:
    """At length 1."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    found: Doubles = vectors / np.maximum(length, 1e-30)
    return found


def projected(corners: Doubles, normals: Doubles, charts: Ints) -> Doubles:
    """(m, 3, 2) each chart along its mean normal, turned to lie along its longest side."""
    axis = unit(sums(charts, normals))
    helper = np.where(np.abs(axis[:, :1]) < 0.8, [[1.0, 0, 0]], [[0, 1.0, 0]])
    right = unit(np.cross(helper, axis))
    up = np.cross(axis, right)
    flat = np.stack([np.einsum("mcx,mx->mc", corners, way[charts]) for way in (right, up)], axis=2)
    weight = np.linalg.norm(normals, axis=1)[:, None] + 1e-30
    mean = sums(charts, flat.mean(axis=1) * weight) / np.maximum(sums(charts, weight), 1e-30)
    off = flat - mean[charts][:, None]
    spread = sums(charts, np.einsum("mci,mcj->mij", off, off).reshape(-1, 4) * weight)
    turn = 0.5 * np.arctan2(2 * spread[:, 1], spread[:, 0] - spread[:, 3])[charts][:, None]
    cosine, sine = np.cos(turn), np.sin(turn)
    across = off[..., 0] * cosine + off[..., 1] * sine
    along = off[..., 1] * cosine - off[..., 0] * sine
    return np.stack([across, along], axis=2)


def _tiled(corners: Doubles, normals: Doubles, charts: Ints) -> Ints:
    """Charts too wide to be packed well, cut into tiles."""
    middle = projected(corners, normals, charts).mean(axis=1)
    low = np.full((int(charts.max()) + 1, 2), np.inf)
    high = -low
    np.minimum.at(low, charts, middle)
    np.maximum.at(high, charts, middle)
    widest = _WIDEST * np.sqrt(np.linalg.norm(normals, axis=1).sum() / 2)
    tiles = np.maximum(np.ceil((high - low) / max(widest, 1e-30)), 1).astype(np.int64)
    share = (middle - low[charts]) / np.maximum(high - low, 1e-30)[charts]
    tile = np.minimum((share * tiles[charts]).astype(np.int64), tiles[charts] - 1)
    most = tiles.max(axis=0)
    _kept, numbers = np.unique(
        (charts * most[0] + tile[:, 0]) * most[1] + tile[:, 1], return_inverse=True
    )
    found: Ints = numbers.reshape(-1).astype(np.int32)
    return found


def _smoothed(normals: Doubles, neighbors: Ints) -> tuple[Doubles, Doubles]:
    """Unit normals averaged by area over the neighborhood, and how alike those were, 0 to 1."""
    total = np.column_stack([normals, np.linalg.norm(normals, axis=1)])
    total /= max(float(total[:, 3].mean()), 1e-30)
    for _ in range(_SMOOTHING):
        around = total.copy()
        for side in neighbors.T:
            around += np.where((side >= 0)[:, None], total[side], 0)
        total = around / 4
    length = np.linalg.norm(total[:, :3], axis=1)
    return unit(total[:, :3]), length / np.maximum(total[:, 3], 1e-30)


@compiled
def _grow(order: Any, smooth: Any, neighbors: Any, cone: float) -> Any:
    """Charts by breadth-first growth from `order`: a face joins when it is within the cone around
    the chart's mean so far and around its first face."""
    charts = np.full(len(order), -1, np.int32)
    queue = np.empty(len(order), np.int32)
    total = np.empty(3)
    count = 0
    for seed in order:
        if charts[seed] >= 0:
            continue
        charts[seed] = count
        queue[0] = seed
        head, tail = 0, 1
        total[:] = smooth[seed]
        while head < tail:
            face = queue[head]
            head += 1
            length = np.sqrt((total * total).sum())
            for other in neighbors[face]:
                if other < 0 or charts[other] >= 0:
                    continue
                toward, away = 0.0, 0.0
                for axis in range(3):
                    toward += smooth[other, axis] * total[axis]
                    away += smooth[other, axis] * smooth[seed, axis]
                if toward < cone * length or away < cone:
                    continue
                charts[other] = count
                queue[tail] = other
                tail += 1
                for axis in range(3):
                    total[axis] += smooth[other, axis]
        count += 1
    return charts


@compiled
def _straighten(charts: Any, means: Any, smooth: Any, neighbors: Any, stray: float) -> None:
    """Faces of which two neighbors are in another chart go there, where they do not stray."""
    for face in range(len(charts)):
        for corner in range(3):
            one, other = neighbors[face, corner], neighbors[face, (corner + 1) % 3]
            if one < 0 or other < 0:
                continue
            chart = charts[one]
            if chart != charts[other] or chart == charts[face]:
                continue
            toward = 0.0
            for axis in range(3):
                toward += means[chart, axis] * smooth[face, axis]
            if toward >= stray:
                charts[face] = chart
                break


@compiled
def _pieces(labels: Any, neighbors: Any) -> Any:
    pieces = np.full(len(labels), -1, np.int32)
    queue = np.empty(len(labels), np.int32)
    count = 0
    for seed in range(len(labels)):
        if pieces[seed] >= 0:
            continue
        pieces[seed] = count
        queue[0] = seed
        head, tail = 0, 1
        while head < tail:
            face = queue[head]
            head += 1
            for other in neighbors[face]:
                if other >= 0 and pieces[other] < 0 and labels[other] == labels[seed]:
                    pieces[other] = count
                    queue[tail] = other
                    tail += 1
        count += 1
    return pieces


def _join_small(charts: Ints, normals: Doubles, neighbors: Ints) -> Ints:
    """Small charts become part of the larger neighbor with the longest common border."""
    totals = sums(charts, normals)
    axes, area = unit(totals), np.linalg.norm(totals, axis=1)
    here = np.repeat(charts, 3)
    there = np.where(neighbors.ravel() >= 0, charts[neighbors.ravel()], here)
    count = len(area)
    pair, border = np.unique(
        (here.astype(np.int64) * count + there)[here != there], return_counts=True
    )
    first, second = pair // count, pair % count
    angle = (axes[first] * axes[second]).sum(axis=1)
    larger = (area[second] > area[first]) | ((area[second] == area[first]) & (second > first))
    allowed = np.zeros(len(pair), bool)
    for share, cosine in _SMALL:
        allowed |= (area[first] < share * area.sum()) & (angle >= cosine)
    fit = np.flatnonzero(larger & allowed)
    # The last of each chart's neighbors is the one with the longest border.
    fit = fit[np.argsort(border[fit], kind="stable")]
    into = np.arange(count)
    into[first[fit]] = second[fit]
    # One step only: where a chart joins is where its neighbor was, not where that goes to.
    moves = into != np.arange(count)
    settled = np.where(moves[into], np.arange(count), into)
    _kept, numbers = np.unique(settled, return_inverse=True)
    joined: Ints = numbers.reshape(-1)[charts].astype(np.int32)
    return joined
