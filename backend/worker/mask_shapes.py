# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a single mask, or to one and its neighbors in time: grow, feather, fill, smooth.

Masks are (h, w) uint8. Those that are only black and white stay so but for the feather; soft mattes
keep their soft edges. The world goes on outside of the frame as it is at its edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from ..mask_edits import EditOptions
from .mask_files import HALF, Mask

_RIM = 2
"""Pixels around a hole or a speck of a soft matte that are part of it: its edge is soft too."""
_BAND = 64
"""Lines that are sorted over time at once, so that they stay in the processor's cache."""


def edited(window: Sequence[Mask], options: EditOptions) -> Mask:
    """The middle one of masks that follow each other, with everything done that is asked for."""
    mask: Mask = median(window)
    mask = fill_holes(mask, options.holes) if options.holes else mask
    mask = remove_specks(mask, options.specks) if options.specks else mask
    mask = grow(mask, options.grow) if options.grow else mask
    mask = feather(mask, options.feather) if options.feather else mask
    return invert(mask) if options.invert else mask


def invert(mask: Mask) -> Mask:
    return np.bitwise_not(mask)


def grow(mask: Mask, pixels: float) -> Mask:
    """The greatest value within so many pixels of each; less than 0 shrinks as far.

    Distances are exact: a disc becomes a disc.
    """
    if pixels < 0:
        return invert(grow(invert(mask), -pixels))
    if not is_soft(mask):
        return _near(mask, pixels)
    return cv2.dilate(mask, disc(pixels)).astype(np.uint8, copy=False)


def _near(mask: Mask, pixels: float) -> Mask:
    """White within so many pixels of what is white (Felzenszwalb and Huttenlocher's distance)."""
    if not mask.any():
        return mask
    away: Any = cv2.distanceTransform(invert(mask), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where(away <= pixels + 1e-3, 255, 0).astype(np.uint8)


def disc(radius: float) -> Mask:
    reach = int(radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    inside: Any = rows**2 + columns**2 <= radius**2 + 1e-3
    return np.where(inside, 1, 0).astype(np.uint8)


def is_soft(mask: Mask) -> bool:
    """Whether there is anything between black and white."""
    return bool(((mask > 0) & (mask < 255)).any())


def feather(mask: Mask, pixels: float) -> Mask:
    """Fades a straight edge from 2 % to 98 % over so many pixels (a Gaussian, 4 deviations)."""
    sigma = pixels / 4
    faded = cv2.GaussianBlur(mask, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return faded.astype(np.uint8, copy=False)


def fill_holes(mask: Mask, diameter: float) -> Mask:
    """Fills what is not selected and enclosed, up to the area of a disc of that diameter."""
    whole: Mask = np.maximum(mask, _small_parts(mask < HALF, diameter, 4, is_soft(mask)))
    return whole


def remove_specks(mask: Mask, diameter: float) -> Mask:
    """Removes what is selected, up to the area of a disc of that diameter. What the edge of the
    frame cuts stays: nobody knows how large it is."""
    clean: Mask = np.minimum(mask, invert(_small_parts(mask >= HALF, diameter, 8, is_soft(mask))))
    return clean


def _small_parts(there: Any, diameter: float, ways: int, soft: bool) -> Mask:
    """White where connected parts are that small and the edge of the frame does not cut them."""
    _count, names, stats, _centers = cv2.connectedComponentsWithStats(
        there.astype(np.uint8), connectivity=ways
    )
    small: Any = stats[:, cv2.CC_STAT_AREA] <= math.pi / 4 * diameter**2
    small[0] = False
    edges = (names[0], names[-1], names[:, 0], names[:, -1])
    small[np.unique(np.concatenate(edges))] = False
    found: Any = np.where(small[names], 255, 0).astype(np.uint8)
    return cv2.dilate(found, disc(_RIM)).astype(np.uint8) if soft and small.any() else found


def median(window: Sequence[Mask]) -> Mask:
    """The middle value of each pixel in an odd number of masks: of black and white the majority.

    By odd-even transposition (Knuth, The Art of Computer Programming 5.3.4), all pixels at once.
    """
    if len(window) == 1:
        return window[0]
    whole = np.empty_like(window[0])
    for top in range(0, len(whole), _BAND):
        values = np.stack([mask[top : top + _BAND] for mask in window])
        for turn in range(len(values)):
            low, high = values[turn % 2 : -1 : 2], values[turn % 2 + 1 :: 2]
            least = np.minimum(low, high)
            np.maximum(low, high, out=high)
            low[...] = least
        whole[top : top + _BAND] = values[len(values) // 2]
    return whole
