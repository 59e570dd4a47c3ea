# SPDX-License-Identifier: GPL-3.0-or-later
"""Some pixels of every frame, put down frame by frame and read for all frames at once.

They lie on the disk, tile by tile and in each frame by frame: memory holds one tile, however many
frames there are. What is small stays in memory.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import OutputError

_TILE = 24 * 2**20
"""Bytes of a tile, of all frames together."""
_IN_MEMORY = 96 * 2**20
_GB = 1e9


@dataclass(frozen=True)
class Layout:
    """`channels` values of the type `kind` for each of `pixels` in each of `frames`."""

    frames: int
    pixels: int
    channels: int
    kind: np.dtype[Any]

    @property
    def tile(self) -> int:
        """Pixels in each tile but the last."""
        each = self.frames * self.channels * self.kind.itemsize
        return max(_TILE // each // 8 * 8, 8)

    def tiles(self) -> list[slice]:
        """The pixels of each tile."""
        starts = range(0, self.pixels, self.tile)
        return [slice(start, min(start + self.tile, self.pixels)) for start in starts]

    def entry(self, pixels: int) -> int:
        """Bytes of so many pixels of a frame: the values, then a bit for each that is known."""
        return pixels * self.channels * self.kind.itemsize + -(-pixels // 8)

    @property
    def size(self) -> int:
        """Bytes of it all."""
        return self.frames * sum(self.entry(tile.stop - tile.start) for tile in self.tiles())


class Samples:
    """Raises OutputError where the disk of `folder`, which it writes to, has not room enough for
    it and for `more` bytes."""

    def __init__(self, layout: Layout, folder: Path, more: int = 0) -> None:
        self.layout, self._lock = layout, threading.Lock()
        self._file: IO[bytes]
        if layout.size <= _IN_MEMORY:
            self._file = io.BytesIO(bytes(layout.size))
            return
        _check_room(folder, layout.size + more)
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115

    def close(self) -> None:
        self._file.close()

    def put(self, frame: int, values: NDArray[Any], known: NDArray[np.bool_]) -> None:
        """A frame's `values` (p, c), of which those are right that are `known` (p,)."""
        planes = np.ascontiguousarray(values.T)
        for place, tile in enumerate(self.layout.tiles()):
            data = planes[:, tile].tobytes() + np.packbits(known[tile]).tobytes()
            with self._lock:
                self._file.seek(self._offset(place, frame))
                self._file.write(data)

    def tile(self, place: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Values (n, c, p) of a tile in all frames, and which of them (n, p) are known."""
        layout, tile = self.layout, self.layout.tiles()[place]
        pixels = tile.stop - tile.start
        data = self._read(self._offset(place, 0), layout.frames * layout.entry(pixels))
        return self._parts(data.reshape(layout.frames, -1), pixels)

    def frame(self, place: int, frame: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Values (c, p) of a tile in one frame, and which of them (p,) are known."""
        tile = self.layout.tiles()[place]
        pixels = tile.stop - tile.start
        data = self._read(self._offset(place, frame), self.layout.entry(pixels))
        values, known = self._parts(data[None], pixels)
        return values[0], known[0]

    def _parts(
        self, entries: NDArray[np.uint8], pixels: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        layout = self.layout
        length = pixels * layout.channels * layout.kind.itemsize
        values = np.ascontiguousarray(entries[:, :length]).view(layout.kind)
        known = np.unpackbits(entries[:, length:], axis=1, count=pixels).view(np.bool_)
        return values.reshape(len(entries), layout.channels, pixels), known

    def _offset(self, place: int, frame: int) -> int:
        layout, tiles = self.layout, self.layout.tiles()
        whole = layout.entry(layout.tile)
        tile = tiles[place]
        return place * layout.frames * whole + frame * layout.entry(tile.stop - tile.start)

    def _read(self, offset: int, size: int) -> NDArray[np.uint8]:
        data = bytearray(size)
        with self._lock:
            self._file.seek(offset)
            for start, chunk in _chunks(self._file, size):
                data[start : start + len(chunk)] = chunk
        return np.frombuffer(data, np.uint8)


def _chunks(file: IO[bytes], size: int) -> Iterator[tuple[int, bytes]]:
    """What a file gives until there is so much of it; a disk may give less than was asked for."""
    start = 0
    while start < size:
        chunk = file.read(size - start)
        if not chunk:
            raise OutputError("The samples of the plate on the disk are gone: run again.")
        yield start, chunk
        start += len(chunk)


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"The disk has not room enough: the clean plate takes {needed / _GB:.1f} GB while it "
            f"is made, and {free / _GB:.1f} GB are free."
        )
