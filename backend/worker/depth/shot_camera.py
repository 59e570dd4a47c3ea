# SPDX-License-Identifier: GPL-3.0-or-later
"""The solved camera as the depth stage needs it: each frame's pose, and the points that it sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...camera import Array, with_opencv_axes
from ...formats.colmap import read_model
from ...shot import Shot, frame_number
from ...solve import Motion, Solve, solve_of
from ..engines.depth_models import Pose
from ..frame_lenses import FrameLenses
from .geometry import MapView


@dataclass(frozen=True, eq=False)
class ShotCamera:
    """points (p, 3) are the solve's in the shot's world; seen names by frame number which of them a
    frame was solved by, indices (k,)."""

    solve: Solve
    points: Array
    seen: Mapping[int, Array]

    @classmethod
    def of(cls, shot: Shot) -> ShotCamera | None:
        """None where the camera is not tracked. Raises FormatError."""
        if not shot.solve_file.is_file():
            return None
        solve, model = solve_of(shot), read_model(shot.sparse, observations=True)
        seen: dict[int, Array] = {}
        if model.observations is not None:
            for index, name in enumerate(model.names):
                rows = model.observations.image == index
                seen[frame_number(name) or 0] = np.unique(model.observations.point[rows])
        return cls(solve, solve.world.apply(model.points.positions), seen)

    @property
    def only_turns(self) -> bool:
        """Whether the solve knows directions and no distances."""
        return self.solve.quality.motion is Motion.TRIPOD

    @cached_property
    def _places(self) -> dict[int, int]:
        return {int(frame): index for index, frame in enumerate(self.solve.track.frames)}

    @cached_property
    def _poses(self) -> tuple[Array, Array]:
        """World to camera: rotations (n, 3, 3) and translations (n, 3)."""
        matrices = with_opencv_axes(self.solve.track.matrices)
        rotations = np.swapaxes(matrices[:, :3, :3], 1, 2)
        return rotations, -np.einsum("nij,nj->ni", rotations, matrices[:, :3, 3])

    def view(self, number: int, size: tuple[int, int]) -> MapView | None:
        """A frame's camera over a map of a size; None for a frame without one."""
        index = self._places.get(number)
        if index is None:
            return None
        rotations, translations = self._poses
        lens = FrameLenses(self.solve).at(number)
        return MapView(number, size, lens, rotations[index], translations[index])

    def pose(self, number: int) -> Pose | None:
        """What a model is told of a frame's camera."""
        index = self._places.get(number)
        if index is None:
            return None
        rotations, translations = self._poses
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotations[index], translations[index]
        track = self.solve.track
        return Pose(matrix, track.focal[index], track.center[index])

    def points_in(self, view: MapView) -> tuple[Array, Array]:
        """Where points lie in a frame's map, (k, 2), and their depth (k,).

        Those that the frame was solved by; for one that was not solved, all that are in front of
        it.
        """
        points = self.points[self.seen[view.number]] if view.number in self.seen else self.points
        local = view.local(points)
        places = view.pixels(local)
        inside = ((places >= 0) & (places <= view.size)).all(axis=1)
        return places[inside], local[inside, 2]
