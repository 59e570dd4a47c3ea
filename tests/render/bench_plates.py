# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the plates of the camera bench that are missing, with their true cameras.

In a Python 3.11 environment with bpy and OpenCV, from the root of the repository:

    python -m tests.render.bench_plates [NAME ...] [--frames 1,50]

A plate's truth.json is written before its frames; a render that was stopped goes on where it
stopped. The lens is a pinhole, without distortion. Truth of a zoom has one focal length a frame.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import bpy
import cv2
import numpy as np
from mathutils import Matrix

from .actor import ACTOR_PATHS, add_actor, add_mask_scene
from .bench_shots import FPS, SENSOR, SHOTS, Shot, folder_of, frame_of, missing
from .camera_path import Array, rotations_from_vectors
from .look import build_bare_room, light_by_normal, set_cycles, with_sensor_noise
from .room import build_room
from .sample import Plate, add_camera, evaluated_poses, new_scene, surface_points, truth
from .sample import write_truth as write_json

POINTS, VIEWS = 400, 25


def render(name: str, frames: Sequence[int]) -> None:
    """Writes truth.json, then those frames, and their masks where the plate has an actor."""
    shot, folder = SHOTS[name], folder_of(name)
    scene = scene_of(shot)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "truth.json").exists():
        write_truth(scene, shot, folder / "truth.json")
    masks = None
    if shot.actor:
        actor = add_actor(scene, ACTOR_PATHS[shot.actor](shot.poses()), FPS)
        light_by_normal(scene)
        masks = add_mask_scene(scene, actor, 4)
        (folder / "masks").mkdir(exist_ok=True)
    for frame in frames:
        scene.frame_set(frame)
        if masks is not None:
            _render_mask(masks, folder / "masks", frame)
        _render_frame(scene, name, folder, frame)


def scene_of(shot: Shot) -> bpy.types.Scene:
    """The scene with its camera, without the actor."""
    plate = _plate(shot)
    scene = new_scene(plate)
    (build_bare_room if shot.bare else build_room)(scene)
    light_by_normal(scene)
    camera = add_camera(scene, plate, shot.poses())
    if shot.lens[0] != shot.lens[1]:
        for frame, lens in zip(shot.frames, shot.lenses(), strict=True):
            camera.data.lens = float(lens)
            camera.data.keyframe_insert("lens", frame=frame)
    if shot.shutter:
        _key_exposures(camera, shot.poses(), shot.shutter)
    set_cycles(scene, shot.samples, shot.shutter)
    return scene


def _key_exposures(camera: bpy.types.Object, poses: Array, shutter: float) -> None:
    """Keys the ends of each frame's exposure too, `shutter` frames apart, on straight lines.

    Keys on frames alone bend between them and stand still beyond the first and last: the middle of
    what the shutter sees would then not be the pose of the frame, by up to a pixel.
    """
    for index, pose in enumerate(poses):
        before, after = max(index - 1, 0), min(index + 1, len(poses) - 1)
        span = after - before
        turn = _rotation_vector(poses[before, :3, :3].T @ poses[after, :3, :3]) / span
        go = (poses[after, :3, 3] - poses[before, :3, 3]) / span
        for part in (-shutter / 2, shutter / 2):
            moved = pose.copy()
            moved[:3, :3] = pose[:3, :3] @ rotations_from_vectors(part * turn[None])[0]
            moved[:3, 3] += part * go
            camera.matrix_world = Matrix(moved.tolist())
            camera.keyframe_insert("location", frame=index + 1 + part)
            camera.keyframe_insert("rotation_quaternion", frame=index + 1 + part)
    for curve in camera.animation_data.action.fcurves:
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"


def _rotation_vector(matrix: Array) -> Array:
    """The rotation vector (3,) in radians of a rotation by less than half a turn."""
    angle = np.arccos(np.clip((np.trace(matrix) - 1) / 2, -1, 1))
    skew = (matrix - matrix.T) / 2
    axis = np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
    vector: Array = axis / np.sinc(angle / np.pi)
    return vector


def _plate(shot: Shot) -> Plate:
    return Plate(shot.width, shot.height, shot.count, FPS, shot.lens[0], SENSOR)


def write_truth(scene: bpy.types.Scene, shot: Shot, path: Path) -> None:
    plate = _plate(shot)
    poses, focal = evaluated_poses(scene, shot.frames), _evaluated_focal(scene, shot)
    views = np.linspace(1, shot.count, VIEWS).astype(int).tolist()
    at_views = [float(focal[view - 1]) for view in views]
    points = surface_points(scene, plate, views, POINTS // VIEWS, at_views)
    data = truth(plate, poses, points)
    if np.ptp(focal) > 0:
        data |= {"fx": focal.tolist(), "fy": focal.tolist()}
    part = path.with_suffix(".part")
    write_json(part, data)
    part.replace(path)


def _evaluated_focal(scene: bpy.types.Scene, shot: Shot) -> Array:
    """Focal length (n,) in px as Blender evaluates it."""
    focal = np.empty(shot.count)
    for index, frame in enumerate(shot.frames):
        scene.frame_set(frame)
        camera = scene.camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
        focal[index] = camera.data.lens / SENSOR * shot.width
    return focal


def _render_frame(scene: bpy.types.Scene, name: str, folder: Path, frame: int) -> None:
    raw = folder / f"raw.{os.getpid()}.png"
    scene.cycles.seed = frame
    render_to(scene, raw)
    picture = cv2.imread(str(raw), cv2.IMREAD_UNCHANGED).astype(np.float32) / 257
    rng = np.random.default_rng([zlib.crc32(name.encode()), frame])
    replace_file(with_sensor_noise(picture, rng), raw, frame_of(folder, frame))


def _render_mask(masks: bpy.types.Scene, folder: Path, frame: int) -> None:
    raw = folder / f"raw.{os.getpid()}.png"
    masks.frame_set(frame)
    render_to(masks, raw)
    alpha = cv2.imread(str(raw), cv2.IMREAD_UNCHANGED)[..., 3]
    replace_file(np.where(alpha > 0, 255, 0).astype(np.uint8), raw, frame_of(folder, frame))


def render_to(scene: bpy.types.Scene, target: Path) -> None:
    scene.render.filepath = str(target)
    bpy.ops.render.render(write_still=True, scene=scene.name)


def replace_file(picture: np.ndarray, part: Path, target: Path) -> None:
    cv2.imwrite(str(part), picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    part.replace(target)


def main() -> None:
    parser = argparse.ArgumentParser(description="Render the plates of the camera bench.")
    parser.add_argument("names", nargs="*", choices=[*SHOTS, []], help="which; all by default")
    parser.add_argument("--frames", help="render only these frames, as 1,50, for a look")
    options = parser.parse_args()
    for name in options.names or SHOTS:
        wanted = missing(name)
        if options.frames:
            wanted = [int(frame) for frame in options.frames.split(",")]
        if not wanted:
            continue
        print(f"Rendering {len(wanted)} frames of {name} to {folder_of(name)}", file=sys.stderr)
        began = time.monotonic()
        render(name, wanted)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # Blender as a module may wait for its own threads for ever when Python ends.
    os._exit(0)
