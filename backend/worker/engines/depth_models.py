# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model that estimates depth is to the depth stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pose:
    """A frame's camera.

    world_to_camera   (4, 4) float64: x right, y down, z forward
    focal, center     (2,) float64 in pixels of the plate, (0, 0) at the corner of the first one
    """

    world_to_camera: NDArray[np.float64]
    focal: NDArray[np.float64]
    center: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame to look at: its number, its file, and its camera where that is known."""

    number: int
    file: Path
    pose: Pose | None = None


@dataclass(frozen=True, eq=False)
class Estimate:
    """Depth of one frame at the model's size: (h, w), along the camera's view, 0 where the model
    sees sky or nothing. `confidence` (h, w) 0 to 1, None where the model tells none. `posed`: depth
    has the scale of the poses, which were given and tell one."""

    depth: Floats
    confidence: Floats | None = None
    posed: bool = False


class DepthEngine(Protocol):
    """`together`: frames of one call see each other, so that their depths agree up to one scale;
    else each is estimated by itself. `takes_poses`: poses of all frames of a call make the depths
    theirs in scale, where the camera travels between them. `meters`: depth is in meters where the
    focal length is known from a pose, and about so otherwise."""

    name: str
    model: str
    together: bool
    takes_poses: bool
    meters: bool

    def room(self, size: tuple[int, int]) -> int:
        """How many frames of a plate of this width and height fit into one call."""

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        """One for each frame. Raises PlateError for a frame that cannot be read, ComfyError,
        OutOfRoomError (room.py) when the GPU's memory does not do for so many."""
