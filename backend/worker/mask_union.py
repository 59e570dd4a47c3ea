# SPDX-License-Identifier: GPL-3.0-or-later
"""The union of masks: what any of several labels selects.

roto/mask/       of all labels in roto/, which the camera's solve ignores
roto/combined/   of all mattes in matte/, for the clean plate
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..mask_folders import Union
from ..shot import FRAME_PATTERN
from .mask_files import Done, Mask, read_mask, write_mask
from .masks import find_masks
from .threads import threads


def write_union(
    labels: Iterable[Path], frames: Sequence[int], size: tuple[int, int], folder: Path, done: Done
) -> None:
    """Writes the greatest value that the masks in these folders have at each pixel.

    There is one for each of the frames, black where no label has a mask. `size` is the plate's
    width and height. The folder says by itself what it was made of. Raises MaskError, OutputError.
    """
    named = sorted(labels)
    masks = [find_masks(label) for label in named]
    folder.mkdir(parents=True, exist_ok=True)

    def write(number: int) -> None:
        files = [found[number] for found in masks if number in found]
        name = f"{FRAME_PATTERN.format(number)}.png"
        write_mask(folder / name, union(files, size))

    with threads(write, frames) as finished:
        for _ in finished:
            done()
    Union(tuple(label.name for label in named)).save(folder)


def union(files: Iterable[Path], size: tuple[int, int]) -> Mask:
    """The greatest value at each pixel; black without files. Raises MaskError."""
    whole: Mask = np.zeros(size[::-1], np.uint8)
    for file in files:
        np.maximum(whole, read_mask(file, size), out=whole)
    return whole
