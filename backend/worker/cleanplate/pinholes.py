# SPDX-License-Identifier: GPL-3.0-or-later
"""Pinholes that see all that a lens sees, and the frame's pixels in their pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from ...camera import Array
from ...lens import bend, straighten
from ...reconstruction import CameraModel
from ..lens_maps import everywhere
from .hole_grid import Floats


@dataclass(frozen=True)
class Pinhole:
    """Focal length and center in pixels of its picture, `size` (width, height)."""

    focal: float
    center: tuple[float, float]
    size: tuple[int, int]

    def pixels(self, slopes: Array) -> Array:
        """(k, 2) where rays with slopes (k, 2) fall."""
        found: Array = slopes * self.focal + self.center
        return found

    def matrix(self) -> Array:
        """(3, 3) from the camera's axes to (x z, y z, z)."""
        x, y = self.center
        return np.array([[self.focal, 0, x], [0, self.focal, y], [0, 0, 1]], np.float64)


@lru_cache(maxsize=64)
def pinhole_for(lens: CameraModel, longest: float) -> Pinhole:
    """As large as it takes for all that the lens sees in a picture that is `longest` pixels wide
    or high."""
    across, down = np.linspace(0, lens.width, 17), np.linspace(0, lens.height, 17)
    rim = [[x, y] for x in across for y in (0, lens.height)]
    rim += [[x, y] for y in down for x in (0, lens.width)]
    reach = straighten(lens, np.array(rim, float))
    low, high = reach.min(axis=0), reach.max(axis=0)
    focal = longest / float((high - low).max())
    width, height = np.ceil((high - low) * focal).astype(int) + 2
    x, y = 1 - low * focal
    return Pinhole(focal, (float(x), float(y)), (int(width), int(height)))


def seen_through(picture: Any, lens: CameraModel, pinhole: Pinhole, outside: int) -> Any:
    """A frame's picture (h, w, ...) as the pinhole would show it; `outside` beyond the frame. Made
    smaller first where the pinhole's picture is smaller, so that no pixel is left out."""
    height, width = picture.shape[:2]
    x, y = _places(lens, pinhole)
    scale = min(1.0, pinhole.focal / lens.focal[0], pinhole.focal / lens.focal[1])
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        height, width = picture.shape[:2]
    x, y = x * np.float32(width) - np.float32(0.5), y * np.float32(height) - np.float32(0.5)
    return cv2.remap(
        picture,
        x,
        y,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(outside,) * 3,
    )


@lru_cache(maxsize=4)
def _places(lens: CameraModel, pinhole: Pinhole) -> tuple[Floats, Floats]:
    """(h, w) where each of the pinhole's pixels lies in the frame, over its size."""

    def warp(pixels: Array) -> Array:
        bent = bend(lens, (pixels - pinhole.center) / pinhole.focal)
        return bent / (lens.width, lens.height)

    places = everywhere(warp, *pinhole.size).astype(np.float32)
    return np.ascontiguousarray(places[..., 0]), np.ascontiguousarray(places[..., 1])
