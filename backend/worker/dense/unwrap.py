# SPDX-License-Identifier: GPL-3.0-or-later
"""Texture coordinates for a triangle mesh.

Each chart is laid flat along its mean normal, faces that fold over are smoothed out or cut off, and
charts are packed. Half a million faces take seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .charts import Doubles, Ints, charts_of, connected, neighbors_of, projected, sums
from .compiled import compiled
from .packing import pack
from .views import Floats

_SMOOTHING = 40
_FLAT = 0.15
"""A face that is laid flat with less than this share of its area is smoothed out."""
_FOLDED = 0.02
"""What stays so flat is cut off."""
_ROUNDS, _OVERLAP_GRID, _FULL = 4, 4096, 0.7


@dataclass(frozen=True, eq=False)
class Unwrapped:
    """Texture coordinates of a mesh of m faces.

    uvs     (m, 3, 2) float32 per corner, 0 to 1, origin at the texture's lower left corner
    origin  (k,) int32 for each vertex of the mesh cut along its seams, the vertex it was
    corners (m, 3) int32, the faces over those vertices
    """

    uvs: Floats
    origin: Ints
    corners: Ints


def unwrap(vertices: Floats, faces: Ints, size: int = 4096, padding: int = 4) -> Unwrapped:
    """Cuts and packs a mesh of vertices (n, 3) and faces (m, 3) for a square texture.

    Charts keep at least about `padding` texels of distance at `size` texels a side.
    """
    if len(faces) == 0:
        empty = np.zeros(0, np.int32)
        return Unwrapped(np.zeros((0, 3, 2), np.float32), empty, np.zeros((0, 3), np.int32))
    faces = np.ascontiguousarray(faces, np.int32)
    corners = vertices[faces].astype(np.float64)
    neighbors = neighbors_of(faces)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    charts = charts_of(corners, normals, neighbors)
    for last in [False] * _ROUNDS + [True]:
        places, folded = _laid_flat(corners, normals, faces, charts, neighbors)
        if last or not folded.any():
            break
        charts = _cut_off(charts, folded, neighbors)
    if folded.any():
        charts = _cut_apart(charts, folded)
        places[folded] = projected(corners[folded], normals[folded], _numbered(charts[folded]))
    uvs = pack(places, charts, size, padding)
    origin, cut = _split(faces, charts)
    return Unwrapped(uvs, origin, cut)


def _laid_flat(
    corners: Doubles, normals: Doubles, faces: Ints, charts: Ints, neighbors: Ints
) -> tuple[Doubles, NDArray[np.bool_]]:
    """Places (m, 3, 2) of the faces in their charts, and which (m,) fold over or lie on others."""
    origin, cut = _split(faces, charts)
    points = np.zeros((len(origin), 2))
    points[cut] = projected(corners, normals, charts)
    size = np.linalg.norm(normals, axis=1)
    border = (neighbors < 0) | (charts[neighbors] != charts[:, None])
    outer = np.zeros(len(origin), np.bool_)
    outer[cut[border]] = True
    outer[np.roll(cut, -1, axis=1)[border]] = True
    _untangle(points, cut, corners, size, outer, _FLAT, _SMOOTHING)
    places = points[cut]
    folded = _doubled(places) < _FOLDED * size
    places = _scaled(places, normals, charts)
    _mark_overlaps(places, charts, folded)
    return places, folded


def _doubled(places: Doubles) -> Doubles:
    """(m,) twice the area of each face as laid flat, under 0 where its back shows."""
    first, second = places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]
    found: Doubles = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    return found


def _scaled(places: Doubles, normals: Doubles, charts: Ints) -> Doubles:
    """Each chart with the area that it has on the mesh."""
    sizes = np.stack([np.abs(_doubled(places)), np.linalg.norm(normals, axis=1)], axis=1)
    flat, real = sums(charts, sizes).T
    scale = np.sqrt(np.clip(real / np.maximum(flat, 1e-30), 1, 4))
    scaled: Doubles = places * scale[charts][:, None, None]
    return scaled


@compiled
def _untangle(
    points: Any, cut: Any, corners: Any, size: Any, outer: Any, flat: float, rounds: int
) -> None:
    """Moves the corners of folded faces to the middle of the vertices around them (Tutte 1963),
    those inside of charts first, until nothing is folded or `rounds` are over. A corner that no
    other face of the chart has is turned outward over the opposite edge."""
    total = np.zeros((len(points), 2))
    count = np.zeros(len(points), np.int64)
    faces = np.zeros(len(points), np.int64)
    marked = np.zeros(len(points), np.bool_)
    for face in range(len(cut)):
        for corner in range(3):
            faces[cut[face, corner]] += 1
    for step in range(rounds):
        folded = False
        marked[:] = False
        for face in range(len(cut)):
            if _area(points, cut[face]) >= flat * size[face]:
                continue
            for corner in range(3):
                vertex = cut[face, corner]
                if faces[vertex] == 1:
                    _hinge(points, cut[face], corners[face], corner)
                    folded = True
                elif not outer[vertex] or step >= rounds // 2:
                    marked[vertex] = True
                    folded = True
        if not folded and step >= rounds // 2:
            return
        total[:] = 0
        count[:] = 0
        for face in range(len(cut)):
            for corner in range(3):
                vertex = cut[face, corner]
                if not marked[vertex]:
                    continue
                for away in (1, 2):
                    total[vertex] += points[cut[face, (corner + away) % 3]]
                    count[vertex] += 1
        for vertex in range(len(points)):
            if marked[vertex] and count[vertex] > 0:
                points[vertex] = total[vertex] / count[vertex]


@compiled
def _area(points: Any, face: Any) -> float:
    """Twice its area, under 0 when its back shows."""
    a, b, c = face
    return float(
        (points[b, 0] - points[a, 0]) * (points[c, 1] - points[a, 1])
        - (points[b, 1] - points[a, 1]) * (points[c, 0] - points[a, 0])
    )


@compiled
def _hinge(points: Any, face: Any, real: Any, corner: int) -> None:
    """Puts a corner where the face's shape (3, 3) has it beyond the opposite edge."""
    p, q = real[(corner + 1) % 3], real[(corner + 2) % 3]
    edge, off = q - p, real[corner] - p
    length = (edge * edge).sum() + 1e-30
    along = (off * edge).sum() / length
    high = np.sqrt(max((off * off).sum() / length - along * along, 0.0))
    a, b = points[face[(corner + 1) % 3]], points[face[(corner + 2) % 3]]
    x, y = b[0] - a[0], b[1] - a[1]
    points[face[corner], 0] = a[0] + along * x - high * y
    points[face[corner], 1] = a[1] + along * y + high * x


def _mark_overlaps(places: Doubles, charts: Ints, folded: NDArray[np.bool_]) -> None:
    """Adds to `folded` (m,) the faces that lie on another one of their chart that is not folded,
    looked at as finely as texels are."""
    count = int(charts.max()) + 1
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    np.minimum.at(low, charts, places.min(axis=1))
    np.maximum.at(high, charts, places.max(axis=1))
    area = float(np.abs(_doubled(places)).sum()) / 2
    scale = _OVERLAP_GRID * np.sqrt(_FULL / max(area, 1e-30))
    scale = min(scale, _OVERLAP_GRID / max(float((high - low).max()), 1e-30))
    order = np.argsort(charts, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(charts, minlength=count))])
    local = (places - low[charts][:, None])[order] * scale
    covered = np.zeros(((high - low).max(axis=0) * scale).astype(int)[::-1] + 2, np.int32)
    _mark_folds(local, starts, order, covered, folded)


@compiled
def _mark_folds(local: Any, starts: Any, order: Any, covered: Any, folded: Any) -> None:
    """`covered` holds for each cell the last chart, from 1, of which a face lies there."""
    for chart in range(len(starts) - 1):
        for index in range(starts[chart], starts[chart + 1]):
            ax, ay = local[index, 0, 0], local[index, 0, 1]
            bx, by = local[index, 1, 0], local[index, 1, 1]
            cx, cy = local[index, 2, 0], local[index, 2, 1]
            area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
            if area < 1e-9 or folded[order[index]]:
                continue
            last_row = min(int(max(ay, by, cy)) + 1, covered.shape[0])
            last_column = min(int(max(ax, bx, cx)) + 1, covered.shape[1])
            for row in range(max(int(min(ay, by, cy)), 0), last_row):
                for column in range(max(int(min(ax, bx, cx)), 0), last_column):
                    x, y = column + 0.5, row + 0.5
                    p = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
                    q = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
                    # Strictly inside: neighbors share their edges.
                    if min(p, q, 1 - p - q) < 1e-4:
                        continue
                    if covered[row, column] == chart + 1:
                        folded[order[index]] = True
                    else:
                        covered[row, column] = chart + 1


def _cut_off(charts: Ints, folded: NDArray[np.bool_], neighbors: Ints) -> Ints:
    """Charts anew: folded faces, by connection, are charts of their own."""
    cut = np.where(folded, charts + int(charts.max()) + 1, charts)
    return connected(cut.astype(np.int32), neighbors)


def _cut_apart(charts: Ints, folded: NDArray[np.bool_]) -> Ints:
    """Charts anew: each folded face is one."""
    apart = charts.copy()
    apart[folded] = int(charts.max()) + 1 + np.arange(int(folded.sum()), dtype=np.int32)
    return _numbered(apart)


def _numbered(labels: Ints) -> Ints:
    """The labels that there are, from 0."""
    _kept, numbers = np.unique(labels, return_inverse=True)
    return numbers.reshape(-1).astype(np.int32)


def _split(faces: Ints, charts: Ints) -> tuple[Ints, Ints]:
    """One vertex for each chart that a vertex lies in: what it was, and the faces over them."""
    count = int(charts.max()) + 1
    key = faces.astype(np.int64) * count + charts[:, None]
    found, corners = np.unique(key, return_inverse=True)
    return (found // count).astype(np.int32), corners.reshape(-1, 3).astype(np.int32)
