# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a matte that was made on a smaller picture to the plate's size.

Around an edge a matte is nearly a linear function of the picture, with coefficients that change
slowly (the guided filter: He, Sun and Tang 2010, 2013). They are found at the small size; the
detail that the plate has beyond that size, times the slope, is added to the matte. Where the plate
has no such detail, and where the matte is flat, nothing is added.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .engines.matting import Alpha
from .mask_files import Mask

_REACH = 2
"""Half the width of the windows, in pixels of the small size."""
_NOISE = 1e-3
"""Variance of the plate (0 to 1) up to which its detail counts as grain."""


def at_plate_size(alpha: Alpha, plate: NDArray[np.uint8]) -> Mask:
    """A matte (h, w) at the size of the plate (H, W, 3) in red, green, blue."""
    height, width = plate.shape[:2]
    whole: Any
    if alpha.shape[0] >= height:
        whole = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)
    else:
        whole = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_CUBIC)
        whole += _detail(alpha, plate)
    matte: Mask = np.rint(np.clip(whole, 0, 1) * 255).astype(np.uint8)
    return matte


def _detail(alpha: Alpha, plate: NDArray[np.uint8]) -> Any:
    """What the plate's detail beyond the small size says of the matte, (H, W)."""
    gray: Any = cv2.cvtColor(plate, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    full = gray.shape[::-1]
    small: Any = cv2.resize(gray, alpha.shape[::-1], interpolation=cv2.INTER_AREA)
    slope = cv2.resize(_slope(alpha, small), full, interpolation=cv2.INTER_LINEAR)
    gray -= cv2.resize(small, full, interpolation=cv2.INTER_CUBIC)
    gray *= slope
    return gray


def _slope(alpha: Alpha, picture: Alpha) -> Any:
    """How much the matte changes with the picture in the window around each pixel."""
    side = (2 * _REACH + 1,) * 2

    def mean(values: Any) -> Any:
        return cv2.blur(values, side)

    middle = mean(picture)
    together = mean(picture * alpha) - middle * mean(alpha)
    spread = mean(picture * picture) - middle * middle
    return mean(together / (spread + np.float32(_NOISE)))
