# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where the project's masks become COLMAP's.

Here white selects what is to be ignored, and a mask carries its frame's number. COLMAP looks for
`<image name>.png`, takes no features where it is black, and leaves out an image without a mask
altogether once there is a folder of masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import SolveError
from ..shot import by_frame

Mask = NDArray[np.uint8]

_MARGIN = 0.004
"""How far the ignored area is grown, over the longer side: features reach past their center."""


def find_masks(folder: Path) -> dict[int, Path]:
    """The masks in a folder by plate frame number; {} when there is no folder."""
    return by_frame(sorted(folder.glob("*.png"))) if folder.is_dir() else {}


def missing_masks(masks: Mapping[int, Path], frames: Mapping[int, Path]) -> list[int]:
    """The frames that have no mask although others have one."""
    return sorted(set(frames) - set(masks)) if masks else []


def write_colmap_masks(
    masks: Mapping[int, Path], frames: Mapping[int, Path], folder: Path, size: tuple[int, int]
) -> Path | None:
    """Writes a mask for each of those frames as COLMAP wants it and returns the folder.

    None when no frame has one; a frame without gets one that ignores nothing. `size` is the
    plate's width and height.
    Raises SolveError for a mask that cannot be read or is not of the plate's size.
    """
    wanted = {frame: masks[frame] for frame in frames if frame in masks}
    if not wanted:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    whole = _png(np.full(size[::-1], 255, np.uint8))
    for frame, image in frames.items():
        data = _png(colmap_mask(read_mask(wanted[frame], size))) if frame in wanted else whole
        (folder / f"{image.name}.png").write_bytes(data)
    return folder


def colmap_mask(selected: Mask) -> Mask:
    """White = ignore turned into black = ignore, grown by the margin."""
    reach = max(1, round(_MARGIN * max(selected.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    ignored = cv2.dilate((selected >= 128).astype(np.uint8), kernel)
    return np.where(ignored > 0, 0, 255).astype(np.uint8)


def read_mask(path: Path, size: tuple[int, int]) -> Mask:
    data = np.frombuffer(path.read_bytes(), np.uint8)
    mask = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if mask is None:
        raise SolveError(f"The mask {path.name} cannot be read: make it again, or track with -M.")
    height, width = mask.shape
    if (width, height) != size:
        raise SolveError(
            f"The mask {path.name} is {width} x {height} but the plate is {size[0]} x {size[1]}: "
            "make masks of the plate's size, or track with -M to do without."
        )
    return mask.astype(np.uint8)


def _png(image: Mask) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()
