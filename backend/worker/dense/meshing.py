# SPDX-License-Identifier: GPL-3.0-or-later
"""A cloud becomes a mesh: Poisson's closed surface, then what was seen of it, then fewer faces.

Poisson surface reconstruction (Kazhdan and Hoppe 2013) is COLMAP's. What it adds of its own is
taken away again: faces that cameras look through, faces far from all points, faces that too few
depth maps have. Holes: a gap in the measured surface is closed with Poisson's faces where they
close it wholly, no camera looks through them and the gap is narrow (`MeshOptions.hole`); any other
stays open, for nobody knows what is there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pycolmap
from numpy.typing import NDArray

from ...dense_files import Cloud, Triangles, read_mesh, write_cloud, write_mesh
from ...errors import OutputError, SolveError
from ..threads import thread_count
from .carving import Sight, SightOptions, look, look_at_faces
from .clouds import chosen, thinned
from .fusion import Load, Progress
from .mesh_parts import groups, pairs, repaired, without_small_pieces
from .meshes import centers, corners, with_faces
from .nearest import Tree, spacing
from .views import Floats

LEAST_POINTS = 100
"""Fewer points than these make no surface."""
MOST_POINTS = 1_500_000
"""More make no finer mesh of half a million faces; what Poisson needs grows with them."""
_DEPTHS = (5, 11)
"""The octree's: the least and the most halvings of the scene."""
_STRAY = 5.0
"""A point this many times as far from its neighbors as those from theirs is a stray."""


@dataclass(frozen=True)
class TrustOptions:
    """Which points a surface is laid through.

    confidence   the least that a point must have
    doubt        one depth map that looks through a point refutes it, but not when this many times
                 as many have it
    """

    confidence: float = 0.3
    doubt: float = 4.0
    sight: SightOptions = field(default_factory=lambda: SightOptions(confidence=0.1))


@dataclass(frozen=True)
class MeshOptions:
    """What stays of Poisson's surface.

    seen      so many depth maps must have a face
    reach     how far from the cloud it may be, in the distance between points there (`spacing`)
    through   so many depth maps looking through a face refute it
    doubt     but not when this many times as many have it
    hole      the widest gap that is closed, in the distance between points there
    piece     the least share of all faces that a piece must have
    """

    seen: int = 2
    reach: float = 1.0
    through: int = 1
    doubt: float = 8.0
    hole: float = 10.0
    piece: float = 0.005
    sight: SightOptions = field(default_factory=lambda: SightOptions(confidence=0.4))


def trusted(
    cloud: Cloud,
    numbers: Sequence[int],
    load: Load,
    options: TrustOptions | None = None,
    progress: Progress | None = None,
) -> Cloud:
    """The points that are confident and that hardly any depth map looks through.

    Fusion asks a few views of each point; this asks all of them.
    """
    options = options or TrustOptions()
    cloud = chosen(cloud, cloud.confidence >= options.confidence)
    sight = look(cloud.positions, cloud.normals, numbers, load, options.sight, progress)
    return chosen(cloud, sight.through * options.doubt < sight.on)


def surface(cloud: Cloud) -> Triangles:
    """Poisson's surface through a cloud. Raises SolveError when there is none.

    It is laid through at most MOST_POINTS of the points and has about 2 faces a point. COLMAP takes
    40 microseconds of one processor and 600 bytes a face: that bounds time and memory.
    """
    cloud, spaced = _without_strays(thinned(cloud, MOST_POINTS))
    if len(cloud.positions) < LEAST_POINTS:
        raise SolveError("Too few points were found for a surface.")
    options = pycolmap.PoissonMeshingOptions()
    options.depth = _octree_depth(cloud, spaced)
    options.trim = 0.0
    options.color = False
    options.num_threads = thread_count()
    with TemporaryDirectory() as folder:
        before, after = Path(folder) / "cloud.ply", Path(folder) / "mesh.ply"
        write_cloud(before, cloud)
        pycolmap.poisson_meshing(before, after, options)
        return _made(after)


def _made(path: Path) -> Triangles:
    if not path.exists():
        raise OutputError("The surface could not be made: COLMAP wrote no mesh.")
    return read_mesh(path)


def _without_strays(cloud: Cloud) -> tuple[Cloud, Floats]:
    """The points that lie with others, and the distance between points at each."""
    if len(cloud.positions) < LEAST_POINTS:
        return cloud, np.zeros(len(cloud.positions), np.float32)
    tree = Tree.of(cloud.positions)
    spaced = spacing(tree)
    around = np.median(spaced[tree.nearest(cloud.positions, 7)[0][:, 1:]], axis=1)
    kept = spaced <= _STRAY * around
    return chosen(cloud, kept), spaced[kept]


def _octree_depth(cloud: Cloud, spaced: Floats) -> int:
    """Cells about as wide as the distance between points where these are close; finer ones give
    more faces and no better ones."""
    extent = float(np.ptp(cloud.positions, axis=0).max())
    close = max(float(np.percentile(spaced, 20)), 1e-6 * extent)
    least, most = _DEPTHS
    return min(max(round(math.log2(1.1 * extent / close)), least), most)


def cleaned(
    raw: Triangles,
    cloud: Cloud,
    numbers: Sequence[int],
    load: Load,
    options: MeshOptions | None = None,
    progress: Progress | None = None,
) -> Triangles:
    """What the depth maps of the views bear out of Poisson's surface, fit to be unwrapped.

    Raises SolveError when nothing is left.
    """
    options = options or MeshOptions()
    sight = look_at_faces(raw, numbers, load, options.sight, progress)
    tree = Tree.of(cloud.positions)
    nearest, far = tree.nearest(centers(raw))
    spaced = spacing(tree)[nearest[:, 0]]
    refuted = (sight.through >= options.through) & (sight.through * options.doubt >= sight.on)
    near = far[:, 0] <= options.reach * spaced
    borne_out = ~refuted & near & (sight.on >= options.seen)
    closing = _closing(raw, borne_out, refuted, sight, options.hole * spaced)
    mesh = repaired(with_faces(raw, borne_out | closing))
    return _some(without_small_pieces(mesh, options.piece))


def _some(mesh: Triangles) -> Triangles:
    if not len(mesh.faces):
        raise SolveError("No surface was seen by enough frames for a mesh.")
    return mesh


def _closing(
    mesh: Triangles,
    kept: NDArray[np.bool_],
    refuted: NDArray[np.bool_],
    sight: Sight,
    widest: Floats,
) -> NDArray[np.bool_]:
    """(m,) which faces close narrow gaps between those kept; `widest` (m,) is how narrow."""
    missing = ~kept & ~refuted
    first, second = (corner // 3 for corner in pairs(mesh.faces, len(mesh.positions)))
    both = missing[first] & missing[second]
    gap = groups(len(kept), first[both], second[both])
    edges = np.bincount(np.concatenate([first, second]), minlength=len(kept))
    open_ended = edges < 3
    open_ended[first[refuted[second]]] = True
    open_ended[second[refuted[first]]] = True
    ways = np.bincount(gap, open_ended | (sight.through > 0), len(kept))
    closed = (ways == 0) & (_widths(mesh, gap, missing) <= _means(gap, widest))
    found: NDArray[np.bool_] = missing & closed[gap]
    return found


def _means(label: NDArray[np.int64], values: Floats) -> NDArray[np.float64]:
    """Of each label the mean of its values; 0 for numbers that are no label."""
    total = np.bincount(label, values, len(label))
    found: NDArray[np.float64] = total / np.maximum(np.bincount(label, minlength=len(label)), 1)
    return found


def _widths(
    mesh: Triangles, label: NDArray[np.int64], those: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Of each label the diagonal of the box around those of its faces."""
    widths = np.zeros(len(label))
    order = np.flatnonzero(those)
    order = order[np.argsort(label[order], kind="stable")]
    if not len(order):
        return widths
    starts = np.flatnonzero(np.diff(label[order], prepend=-1))
    places = corners(mesh)[order]
    low = np.minimum.reduceat(places.min(axis=1), starts)
    high = np.maximum.reduceat(places.max(axis=1), starts)
    widths[label[order[starts]]] = np.linalg.norm(high - low, axis=1)
    return widths


def simplified(mesh: Triangles, faces: int) -> Triangles:
    """The mesh with at most about that many faces, by quadric error metrics (Garland and Heckbert
    1997) in COLMAP; as it is when it has no more."""
    if len(mesh.faces) <= faces:
        return mesh
    options = pycolmap.MeshSimplificationOptions()
    options.target_face_ratio = faces / len(mesh.faces)
    options.num_threads = thread_count()
    with TemporaryDirectory() as folder:
        before, after = Path(folder) / "mesh.ply", Path(folder) / "simple.ply"
        write_mesh(before, mesh)
        pycolmap.simplify_mesh(before, after, options)
        return _some(repaired(_made(after)))
