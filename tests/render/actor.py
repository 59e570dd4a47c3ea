# SPDX-License-Identifier: GPL-3.0-or-later
"""A walking figure of painted ellipsoids: something big in the plate that is not the scene.

Meters, Z up; the figure walks along its own +Y. The seed decides every detail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import bpy
import numpy as np
from mathutils import Matrix

from . import textures as paint
from .camera_path import Array
from .shapes import Room, Triple, add_ball
from .textures import COOL, WARM

PARTS: dict[str, tuple[Triple, str]] = {
    "pelvis": ((0.18, 0.13, 0.16), "trousers"),
    "torso": ((0.22, 0.15, 0.34), "shirt"),
    "bag": ((0.17, 0.10, 0.22), "bag"),
    "head": ((0.095, 0.11, 0.14), "skin"),
    "hair": ((0.105, 0.118, 0.11), "hair"),
    **{f"{side} upper arm": ((0.062, 0.066, 0.18), "shirt") for side in ("left", "right")},
    **{f"{side} forearm": ((0.05, 0.052, 0.16), "skin") for side in ("left", "right")},
    **{f"{side} hand": ((0.042, 0.03, 0.09), "skin") for side in ("left", "right")},
    **{f"{side} thigh": ((0.098, 0.105, 0.26), "trousers") for side in ("left", "right")},
    **{f"{side} shin": ((0.072, 0.078, 0.25), "trousers") for side in ("left", "right")},
    **{f"{side} foot": ((0.05, 0.13, 0.05), "bag") for side in ("left", "right")},
}
"""Radii and sheet of the balls it is made of."""

STRIDE = 0.95
"""Strides a second, two steps each."""


def add_actor(scene: bpy.types.Scene, places: Array, fps: float) -> list[bpy.types.Object]:
    """The figure, keyed from frame 1, at floor places (n, 2), looking where it goes."""
    room = Room(scene, np.random.default_rng(9))
    _paint(room)
    parts = {
        name: add_ball(room, name, radii, (0, 0, 0), sheet, whole=sheet != "skin")
        for name, (radii, sheet) in PARTS.items()
    }
    ahead = np.gradient(places, axis=0)
    ahead[:, 1] = np.maximum(ahead[:, 1], 1e-3)
    headings = np.arctan2(-ahead[:, 0], ahead[:, 1]) * 0.7
    for index, (place, heading) in enumerate(zip(places, headings, strict=True)):
        posed = posture(index / fps, (float(place[0]), float(place[1])), float(heading))
        for name, matrix in posed.items():
            _key(parts[name], matrix, PARTS[name][0], index + 1)
    return list(parts.values())


def _paint(room: Room) -> None:
    rng = room.rng
    room.paint("shirt", paint.patterned_cloth(700, 700, WARM[3], WARM, rng), (1.0, 1.0))
    room.paint("trousers", paint.patterned_cloth(600, 600, COOL[0], COOL, rng), (1.0, 1.0))
    room.paint("bag", paint.patterned_cloth(500, 500, WARM[1], COOL, rng), (1.0, 1.0))
    room.paint("skin", paint.plaster(400, 400, (0.80, 0.58, 0.46), rng), (0.5, 0.5))
    room.paint("hair", paint.wood(400, 400, (0.30, 0.18, 0.10), rng), (1.0, 1.0))


def _key(thing: bpy.types.Object, matrix: Matrix, radii: Triple, frame: int) -> None:
    thing.rotation_mode = "QUATERNION"
    thing.matrix_world = matrix @ Matrix.Diagonal((*radii, 1.0))
    thing.keyframe_insert("location", frame=frame)
    thing.keyframe_insert("rotation_quaternion", frame=frame)


def posture(seconds: float, place: tuple[float, float], heading: float) -> dict[str, Matrix]:
    """Where each part is (a matrix without scale) at that time of the walk."""
    phase = 2 * np.pi * STRIDE * seconds
    bob = 0.02 * np.cos(2 * phase)
    root = _shift(place[0], place[1], 0.95 + bob) @ _turn(heading + 0.10 * np.sin(phase), "Z")
    chest = root @ _shift(0, 0, 0.08) @ _turn(-0.22 * np.sin(phase), "Z") @ _turn(-0.06, "X")
    head = chest @ _shift(0, 0.02, 0.66) @ _turn(0.25 * np.sin(0.37 * phase), "Z")
    parts = {
        "pelvis": root,
        "torso": chest @ _shift(0, 0, 0.26),
        "bag": chest @ _shift(0, -0.17, 0.3),
        "head": head,
        "hair": head @ _shift(0, -0.02, 0.05),
    }
    for side, sign in (("left", -1.0), ("right", 1.0)):
        swing = sign * np.sin(phase)
        parts |= _leg(side, root @ _shift(sign * 0.1, 0, -0.02), swing, sign * np.cos(phase))
        parts |= _arm(side, chest @ _shift(sign * 0.25, 0, 0.46) @ _turn(sign * -0.2, "Y"), -swing)
    return parts


def _leg(side: str, hip: Matrix, swing: float, lift: float) -> dict[str, Matrix]:
    thigh = hip @ _turn(0.45 * swing, "X")
    knee = thigh @ _shift(0, 0, -0.44) @ _turn(-0.1 - 0.8 * max(lift, 0.0), "X")
    return {
        f"{side} thigh": thigh @ _shift(0, 0, -0.22),
        f"{side} shin": knee @ _shift(0, 0, -0.2),
        f"{side} foot": knee @ _shift(0, 0.06, -0.43),
    }


def _arm(side: str, shoulder: Matrix, swing: float) -> dict[str, Matrix]:
    upper = shoulder @ _turn(0.6 * swing, "X")
    elbow = upper @ _shift(0, 0, -0.31) @ _turn(0.45 + 0.35 * swing, "X")
    return {
        f"{side} upper arm": upper @ _shift(0, 0, -0.15),
        f"{side} forearm": elbow @ _shift(0, 0, -0.13),
        f"{side} hand": elbow @ _shift(0, 0, -0.33),
    }


def _shift(x: float, y: float, z: float) -> Matrix:
    return Matrix.Translation((x, y, z))


def _turn(angle: float, axis: str) -> Matrix:
    return Matrix.Rotation(angle, 4, axis)


def _before_camera(poses: Array) -> Array:
    """Floor places (n, 2) of one who walks ahead of the camera, wandering left and right."""
    share = np.linspace(0, 1, len(poses))
    distance = 1.5 - 0.25 * np.sin(2 * np.pi * (share + 0.1))
    aside = 0.5 * np.sin(2 * np.pi * (1.15 * share - 0.2))
    return poses[:, :2, 3] + np.stack([aside, distance], axis=1)


def _across(poses: Array) -> Array:
    """Floor places (n, 2) of one who crosses the room, left to right."""
    share = np.linspace(0, 1, len(poses))
    return np.stack([-1.2 + 2.6 * share, 2.6 + 0.4 * share], axis=1)


ACTOR_PATHS: dict[str, Callable[[Array], Array]] = {"before": _before_camera, "across": _across}


def add_mask_scene(
    scene: bpy.types.Scene, actor: Sequence[bpy.types.Object], samples: int
) -> bpy.types.Scene:
    """A scene of the actor alone, white where it is, that renders with the plate's camera."""
    masks = bpy.data.scenes.new("masks")
    masks.render.resolution_x = scene.render.resolution_x
    masks.render.resolution_y = scene.render.resolution_y
    masks.render.engine = "CYCLES"
    masks.render.film_transparent = True
    masks.cycles.device, masks.cycles.samples = "CPU", samples
    masks.cycles.use_adaptive_sampling = masks.cycles.use_denoising = False
    masks.cycles.max_bounces = 0
    masks.render.image_settings.file_format = "PNG"
    masks.render.image_settings.color_mode = "RGBA"
    masks.render.image_settings.compression = 0
    for thing in (scene.camera, *actor):
        masks.collection.objects.link(thing)
    masks.camera = scene.camera
    return masks
