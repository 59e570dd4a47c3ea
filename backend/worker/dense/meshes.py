# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a mesh's triangles (see `Triangles`), without their texture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...dense_files import Triangles
from .views import Floats


def corners(mesh: Triangles) -> Floats:
    """(f, 3, 3) the places of each face's corners."""
    return mesh.positions[mesh.faces]


def centers(mesh: Triangles) -> Floats:
    """(f, 3) the middle of each face."""
    middle: Floats = corners(mesh).mean(axis=1)
    return middle


def areas(mesh: Triangles) -> NDArray[np.float64]:
    """(f,) of each face."""
    a, b, c = corners(mesh).transpose(1, 0, 2).astype(np.float64)
    found: NDArray[np.float64] = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    return found


def with_faces(mesh: Triangles, kept: NDArray[np.bool_]) -> Triangles:
    """The faces kept (f,) and the vertices that they have."""
    faces = mesh.faces[kept]
    used = np.zeros(len(mesh.positions), bool)
    used[faces] = True
    place = np.cumsum(used, dtype=np.int32) - np.int32(1)
    return Triangles(mesh.positions[used], place[faces].astype(np.int32))
