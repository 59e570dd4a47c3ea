# SPDX-License-Identifier: GPL-3.0-or-later
"""Background that a model makes up, put into the frames of a clean plate."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..engines.inpainting import Inpainter, Picture
from ..frame_files import Pixels
from ..image_files import write_png
from ..mask_files import Mask
from ..report import Report
from .clean_folder import CleanFolder
from .compositing import composite
from .filling import Floats
from .plate_frames import PlateFrames

_PAINTED = "painted"
"""Frames wait here until the last one is made: the model reads those that they replace."""


class MadeUp:
    """Has `inpainter` fill frames of `folder`, whose masks are there."""

    def __init__(
        self, inpainter: Inpainter, plate: PlateFrames, folder: CleanFolder, report: Report
    ) -> None:
        self._inpainter, self._plate = inpainter, plate
        self._folder, self._report = folder, report

    def fill_masks(self, numbers: Sequence[int]) -> None:
        """Writes the frames, with everything made up that is replaced; the plate's own frames are
        what the model sees. Raises ModelError, ComfyError, PlateError, MaskError, OutputError."""
        masks = {number: self._folder.mask(number) for number in numbers}
        files = {number: self._plate.files[number] for number in numbers}
        self._paint(files, masks, self._folder.frame, self._over_mask)

    def fill_holes(self, numbers: Sequence[int]) -> None:
        """Writes anew the frames that have pixels which no frame shows, with those made up; the
        model sees the frames as they are filled so far. Raises as `fill_masks` does."""
        masks = {number: self._folder.holes(number) for number in numbers}
        files = {number: self._folder.frame(number) for number in numbers}
        painted = CleanFolder(self._folder.path / _PAINTED, self._folder.size)
        painted.path.mkdir(exist_ok=True)
        self._paint(files, masks, painted.frame, self._over_holes)
        for file in sorted(painted.path.iterdir()):
            os.replace(file, self._folder.path / file.name)
        painted.path.rmdir()

    def _paint(
        self,
        files: Mapping[int, Path],
        masks: Mapping[int, Path],
        target: Callable[[int], Path],
        over: Callable[[int, Picture], Pixels | None],
    ) -> None:
        self._report.status("Making up what no frame shows")
        made = self._inpainter.fill(files, masks, self._folder.size)
        for done, (number, picture) in enumerate(made, 1):
            frame = over(number, picture)
            if frame is not None:
                write_png(target(number), frame)
            self._report.progress(done, len(files), "frames")

    def _over_mask(self, number: int, picture: Picture) -> Pixels | None:
        """The plate's frame with the picture where it is masked; None where it is not."""
        mask = self._folder.read_mask(number)
        if not mask.any():
            return None
        return _over(self._plate.read(number), mask, picture)

    def _over_holes(self, number: int, picture: Picture) -> Pixels | None:
        """The frame as filled so far, with the picture in its holes as far as the mask says."""
        holes = self._folder.read_holes(number) > 0
        if not holes.any():
            return None
        plate = self._plate.read(number)
        filled = PlateFrames({number: self._folder.frame(number)}, self._folder.size, 0)
        made = filled.read(number).copy()
        mask = np.where(holes, self._folder.read_mask(number), 0).astype(np.uint8)
        made[holes] = _over(plate, mask, picture)[holes]
        return made


def _over(frame: Pixels, mask: Mask, picture: Picture) -> Pixels:
    seen: Any = picture
    if frame.ndim == 2:
        seen = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[:, :, None]
    colors: Floats = seen[mask > 0].astype(np.float32)
    return composite(frame, mask, colors * np.float32(257 if frame.dtype == np.uint16 else 1))
