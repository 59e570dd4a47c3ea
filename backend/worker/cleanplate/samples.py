# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of every frame, put down frame by frame and read for all frames at once.

The parts are blocks, those that a mask touches in any frame. They lie on the disk, block by block
and in each frame by frame: memory holds one block, however many frames there are. What is small
stays in memory. What is not known of a frame is as bright as can be.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import OutputError
from ..frame_files import Pixels
from .blocks import Block, within

Flags = NDArray[np.bool_]
_LINES, _COLUMNS = 64, 512
_BYTES = 16 * 2**20
"""Of a block, all frames together; it has fewer lines where that is more."""
_IN_MEMORY = 64 * 2**20
_GB = 1e9


@dataclass(frozen=True, eq=False)
class Layout:
    """Blocks of `frames` pictures, of which those that have something of `covered` (h, w) count;
    `channels` values of the type `kind` a pixel."""

    frames: int
    covered: Flags
    channels: int
    kind: np.dtype[Any]

    @cached_property
    def blocks(self) -> list[Block]:
        height, width = self.covered.shape
        lines = self._lines
        every = (
            (slice(top, min(top + lines, height)), slice(left, min(left + _COLUMNS, width)))
            for top in range(0, height, lines)
            for left in range(0, width, _COLUMNS)
        )
        return [block for block in every if self.covered[block].any()]

    @cached_property
    def part(self) -> Block:
        """The rows and columns that hold all blocks."""
        rows, columns = zip(*self.blocks, strict=True)
        return (
            slice(min(each.start for each in rows), max(each.stop for each in rows)),
            slice(min(each.start for each in columns), max(each.stop for each in columns)),
        )

    def inside(self, place: int) -> Block:
        """A block's rows and columns within `part`."""
        return within(self.blocks[place], self.part)

    @property
    def _lines(self) -> int:
        line = self.frames * _COLUMNS * self.channels * self.kind.itemsize
        return max(1, min(_LINES, _BYTES // line))

    def shape(self, place: int) -> tuple[int, int, int]:
        """Of a block in one frame, by its place among all."""
        rows, columns = self.blocks[place]
        return rows.stop - rows.start, columns.stop - columns.start, self.channels

    @cached_property
    def entries(self) -> list[int]:
        """Bytes of each block in one frame."""
        shapes = map(self.shape, range(len(self.blocks)))
        return [int(np.prod(shape)) * self.kind.itemsize for shape in shapes]

    @cached_property
    def offsets(self) -> list[int]:
        """Where each block begins, and where the last one ends."""
        return [0, *(int(end) * self.frames for end in np.cumsum(self.entries))]


class Samples:
    """Raises OutputError where the disk of `folder`, which it writes to, has not room enough for
    it and for `more` bytes."""

    def __init__(self, layout: Layout, folder: Path, more: int = 0) -> None:
        self.layout, self._lock = layout, threading.Lock()
        self._file: IO[bytes]
        size = layout.offsets[-1]
        if size <= _IN_MEMORY:
            self._file = io.BytesIO(bytes(size))
            return
        _check_room(folder, size + more)
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115

    def close(self) -> None:
        self._file.close()

    def put(self, frame: int, picture: Pixels) -> None:
        """The blocks of what a picture has in `layout.part`, (h, w, c) or, of one, (h, w)."""
        for place in range(len(self.layout.blocks)):
            data = np.ascontiguousarray(picture[self.layout.inside(place)]).data
            self._write(self._offset(place, frame), data)

    def block(self, place: int) -> NDArray[Any]:
        """(n, h, w, c) of one block in all frames."""
        layout = self.layout
        data = self._read(layout.offsets[place], layout.frames * layout.entries[place])
        return data.view(layout.kind).reshape(layout.frames, *layout.shape(place))

    def one(self, place: int, frame: int) -> NDArray[Any]:
        """(h, w, c) of one block in one frame."""
        data = self._read(self._offset(place, frame), self.layout.entries[place])
        return data.view(self.layout.kind).reshape(self.layout.shape(place))

    def _offset(self, place: int, frame: int) -> int:
        return self.layout.offsets[place] + frame * self.layout.entries[place]

    def _write(self, offset: int, data: memoryview) -> None:
        if sys.platform != "win32" and not isinstance(self._file, io.BytesIO):
            # Needs no lock: threads that write at the same time do not wait for each other.
            if os.pwrite(self._file.fileno(), data, offset) == data.nbytes:
                return
        with self._lock:
            self._file.seek(offset)
            self._file.write(data)

    def _read(self, offset: int, size: int) -> NDArray[np.uint8]:
        data = np.empty(size, np.uint8)
        with self._lock:
            self._file.seek(offset)
            start = 0
            # A disk may give less at a time than was asked for.
            while start < size:
                chunk = self._file.read(size - start)
                if not chunk:
                    raise OutputError("The samples of the plate on the disk are gone: run again.")
                data[start : start + len(chunk)] = np.frombuffer(chunk, np.uint8)
                start += len(chunk)
        return data


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"The disk has not room enough: the clean plate takes {needed / _GB:.1f} GB while it "
            f"is made, and {free / _GB:.1f} GB are free."
        )
