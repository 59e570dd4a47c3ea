# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the joints of a posed body are, and the algebra of its axis-angle vectors.

n frames, j = 55 joints in the order of `smplx.JOINTS`. Meters, angles in radians.
"""

from __future__ import annotations

import numpy as np

from .camera import (
    Array,
    quaternions_from_rotations,
    rotations_from_vectors,
)
from .smplx import PARENTS


def rotations_of(vectors: Array) -> Array:
    """Rotation matrices (..., 3, 3) of axis-angle vectors (..., 3)."""
    return rotations_from_vectors(vectors.reshape(-1, 3)).reshape(*vectors.shape, 3)


def vectors_of(rotations: Array) -> Array:
    """Axis-angle vectors (..., 3) of rotation matrices (..., 3, 3), half turns included."""
    quaternions = quaternions_from_rotations(rotations.reshape(-1, 3, 3))
    return vectors_of_quaternions(quaternions).reshape(rotations.shape[:-1])


def quaternions_of(vectors: Array) -> Array:
    """Unit quaternions (..., 4), w, x, y, z, of axis-angle vectors (..., 3)."""
    half = np.linalg.norm(vectors, axis=-1, keepdims=True) / 2
    return np.concatenate([np.cos(half), vectors * np.sinc(half / np.pi) / 2], axis=-1)


def vectors_of_quaternions(quaternions: Array) -> Array:
    """Axis-angle vectors (m, 3) of unit quaternions (m, 4), none longer than pi."""
    short = quaternions * np.where(quaternions[:, :1] < 0, -1.0, 1.0)
    sine = np.linalg.norm(short[:, 1:], axis=1, keepdims=True)
    angle = 2 * np.arctan2(sine, short[:, :1])
    vectors: Array = short[:, 1:] * np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 2.0)
    return vectors


def mixed(one: Array, other: Array, share: Array) -> Array:
    """Axis-angle vectors (..., 3): `share` (...) of the way from `one` to `other`, along the
    shortest arc."""
    start, end = (quaternions_of(each).reshape(-1, 4) for each in (one, other))
    dots = np.einsum("ni,ni->n", start, end)
    end = end * np.where(dots < 0, -1.0, 1.0)[:, None]
    angle = np.arccos(np.abs(dots).clip(max=1))
    part = np.broadcast_to(share, one.shape[:-1]).reshape(-1)
    # sin(x angle) / sin(angle) by sinc, which is right where both are the same.
    whole = np.sinc(angle / np.pi)
    weights = [each * np.sinc(each * angle / np.pi) / whole for each in (1 - part, part)]
    between = weights[0][:, None] * start + weights[1][:, None] * end
    between /= np.linalg.norm(between, axis=1, keepdims=True)
    return vectors_of_quaternions(between).reshape(one.shape)


def joint_turns(rotations: Array) -> Array:
    """(n, j, 3, 3) how each joint is turned against the rest pose, of rotations (n, j, 3)."""
    local = rotations_of(rotations)
    turns = local.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            turns[:, joint] = turns[:, parent] @ local[:, joint]
    return turns


def joint_places(rotations: Array, joints: Array, translation: Array) -> Array:
    """(n, j, 3) the joints of a body whose rest pose has them at `joints` (j, 3), posed by
    `rotations` (n, j, 3) and moved by `translation` (n, 3)."""
    turns, places = joint_turns(rotations), np.empty((len(rotations), len(PARENTS), 3))
    for joint, parent in enumerate(PARENTS):
        if parent < 0:
            places[:, joint] = joints[joint] + translation
        else:
            bone = joints[joint] - joints[parent]
            places[:, joint] = places[:, parent] + turns[:, parent] @ bone
    return places


def local_rotation(turns: Array, joint: int, turn: Array) -> Array:
    """Axis-angle vectors (n, 3) that give a joint the turn (n, 3, 3), its parent turned as in
    `turns` (n, j, 3, 3)."""
    parent = turns[:, PARENTS[joint]]
    return vectors_of(np.swapaxes(parent, 1, 2) @ turn)
