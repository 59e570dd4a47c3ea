# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER SHOT SIZE FIRST COUNT: steps through so many frames in the camera view, and times it.

SIZE is that of the proxies (AUTO, 25, 50, 100, FULL). Each frame is drawn three times: when Blender
has never seen it, once more when it has, and later without the plate. Drawing is the computer's:
here it has no GPU. The first less the second draw is what decoding takes, the first less the third
all that the plate costs.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
from window import Player, Step, area, in_window

ROOT = Path(__file__).resolve().parents[3]
folder, shot = map(Path, sys.argv[sys.argv.index("--") + 1 :][:2])
size, first, count = sys.argv[sys.argv.index("--") + 3 :]
FRAMES = range(int(first), int(first) + int(count))
told: dict[str, Any] = {}


def import_shot() -> None:
    """As the operator does, without an installed extension."""
    spec = importlib.util.spec_from_file_location("headless", ROOT / "operators" / "headless.py")
    headless = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(headless)
    headless.load_package()
    from shot_gopher.backend.shot import Shot
    from shot_gopher.operators.scene import shot as scene_shot

    result = scene_shot.import_shot(bpy.context, Shot(shot), 0, size)
    (image,) = result.camera.data.background_images
    told["shown"] = {
        "clip": image.clip.name,
        "size": image.clip_user.proxy_render_size,
        "undistorted": image.clip_user.use_render_undistorted,
        "points": len(result.points.data.vertices),
    }


def look_through_the_camera() -> None:
    """Meshes are there and evaluated, but not drawn: that alone takes a second without a GPU.

    In a small view without anti-aliasing, for the same reason.
    """
    bpy.context.preferences.system.viewport_aa = "OFF"
    for direction in ("VERTICAL", "HORIZONTAL"):
        with in_window("WINDOW"):
            bpy.ops.screen.area_split(direction=direction, factor=0.6)
    shown = area()
    for other in bpy.context.window_manager.windows[0].screen.areas:
        if other.type == "VIEW_3D" and other != shown:
            other.type = "TEXT_EDITOR"
    with in_window("WINDOW"):
        space = bpy.context.space_data
        space.region_3d.view_perspective = "CAMERA"
        space.show_object_viewport_mesh = False
        space.show_object_viewport_pointcloud = False
        space.overlay.show_floor = False
        bpy.ops.view3d.view_center_camera()


def seconds(work: Callable[..., None], *arguments: Any) -> float:
    """Of the processor, spent by the main thread, which decodes: other programs run as well."""
    began = time.thread_time()
    work(*arguments)
    return time.thread_time() - began


def draw() -> None:
    bpy.ops.wm.redraw_timer(type="DRAW", iterations=1)


def step(frame: int) -> None:
    bpy.context.scene.frame_set(frame)


def scenario() -> Iterator[Step]:
    bpy.data.objects["Cube"].hide_set(True)
    import_shot()
    look_through_the_camera()
    camera = bpy.context.scene.camera.data
    step(FRAMES.start - 1)
    yield 1.0
    cold, warm, hidden, evaluation = [], [], [], []
    told["wall"] = []
    for frame in FRAMES:
        with in_window("WINDOW"):
            evaluation.append(seconds(step, frame))
            began = time.perf_counter()
            cold.append(seconds(draw))
            told["wall"].append(time.perf_counter() - began)
            warm.append(seconds(draw))
        yield 0.0
    camera.show_background_images = False
    step(FRAMES.start - 1)
    yield 0.5
    for frame in FRAMES:
        with in_window("WINDOW"):
            step(frame)
            hidden.append(seconds(draw))
        yield 0.0
    told.update(cold=cold, warm=warm, hidden=hidden, evaluation=evaluation)


Player(scenario(), folder / "report.json", told).start()
