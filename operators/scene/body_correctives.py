# SPDX-License-Identifier: GPL-3.0-or-later
"""A body's correctives as shape keys: few for the poses of a shot, or one for each entry of the
rotations of its joints. n frames, v vertices, k keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from ...backend.body_model import BodyModel
from ...backend.camera import Array, Integers
from ...backend.kinematics import rotations_of
from ...backend.motion import Motion
from ...backend.smplx import BODY_JOINTS, JOINTS
from .animation import fill_curve
from .body_armature import UP
from .body_keys import STILL
from .body_mesh import drive_by_frame

MOST_OFF = 0.0005
"""Meters that a vertex may be off with the keys of a shot."""
_MOST_SAMPLES = 600
"""Frames that the keys of a shot are found from."""
_MARK = "Corrective"
_REACH = 10.0
"""What a key's value may be. Blender has no larger one."""

Vertices = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ShotKeys:
    """Correctives of a shot's poses: `offsets` (k, v, 3) times `values` (n, k), added to `mean`
    (v, 3), all in SMPL-X's axes; at most `off` meters from what they stand for."""

    mean: Vertices
    offsets: Vertices
    values: Array
    frames: Integers
    off: float


def find_shot_keys(corrected: Vertices, frames: Integers, most_off: float = MOST_OFF) -> ShotKeys:
    """The fewest principal components of the corrected rest meshes (n, v, 3) that are near enough
    in every frame."""
    count = len(corrected)
    mean = corrected.mean(axis=0)
    apart = (corrected - mean).reshape(count, -1)
    sample = apart[:: -(-count // _MOST_SAMPLES)]
    sizes, mixes = np.linalg.eigh((sample @ sample.T).astype(np.float64))
    # In single precision what is smaller is noise: a millionth of a body's correctives.
    kept = sizes[::-1] > 1e-7 * max(float(sizes[-1]), 1e-30)
    mixes, sizes = mixes[:, ::-1][:, kept], sizes[::-1][kept]
    basis = (mixes / np.sqrt(sizes)).T.astype(np.float32) @ sample
    values = apart @ basis.T
    few, many = 0, len(basis)
    while few < many:
        middle = (few + many) // 2
        if _off(apart, values[:, :middle], basis[:middle]) <= most_off:
            many = middle
        else:
            few = middle + 1
    off = _off(apart, values[:, :few], basis[:few])
    reach = np.abs(values[:, :few]).max(axis=0) if few else np.zeros(0)
    offsets = (basis[:few] * reach[:, None]).reshape(few, *mean.shape)
    return ShotKeys(mean, offsets, values[:, :few].astype(np.float64) / reach, frames, off)


def _off(apart: Vertices, values: Vertices, basis: Vertices) -> float:
    """The most that any vertex is away, in meters."""
    worst = 0.0
    for start in range(0, len(apart), 50):
        chosen = slice(start, start + 50)
        rest = apart[chosen] - values[chosen] @ basis
        worst = max(worst, float(np.square(rest.reshape(len(rest), -1, 3)).sum(axis=2).max()))
    return float(np.sqrt(worst))


def show_shot_keys(mesh: bpy.types.Object, keys: ShotKeys, armature: bpy.types.Object) -> None:
    """The frame that the armature shows drives each key: the driver's curve has its values."""
    drop_keys(mesh)
    base = _base(mesh, keys.mean)
    for number, offset in enumerate(keys.offsets):
        key = _add_key(mesh, f"{_MARK} {number + 1}", base, offset @ UP.T)
        curve = drive_by_frame(key.driver_add("value"), armature)
        fill_curve(curve, keys.frames, keys.values[:, number])


@dataclass(frozen=True, eq=False)
class LiveKeys:
    """Correctives of `joints`, by their names: `offsets` (j, 3, 3, v, 3) for each entry of a
    rotation matrix less the unit matrix; `rest` (v, 3) is corrected for the joints that no key
    follows."""

    joints: tuple[str, ...]
    rest: Vertices
    offsets: Vertices


def read_live_keys(model: BodyModel, motion: Motion) -> LiveKeys:
    """For the body's joints, and others only if they move: hands that are held one way need no
    keys."""
    followed = np.ptp(motion.rotations, axis=0).max(axis=1) > STILL
    followed[: len(BODY_JOINTS)] = True
    followed = followed[1:]
    still = rotations_of(motion.rotations[0])[1:] - np.eye(3)
    still[followed] = 0
    rest = model.vertices + (still.reshape(-1) @ model.correctives).reshape(-1, 3)
    offsets = model.correctives.reshape(len(still), 3, 3, -1, 3)[followed]
    names = tuple(name for name, keyed in zip(JOINTS[1:], followed, strict=True) if keyed)
    return LiveKeys(names, rest.astype(np.float32), offsets)


def show_live_keys(
    mesh: bpy.types.Object, keys: LiveKeys, armature: bpy.types.Object, axes: Sequence[Array]
) -> None:
    """Keys for the axes (3, 3) of each bone at rest, in SMPL-X's axes: a bone's own quaternion
    drives them."""
    drop_keys(mesh)
    base = _base(mesh, keys.rest)
    for name, own, turn in zip(keys.joints, keys.offsets, axes, strict=True):
        turned = np.einsum("ia,jb,ijvc->abvc", turn, turn, own)
        for (row, column), expression in _ENTRIES.items():
            offset = turned[row, column] @ UP.T
            key = _add_key(mesh, f"{_MARK} {name} {row}{column}", base, offset)
            _drive_by_bone(key, armature, name, expression)


_ENTRIES = {
    (0, 0): "-2*(y*y+z*z)",
    (0, 1): "2*(x*y-w*z)",
    (0, 2): "2*(x*z+w*y)",
    (1, 0): "2*(x*y+w*z)",
    (1, 1): "-2*(x*x+z*z)",
    (1, 2): "2*(y*z-w*x)",
    (2, 0): "2*(x*z-w*y)",
    (2, 1): "2*(y*z+w*x)",
    (2, 2): "-2*(x*x+y*y)",
}
"""Entries of the rotation matrix of a quaternion, less the unit matrix's."""


def _drive_by_bone(
    key: bpy.types.ShapeKey, armature: bpy.types.Object, bone: str, expression: str
) -> None:
    """Simple expressions, which Blender works out without Python."""
    driver = key.driver_add("value").driver
    for index, name in enumerate("wxyz"):
        if name not in expression:
            continue
        variable = driver.variables.new()
        variable.name, variable.type = name, "SINGLE_PROP"
        target = variable.targets[0]
        target.id = armature
        target.data_path = f'pose.bones["{bone}"].rotation_quaternion[{index}]'
    driver.expression = expression


def drop_keys(mesh: bpy.types.Object) -> None:
    """Removes the keys that were made here, and what drives them; an artist's stay."""
    keys = mesh.data.shape_keys
    if keys is None:
        return
    for key in [each for each in keys.key_blocks if each.name.startswith(_MARK)]:
        key.driver_remove("value")
        mesh.shape_key_remove(key)
    if len(keys.key_blocks) == 1:
        mesh.shape_key_clear()


def _base(mesh: bpy.types.Object, rest: Vertices) -> Array:
    """(v, 3) of the first key, which is given the vertices `rest` (v, 3)."""
    keys = mesh.data.shape_keys
    base = keys.reference_key if keys is not None else mesh.shape_key_add(name="Basis")
    places: Array = rest @ UP.T
    base.data.foreach_set("co", places.astype(np.float32).ravel())
    return places


def _add_key(mesh: bpy.types.Object, name: str, base: Array, offset: Array) -> bpy.types.ShapeKey:
    key = mesh.shape_key_add(name=name, from_mix=False)
    key.slider_min, key.slider_max = -_REACH, _REACH
    key.data.foreach_set("co", (base + offset).astype(np.float32).ravel())
    return key
