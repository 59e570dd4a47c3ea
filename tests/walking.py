# SPDX-License-Identifier: GPL-3.0-or-later
"""A person who walks before a moving camera, made of formulas: every number of it is known.

The world is in meters, z up, its ground at z = 0. While a foot stands, its ankle and its ball are
at exactly one place. n frames, j = 55 joints in the order of `backend.smplx.JOINTS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from backend.dense import Place
from backend.motion import Motion
from backend.smplx import JOINTS, KEYPOINTS, PARENTS
from tests.body_model import rest_joints

Array = NDArray[np.float64]

UP_FROM_REST = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""Takes a rest pose, y up and looking along z, to a world with z up; it looks along -y there."""
_STRIDE, _CYCLE, _STANDS = 1.0, 1.1, 0.62
"""Meters and seconds of a cycle of two steps; the share of it that a foot stands."""
_LIFT, _SOLE = 0.09, 0.03
"""Meters that a foot is lifted; that the ball's joint is over the ground."""
_BEND = 0.085
"""Meters that the pelvis is lower than with straight legs."""


@dataclass(frozen=True, eq=False)
class Walk:
    """
    frames             (n,) numbers of the plate
    rest               (j, 3) joints of the body at rest, y up
    rotations          (n, j, 3) axis-angle vectors; the pelvis's in the world
    translation        (n, 3) of the posed body
    joints             (n, j, 3) where they are in the world
    contact            (n, 4) whether each of `backend.smplx.FEET` stands
    camera_rotations   (n, 3, 3) world to camera: x right, y down, z forward
    camera_centers     (n, 3)
    matrix             (3, 3) of the pinhole, for `size` px
    """

    frames: NDArray[np.int64]
    fps: Fraction
    rest: Array
    rotations: Array
    translation: Array
    joints: Array
    contact: Array
    camera_rotations: Array
    camera_centers: Array
    matrix: Array
    size: tuple[int, int]

    @property
    def seen_rotation(self) -> Array:
        """(n, 3) the pelvis's as the camera sees it."""
        return vectors(self.camera_rotations @ matrices(self.rotations[:, 0]))

    @property
    def seen_translation(self) -> Array:
        """(n, 3) of the body before the camera, in meters."""
        pelvis = self.rest[0] + self.translation - self.camera_centers
        return np.einsum("nij,nj->ni", self.camera_rotations, pelvis) - self.rest[0]

    def project(self, points: Array) -> Array:
        """Points (n, p, 3) of the world in the plate (n, p, 2)."""
        ahead = points - self.camera_centers[:, None]
        seen = np.einsum("ij,njk,npk->npi", self.matrix, self.camera_rotations, ahead)
        return seen[..., :2] / seen[..., 2:]

    def keypoints(self) -> Array:
        """(n, 17, 3): `backend.smplx.KEYPOINTS` at the joints that are nearest to them, sure."""
        near = [JOINTS.index(_NEAREST.get(name, name)) for name in KEYPOINTS]
        places = self.project(self.joints[:, near])
        return np.concatenate([places, np.ones((*places.shape[:2], 1))], axis=2)

    def motion(self, person: str, place: Place, scale: float = 1.0) -> Motion:
        """The same as a motion that was placed without any error, in a shot whose world has so
        many units a meter."""
        return Motion(
            person=person,
            gender="neutral",
            frames=self.frames,
            fps=self.fps,
            rotations=self.rotations,
            translation=self.translation,
            betas=np.zeros(10),
            pelvis=self.rest[0],
            camera_rotation=self.seen_rotation,
            camera_translation=self.seen_translation,
            scale=scale,
            place=place,
            confidence=np.ones(len(self.frames)),
            contact=self.contact,
            keypoints=self.keypoints(),
        )

    def only(self, places: Sequence[int] | NDArray[np.int64]) -> Walk:
        """The frames at these places."""
        chosen = {name: getattr(self, name)[places] for name in _BY_FRAME}
        return replace(self, **chosen)


_BY_FRAME = (
    "frames", "rotations", "translation", "joints", "contact", "camera_rotations", "camera_centers"
)  # fmt: skip
_NEAREST = {
    "nose": "jaw",
    "left_eye": "left_eye_smplhf",
    "right_eye": "right_eye_smplhf",
    "left_ear": "head",
    "right_ear": "head",
}


def walk(
    count: int = 60,
    first: int = 1001,
    fps: Fraction = Fraction(24),
    rest: Array | None = None,
    travel: float = 1.5,
    across: float = 1.2,
    size: tuple[int, int] = (960, 540),
) -> Walk:
    """So many frames of somebody who comes along the way, `across` radians from the world's -y.

    The camera goes `travel` meters to the side meanwhile and keeps the person in the picture.
    """
    rest = rest_joints() if rest is None else rest
    time = np.arange(count) / float(fps)
    heading = _about(2, across) @ UP_FROM_REST
    contact, legs, pelvis = _legs(time, rest)
    turns = _upper_body(time)
    turns[:, [JOINTS.index(name) for name in legs]] = np.stack(list(legs.values()), axis=1)
    body = np.einsum("ij,nj->ni", heading, pelvis)
    local = _local(turns, heading)
    translation = body - rest[0]
    joints, _worlds = forward(rest, vectors(local), translation)
    rotations, centers = _camera(joints[:, 0], travel)
    focal = 1.1 * size[0]
    return Walk(
        frames=first + np.arange(count),
        fps=fps,
        rest=rest,
        rotations=vectors(local),
        translation=translation,
        joints=joints,
        contact=contact,
        camera_rotations=rotations,
        camera_centers=centers,
        matrix=np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1.0]]),
        size=size,
    )


def forward(rest: Array, rotations: Array, translation: Array) -> tuple[Array, Array]:
    """Joints (n, j, 3) and how each is turned in the world (n, j, 3, 3), as SMPL-X has it."""
    local = matrices(rotations)
    worlds, joints = np.empty_like(local), np.empty((len(local), len(rest), 3))
    for joint, parent in enumerate(PARENTS):
        if parent < 0:
            worlds[:, joint], joints[:, joint] = local[:, joint], rest[joint] + translation
            continue
        worlds[:, joint] = worlds[:, parent] @ local[:, joint]
        joints[:, joint] = joints[:, parent] + worlds[:, parent] @ (rest[joint] - rest[parent])
    return joints, worlds


# Legs, in a world whose y is up and in which the person walks along z


def _legs(time: Array, rest: Array) -> tuple[Array, dict[str, Array], Array]:
    """Contact (n, 4), how hips, knees, ankles and balls are turned (n, 3, 3), the pelvis (n, 3)."""
    at = {name: rest[joint] for joint, name in enumerate(JOINTS)}
    straight = at["pelvis"][1] - at["left_foot"][1]
    phase = time / _CYCLE
    pelvis = np.zeros((len(time), 3))
    pelvis[:, 0] = 0.02 * np.sin(2 * np.pi * phase)
    pelvis[:, 1] = straight + _SOLE - _BEND + 0.015 * np.cos(4 * np.pi * phase)
    pelvis[:, 2] = _STRIDE * phase
    contact, turns = np.zeros((len(time), 4)), {}
    for side, ahead in (("left", 0.0), ("right", 0.5)):
        ball, tilt, stands = _foot(phase + ahead, ahead)
        to_ankle = at[f"{side}_ankle"] - at[f"{side}_foot"]
        ball += [at[f"{side}_foot"][0], 0, -to_ankle[2]]
        ankle = ball + np.einsum("nij,j->ni", tilt, to_ankle)
        hip = pelvis + at[f"{side}_hip"] - at["pelvis"]
        thigh = at[f"{side}_knee"] - at[f"{side}_hip"]
        shin = at[f"{side}_ankle"] - at[f"{side}_knee"]
        turns[f"{side}_hip"], turns[f"{side}_knee"] = _bent(ankle - hip, thigh, shin)
        turns[f"{side}_ankle"] = turns[f"{side}_foot"] = tilt
        columns = [0, 2] if side == "left" else [1, 3]
        contact[:, columns] = stands[:, None]
    return contact, turns, pelvis


def _foot(phase: Array, ahead: float) -> tuple[Array, Array, Array]:
    """Where its ball goes (n, 3), how it is turned (n, 3, 3), whether it stands (n,)."""
    step, part = np.floor(phase), phase - np.floor(phase)
    stands = part < _STANDS
    swing = np.clip((part - _STANDS) / (1 - _STANDS), 0, 1)
    eased = swing * swing * (3 - 2 * swing)
    ball = np.zeros((len(phase), 3))
    ball[:, 1] = _SOLE + _LIFT * np.sin(np.pi * swing) ** 2
    ball[:, 2] = _STRIDE * (step + eased + _STANDS / 2 - ahead)
    return ball, _about(0, 0.5 * np.sin(np.pi * swing) ** 2), stands.astype(float)


def _bent(way: Array, thigh: Array, shin: Array) -> tuple[Array, Array]:
    """How a leg's two bones are turned (n, 3, 3) so that they span `way` (n, 3), knees forward."""
    upper, lower = np.linalg.norm(thigh), np.linalg.norm(shin)
    length = np.linalg.norm(way, axis=1)
    if (length >= upper + lower).any():
        raise ValueError("the legs are too short for these steps")
    down = way / length[:, None]
    side = np.cross(-down, [0.0, 0, 1])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    front = np.cross(side, -down)
    along = (upper**2 - lower**2 + length**2) / (2 * length)
    out = np.sqrt(upper**2 - along**2)
    knee = along[:, None] * down + out[:, None] * front
    return _aimed(thigh, knee, side), _aimed(shin, way - knee, side)


def _aimed(bone: Array, target: Array, side: Array) -> Array:
    """Turns (n, 3, 3) that take `bone` (3,) along `target` (n, 3), and x near to `side` (n, 3)."""

    def axes(way: Array, aside: Array) -> Array:
        down = way / np.linalg.norm(way, axis=-1, keepdims=True)
        out = aside - (aside * down).sum(axis=-1, keepdims=True) * down
        out = out / np.linalg.norm(out, axis=-1, keepdims=True)
        return np.stack([out, down, np.cross(out, down)], axis=-1)

    return axes(target, side) @ axes(bone, np.array([1.0, 0, 0])).T


# The rest of the body


def _upper_body(time: Array) -> Array:
    """How each joint is turned from the person (n, j, 3, 3); legs and feet are to be filled in."""
    phase, count = 2 * np.pi * time / _CYCLE, len(time)
    turns = np.broadcast_to(np.eye(3), (count, len(JOINTS), 3, 3)).copy()
    local = {
        "spine1": _about(1, 0.06 * np.sin(phase)),
        "spine3": _about(1, 0.08 * np.sin(phase)) @ _about(0, 0.05 + 0 * phase),
        "head": _about(1, -0.10 * np.sin(phase)),
        "jaw": _about(0, 0.05 * (1 - np.cos(3 * phase))),
    }
    for side, sign in (("left", 1.0), ("right", -1.0)):
        swing = 0.45 * sign * np.sin(phase)
        hang = np.broadcast_to(_about(2, -1.25 * sign), (count, 3, 3))
        local[f"{side}_shoulder"] = _about(0, swing) @ hang
        local[f"{side}_elbow"] = _about(1, -sign * (0.35 + 0.15 * np.sin(phase)))
        local[f"{side}_wrist"] = _about(2, 0.1 * np.sin(phase))
        for finger in ("index", "middle", "pinky", "ring"):
            for place in (1, 2, 3):
                curl = np.broadcast_to(_about(2, -0.3 * sign), (count, 3, 3))
                local[f"{side}_{finger}{place}"] = curl
    for joint, parent in enumerate(PARENTS):
        own = local.get(JOINTS[joint], np.eye(3))
        turns[:, joint] = own if parent < 0 else turns[:, parent] @ own
    return turns


def _local(turns: Array, heading: Array) -> Array:
    """Each joint's turn from its parent (n, j, 3, 3), the pelvis's in the world."""
    found = np.empty_like(turns)
    for joint, parent in enumerate(PARENTS):
        above = heading.T if parent < 0 else np.swapaxes(turns[:, parent], 1, 2)
        found[:, joint] = heading @ turns[:, joint] if parent < 0 else above @ turns[:, joint]
    return found


def _camera(pelvis: Array, travel: float) -> tuple[Array, Array]:
    """World to camera (n, 3, 3) and centers (n, 3): from ahead, at eye level, going sideways."""
    middle, share = pelvis.mean(axis=0), np.linspace(-0.5, 0.5, len(pelvis))
    centers = middle + [0.0, -6.5, 0.6] + share[:, None] * [travel, 0.2 * travel, 0.1 * travel]
    ahead = 0.2 * middle + 0.8 * pelvis - centers
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    right = np.cross(ahead, [0, 0, 1.0])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(ahead, right), ahead], axis=1), centers


# Turns


def _about(axis: int, angle: Array | float) -> Array:
    """(..., 3, 3) about x, y or z."""
    return matrices(np.asarray(angle)[..., None] * np.eye(3)[axis])


def matrices(rotations: Array) -> Array:
    """(..., 3, 3) of axis-angle vectors (..., 3): Rodrigues' formula."""
    angle = np.linalg.norm(rotations, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(rotations, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1)
    cross = cross.reshape(*rotations.shape, 3)
    sine, cosine = np.sinc(angle / np.pi), 0.5 * np.sinc(angle / 2 / np.pi) ** 2
    return np.eye(3) + sine * cross + cosine * cross @ cross


def vectors(turns: Array) -> Array:
    """Axis-angle vectors (..., 3) of rotations (..., 3, 3), at most half a turn long."""
    _values, planes = np.linalg.eigh(turns + np.swapaxes(turns, -1, -2))
    axis = planes[..., -1]
    about = np.stack(
        [
            turns[..., 2, 1] - turns[..., 1, 2],
            turns[..., 0, 2] - turns[..., 2, 0],
            turns[..., 1, 0] - turns[..., 0, 1],
        ],
        axis=-1,
    )
    sine = 0.5 * (axis * about).sum(axis=-1)
    cosine = 0.5 * (np.trace(turns, axis1=-2, axis2=-1) - 1)
    found: Array = axis * np.arctan2(sine, cosine)[..., None]
    return found
