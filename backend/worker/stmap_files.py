# SPDX-License-Identifier: GPL-3.0-or-later
"""STMaps as 32-bit OpenEXR files, both ways between the plate and the undistorted plate."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..atomic import write_bytes
from ..errors import OutputError
from ..formats import stmap
from ..shot import DISTORT, UNDISTORT
from .lens_maps import LensMaps

# OpenCV asks for this, because reading foreign files is not safe. Here files are only written.
os.environ["OPENCV_IO_ENABLE_OPENEXR"] = "1"

_FORMAT = [
    cv2.IMWRITE_EXR_TYPE,
    cv2.IMWRITE_EXR_TYPE_FLOAT,
    cv2.IMWRITE_EXR_COMPRESSION,
    cv2.IMWRITE_EXR_COMPRESSION_PIZ,
]


def write_stmaps(maps: LensMaps, path: Callable[[str], Path]) -> dict[str, stmap.Map]:
    """Writes both maps of a lens; `path` names the file of a direction. The maps by direction.

    Raises OutputError.
    """
    plate = maps.plate
    both = {
        UNDISTORT: stmap.from_positions(maps.undistort(), maps.lens.width, maps.lens.height),
        DISTORT: stmap.from_positions(maps.distort(), plate.width, plate.height),
    }
    for direction, map_ in both.items():
        write_exr(path(direction), map_)
    return both


def write_exr(path: Path, image: stmap.Map) -> None:
    """Writes a picture (h, w, 3) of red, green and blue, losslessly. Raises OutputError."""
    blue_first: Any = np.ascontiguousarray(image[..., ::-1])
    done, data = cv2.imencode(".exr", blue_first, _FORMAT)
    if not done:
        raise OutputError(f"{path} cannot be made.")
    write_bytes(path, data.tobytes())
