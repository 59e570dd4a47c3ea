# SPDX-License-Identifier: GPL-3.0-or-later
"""Which faces of a mesh the depth maps bear out and which they look through.

Poisson's surface is closed: where nothing was measured it swells out as far as it likes. A camera
that measured depth behind a face looked through it, and so there is no face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...dense_files import Triangles
from .compiled import compiled, in_spans
from .fusion import Load, Progress, lens, weights
from .meshes import centers, corners
from .views import DepthMap, Floats, View


@dataclass(frozen=True)
class SightOptions:
    """When a depth map says something about a place.

    pixels       how far in front of or behind its depth, in a pixel's width there, is still on it
    share        the same as a share of the depth, which stereo's noise grows with; both add up
    confidence   the least that the map must have there
    """

    pixels: float = 2.0
    share: float = 0.003
    confidence: float = 0.4


@dataclass(frozen=True, eq=False)
class Sight:
    """For each of m places how many depth maps have it on a surface that faces them (`on`), and
    how many have depth clearly behind it (`through`). Both (m,)."""

    on: NDArray[np.int32]
    through: NDArray[np.int32]


@compiled
def _look(
    start: int, end: int, places: Any, normals: Any, turn: Any, move: Any, eye: Any, lens: Any,
    depth: Any, weight: Any, pixels: float, share: float, on: Any, through: Any,
) -> None:  # fmt: skip
    """Counts for places start to end what one depth map says, told of all nine pixels around."""
    height, width = depth.shape
    for index in range(start, end):
        px, py, pz = places[index, 0], places[index, 1], places[index, 2]
        z = turn[2, 0] * px + turn[2, 1] * py + turn[2, 2] * pz + move[2]
        if z <= 0:
            continue
        x = lens[0] * (turn[0, 0] * px + turn[0, 1] * py + turn[0, 2] * pz + move[0]) / z + lens[2]
        y = lens[1] * (turn[1, 0] * px + turn[1, 1] * py + turn[1, 2] * pz + move[1]) / z + lens[3]
        if x < 0 or y < 0 or x >= width or y >= height:
            continue
        u, v = int(x), int(y)
        if weight[v, u] <= 0:
            continue
        nearest, farthest = np.inf, 0.0
        for row in range(max(v - 1, 0), min(v + 2, height)):
            for column in range(max(u - 1, 0), min(u + 2, width)):
                if weight[row, column] > 0:
                    nearest = min(nearest, depth[row, column])
                    farthest = max(farthest, depth[row, column])
        slack = z * (pixels / lens[0] + share)
        if z < nearest - slack:
            through[index] += 1
        elif z <= farthest + slack:
            facing = 0.0
            for axis in range(3):
                facing += normals[index, axis] * (eye[axis] - places[index, axis])
            if facing > 0:
                on[index] += 1


def look(
    places: Floats,
    normals: Floats,
    numbers: Sequence[int],
    load: Load,
    options: SightOptions | None = None,
    progress: Progress | None = None,
) -> Sight:
    """What the depth maps of the views say of places (m, 3) with normals (m, 3) of any length.

    One view is in memory at a time.
    """
    options = options or SightOptions()
    places, normals = (np.ascontiguousarray(each, np.float32) for each in (places, normals))
    sight = Sight(*(np.zeros(len(places), np.int32) for _ in range(2)))
    for done, number in enumerate(numbers, 1):
        _look_from(load(number), places, normals, options, sight)
        if progress:
            progress(done, len(numbers))
    return sight


def _look_from(
    seen: tuple[View, DepthMap],
    places: Floats,
    normals: Floats,
    options: SightOptions,
    sight: Sight,
) -> None:
    view, own = seen
    weight = weights(view, own, options.confidence)
    turn = np.ascontiguousarray(view.rotation)
    in_spans(
        lambda start, end: _look(
            start, end, places, normals, turn, view.translation, view.eye, lens(view),
            own.depth, weight, options.pixels, options.share, sight.on, sight.through,
        ),
        len(places),
    )  # fmt: skip


def look_at_faces(
    mesh: Triangles,
    numbers: Sequence[int],
    load: Load,
    options: SightOptions | None = None,
    progress: Progress | None = None,
) -> Sight:
    """The same of the middle of each face."""
    a, b, c = corners(mesh).transpose(1, 0, 2)
    return look(centers(mesh), np.cross(b - a, c - a), numbers, load, options, progress)
