# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain meshes in Wavefront's .obj: vertices, texture coordinates, triangles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..atomic import write_text
from ..camera import Array


def obj_writer(
    faces: NDArray[np.int32], uv: NDArray[np.float32], name: str
) -> Callable[[Path, Array], None]:
    """Writes vertices (v, 3) of a mesh that has the same triangles in every file.

    faces (f, 3) are places of vertices, from 0; uv (f, 3, 2) those of the triangles' corners, or
    (0, 3, 2). The writer raises OutputError.
    """
    texture, corners = _texture_text(uv), _faces_text(faces, len(uv) > 0)

    def write(path: Path, vertices: Array) -> None:
        # One format for all rows takes a third of the time of one for each.
        rows = ("v %.6f %.6f %.6f\n" * len(vertices)) % tuple(vertices.ravel().tolist())
        write_text(path, f"o {name}\n{rows}{texture}{corners}")

    return write


def _texture_text(uv: NDArray[np.float32]) -> str:
    return "".join(f"vt {u:.6f} {v:.6f}\n" for u, v in uv.reshape(-1, 2).tolist())


def _faces_text(faces: NDArray[np.int32], textured: bool) -> str:
    places = (faces + 1).tolist()
    if not textured:
        return "".join(f"f {a} {b} {c}\n" for a, b, c in places)
    return "".join(
        f"f {a}/{3 * i + 1} {b}/{3 * i + 2} {c}/{3 * i + 3}\n" for i, (a, b, c) in enumerate(places)
    )
