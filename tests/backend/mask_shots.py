# SPDX-License-Identifier: GPL-3.0-or-later
"""Small shots with masks, and their masks read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from backend.shot import Plate, Shot, write_json

SIZE = (48, 32)


def make_shot(folder: Path, frames: Sequence[int]) -> Shot:
    """A shot of `SIZE` that has no frames yet."""
    shot, count = Shot(folder), len(frames)
    shot.frames.mkdir(parents=True)
    plate = Plate(
        "plate.mp4", "movie", *SIZE, Fraction(24), tuple(frames), tuple(range(count)),
        tuple(index / 24 for index in range(count)),
    )  # fmt: skip
    write_json(shot.plate_file, plate.to_json())
    return shot


def write_masks(
    folder: Path, masks: Mapping[int, np.ndarray], pattern: str = "frame_{:04d}.png"
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, mask in masks.items():
        cv2.imwrite(str(folder / pattern.format(number)), mask)


def read_masks(folder: Path, skip: int = -1) -> dict[int, np.ndarray]:
    """All but that of one frame."""
    files = {int(file.stem[-4:]): file for file in sorted(folder.glob("*.png"))}
    read = {n: cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for n, file in files.items()}
    return {number: mask for number, mask in read.items() if number != skip}


def levels(folder: Path, skip: int = -1) -> dict[int, int]:
    """The greatest value of each frame's mask."""
    return {
        number: int(mask.max())
        for number, mask in read_masks(folder, skip).items()
        if mask is not None
    }
