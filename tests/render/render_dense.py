# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the scenes of dense_scenes.py that are missing, with their depth, normals and mesh.

    python -m tests.render.render_dense [NAME ...]

Pictures are path traced and denoised, with a sensor's noise on those that are no held-out ones.
Depth and normals come from rays through the pixels' centers, cast into the same triangles.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import bpy
import cv2
import numpy as np
from mathutils import Vector

from . import textures as paint
from .camera_path import Array
from .dense_scenes import DENSE_SCENES, SENSOR, Scene, folder_of, missing
from .look import with_sensor_noise
from .sample import Plate, add_camera, new_scene, set_cycles
from .shapes import (
    Room,
    add_ball,
    add_box,
    add_cushion,
    add_lathe,
    add_light,
    add_panel,
    area_light,
)

VASE = [(0.0, 0), (0.13, 0), (0.2, 0.14), (0.16, 0.3), (0.06, 0.42), (0.09, 0.5), (0.0, 0.5)]
JAR = [(0.0, 0), (0.2, 0.0), (0.22, 0.05), (0.22, 0.42), (0.15, 0.5), (0.15, 0.54), (0.0, 0.55)]


def _rich_paint(room: Room) -> None:
    rng = room.rng
    room.paint("floor", paint.planks(1500, 1500, 250, (0.72, 0.52, 0.34), rng), (6.0, 6.0))
    room.paint("wall", paint.stones(1000, 1600, (110, 150), rng), (6.0, 3.75))
    room.paint("crate", paint.abstract(700, 700, paint.WARM, rng), (1.4, 1.4))
    room.paint("box", paint.bouquet(700, 700, paint.COOL, rng), (1.1, 1.1))
    room.paint("ball", paint.globe(400, 800, rng), (1.0, 1.0))
    room.paint("vase", paint.glaze(500, 700, (0.70, 0.36, 0.22), paint.WARM, rng), (1.2, 0.7))
    room.paint("cloth", paint.patterned_cloth(600, 600, (0.7, 0.6, 0.45), paint.COOL, rng), (1, 1))
    room.paint("post", paint.wood(800, 800, (0.45, 0.28, 0.16), rng), (1.2, 1.2))


def _plain_paint(room: Room) -> None:
    colors = {
        "floor": (0.55, 0.53, 0.50),
        "wall": (0.60, 0.62, 0.60),
        "crate": (0.62, 0.42, 0.30),
        "box": (0.35, 0.45, 0.55),
        "ball": (0.55, 0.30, 0.28),
        "vase": (0.70, 0.66, 0.55),
        "cloth": (0.42, 0.50, 0.38),
        "post": (0.30, 0.28, 0.27),
    }
    for name, color in colors.items():
        stains = paint.fractal(512, 512, (160, 160), room.rng, 3)
        room.paint(name, paint.shade(paint.flat(512, 512, color), 0.97 + 0.06 * stains), (3.0, 3.0))


def _build(room: Room) -> None:
    """A floor and two walls, and on the floor boxes, round bodies, a cushion and thin posts."""
    add_panel(room, "floor", 9, 7, (0, 0.4, 0), (0, 0, 0), "floor")
    add_panel(room, "back wall", 9, 4.5, (0, 2.4, 2.25), (90, 0, 0), "wall")
    add_panel(room, "side wall", 7, 4.5, (3.2, 0.4, 2.25), (90, 0, -90), "wall")
    add_box(room, "crate", (0.9, 0.7, 0.6), (-0.75, 0.55, 0), "crate", 24, bevel=0.02)
    add_box(room, "box", (0.45, 0.45, 0.45), (-0.7, 0.55, 0.6), "box", -12, bevel=0.01)
    add_box(room, "tall box", (0.5, 0.4, 1.2), (1.25, 0.9, 0), "box", -30, bevel=0.02)
    add_ball(room, "ball", (0.34, 0.34, 0.34), (0.35, 0.0, 0.34), "ball", whole=True)
    add_ball(room, "small ball", (0.17, 0.17, 0.17), (-0.25, -0.65, 0.17), "ball", whole=True)
    add_lathe(room, "vase", VASE, (0.85, -0.35, 0), "vase")
    add_lathe(room, "jar", JAR, (-1.3, -0.35, 0), "vase")
    add_cushion(room, (0.6, 0.6, 0.22), (0.25, 0.95, 0.28), (62, 0, 15), "cloth")
    for x in (-0.15, 1.75):
        add_box(room, "post", (0.07, 0.07, 1.6), (x, 1.4, 0), "post", 10, bevel=0.006)
    add_box(room, "rail", (2.0, 0.06, 0.06), (0.8, 1.4, 1.3), "post", 0, bevel=0.006)


def _light(room: Room) -> None:
    """A large soft lamp above the camera's side, a sun and a sky."""
    soft = area_light("soft", 260, 4.0, 3.0, (1.0, 0.94, 0.86))
    add_light(room, soft, (-2.0, -3.5, 4.2), Vector((0.4, 0.75, -0.75)))
    sun = bpy.data.lights.new("sun", "SUN")
    sun.energy, sun.angle = 1.4, np.radians(3)
    add_light(room, sun, (0, 0, 6), Vector((0.5, 0.75, -0.9)))
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (0.72, 0.82, 1.0, 1.0)
    background.inputs["Strength"].default_value = 0.45
    room.scene.world = world


def _scene(name: str, spec: Scene) -> bpy.types.Scene:
    poses = spec.poses()
    plate = Plate(spec.width, spec.height, len(poses), 24, spec.lens, SENSOR)
    scene = new_scene(plate)
    room = Room(scene, np.random.default_rng(8))
    (_plain_paint if name == "plain" else _rich_paint)(room)
    _build(room)
    _light(room)
    add_camera(scene, plate, poses)
    set_cycles(scene, spec.samples)
    scene.cycles.denoising_prefilter = "ACCURATE"
    return scene


def render(name: str) -> None:
    """Writes the mesh, then of each missing frame the picture and, last, its truth."""
    spec, folder = DENSE_SCENES[name], folder_of(name)
    folder.mkdir(parents=True, exist_ok=True)
    scene = _scene(name, spec)
    vertices, faces = _triangles(scene)
    np.savez_compressed(folder / "mesh.npz", vertices=vertices, faces=faces)
    for number in missing(name):
        scene.frame_set(number)
        scene.cycles.seed = number
        _render_picture(scene, folder, number, noisy=number <= spec.count)
        depth, normal = _cast(scene, spec, spec.poses()[number - 1])
        part = folder / "part.npz"
        np.savez_compressed(part, depth=depth, normal=normal)
        part.replace(folder / f"truth_{number:04d}.npz")


def _render_picture(scene: bpy.types.Scene, folder: Path, number: int, noisy: bool) -> None:
    raw = folder / "raw.png"
    scene.render.filepath = str(raw)
    bpy.ops.render.render(write_still=True)
    picture = cv2.imread(str(raw))
    if noisy:
        rng = np.random.default_rng(number)
        picture = with_sensor_noise(picture.astype(np.float32), rng)
    cv2.imwrite(str(folder / f"frame_{number:04d}.png"), picture)
    raw.unlink()


def _triangles(scene: bpy.types.Scene) -> tuple[np.ndarray, np.ndarray]:
    """All surfaces as Blender evaluates them: vertices (n, 3) float32, faces (m, 3) int32."""
    graph = bpy.context.evaluated_depsgraph_get()
    places, faces, base = [], [], 0
    for thing in (thing for thing in scene.objects if thing.type == "MESH"):
        seen = thing.evaluated_get(graph)
        mesh = seen.to_mesh()
        mesh.calc_loop_triangles()
        local = np.empty((len(mesh.vertices), 3), np.float32)
        mesh.vertices.foreach_get("co", local.ravel())
        corners = np.empty((len(mesh.loop_triangles), 3), np.int32)
        mesh.loop_triangles.foreach_get("vertices", corners.ravel())
        matrix = np.array(seen.matrix_world)
        places.append(local @ matrix[:3, :3].T + matrix[:3, 3])
        faces.append(corners + base)
        base += len(local)
        seen.to_mesh_clear()
    return np.concatenate(places).astype(np.float32), np.concatenate(faces).astype(np.int32)


def _cast(scene: bpy.types.Scene, spec: Scene, pose: Array) -> tuple[np.ndarray, np.ndarray]:
    """Depth (h, w) float32 along the camera's axis and world normals (h, w, 3) float16 towards
    the camera; 0 where the ray meets nothing."""
    graph = bpy.context.evaluated_depsgraph_get()
    depth = np.zeros((spec.height, spec.width), np.float32)
    normal = np.zeros((spec.height, spec.width, 3), np.float32)
    eye, ahead = Vector(pose[:3, 3]), -pose[:3, 2]
    y, x = np.mgrid[: spec.height, : spec.width] + 0.5
    local = np.stack([x - spec.width / 2, spec.height / 2 - y, np.full_like(x, -spec.focal)], -1)
    rays = local @ pose[:3, :3].T
    for row, column in np.ndindex(depth.shape):
        ray = rays[row, column]
        hit, place, facing, *_ = scene.ray_cast(graph, eye, Vector(ray))
        if hit:
            depth[row, column] = (place - eye).dot(Vector(ahead))
            away = facing.dot(Vector(ray)) > 0
            normal[row, column] = -facing if away else facing
    return depth, normal.astype(np.float16)


def main() -> None:
    parser = argparse.ArgumentParser(description="Render the scenes of the dense bench.")
    parser.add_argument("names", nargs="*", choices=[*DENSE_SCENES, []], help="all by default")
    for name in parser.parse_args().names or DENSE_SCENES:
        began = time.monotonic()
        if missing(name):
            render(name)
        took = time.monotonic() - began
        print(f"{name}: {took:.0f} s, {folder_of(name)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # Blender as a module may wait for its own threads for ever when Python ends.
    os._exit(0)
