# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion as keys of an armature's bones, and what moves these keys into another world.

A pose bone turns in the axes that its bone has at rest: with those as the columns of L, in SMPL-X's
axes, a joint's rotation R becomes L^T R L, of whose quaternion the vector is L^T times R's. The
pelvis turns from the rest pose, which stands in Blender's axes, so that its rotation in the world
is R UP^T. n frames, k keys.
"""

from __future__ import annotations

from collections.abc import Mapping

import bpy
import numpy as np
from mathutils import Matrix

from ...backend.camera import (
    Array,
    Similarity,
    quaternions_from_rotations,
    rotations_from_quaternions,
    same_side,
)
from ...backend.kinematics import quaternions_of, rotations_of
from ...backend.motion import Motion
from ...backend.smplx import JOINTS
from .animation import Channel, actions_of, key_channels, read_channels
from .body_armature import UP, rest_matrix

FRAME = "body_frame"
"""Custom property of an armature, keyed with its bones: the frame of the plate that it shows. What
goes with the pose follows it, also where the artist retimes the action or puts it in a strip."""
STILL = 1e-7
"""Change under which a joint is held: what rounding makes of an angle."""
_ROOT = JOINTS[0]


def key_motion(
    armature: bpy.types.Object,
    motion: Motion,
    rest: Mapping[str, Array],
    action: bpy.types.Action | None = None,
) -> None:
    """Keys all bones; what does not change in the motion gets one key.

    `rest` has the bones' matrices (4, 4) in the armature, by name; `action` is the one to fill
    where it lies in a strip.
    """
    channels: dict[Channel, Array] = {frame_channel(): motion.frames.astype(np.float64)}
    turns = quaternions_of(motion.rotations)
    for joint, name in enumerate(JOINTS):
        if name == _ROOT:
            world = rotations_of(motion.rotations[:, joint]) @ UP.T
            heads = motion.scale * (motion.pelvis + motion.translation)
            channels |= _of_root(rest[name], world, heads)
            continue
        axes = UP.T @ rest[name][:3, :3]
        turned = np.concatenate([turns[:, joint, :1], turns[:, joint, 1:] @ axes], axis=1)
        channels |= _of_bone(name, "rotation_quaternion", same_side(turned))
    armature[FRAME] = float(motion.frames[0])
    armature.id_properties_ui(FRAME).update(
        description="The frame of the plate whose pose is shown: the body's correctives follow it"
    )
    paths = {path for (path, _index), values in channels.items() if np.ptp(values) > STILL}
    moving = {channel: values for channel, values in channels.items() if channel[0] in paths}
    still = {channel: values[:1] for channel, values in channels.items() if channel not in moving}
    key_channels(armature, moving, motion.frames, action)
    key_channels(armature, still, motion.frames[:1], action)


def frame_channel() -> Channel:
    return f'["{FRAME}"]', 0


def has_motion(armature: bpy.types.Object, action: bpy.types.Action) -> bool:
    """Whether an action of the armature is one that was made here."""
    times, _values = read_channels(armature, [frame_channel()], action)
    return len(times) > 0


def follow_step(armature: bpy.types.Object, step: Similarity) -> None:
    """Moves a body into another world: its bones get the new size, its pelvis the new path.

    What an artist keyed at the pelvis goes along, with linear keys.
    """
    before = rest_matrix(armature.data.bones[_ROOT])
    armature.data.transform(Matrix.Scale(step.scale, 4))
    armature.data.update_tag()
    after = rest_matrix(armature.data.bones[_ROOT])
    for action in actions_of(armature):
        times, values = read_channels(armature, list(_root_channels()), action)
        if len(times) == 0:
            continue
        turns = before[:3, :3] @ rotations_from_quaternions(values[:, 3:]) @ before[:3, :3].T
        heads = before[:3, 3] + values[:, :3] @ before[:3, :3].T
        moved = _of_root(after, step.rotation @ turns, step.apply(heads))
        key_channels(armature, moved, times, action)


def _of_root(rest: Array, turns: Array, heads: Array) -> dict[Channel, Array]:
    """The pelvis turned by `turns` (k, 3, 3) from its rest pose, with its head at `heads` (k, 3),
    both in the armature."""
    axes = rest[:3, :3]
    values = [
        (heads - rest[:3, 3]) @ axes,
        quaternions_from_rotations(axes.T @ turns @ axes),
    ]
    return dict(zip(_root_channels(), np.concatenate(values, axis=1).T, strict=True))


def _root_channels() -> list[Channel]:
    places = {"location": 3, "rotation_quaternion": 4}
    return [(_path(_ROOT, what), index) for what, count in places.items() for index in range(count)]


def _of_bone(name: str, what: str, values: Array) -> dict[Channel, Array]:
    return {(_path(name, what), index): column for index, column in enumerate(values.T)}


def _path(name: str, what: str) -> str:
    return f'pose.bones["{name}"].{what}'
