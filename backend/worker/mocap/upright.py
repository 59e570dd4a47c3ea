# SPDX-License-Identifier: GPL-3.0-or-later
"""What is up in the shot's world, as the people in it tell, and where they stand.

n frames, p people.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...camera import Array, Similarity
from ...kinematics import rotations_of

_ROUNDS = 8
_Z = np.array([0, 0, 1.0])


def up_of(standing: Array, upright: Array) -> Array:
    """(n, 3) what is up in the shot's world.

    `standing` (n, 3) is how the pelvis is turned there, `upright` (n, 3) how it is turned in a
    world whose y is up: R_stands R_upright' takes y to the shot's up, whatever way that world
    looks.
    """
    turns = rotations_of(standing) @ np.swapaxes(rotations_of(upright), 1, 2)
    return turns[:, :, 1]


def mean_up(directions: Array) -> Array:
    """(3,) the direction with the least sum of distances from directions (m, 3): a few that are
    wrong do not count (Weiszfeld's method)."""
    mean = directions.mean(axis=0)
    for _ in range(_ROUNDS):
        weight = 1 / np.maximum(np.linalg.norm(directions - mean, axis=1), 1e-3)
        mean = weight @ directions / weight.sum()
    length = float(np.linalg.norm(mean))
    return mean / length if length > 1e-6 else _Z


def degrees_off(up: Array) -> float:
    """Degrees between `up` and the shot's own."""
    return float(np.degrees(np.arccos(np.clip(up @ _Z, -1, 1))))


def standing_world(up: Array, scale: float, soles: Sequence[Array]) -> Similarity:
    """What takes the shot's world to one in meters whose z is up and on whose ground people stand.

    `scale` units are a meter; soles (m, 3) of each person, on the ground, in units of the shot's
    world. The heading stays, and the origin is on the ground where it was over it.
    """
    turn = upright_turn(up)
    heights = np.concatenate([each @ turn[2] for each in soles]) if soles else np.zeros(1)
    return Similarity(1 / scale, turn, np.array([0, 0, -float(np.median(heights)) / scale]))


def upright_turn(up: Array) -> Array:
    """(3, 3) the least turn that takes `up` to z (Rodrigues)."""
    x, y, z = np.cross(up, _Z)
    cosine = float(up @ _Z)
    if cosine < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn: Array = np.eye(3) + cross + cross @ cross / (1 + cosine)
    return turn
