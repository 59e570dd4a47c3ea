# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes single masks and mattes: gray, 8 bits, the plate's size, white = selected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..atomic import write_bytes
from ..errors import MaskError, OutputError
from .frame_files import read_frame

Mask = NDArray[np.uint8]
"""(h, w): 255 where the thing is, 0 elsewhere, between where it covers a part of the pixel."""

HALF = 128
"""From here on a pixel counts as selected."""

Done = Callable[[], None]
"""Is told of each frame that is done, from the thread that asked."""

_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def read_mask(path: Path, size: tuple[int, int]) -> Mask:
    """Raises MaskError for a mask that is missing or damaged, or is not of the plate's size (width,
    height)."""
    found = read_frame(path)
    if found is None:
        raise MaskError(f"The mask {path} is missing or damaged: make it again.")
    if found.dtype == np.uint16:
        found = (found >> 8).astype(np.uint8)
    gray = found if found.ndim == 2 else cv2.cvtColor(found, cv2.COLOR_RGB2GRAY)
    height, width = gray.shape
    if (width, height) != size:
        raise MaskError(
            f"The mask {path} is {width} x {height} but the plate is {size[0]} x {size[1]}: "
            "import it anew, or make masks of the plate's size."
        )
    return gray.astype(np.uint8, copy=False)


def write_mask(path: Path, mask: Mask) -> None:
    """Raises OutputError; the file that was there stays then."""
    done, png = cv2.imencode(".png", mask, _PNG)
    if not done:
        raise OutputError(f"{path.name} cannot be written: it is too large for a PNG.")
    write_bytes(path, png.data)
