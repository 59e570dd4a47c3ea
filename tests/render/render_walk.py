# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders what is missing of the shot of walk_shot.py.

python -m tests.render.render_walk
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import bpy
import cv2
import numpy as np

from tests.walking import Array, Walk

from . import textures as paint
from .actor import add_mask_scene
from .bench_plates import render_to, replace_file
from .bench_shots import FPS, SENSOR
from .look import light_by_normal, set_cycles, with_sensor_noise
from .sample import Plate, add_camera, new_scene, surface_points, truth, write_truth
from .shapes import Room, add_box, add_mesh, add_panel
from .walk_shot import (
    FRAMES,
    HEIGHT,
    SAMPLES,
    WIDTH,
    body,
    folder,
    frame_of,
    mask_of,
    missing,
    posed,
    walk_of,
)

_POINTS, _VIEWS = 400, 12
_CAMERA_SIDE = np.pi
"""Where the camera is, from the world's +y."""


def render() -> None:
    """Writes truth.json, then what is missing of each frame."""
    with tempfile.TemporaryDirectory() as place:
        model = body(Path(place))
    walk = walk_of(model)
    vertices = posed(model, walk)
    plate = Plate(WIDTH, HEIGHT, FRAMES, FPS, float(walk.matrix[0, 0]) * SENSOR / WIDTH, SENSOR)
    scene = new_scene(plate)
    room = Room(scene, np.random.default_rng(9))
    _build_ground(room)
    poses = _poses(walk)
    add_camera(scene, plate, poses)
    set_cycles(scene, SAMPLES, 0.0)
    (folder() / "masks").mkdir(parents=True, exist_ok=True)
    views = np.linspace(1, FRAMES, _VIEWS).astype(int).tolist()
    points = surface_points(scene, plate, views, _POINTS // _VIEWS)
    write_truth(folder() / "truth.json", truth(plate, poses, points))
    person = _add_person(room, vertices[0], model.faces)
    light_by_normal(scene)
    masks = add_mask_scene(scene, [person], 16)
    for number in missing():
        person.data.attributes["position"].data.foreach_set("vector", _flat(vertices[number - 1]))
        person.data.update()
        for one in (scene, masks):
            one.frame_set(number)
        scene.cycles.seed = number
        noise = np.random.default_rng([17, number])
        _write(with_sensor_noise(_rendered(scene), noise), frame_of(number))
        _write(np.rint(_rendered(masks)[..., 3]).astype(np.uint8), mask_of(number))


def _build_ground(room: Room) -> None:
    """Paving, walls far behind it, and boxes to see parallax by."""
    room.paint("ground", paint.stones(2000, 2000, (60, 110), room.rng), (6.0, 6.0))
    room.paint("wall", paint.stones(1600, 3200, (70, 120), room.rng), (12.0, 6.0))
    room.paint("box", paint.wood(1200, 1200, (0.55, 0.38, 0.22), room.rng), (1.5, 1.5))
    room.paint("skin", paint.cloth(800, 800, (0.65, 0.45, 0.36), room.rng), (1.0, 1.0))
    for across in range(-2, 3):
        for along in range(-2, 3):
            add_panel(room, "ground", 6, 6, (6.0 * across, 6.0 * along, 0), (0, 0, 0), "ground")
    for turn in range(4):
        way = np.pi / 2 * turn
        place = (14 * np.sin(way), 14 * np.cos(way), 3)
        add_panel(room, "wall", 28, 6, place, (90, 0, -90 * turn), "wall")
    # Beside and behind the person, never before the camera.
    for side in np.linspace(0.6, 2 * np.pi - 0.6, 13):
        angle, away = _CAMERA_SIDE + side, room.rng.uniform(4.5, 11)
        size = tuple(room.rng.uniform(0.5, 1.4, 3).tolist())
        spot = (away * np.sin(angle), away * np.cos(angle), 0.0)
        add_box(room, "box", size, spot, "box", float(room.rng.uniform(0, 90)), bevel=0.01)


def _add_person(room: Room, vertices: Array, faces: np.ndarray) -> bpy.types.Object:
    corners = vertices[faces.ravel()]
    uv = corners[:, [0, 2]] * 1.5
    return add_mesh(room, "person", vertices.tolist(), faces.tolist(), uv, "skin")


def _poses(walk: Walk) -> Array:
    """(n, 4, 4) camera to world, looking along -z with y up."""
    poses = np.tile(np.eye(4), (len(walk.frames), 1, 1))
    poses[:, :3, :3] = np.swapaxes(walk.camera_rotations, 1, 2) @ np.diag([1.0, -1, -1])
    poses[:, :3, 3] = walk.camera_centers
    return poses


def _flat(vertices: Array) -> np.ndarray:
    return np.ascontiguousarray(vertices, np.float32).ravel()


def _rendered(scene: bpy.types.Scene) -> np.ndarray:
    """As Blender writes it, in floats of 0 to 255."""
    raw = folder() / f"raw.{os.getpid()}.png"
    render_to(scene, raw)
    picture = cv2.imread(str(raw), cv2.IMREAD_UNCHANGED)
    raw.unlink()
    return picture.astype(np.float32) / (257 if picture.dtype == np.uint16 else 1)


def _write(picture: np.ndarray, target: Path) -> None:
    replace_file(picture, target.with_name(f"part.{os.getpid()}.png"), target)


def main() -> None:
    began = time.monotonic()
    if missing():
        render()
    print(f"{folder()}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # Blender as a module may wait for its own threads for ever when Python ends.
    os._exit(0)
