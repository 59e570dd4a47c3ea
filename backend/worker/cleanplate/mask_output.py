# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the mask of what is replaced in each frame."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from ...atomic import write_bytes
from ..image_files import write_png
from ..mask_files import Mask
from ..report import Report
from ..threads import threads
from .blocks import Block, around
from .clean_folder import CleanFolder
from .filling import Flags
from .removal import Removal

_KEPT = 48 * 2**20
"""Bytes of masks that are kept."""


class Masks:
    """The masks of a clean plate, of which as many are kept as fit into some memory.

    pixels    over 0 in each frame's mask
    covered   (h, w) those over 0 in any
    """

    def __init__(self, folder: CleanFolder) -> None:
        self._folder = folder
        width, height = folder.size
        self.covered: Flags = np.zeros((height, width), np.bool_)
        self.pixels: dict[int, int] = {}
        self._kept: dict[int, tuple[Block, Mask]] = {}
        self._held, self._lock = 0, threading.Lock()

    def add(self, number: int, mask: Mask) -> None:
        """From any thread."""
        part = around(mask, 0)
        if part is None:
            self.pixels[number] = 0
            return
        own = mask[part].copy()
        found = own > 0
        with self._lock:
            self.pixels[number] = int(np.count_nonzero(found))
            self.covered[part] |= found
            if self._held + own.nbytes <= _KEPT:
                self._kept[number] = part, own
                self._held += own.nbytes

    def read(self, number: int) -> Mask:
        """Raises MaskError."""
        mask: Mask = np.zeros(self.covered.shape, np.uint8)
        found = self.part(number)
        if found is not None:
            mask[found[0]] = found[1]
        return mask

    def part(self, number: int) -> tuple[Block, Mask] | None:
        """Which rows and columns of a frame's mask are not all black, and those; None where all
        are. Raises MaskError."""
        if number in self._kept or not self.pixels[number]:
            return self._kept.get(number)
        mask = self._folder.read_mask(number)
        block = around(mask, 0)
        return None if block is None else (block, mask[block])


def write_masks(
    removal: Removal, frames: Sequence[int], folder: CleanFolder, report: Report
) -> Masks:
    """Writes a mask for each of the frames; those that are there stay. Raises MaskError,
    OutputError."""
    report.status("Making the masks")
    masks, black = Masks(folder), black_png(folder)

    def write(number: int) -> None:
        masks.add(number, _mask(removal, number, folder, black))

    with threads(write, frames) as finished:
        for done, _ in enumerate(finished, 1):
            report.progress(done, len(frames), "masks")
    return masks


def black_png(folder: CleanFolder) -> bytes:
    """The file of a mask that selects nothing. Raises OutputError."""
    file = folder.path / "mask" / ".black.png"
    width, height = folder.size
    write_png(file, np.zeros((height, width), np.uint8))
    try:
        return file.read_bytes()
    finally:
        file.unlink()


def _mask(removal: Removal, number: int, folder: CleanFolder, black: bytes) -> Mask:
    file = folder.mask(number)
    if file.is_file():
        return folder.read_mask(number)
    mask = removal.mask(number)
    if mask.any():
        write_png(file, mask)
    else:
        write_bytes(file, black)
    return mask
