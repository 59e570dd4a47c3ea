# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a cloud and a mesh of a rendered scene are against its truth.

Near means within `PIXELS` pixels' width at the place itself. A point of the cloud or the mesh is
held against the scene's surfaces, seen or not; the truth that must be found is what the views see:
each pixel of the true depth maps, as a point in the world.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.dense_files import Triangles
from backend.worker.dense.fusion import Seen
from backend.worker.dense.meshes import areas
from backend.worker.dense.nearest import Tree
from backend.worker.dense.views import DepthMap, View
from tests.dense.evaluation import Score, footprints, looked_through, sampled, score
from tests.render.dense_scenes import Rendered

PIXELS = 2.0
STEP = 3
"""Of the truth's pixels every third in both directions is asked for."""
SURFACE = 1_500_000
"""Points on the scene's surfaces: in the rendered scenes one every 10 mm, a pixel's width."""
SAMPLES = 300_000


@dataclass(frozen=True, eq=False)
class Truth:
    """The scene's surfaces as points, what the views see of them, and how wide a pixel is there."""

    rendered: Rendered
    surfaces: np.ndarray
    seen: np.ndarray
    wide: np.ndarray

    @property
    def maps(self) -> dict[int, Seen]:
        """The views with true depth, by frame number."""
        pairs = zip(self.rendered.views, self.rendered.truth, strict=True)
        return {view.number: (view, known) for view, known in pairs}


@dataclass(frozen=True)
class MeshScore:
    """Shares of a mesh's samples: `near` the true surfaces; `before` them, PIXELS or more along the
    ray of any view; `free`, which is before and not near: along a floor seen at a flat angle what
    lies half a pixel above it is many pixels before it. Of what the views see the share `covered`.
    """

    near: float
    before: float
    free: float
    covered: float


def truth_of(rendered: Rendered) -> Truth:
    mesh = Triangles(rendered.vertices.astype(np.float32), rendered.faces.astype(np.int32))
    every = [unprojected(*pair) for pair in zip(rendered.views, rendered.truth, strict=True)]
    chosen = [unprojected(*pair, STEP) for pair in zip(rendered.views, rendered.truth, strict=True)]
    surfaces = np.concatenate([sampled(mesh, SURFACE)[0], *(points for points, _wide in every)])
    seen, wide = (np.concatenate(each) for each in zip(*chosen, strict=True))
    return Truth(rendered, surfaces, seen, wide)


def unprojected(view: View, known: DepthMap, step: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The points (n, 3) in the world of the pixels with depth, and a pixel's width at each."""
    y, x = np.nonzero(known.depth)
    chosen = (y % step == 0) & (x % step == 0)
    y, x = y[chosen], x[chosen]
    depth = known.depth[y, x].astype(float)
    pixel = np.stack([x, y], 1) + 0.5
    flat = (pixel - view.center) / view.focal
    local = np.concatenate([flat, np.ones((len(y), 1))], 1) * depth[:, None]
    points = (local - view.translation) @ view.rotation
    return points.astype(np.float32), (depth / min(view.focal)).astype(np.float32)


def cloud_score(positions: np.ndarray, truth: Truth) -> Score:
    """Precision, recall and F1 at PIXELS footprints."""
    reach = PIXELS * footprints(positions, truth.rendered.views)
    found = score(positions, truth.surfaces, reach, np.inf)
    missed = Tree.of(positions).nearest(truth.seen)[1][:, 0]
    recall = float((missed <= PIXELS * truth.wide).mean())
    both = found.precision + recall
    return Score(found.precision, recall, 2 * found.precision * recall / both, found.median)


def mesh_score(mesh: Triangles, truth: Truth) -> MeshScore:
    points, _normals = sampled(mesh, SAMPLES)
    reach = PIXELS * footprints(points, truth.rendered.views)
    far = Tree.of(truth.surfaces).nearest(points)[1][:, 0]
    before = looked_through(points, list(truth.maps), truth.maps.__getitem__, PIXELS)
    missed = Tree.of(points).nearest(truth.seen)[1][:, 0]
    spaced = np.sqrt(areas(mesh).sum() / SAMPLES)
    covered = missed <= np.maximum(PIXELS * truth.wide, 2 * spaced)
    near = far <= reach
    return MeshScore(*(float(each.mean()) for each in (near, before, before & ~near, covered)))
