# SPDX-License-Identifier: GPL-3.0-or-later
"""A body's armature: 55 bones with SMPL-X's names, each aimed along its limb at the next joint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import bpy
import numpy as np
from mathutils import Vector

from ...backend.camera import Array
from ...backend.smplx import BODY_JOINTS, JOINTS, PARENTS

UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""From SMPL-X's axes at rest, y up and z out of the chest, to Blender's: z up, seen from front."""
_AIMED = {"pelvis": "spine1", "spine3": "neck", "left_wrist": "left_middle1",
          "right_wrist": "right_middle1", "head": None}  # fmt: skip
"""Which of several joints a bone points at; None for none of them."""
_END = 0.6
"""How long a bone without a joint at its end is, as a share of the one before it."""
_SHORTEST = 0.005
"""As a share of the body's height."""


def build_bones(context: bpy.types.Context, armature: bpy.types.Object, joints: Array) -> None:
    """Puts the bones where the joints (55, 3) are, in the armature's units, in Blender's axes.

    Bones that are there already move; an artist's own stay as they are.
    """
    tails = _tails(joints)
    with _edited(context, armature):
        bones = armature.data.edit_bones
        for joint, name in enumerate(JOINTS):
            bone = bones.get(name) or bones.new(name)
            bone.head, bone.tail = Vector(joints[joint]), Vector(tails[joint])
            bone.parent = bones[JOINTS[PARENTS[joint]]] if PARENTS[joint] >= 0 else None
            along = tails[joint] - joints[joint]
            level = abs(along[1]) > 0.7 * np.linalg.norm(along)
            bone.align_roll(Vector((0, 0, 1)) if level else Vector((0, -1, 0)))
    for name in JOINTS:
        armature.pose.bones[name].rotation_mode = "QUATERNION"
    _sort_bones(armature.data)


def rest_matrices(armature: bpy.types.Object) -> Mapping[str, Array]:
    """The bones' (4, 4) at rest in the armature, by name."""
    return {name: rest_matrix(armature.data.bones[name]) for name in JOINTS}


def rest_matrix(bone: bpy.types.Bone) -> Array:
    """(4, 4) with axes at right angles, to more digits than Blender keeps."""
    matrix = np.array(bone.matrix_local, dtype=np.float64)
    u, _sizes, v = np.linalg.svd(matrix[:3, :3])
    matrix[:3, :3] = u @ v
    return matrix


def rest_places(joints: Array, scale: float) -> Array:
    """Joints (55, 3) of a rest pose in SMPL-X's axes and meters, as an armature has them."""
    places: Array = scale * joints @ UP.T
    return places


def _tails(joints: Array) -> Array:
    tails, shortest = np.empty_like(joints), _SHORTEST * float(np.ptp(joints[:, 2]))
    for joint, name in enumerate(JOINTS):
        children = [child for child, parent in enumerate(PARENTS) if parent == joint]
        aim = JOINTS.index(_AIMED[name]) if _AIMED.get(name) else None
        if name not in _AIMED and children:
            aim = children[0]
        if aim is not None:
            tails[joint] = joints[aim]
        else:
            tails[joint] = joints[joint] + _END * (joints[joint] - joints[PARENTS[joint]])
        if np.linalg.norm(tails[joint] - joints[joint]) < shortest:
            tails[joint] = joints[joint] + [0, 0, shortest]
    return tails


def _sort_bones(data: bpy.types.Armature) -> None:
    """Body, hands and face in collections of their own, which an artist hides."""
    names = {"Body": BODY_JOINTS, "Hands": JOINTS[25:], "Face": JOINTS[22:25]}
    for title, members in names.items():
        if title not in data.collections:
            made = data.collections.new(title)
            for name in members:
                made.assign(data.bones[name])


@contextmanager
def _edited(context: bpy.types.Context, armature: bpy.types.Object) -> Iterator[None]:
    """Edit Mode in a scene of its own: what the artist has selected, hidden or is in the middle of
    stays as it is."""
    scene = bpy.data.scenes.new("Shot Gopher Bones")
    try:
        scene.collection.objects.link(armature)
        layer = scene.view_layers[0]
        layer.objects.active = armature
        with context.temp_override(
            scene=scene, view_layer=layer, object=armature, active_object=armature
        ):
            before = armature.mode
            bpy.ops.object.mode_set(mode="EDIT")
            yield
            bpy.ops.object.mode_set(mode=before)
    finally:
        bpy.data.scenes.remove(scene)
