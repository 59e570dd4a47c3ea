# SPDX-License-Identifier: GPL-3.0-or-later
"""Feet that stand still while they stand, by bending hip and knee.

The ankle is held at one place of the world for as long as a contact lasts; the foot keeps the way
it points. Where that would move a joint too far in the picture, only a part of it is done. n
frames, m meters of the motion's world.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...camera import Array, Integers
from ...kinematics import joint_places, joint_turns, local_rotation, rotations_of
from ...motion import Motion
from ...smplx import JOINTS
from .contacts import SURE, runs
from .picture_limit import Limited, pixels_of, within
from .placing import Views

_FADE = 4
"""Frames over which a foot comes into its place and leaves it."""
_REACH = 0.998
"""Of a leg's length that it is stretched to."""


def lock_feet(motion: Motion, joints: Array, views: Views, most_off: float) -> Limited:
    """The motion with feet held, no joint moved by more than `most_off` px in the picture. joints
    (j, 3) are those of the body at rest."""
    places = joint_places(motion.rotations, joints, motion.translation)
    shifts = {side: _shift(motion, places, side) for side in ("left", "right")}

    def locked(share: Array) -> Motion:
        rotations = motion.rotations.copy()
        for side, shift in shifts.items():
            _bend_leg(rotations, joints, motion.translation, side, share[:, None] * shift)
        return replace(motion, rotations=rotations)

    return within(motion, locked, pixels_of(joints, views), most_off)


def _shift(motion: Motion, places: Array, side: str) -> Array:
    """(n, 3) what takes the ankle to where it is held: all of it while the foot stands, and less
    and less of it in the frames before and after."""
    joint, column = JOINTS.index(f"{side}_ankle"), 0 if side == "left" else 1
    shift, free = np.zeros((len(places), 3)), np.ones(len(places), bool)
    stands = list(runs(motion.contact[:, column] >= SURE, motion.frames, 3))
    for stretch in stands:
        held = np.median(places[stretch, joint], axis=0)
        shift[stretch] = held - places[stretch, joint]
        free[stretch] = False
    for stretch in stands:
        for edge, step in ((stretch.start, -1), (stretch.stop - 1, 1)):
            _fade(shift, free, motion.frames, edge, step)
    return shift


def _fade(shift: Array, free: NDArray[np.bool_], frames: Integers, edge: int, step: int) -> None:
    """Lets a shift go in the free frames beyond the edge of a contact."""
    for away in range(1, _FADE + 1):
        index = edge + step * away
        near = 0 <= index < len(free) and abs(int(frames[index] - frames[edge])) == away
        if not near or not free[index]:
            return
        share = 1 - away / (_FADE + 1)
        shift[index] += share * share * (3 - 2 * share) * shift[edge]


def _bend_leg(rotations: Array, joints: Array, translation: Array, side: str, shift: Array) -> None:
    """Two-bone inverse kinematics by the law of cosines: the knee bends about its own axis, then
    the hip turns the ankle to its place. Changes `rotations`."""
    hip, knee, ankle = (JOINTS.index(f"{side}_{name}") for name in ("hip", "knee", "ankle"))
    turns = joint_turns(rotations)
    places = joint_places(rotations, joints, translation)
    foot = turns[:, ankle].copy()
    goal, held = places[:, ankle] + shift, shift.any(axis=1)
    thigh = np.linalg.norm(joints[knee] - joints[hip])
    shin = np.linalg.norm(joints[ankle] - joints[knee])
    way = np.linalg.norm(goal - places[:, hip], axis=1)
    way = np.clip(way, abs(thigh - shin) * 1.001, _REACH * (thigh + shin))
    before, after = places[:, hip] - places[:, knee], places[:, ankle] - places[:, knee]
    now = _angle(before, after)
    wanted = np.arccos(np.clip((thigh**2 + shin**2 - way**2) / (2 * thigh * shin), -1, 1))
    axis = _unit(np.cross(before, after), turns[:, knee, :, 0])
    bend = rotations_of(axis * (wanted - now)[:, None])
    shin_turn = bend @ turns[:, knee]
    reached = places[:, knee] + shin_turn @ (joints[ankle] - joints[knee])
    swing = _between(reached - places[:, hip], goal - places[:, hip])
    turns[:, hip] = swing @ turns[:, hip]
    rotations[held, hip] = local_rotation(turns, hip, turns[:, hip])[held]
    turns[:, knee] = swing @ shin_turn
    rotations[held, knee] = local_rotation(turns, knee, turns[:, knee])[held]
    rotations[held, ankle] = local_rotation(turns, ankle, foot)[held]


def _angle(one: Array, other: Array) -> Array:
    sine = np.linalg.norm(np.cross(one, other), axis=1)
    return np.asarray(np.arctan2(sine, (one * other).sum(axis=1)))


def _unit(vectors: Array, instead: Array) -> Array:
    """Vectors (n, 3) of length 1; `instead` where they have next to none."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length > 1e-6, vectors / np.maximum(length, 1e-12), instead)


def _between(one: Array, other: Array) -> Array:
    """The least turns (n, 3, 3) that take directions (n, 3) to others."""
    angle = _angle(one, other)
    axis = _unit(np.cross(one, other), np.zeros_like(one))
    return rotations_of(axis * angle[:, None])
