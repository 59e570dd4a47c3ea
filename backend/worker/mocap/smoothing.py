# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion without jitter: each rotation, and the way of the body, over a few frames.

n frames.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...camera import Array, Integers, same_side
from ...kinematics import mixed, quaternions_of, vectors_of_quaternions
from ...motion import Motion
from .along_time import gaussian
from .picture_limit import Limited, pixels_of, within
from .placing import Views


def smooth(motion: Motion, joints: Array, views: Views, frames: float, most_off: float) -> Limited:
    """The motion over about so many frames (a Gaussian of that width at half its height), no joint
    moved by more than `most_off` px in the picture. joints (j, 3) are those of the body at rest."""
    width = frames / (2 * np.sqrt(2 * np.log(2)))
    rotations = np.stack(
        [_turns(motion.rotations[:, joint], motion.frames, width) for joint in range(len(joints))],
        axis=1,
    )
    translation = gaussian(motion.translation, width, motion.frames)

    def smoothed(share: Array) -> Motion:
        way = motion.translation + share[:, None] * (translation - motion.translation)
        turned = mixed(motion.rotations, rotations, share[:, None])
        return replace(motion, rotations=turned, translation=way)

    return within(motion, smoothed, pixels_of(joints, views), most_off)


def _turns(vectors: Array, frames: Integers, width: float) -> Array:
    """Axis-angle vectors (n, 3), their quaternions' weighted means: right for turns that are near
    each other (Gramkow, J. of Mathematical Imaging and Vision 15 (2001) 7)."""
    quaternions = same_side(quaternions_of(vectors))
    mean = gaussian(quaternions, width, frames)
    return vectors_of_quaternions(mean / np.linalg.norm(mean, axis=1, keepdims=True))
