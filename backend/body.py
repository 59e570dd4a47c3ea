# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's body at rest, `body.npz`: what an armature deforms.

v vertices, f triangles, j = 55 joints in the order of `smplx.JOINTS`, k joints that move a vertex.
Meters; y up, z out of the chest, x to the body's left.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .atomic import write_bytes
from .camera import Array
from .errors import FormatError
from .smplx import JOINTS

_MOST_VERTICES = 10_000_000


@dataclass(frozen=True, eq=False)
class RestBody:
    """One person's shape, without any pose.

    vertices     (v, 3)
    faces        (f, 3) places of vertices, counterclockwise seen from outside
    joints       (j, 3)
    movers       (v, k) places of the joints that move each vertex
    weights      (v, k) how much each of them does; the sum is 1
    uv           (f, 3, 2) texture coordinates of the triangles' corners; (0, 3, 2) for none
    """

    vertices: Array
    faces: NDArray[np.int32]
    joints: Array
    movers: NDArray[np.uint8]
    weights: NDArray[np.float32]
    uv: NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Raises OutputError."""
        data = io.BytesIO()
        np.savez(data, **{field.name: getattr(self, field.name) for field in fields(self)})
        write_bytes(path, data.getvalue())

    @classmethod
    def load(cls, path: Path) -> RestBody:
        """Raises FormatError."""
        try:
            with np.load(path, allow_pickle=False) as content:
                arrays: dict[str, Any] = {field.name: content[field.name] for field in fields(cls)}
            body = cls(**arrays)
            body._check()
        except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise FormatError(f"{path.name} is damaged or no body: {error!r}.") from error
        return body

    def _check(self) -> None:
        """Raises ValueError."""
        vertices, reach = len(self.vertices), self.movers.shape[-1]
        shapes = {
            "vertices": (vertices, 3),
            "faces": (len(self.faces), 3),
            "joints": (len(JOINTS), 3),
            "movers": (vertices, reach),
            "weights": (vertices, reach),
            "uv": (len(self.uv), 3, 2),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} of {getattr(self, name).shape}, not {shape}")
        if not 0 < vertices <= _MOST_VERTICES or len(self.uv) not in (0, len(self.faces)):
            raise ValueError(f"{vertices} vertices, {len(self.uv)} triangles with uv")
        if self.faces.min(initial=0) < 0 or self.faces.max(initial=0) >= vertices:
            raise ValueError("faces of vertices that are not there")
        if self.movers.max(initial=0) >= len(JOINTS):
            raise ValueError("vertices moved by joints that are not there")
