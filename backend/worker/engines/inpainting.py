# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model that makes up background is to the clean plate stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import PlateError

Picture = NDArray[np.uint8]
"""(h, w, 3), red first."""


@dataclass(frozen=True)
class InpaintSettings:
    """`scale`: size worked at over the plate's; `refine_iterations` of the optical flow;
    `flow_frames`: how many frames around each give it their background along the flow."""

    scale: float
    refine_iterations: int
    flow_frames: int


class Inpainter(Protocol):
    """Fills what masks select from the frames before and after, and makes up the rest."""

    name: str

    def fill(
        self, files: Mapping[int, Path], masks: Mapping[int, Path], size: tuple[int, int]
    ) -> Iterator[tuple[int, Picture]]:
        """Each frame's number with the whole frame as the model made it, at the plate's size
        (width, height), in the order of `files`. Only what a mask selects (8-bit PNG of the plate's
        size, one for each frame, not black: to be filled) is meant to be taken of it. Raises
        ModelError, ComfyError, PlateError."""


def require(files: Mapping[int, Path], masks: Mapping[int, Path]) -> None:
    """Raises PlateError for too few frames, or a mask that is not there."""
    if len(files) < 2:
        raise PlateError("ProPainter needs two frames or more.")
    absent = [number for number in files if number not in masks]
    if absent:
        raise PlateError(f"ProPainter needs a mask for each frame: {absent[0]} has none.")
