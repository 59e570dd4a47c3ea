# SPDX-License-Identifier: GPL-3.0-or-later
"""The lens while it is solved, and how it becomes one of COLMAP's camera models.

A ray (x, y, 1) falls on `focal * d * x, focal * ratio * d * y` with `d = 1 + k1 r^2 + k2 r^4` and
`r^2 = x^2 + y^2`: COLMAP's SIMPLE_RADIAL, RADIAL and OPENCV without tangential terms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....camera import Array
from ....reconstruction import CameraModel

_INVERSE_STEPS = 12


@dataclass(frozen=True, eq=False)
class Lens:
    """Focal length (f,) of each frame in square px, all the same unless the lens zooms.

    `ratio` is the vertical over the horizontal focal length.
    """

    focal: Array
    ratio: float = 1.0
    k1: float = 0.0
    k2: float = 0.0

    @classmethod
    def fixed(cls, focal: float, frames: int) -> Lens:
        return cls(np.full(frames, float(focal)))

    @property
    def zooms(self) -> bool:
        return bool(np.ptp(self.focal) > 1e-9 * float(self.focal.max()))

    def rays(self, pixel: Array, focal: Array) -> Array:
        """Where rays (m, 3) with z = 1 leave for pixels (m, 2) of frames with `focal` (m,)."""
        bent = pixel / focal[:, None]
        bent[:, 1] /= self.ratio
        straight = bent
        if self.k1 or self.k2:
            straight = self._straightened(bent)
        return np.concatenate([straight, np.ones((len(pixel), 1))], axis=1)

    def _straightened(self, bent: Array) -> Array:
        """The inverse of the distortion by damped fixed-point steps."""
        straight = bent.copy()
        for _ in range(_INVERSE_STEPS):
            squares = (straight**2).sum(axis=1, keepdims=True)
            straight = bent / np.maximum(1 + self.k1 * squares + self.k2 * squares**2, 0.3)
        return straight

    def camera(self, focal: float, size: tuple[int, int], aspect: float) -> CameraModel:
        """COLMAP's camera for the plate's own pixels; the simplest model that holds this lens."""
        width, height = size
        center = (width / 2, height / 2)
        fx, fy = focal / aspect, focal * self.ratio
        if abs(fx / fy - 1) > 1e-9:
            bent = bool(self.k1 or self.k2)
            tail = (self.k1, self.k2, 0.0, 0.0) if bent else ()
            model = "OPENCV" if bent else "PINHOLE"
            return CameraModel(model, width, height, (fx, fy, *center, *tail))
        if self.k2:
            return CameraModel("RADIAL", width, height, (fx, *center, self.k1, self.k2))
        if self.k1:
            return CameraModel("SIMPLE_RADIAL", width, height, (fx, *center, self.k1))
        return CameraModel("SIMPLE_PINHOLE", width, height, (fx, *center))
