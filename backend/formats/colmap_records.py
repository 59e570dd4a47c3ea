# SPDX-License-Identifier: GPL-3.0-or-later
"""What the binary and the text reader of COLMAP models both give, and the checks they share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ..reconstruction import PARAMETERS, CameraModel

KEYPOINT = np.dtype([("pixel", "<f8", 2), ("point", "<u8")])
"""One observation inside an image; `point` is NO_POINT where none was triangulated."""

NO_POINT = 2**64 - 1
LARGEST_SIDE = 1_000_000
LONGEST_NAME = 4096

Keypoints = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Image:
    """`pose` is qw, qx, qy, qz, tx, ty, tz: the world into the camera."""

    id: int
    pose: tuple[float, ...]
    camera_id: int
    name: str
    keypoints: Keypoints | None = None


def damaged(path: Path, what: str) -> FormatError:
    return FormatError(f"{path} is damaged: {what}. Solve again, or take a copy that is whole.")


def checked_camera(
    path: Path, model: str, width: int, height: int, params: tuple[float, ...]
) -> CameraModel:
    """Raises FormatError for a model, a size or parameters that no camera has."""
    if model not in PARAMETERS:
        raise FormatError(f"{path} has a camera of a kind that is not known ({model}).")
    if len(params) != len(PARAMETERS[model]):
        raise damaged(path, f"a {model} camera does not have {len(params)} parameters")
    if not all(map(math.isfinite, params)):
        raise damaged(path, "a camera has parameters that are not numbers")
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
        raise damaged(path, f"a camera has images of {width} x {height} pixels")
    camera = CameraModel(model, width, height, params)
    if "cx" in camera.named() and min(camera.focal) <= 0:
        raise damaged(path, "a camera has no positive focal length")
    return camera


def text_of(raw: bytes) -> str:
    """A name from a model file; other systems may have written it in another encoding."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
