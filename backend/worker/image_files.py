# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes frames as PNGs and proxies as JPEGs, each file whole or not there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio

from ..atomic import write_bytes, written_beside
from ..errors import OutputError
from ..proxies import proxy_size

_JPEG_QUALITY = 90
"""A noisy plate of 960 x 540 takes 83 kB at 39 dB; 95 takes half as much again, for 2 dB."""
_MATTE_QUALITY = 95
"""Edges are off by at most 7 of 255; with 90 by 17. In 4:2:0 a colored matte is off by 200."""
_FULL_COLOR = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
_PNG_LEVEL = 1
_UP = 0x20
"""Each line less the one above (libpng's PNG_FILTER_UP): as small as with its own choice of
filters, in half the time."""
_REPEATS = "rle"
"""zlib looks for repeated bytes only (Z_RLE). Grain has nothing else: in 4K and 10 bits a frame
takes 0.55 s and 29 MB instead of 0.89 s and 31 MB, in 8 bits 73 ms instead of 98. Clips without
grain become 3 to 20 % larger, in three quarters of the time."""
_BAND = 128
"""Lines that are handed over at a time."""


def write_png(path: Path, pixels: Any) -> None:
    """(h, w) or (h, w, 3) uint8 or uint16, red first, or (h, w, 4) with alpha by which the colors
    are not multiplied. No copy of the whole image is made. Raises OutputError."""
    height, width = pixels.shape[:2]
    planes = pixels.reshape(height, width, -1)
    spec = oiio.ImageSpec(width, height, planes.shape[2], str(pixels.dtype))
    spec.attribute("oiio:UnassociatedAlpha", 1)
    spec.attribute("png:compressionLevel", _PNG_LEVEL)
    spec.attribute("png:filter", _UP)
    spec.attribute("compression", _REPEATS)
    with written_beside(path) as part:
        output: Any = oiio.ImageOutput.create("png")
        done = output.open(str(part), spec)
        for top in range(0, height, _BAND):
            bottom = min(top + _BAND, height)
            lines = np.ascontiguousarray(planes[top:bottom])
            done = done and output.write_scanlines(top, bottom, 0, lines)
        if not (output.close() and done):
            raise OutputError(f"{path} could not be written. Is the disk full?")


def write_sizes(targets: Mapping[int, Path], image: Any, matte: bool = False) -> None:
    """Writes an image, (h, w) or (h, w, 3) uint8 and blue first, in so many percent of its size.

    Raises OutputError.
    """
    for percent, target in targets.items():
        write_bytes(target, _encoded(_scaled(image, percent), matte))


def _scaled(image: Any, percent: int) -> Any:
    """The image in so many percent of its size, every pixel the mean of those it stands for."""
    height, width = image.shape[:2]
    size = proxy_size((width, height), percent)
    if size == (width, height):
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _encoded(image: Any, matte: bool) -> Any:
    settings = [cv2.IMWRITE_JPEG_QUALITY, _MATTE_QUALITY if matte else _JPEG_QUALITY]
    done, data = cv2.imencode(".jpg", image, settings + (_FULL_COLOR if matte else []))
    if not done:
        raise OutputError("A proxy cannot be written: the image is too large for a JPEG.")
    return data.data
