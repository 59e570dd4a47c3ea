# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a clean plate, in a shot or where they are being written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...shot import FRAME_PATTERN
from ..mask_files import Mask, read_mask


@dataclass(frozen=True)
class CleanFolder:
    """`size` is the plate's width and height."""

    path: Path
    size: tuple[int, int]

    def make(self) -> None:
        for folder in (self.path / "mask", self.path / "holes"):
            folder.mkdir(parents=True, exist_ok=True)

    def frame(self, number: int) -> Path:
        return self.path / _name(number)

    def mask(self, number: int) -> Path:
        """What was replaced: white, and gray where it fades."""
        return self.path / "mask" / _name(number)

    def holes(self, number: int) -> Path:
        """What of that no frame shows: white."""
        return self.path / "holes" / _name(number)

    def read_mask(self, number: int) -> Mask:
        """Raises MaskError."""
        return read_mask(self.mask(number), self.size)

    def read_holes(self, number: int) -> Mask:
        """Raises MaskError."""
        return read_mask(self.holes(number), self.size)


def _name(number: int) -> str:
    return f"{FRAME_PATTERN.format(number)}.png"
