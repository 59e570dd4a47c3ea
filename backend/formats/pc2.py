# SPDX-License-Identifier: GPL-3.0-or-later
"""Point caches, .pc2: a mesh's vertices by frame, as Blender's Mesh Cache modifier reads them.

A header, "POINTCACHE2" and a zero byte, int32 1, int32 vertices, float32 start, float32 frames a
sample, int32 samples; then float32 x, y, z of each vertex of each sample. All little-endian.
s samples, v vertices.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..atomic import written_beside
from ..camera import Array
from ..errors import FormatError, OutputError

_HEADER = struct.Struct("<12siiffi")
_MAGIC, _VERSION = b"POINTCACHE2\0", 1
_MOST_VERTICES = 10_000_000
Vertices = NDArray[np.float32]


@dataclass(frozen=True)
class PointCache:
    """A file that was looked at: its vertices are read when they are asked for.

    start   the frame of the first sample; rate  frames from one sample to the next
    """

    path: Path
    vertices: int
    samples: int
    start: float
    rate: float

    @classmethod
    def open(cls, path: Path) -> PointCache:
        """Raises FormatError."""
        try:
            with path.open("rb") as file:
                fields = _HEADER.unpack(file.read(_HEADER.size))
            size = path.stat().st_size
        except (OSError, struct.error) as error:
            raise FormatError(f"{path.name} cannot be read: {error}.") from error
        magic, version, vertices, start, rate, samples = fields
        if magic != _MAGIC or version != _VERSION or not 0 < vertices <= _MOST_VERTICES:
            raise FormatError(f"{path.name} is no point cache.")
        if samples < 0 or size < _HEADER.size + 12 * vertices * samples:
            raise FormatError(f"{path.name} is cut off.")
        return cls(path, vertices, samples, start, rate)

    def read(self, first: int = 0, count: int | None = None) -> Vertices:
        """(s, v, 3) of samples from `first` on, all where `count` is None. Raises FormatError."""
        wanted = self.samples - first if count is None else count
        if first < 0 or wanted < 0 or first + wanted > self.samples:
            raise FormatError(f"{self.path.name} has no samples {first} to {first + wanted}.")
        try:
            found = np.fromfile(
                self.path,
                "<f4",
                3 * self.vertices * wanted,
                offset=_HEADER.size + 12 * self.vertices * first,
            )
            return found.reshape(wanted, self.vertices, 3)
        except (OSError, ValueError) as error:
            raise FormatError(f"{self.path.name} cannot be read: {error}.") from error


def write_point_cache(
    path: Path, vertices: int, batches: Iterable[Array | Vertices], start: float, rate: float = 1.0
) -> int:
    """Writes batches (m, v, 3) one after the other; the number of samples. The file takes its place
    once it is whole. Raises OutputError."""
    samples = 0
    with written_beside(path) as part, part.open("wb") as file:
        file.write(_HEADER.pack(_MAGIC, _VERSION, vertices, start, rate, 0))
        for batch in batches:
            if batch.shape[1:] != (vertices, 3):
                raise OutputError(f"{path.name}: vertices of {batch.shape}, not {vertices}.")
            file.write(np.ascontiguousarray(batch, "<f4").data)
            samples += len(batch)
        file.seek(0)
        file.write(_HEADER.pack(_MAGIC, _VERSION, vertices, start, rate, samples))
    return samples
