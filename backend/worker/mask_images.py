# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of masks that another program wrote, read as masks of the plate.

PNG, JPEG, TIFF, DPX and EXR of any depth, with or without alpha. An image of another size is scaled
when it has the plate's aspect, as half-size masks have, and refused when it has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio

from ..errors import MaskError
from ..mask_edits import ImportOptions
from ..plates import resolve_plate
from .mask_files import Mask
from .mask_shapes import invert

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Rec. 709; the mask is gray, so that any weights do."""
_ROUNDING = 1.0
"""Pixels by which the sides of a scaled image may be off."""


@dataclass(frozen=True)
class MaskImages:
    """Images by plate frame number, ascending, and how they are read."""

    frames: Mapping[int, Path]
    options: ImportOptions
    size: tuple[int, int]

    @classmethod
    def of(cls, path: Path, options: ImportOptions, size: tuple[int, int]) -> MaskImages:
        """The sequence that a folder or one of its images stands for. Raises PlateError, MaskError
        for a movie."""
        source = resolve_plate(path)
        if source.kind != "sequence":
            raise MaskError(f"{path} is a movie: masks are imported from images with numbers.")
        pairs = zip(source.numbers, source.files, strict=True)
        return cls({n + options.offset: file for n, file in pairs}, options, size)

    def read(self, number: int) -> Mask:
        """Raises MaskError for an image that cannot be read or is of another aspect."""
        file = self.frames[number]
        values = np.clip(np.nan_to_num(_gray(file, self.options.channel)), 0, 1)
        mask: Any = np.rint(values * 255).astype(np.uint8)
        mask = self._scaled(mask, file)
        return invert(mask) if self.options.black else mask

    def _scaled(self, mask: Any, file: Path) -> Mask:
        height, width = mask.shape
        if (width, height) == self.size:
            same: Mask = np.ascontiguousarray(mask)
            return same
        scale = self.size[0] / width
        if abs(height * scale - self.size[1]) > _ROUNDING * max(1.0, scale):
            raise MaskError(
                f"{file.name} is {width} x {height} but the plate is {self.size[0]} x "
                f"{self.size[1]}, which is another aspect: export the masks at the plate's size."
            )
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        scaled: Mask = cv2.resize(mask, self.size, interpolation=way).astype(np.uint8, copy=False)
        return scaled


def _gray(file: Path, channel: str) -> Any:
    """(h, w) float32. Raises MaskError."""
    image = oiio.ImageBuf(str(file))
    pixels: Any = image.get_pixels(oiio.FLOAT) if image.read(force=True) else None
    if pixels is None or image.has_error:
        raise MaskError(f"{file} cannot be read as an image: replace or remove it.")
    alpha = image.spec().alpha_channel
    wanted = alpha >= 0 and channel != "gray"
    if channel == "alpha" and not wanted:
        raise MaskError(f"{file.name} has no alpha channel.")
    if wanted and (channel == "alpha" or np.ptp(pixels[..., alpha]) > 0):
        return pixels[..., alpha]
    colors = np.delete(pixels, alpha, axis=2) if alpha >= 0 else pixels
    return colors[..., :3] @ _LUMINANCE if colors.shape[2] >= 3 else colors[..., 0]
