# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the mask of what is replaced in each frame."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...atomic import write_bytes
from ..mask_files import Mask, write_mask
from ..report import Report
from ..threads import threads
from .clean_folder import CleanFolder
from .filling import Flags
from .removal import Removal


@dataclass(frozen=True, eq=False)
class Masks:
    """`pixels` over 0 in each frame's mask; `covered` (h, w) are those over 0 in any."""

    pixels: dict[int, int]
    covered: Flags


def write_masks(
    removal: Removal, frames: Sequence[int], folder: CleanFolder, report: Report
) -> Masks:
    """Writes a mask for each of the frames; those that are there stay. Raises MaskError,
    OutputError."""
    report.status("Making the masks")
    width, height = folder.size
    covered, lock = np.zeros((height, width), np.bool_), threading.Lock()
    pixels: dict[int, int] = {}
    write_mask(folder.path / "mask" / ".black", np.zeros((height, width), np.uint8))
    black = (folder.path / "mask" / ".black").read_bytes()
    (folder.path / "mask" / ".black").unlink()

    def write(number: int) -> None:
        mask = _mask(removal, number, folder, black)
        found = mask > 0
        with lock:
            pixels[number] = int(np.count_nonzero(found))
            np.logical_or(covered, found, out=covered)

    with threads(write, frames) as finished:
        for done, _ in enumerate(finished, 1):
            report.progress(done, len(frames), "masks")
    return Masks(pixels, covered)


def _mask(removal: Removal, number: int, folder: CleanFolder, black: bytes) -> Mask:
    file = folder.mask(number)
    if file.is_file():
        return folder.read_mask(number)
    mask = removal.mask(number)
    if mask.any():
        write_mask(file, mask)
    else:
        write_bytes(file, black)
    return mask
