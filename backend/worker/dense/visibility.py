# SPDX-License-Identifier: GPL-3.0-or-later
"""What a view sees of a mesh: a rasterizer, and where its pixels can be trusted.

Depth is kept inverted, since 1/z is linear over the picture of a plane and 0 where nothing is:
it can be interpolated exactly, and a jump shows as a second difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .views import Floats, View

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Trust:
    """Which pixels of a view may color a surface; lengths in pixels.

    Within `erosion` of a silhouette or a mask a pixel is next to worthless (`last_resort`), since
    the mesh is not where the object is to the pixel, and worthless on the far side, where it may
    show what stands before the surface; from there it gains over `ramp`. At the picture's border
    trust grows over `border` of its shorter side. `jump` is the step in depth, as a share of it,
    that makes a silhouette.
    """

    erosion: float = 2.0
    ramp: float = 4.0
    border: float = 0.1
    jump: float = 0.01
    last_resort: float = 1e-3


def projection(view: View, scale: float = 1.0) -> Doubles:
    """(3, 4) from world to (x z, y z, z), with x and y in pixels of the view scaled by `scale`."""
    (fx, fy), (cx, cy) = view.focal, view.center
    lens = np.array([[fx * scale, 0, cx * scale], [0, fy * scale, cy * scale], [0, 0, 1]])
    pose = np.column_stack([view.rotation, view.translation])
    matrix: Doubles = lens @ pose
    return matrix


def rasterize(
    vertices: Floats, faces: NDArray[np.int32], matrix: Doubles, size: tuple[int, int]
) -> tuple[Floats, NDArray[np.int32]]:
    """1/z (h, w) at pixel centers, 0 where nothing is, and the nearest face (h, w), -1 for none.

    `matrix` is that of `projection`, `size` width and height. Faces are seen from both sides.
    """
    inverse = np.zeros((size[1], size[0]), np.float32)
    owner = np.full((size[1], size[0]), -1, np.int32)
    points = np.ascontiguousarray(vertices @ matrix[:, :3].T + matrix[:, 3])
    _fill(points, np.ascontiguousarray(faces), inverse, owner)
    return inverse, owner


def trust_map(view: View, inverse: Floats, trust: Trust) -> Floats:
    """(h, w) 0 to 1: how much the pixel's color belongs to the surface at `inverse` depth; exactly
    0 where a mask covers it or its neighbor. Under 0 where it likely shows what stands before the
    surface: its color may be mixed into a neighbor's, but is none of its own surface's."""
    kernel = np.ones((3, 3), np.uint8)
    # Erosion takes what lies outside of the picture as free.
    free = np.asarray(cv2.erode(view.usable.astype(np.uint8), kernel))
    inside = (free > 0) & ~_jumps(inverse, trust.jump)
    distance = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    share = np.clip((distance - trust.erosion) / trust.ramp, 0, 1)
    share = share * share * (3 - 2 * share) * _border(view.size, trust.border)
    share = np.maximum(share, trust.last_resort)
    away = (distance < trust.erosion) & (inverse > 0) & _behind(inverse, trust.erosion)
    trusted: Floats = (np.where(away, -share, share) * (free > 0)).astype(np.float32)
    return trusted


def _behind(inverse: Floats, reach: float) -> NDArray[np.bool_]:
    """Pixels nearer in depth to the farthest than to the nearest of those within `reach`."""
    around = np.ones((2 * int(np.ceil(reach)) + 1,) * 2, np.uint8)
    nearest, farthest = cv2.dilate(inverse, around), cv2.erode(inverse, around)
    found: NDArray[np.bool_] = 2 * inverse < np.asarray(nearest) + np.asarray(farthest)
    return found


def _jumps(inverse: Floats, jump: float) -> NDArray[np.bool_]:
    """Pixels at a step in depth, on both sides of it."""
    found = np.zeros(inverse.shape, bool)
    for w, mark in ((inverse, found), (inverse.T, found.T)):
        bend = np.abs(w[:, :-2] + w[:, 2:] - 2 * w[:, 1:-1])
        nearest = np.maximum(np.maximum(w[:, :-2], w[:, 2:]), w[:, 1:-1])
        mark[:, 1:-1] |= bend > jump * nearest
    return found


def _border(size: tuple[int, int], share: float) -> Floats:
    """(h, w) from 0 at the picture's border to 1 at `share` of its shorter side."""
    length = max(share * min(size), 1.0)
    x, y = (np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) for n in size)
    ramp = np.clip(np.minimum(x[None, :], y[:, None]) / length, 0, 1)
    rising: Floats = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    return rising


@compiled
def edge_functions(a: Any, b: Any, c: Any, out: Any) -> bool:
    """Rows whose product with (x, y, 1) is each corner's barycentric share over z.

    Inverse of the matrix of homogeneous corners (Olano and Greer 1997): holds for triangles that
    reach behind the camera too. False when the triangle is seen edge-on.
    """
    out[0, 0] = b[1] * c[2] - b[2] * c[1]
    out[0, 1] = b[2] * c[0] - b[0] * c[2]
    out[0, 2] = b[0] * c[1] - b[1] * c[0]
    out[1, 0] = c[1] * a[2] - c[2] * a[1]
    out[1, 1] = c[2] * a[0] - c[0] * a[2]
    out[1, 2] = c[0] * a[1] - c[1] * a[0]
    out[2, 0] = a[1] * b[2] - a[2] * b[1]
    out[2, 1] = a[2] * b[0] - a[0] * b[2]
    out[2, 2] = a[0] * b[1] - a[1] * b[0]
    determinant = a[0] * out[0, 0] + a[1] * out[0, 1] + a[2] * out[0, 2]
    if abs(determinant) < 1e-18:
        return False
    out /= determinant
    return True


@compiled
def _bounds(a: Any, b: Any, c: Any, axis: int, count: int) -> tuple[int, int]:
    """First and last pixel, plus one, that the triangle can cover along an axis."""
    if min(a[2], b[2], c[2]) <= 1e-9:
        return 0, count
    low = min(a[axis] / a[2], b[axis] / b[2], c[axis] / c[2])
    high = max(a[axis] / a[2], b[axis] / b[2], c[axis] / c[2])
    first = int(np.floor(min(max(low - 0.5, 0.0), count)))
    return first, int(np.ceil(min(max(high + 0.5, 0.0), count)))


@compiled
def _fill(points: Any, faces: Any, inverse: Any, owner: Any) -> None:
    height, width = inverse.shape
    edges = np.empty((3, 3))
    for face in range(len(faces)):
        a, b, c = points[faces[face, 0]], points[faces[face, 1]], points[faces[face, 2]]
        if max(a[2], b[2], c[2]) <= 1e-9 or not edge_functions(a, b, c, edges):
            continue
        left, right = _bounds(a, b, c, 0, width)
        top, bottom = _bounds(a, b, c, 1, height)
        for row in range(top, bottom):
            for column in range(left, right):
                x, y = column + 0.5, row + 0.5
                first = edges[0, 0] * x + edges[0, 1] * y + edges[0, 2]
                second = edges[1, 0] * x + edges[1, 1] * y + edges[1, 2]
                third = edges[2, 0] * x + edges[2, 1] * y + edges[2, 2]
                near = first + second + third
                # A little slack, so that no pixel falls between two neighbors.
                if near > inverse[row, column] and min(first, second, third) >= -1e-7 * near:
                    inverse[row, column] = near
                    owner[row, column] = face
