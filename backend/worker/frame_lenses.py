# SPDX-License-Identifier: GPL-3.0-or-later
"""The lens that each frame of a plate was shot with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..reconstruction import CameraModel
from ..solve import Solve


@dataclass(frozen=True, eq=False)
class FrameLenses:
    """The lenses of a solve. A frame without a camera has the lens of the nearest that has one."""

    solve: Solve

    @property
    def change(self) -> bool:
        return self.solve.zooms

    def at(self, frame: int) -> CameraModel:
        nearest = int(np.argmin(np.abs(self.solve.track.frames - frame)))
        return self.solve.camera_at(nearest) if self.change else self.solve.camera
