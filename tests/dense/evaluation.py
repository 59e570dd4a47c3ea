# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a cloud or a mesh is against a truth.

F1 at a distance is that of Knapitsch et al., "Tanks and Temples" (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.dense_files import Triangles
from backend.worker.dense.carving import SightOptions, look
from backend.worker.dense.fusion import Load
from backend.worker.dense.meshes import areas, corners
from backend.worker.dense.nearest import Tree
from backend.worker.dense.views import Floats, View


@dataclass(frozen=True)
class Score:
    """precision, the share of points near the truth; recall, the share of the truth near points;
    f1, their harmonic mean; median, the points' median distance from the truth."""

    precision: float
    recall: float
    f1: float
    median: float


def score(
    points: Floats, truth: Floats, distance: float | Floats, truth_distance: float | Floats
) -> Score:
    """Holds points (n, 3) against a truth (m, 3), which is sampled much finer than the distance.

    What near means may differ from place to place: `distance` is one number or (n,) for the
    points, `truth_distance` one or (m,) for the truth.
    """
    far = Tree.of(truth).nearest(points)[1][:, 0]
    missed = Tree.of(points).nearest(truth)[1][:, 0]
    precision, recall = float((far <= distance).mean()), float((missed <= truth_distance).mean())
    both = precision + recall
    f1 = 2 * precision * recall / both if both else 0.0
    return Score(precision, recall, f1, float(np.median(far)))


def sampled(mesh: Triangles, count: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Points (count, 3) evenly over a mesh's area, and the normals (count, 3) of their faces."""
    random = np.random.default_rng(seed)
    shares = areas(mesh) / areas(mesh).sum()
    face = random.choice(len(shares), count, p=shares)
    first, second = random.random((2, count, 1))
    flipped = first + second > 1
    first, second = np.where(flipped, 1 - first, first), np.where(flipped, 1 - second, second)
    a, b, c = corners(mesh)[face].transpose(1, 0, 2).astype(np.float64)
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1), 1e-30)[:, None]
    points = a + first * (b - a) + second * (c - a)
    return points.astype(np.float32), normals.astype(np.float32)


def footprints(points: Floats, views: Sequence[View]) -> Floats:
    """(n,) how wide a pixel is at each point: the median over the views that have it in their
    picture, whether or not something hides it there; inf where none has."""
    wide = np.full((len(views), len(points)), np.nan, np.float32)
    for row, view in zip(wide, views, strict=True):
        local = points @ view.rotation.T + view.translation
        depth = np.maximum(local[:, 2], 1e-12)
        pixel = local[:, :2] / depth[:, None] * view.focal + view.center
        within = (local[:, 2] > 0) & ((pixel >= 0) & (pixel < view.size)).all(axis=1)
        row[within] = depth[within] / min(view.focal)
    found = np.full(len(points), np.inf, np.float32)
    seen = ~np.isnan(wide).all(axis=0)
    found[seen] = np.nanmedian(wide[:, seen], axis=0)
    return found


def looked_through(
    points: Floats,
    numbers: Sequence[int],
    truth: Load,
    pixels: float = 2.0,
    views: int = 1,
) -> NDArray[np.bool_]:
    """(n,) which points stand in free space: `views` true depth maps have their surface more than
    `pixels` behind them."""
    options = SightOptions(pixels=pixels, share=0.0, confidence=0.0)
    sight = look(points, np.zeros_like(points), numbers, truth, options)
    found: NDArray[np.bool_] = sight.through >= views
    return found
