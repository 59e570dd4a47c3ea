# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the camera stands still, judged by a few frames where no mask covers them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..frame_files import Pixels
from ..mask_files import Mask
from .exposure_gains import gains

Floats = NDArray[np.float32]

_FRAMES = 5
_WIDTH = 960
"""Frames are looked at no wider than this: grain is averaged away, a move of the camera is not."""
_MOST_FLOW = 0.25
"""Pixels of such a picture that its edges may be off by."""
_STEEPEST = 0.1
"""Share of the pixels, those with the steepest slopes, that are looked at."""
_FEWEST = 200
_LEAST_SLOPE = 4.0
"""Levels of 8 bits a pixel: less is no edge."""


def stands_still(
    numbers: Sequence[int], read: Callable[[int], Pixels], mask: Callable[[int], Mask]
) -> bool:
    """Compares the middle one of those frames with some others. A picture without edges counts as
    still. Raises what `read` and `mask` raise."""
    chosen = sorted({numbers[round(place)] for place in np.linspace(0, len(numbers) - 1, _FRAMES)})
    middle = chosen.pop(len(chosen) // 2)
    picture, free = _seen(read(middle), mask(middle))
    flows = []
    for number in chosen:
        other, others_free = _seen(read(number), mask(number))
        flows.append(edge_shift(picture, other, free & others_free))
    # Something that passes unmasked may spoil a frame; a camera that moves spoils most of them.
    return not flows or float(np.median(flows)) <= _MOST_FLOW


def edge_shift(picture: Floats, other: Floats, free: NDArray[np.bool_]) -> float:
    """How far, in px, most edges of `picture` (h, w, levels of 8 bits) have moved in `other`: the
    median over its steepest slopes of the difference over the slope (normal flow), after their
    exposures are matched. Where edges have moved by more than their width it is only large."""
    across, down = (cv2.Sobel(picture, cv2.CV_32F, *way, scale=1 / 8) for way in ((1, 0), (0, 1)))
    slope: Any = np.hypot(across, down)
    slopes = slope[free]
    if len(slopes) < _FEWEST:
        return 0.0
    steep = max(float(np.quantile(slopes, 1 - _STEEPEST)), _LEAST_SLOPE)
    edges = free & (slope >= steep)
    if int(edges.sum()) < _FEWEST:
        return 0.0
    gain = gains(other[free][:, None], picture[free][:, None], 255.0)[0]
    off = np.abs(other[edges] / gain - picture[edges])
    return float(np.median(off / slope[edges]))


def _seen(frame: Pixels, mask: Mask) -> tuple[Floats, NDArray[np.bool_]]:
    """The frame in gray, in levels of 8 bits and smaller, and what of it no mask covers."""
    height, width = frame.shape[:2]
    scale = min(1.0, _WIDTH / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    gray: Any = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    levels = gray.astype(np.float32) / np.float32(257 if frame.dtype == np.uint16 else 1)
    small = cv2.resize(levels, size, interpolation=cv2.INTER_AREA)
    covered = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    near = cv2.dilate(covered, np.ones((5, 5), np.uint8))
    return cv2.GaussianBlur(small, (0, 0), 1.0), near == 0
