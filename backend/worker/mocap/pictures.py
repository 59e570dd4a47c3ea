# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies drawn over the plate: where the tracked camera sees the placed bones, and the keypoints
that were looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...average_body import AVERAGE_JOINTS
from ...body import RestBody
from ...camera import Array
from ...kinematics import joint_places
from ...motion import MocapRecord, Motion
from ...shot import MocapFolder, PersonFolder, Shot
from ...solve import Solve, solve_of
from ..drawing import FINE, Color, Picture, dot, line, reduced
from ..frame_lenses import FrameLenses
from ..projection import colmap_camera
from .bodies import BONES
from .placing import Views

_COLORS: tuple[Color, ...] = ((80, 220, 255), (255, 170, 60), (120, 230, 90), (200, 120, 255))
_SURE = 0.3
"""From here on a keypoint is drawn."""


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A person in the picture: joints by frame number (j, 2), keypoints (17, 3), in pixels of the
    plate as shot."""

    joints: Mapping[int, Array]
    keypoints: Mapping[int, Array]
    color: Color


class BodyPictures:
    """Of what the stage has written into a folder. Raises FormatError, SolveError."""

    def __init__(self, shot: Shot, folder: MocapFolder) -> None:
        self._shot, self._folder = shot, folder
        self._solve = solve_of(shot)

    @cached_property
    def _people(self) -> list[_Drawn]:
        names = MocapRecord.load(self._folder.record).people
        return [
            _drawn(self._folder.person(name), self._solve, _COLORS[index % len(_COLORS)])
            for index, name in enumerate(names)
        ]

    @property
    def frames(self) -> list[int]:
        return sorted({number for person in self._people for number in person.joints})

    def draw(self, number: int, picture: Picture) -> Picture:
        """The plate's picture (h, w, 3) with those who are in it."""
        share = picture.shape[1] / self._solve.track.width
        fine = np.repeat(np.repeat(picture, FINE, axis=0), FINE, axis=1)
        for person in self._people:
            if number in person.joints:
                _draw(fine, person, number, FINE * share)
        return reduced(fine)


def _drawn(folder: PersonFolder, solve: Solve, color: Color) -> _Drawn:
    motion = Motion.load(folder.motion)
    joints = RestBody.load(folder.body).joints if folder.body.is_file() else AVERAGE_JOINTS
    places = motion.scale * joint_places(motion.rotations, joints, motion.translation)
    local = Views.of(solve.track, motion.frames).seen(places)
    lenses = FrameLenses(solve)
    found = {}
    for number, points in zip(motion.frames.tolist(), local, strict=True):
        # What is behind the camera is nowhere in the picture.
        ahead = np.where(points[:, 2:] > 0, points, np.nan)
        found[number] = np.asarray(colmap_camera(lenses.at(number)).img_from_cam(ahead))
    keypoints: dict[int, Array] = {}
    if motion.keypoints is not None:
        keypoints = dict(zip(motion.frames.tolist(), motion.keypoints, strict=True))
    return _Drawn(found, keypoints, color)


def _draw(picture: Picture, person: _Drawn, number: int, share: float) -> None:
    joints = person.joints[number] * share
    thickness = max(1, round(picture.shape[1] / 320))
    limit = 4 * max(picture.shape)
    for one, other in BONES:
        ends = joints[[one, other]]
        if (np.abs(ends) < limit).all():
            line(picture, ends, person.color, thickness)
    for x, y, sure in person.keypoints.get(number, np.zeros((0, 3))):
        if sure >= _SURE and abs(x * share) < limit and abs(y * share) < limit:
            dot(picture, np.array([x, y]) * share, 1.3 * thickness, (255, 255, 255))
