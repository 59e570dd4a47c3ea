# SPDX-License-Identifier: GPL-3.0-or-later
"""A depth model that knows the room, and says it as models do: but for a scale and a shift, with
errors that are smooth and others that are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np

from backend.camera import CameraTrack
from backend.worker.engines.depth_models import Estimate, Frame
from backend.worker.engines.room import OutOfRoomError
from tests.backend.textured_room import room, sideways, track
from tests.dense.room_views import true_depth, view

WIDTH, HEIGHT = 240, 135


@cache
def truth(count: int, width: int = WIDTH, height: int = HEIGHT) -> dict[int, np.ndarray]:
    """Depth (h, w) in the room's own meters by frame, of the camera that goes sideways."""
    return true_maps(track(sideways, count, width, height))


def true_maps(camera: CameraTrack) -> dict[int, np.ndarray]:
    nothing = np.zeros((camera.height, camera.width, 3), np.uint8)
    views = [view(camera, index, nothing) for index in range(len(camera.frames))]
    return {each.number: true_depth(each, room())[0].astype(np.float32) for each in views}


@dataclass
class RoomModel:
    """`law`: "depth" or "inverse", what scale and shift are of; `wander`: how far they go, from one
    call to the next for a model that sees frames together, else from frame to frame."""

    depths: dict[int, np.ndarray]
    law: str = "depth"
    wander: float = 0.5
    shift: float = 0.3
    noise: float = 0.01
    together: bool = False
    takes_poses: bool = False
    meters: bool = False
    most: int = 100
    fits: int = 1000
    name: str = "synthetic"
    model: str = "room"
    calls: list[list[int]] = field(default_factory=list)

    def room(self, _size: tuple[int, int]) -> int:
        return self.most

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        if len(frames) > self.fits:
            raise OutOfRoomError
        self.calls.append([frame.number for frame in frames])
        random = np.random.default_rng(len(self.calls))
        shared = self._line(random)
        return [
            Estimate(self._said(frame.number, shared if self.together else self._line(random)))
            for frame in frames
        ]

    def _line(self, random: np.random.Generator) -> tuple[float, float]:
        scale = float(np.exp(random.uniform(-self.wander, self.wander)))
        return scale, float(random.uniform(0, self.shift))

    def _said(self, number: int, line: tuple[float, float]) -> np.ndarray:
        random = np.random.default_rng([7, number])
        depth = self.depths[number]
        size = depth.shape[::-1]
        smooth = cv2.resize(random.normal(size=(5, 8)), size, interpolation=cv2.INTER_CUBIC)
        wrong = np.exp(self.noise * (smooth + 0.5 * random.normal(size=depth.shape)))
        scale, shift = line
        if self.law == "depth":
            said = scale * depth * wrong + shift
        else:
            said = 1 / (scale / (depth * wrong) + 0.1 * shift)
        return np.where(depth < 1e9, said, 0).astype(np.float32)
