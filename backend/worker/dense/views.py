# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of dense reconstruction hand to each other: views with cameras, depth maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class View:
    """An undistorted frame with its camera.

    number       the plate's frame number
    colors       (h, w, 3) uint8 in red, green, blue
    usable       (h, w) bool, False where a mask says that something moves
    focal        fx, fy and `center` cx, cy in pixels; pixel (0, 0) has its center at (0.5, 0.5)
    rotation     (3, 3) and `translation` (3,) float64, world to camera: x right, y down, z forward;
                 the world is the shot's, in its units
    near, far    between these depths the solve's points lie, with a margin
    """

    number: int
    colors: NDArray[np.uint8]
    usable: NDArray[np.bool_]
    focal: tuple[float, float]
    center: tuple[float, float]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    near: float
    far: float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.colors.shape[1], self.colors.shape[0]

    @property
    def eye(self) -> NDArray[np.float64]:
        """(3,) where the camera is in the world."""
        place: NDArray[np.float64] = -self.rotation.T @ self.translation
        return place


@dataclass(frozen=True, eq=False)
class DepthMap:
    """What stereo found in one view, at its size.

    depth        (h, w) along the camera's z axis in the world's units, 0 where there is none
    normal       (h, w, 3) in the camera's axes, of length 1, towards the camera; 0 where no depth
    confidence   (h, w) 0 to 1
    """

    number: int
    depth: Floats
    normal: Floats
    confidence: Floats
