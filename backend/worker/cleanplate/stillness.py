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
from ..threads import threads
from .exposure_gains import gains

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_FRAMES = 5
_WIDTH = 640
"""Frames are looked at no wider than this: grain is averaged away, a move of the camera is not."""
_MOST_FLOW = 0.25
"""Pixels of such a picture that its edges may be off by."""
_STEEPEST = 0.1
"""Share of the pixels, those with the steepest slopes, that are looked at."""
_FEWEST, _SOME, _ROUNDS = 200, 10000, 8
_LOCAL = 8
"""Pixels around each that say how bright it is there."""
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
    flows: list[float] = []

    def look(number: int) -> None:
        other, others = _seen(read(number), mask(number))
        flows.append(edge_shift(picture, other, free & others))

    with threads(look, chosen) as finished:
        for _ in finished:
            pass
    # Something that passes unmasked may spoil a frame; a camera that moves spoils most of them.
    return not flows or float(np.median(flows)) <= _MOST_FLOW


def edge_shift(picture: Floats, other: Floats, free: NDArray[np.bool_]) -> float:
    """How far, in px, `picture` (h, w, levels of 8 bits) has moved in `other`, judged by its
    steepest slopes after exposures are matched. Where it has moved by more than the width of its
    edges the figure is only large.

    The greater of two: one shift of the whole picture (Lucas and Kanade's step, least absolute
    differences), which finds a drift that half of the edges do not show, and the median over the
    edges of the difference over the slope (normal flow), which finds turns and zooms.
    """
    some = np.flatnonzero(free)[:: max(int(free.sum()) // _SOME, 1)]
    gain = gains(other.ravel()[some, None], picture.ravel()[some, None], 255.0)[0]
    picture, other = _detail(picture), _detail(other / gain)
    ways = ((1, 0), (0, 1))
    slopes = np.stack([cv2.Sobel(picture, cv2.CV_32F, *way, scale=1 / 8) for way in ways], axis=-1)
    steepness = np.hypot(slopes[..., 0], slopes[..., 1])
    if int(free.sum()) < _FEWEST:
        return 0.0
    steep = max(float(np.quantile(steepness[free], 1 - _STEEPEST)), _LEAST_SLOPE)
    edges = free & (steepness >= steep)
    if int(edges.sum()) < _FEWEST:
        return 0.0
    off = other[edges] - picture[edges]
    flow = float(np.median(np.abs(off) / steepness[edges]))
    return max(flow, float(np.hypot(*_shift(slopes[edges].astype(float), off.astype(float)))))


def _detail(picture: Floats) -> Floats:
    """Without what changes slowly over the picture: soft shadows pass over a still one."""
    smooth: Any = cv2.GaussianBlur(picture, (0, 0), _LOCAL / 2)
    return np.asarray(picture - smooth, np.float32)


def _shift(slopes: Doubles, off: Doubles) -> Doubles:
    """(2,) by which edges of slopes (e, 2) have moved that differ by `off` (e,), by iteratively
    reweighted least squares."""
    weight, shift = np.ones(len(off)), np.zeros(2)
    for _ in range(_ROUNDS):
        weighted = slopes * weight[:, None]
        matrix = weighted.T @ slopes
        shift = np.linalg.lstsq(matrix, -(weighted.T @ off), rcond=None)[0]
        weight = 1 / np.maximum(np.abs(off + slopes @ shift), 1.0)
    return shift


def _seen(frame: Pixels, mask: Mask) -> tuple[Floats, NDArray[np.bool_]]:
    """The frame in gray, in levels of 8 bits and smaller, and what of it no mask covers."""
    height, width = frame.shape[:2]
    scale = min(1.0, _WIDTH / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    gray: Any = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    small: Any = cv2.resize(gray, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    levels = small / np.float32(257 if frame.dtype == np.uint16 else 1)
    covered = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    near = cv2.dilate(covered, np.ones((2 * _LOCAL + 1,) * 2, np.uint8))
    return cv2.GaussianBlur(levels, (0, 0), 1.0), near == 0
