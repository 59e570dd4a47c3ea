# SPDX-License-Identifier: GPL-3.0-or-later
"""The body that a motion moves: the artist's SMPL-X, or a skeleton of usual proportions without it.

n frames, j = 55 joints. Meters.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...average_body import AVERAGE_JOINTS, AVERAGE_SOLES
from ...body_model import BodyModel, model_file, with_relaxed_hands
from ...camera import Array, Integers
from ...kinematics import joint_places, joint_turns
from ...smplx import FEET, JOINTS
from .contacts import SURE

_MOST_POINTS = 60
"""Of a foot's sole: enough for any way that it stands."""


@dataclass(frozen=True, eq=False)
class Body:
    """joints (j, 3) at rest; soles by the joints of `smplx.FEET`: points (k, 3) from that joint at
    rest which may touch the ground. model is None without SMPL-X."""

    joints: Array
    soles: tuple[Array, ...]
    model: BodyModel | None = None

    @property
    def pelvis(self) -> Array:
        pelvis: Array = self.joints[0]
        return pelvis

    def posed(self, rotations: Array) -> Array:
        """Rotations (n, j, 3), hands at ease where nothing is known of them."""
        return rotations if self.model is None else with_relaxed_hands(rotations, self.model.hands)

    def places(self, rotations: Array, translation: Array) -> Array:
        """(n, j, 3) of the joints."""
        return joint_places(rotations, self.joints, translation)

    def touching(
        self, rotations: Array, translation: Array, contact: Array, up: Array
    ) -> tuple[Array, Integers]:
        """Points (m, 3) of standing feet that are lowest along `up` (n, 3), one a foot and frame,
        and the places of their frames (m,)."""
        turns, places = joint_turns(rotations), self.places(rotations, translation)
        points, frames = [], []
        for ankle, ball in ((0, 2), (1, 3)):
            stands = np.flatnonzero(contact[:, [ankle, ball]].max(axis=1) >= SURE)
            parts = [
                places[stands, None, FEET[foot]]
                + np.einsum("nab,kb->nka", turns[stands, FEET[foot]], self.soles[foot])
                for foot in (ankle, ball)
            ]
            every = np.concatenate(parts, axis=1)
            heights = np.einsum("nka,na->nk", every, up[stands])
            points.append(every[np.arange(len(stands)), np.argmin(heights, axis=1)])
            frames.append(stands)
        return np.concatenate(points), np.concatenate(frames)


def body_of(folder: Path | None, gender: str, betas: Array) -> Body:
    """The body with that shape; without a folder of SMPL-X, the usual one. Raises ModelError where
    the folder has no such gender, FormatError."""
    if folder is None:
        soles = tuple(np.array([[0, -depth, 0.0]]) for depth in AVERAGE_SOLES)
        return Body(AVERAGE_JOINTS, soles)
    model = BodyModel.load(model_file(folder, gender), betas)
    return Body(model.joints, tuple(_sole(model, joint) for joint in FEET), model)


def _sole(model: BodyModel, joint: int) -> Array:
    """The lowest points of what a joint moves most, spread over its length."""
    mine = np.flatnonzero(model.weights.argmax(axis=1) == joint)
    if not len(mine):
        depth = AVERAGE_SOLES[FEET.index(joint)]
        return np.array([[0, -depth, 0.0]])
    points = model.vertices[mine] - model.joints[joint]
    lowest = points[np.argsort(points[:, 1])[: max(len(points) // 2, 1)]]
    step = -(-len(lowest) // _MOST_POINTS)
    found: Array = lowest[np.argsort(lowest[:, 2])][::step]
    return np.concatenate([found, lowest[:1]])


BONES = tuple(
    (JOINTS.index(one), JOINTS.index(other))
    for one, other in (
        ("pelvis", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
        ("left_ankle", "left_foot"), ("pelvis", "right_hip"), ("right_hip", "right_knee"),
        ("right_knee", "right_ankle"), ("right_ankle", "right_foot"), ("pelvis", "spine3"),
        ("spine3", "neck"), ("neck", "head"), ("spine3", "left_shoulder"),
        ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
        ("spine3", "right_shoulder"), ("right_shoulder", "right_elbow"),
        ("right_elbow", "right_wrist"),
    )
)  # fmt: skip
"""What is drawn of a body: lines between joints."""
