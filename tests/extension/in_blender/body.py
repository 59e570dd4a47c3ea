# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER SHOT: brings a person into the scene by the panel's buttons, checks it and writes it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import window
from bpy_extras.view3d_utils import location_3d_to_region_2d
from installed import module, scene, view
from looking import Looking, timed, without_panels
from quiet_draw import DrawWatch
from window import Player, Step, area, in_window, open_sidebar, press, region

FRAME = 9
folder, shot = map(Path, sys.argv[sys.argv.index("--") + 1 :])
watch = DrawWatch()
told: dict[str, Any] = {}
look = Looking(folder, told)


def checker() -> Any:
    return module("operators.mocap").body_checker


def known() -> bool:
    return bool(view().solved and view().bodies.people)


def part(role: str) -> Any:
    (found,) = (each for each in bpy.data.objects if each.get("shot_gopher_role") == role)
    return found


def joints() -> dict[str, tuple[float, float]]:
    """The pixels of the picture where bones of the body begin, by Blender's own projection."""
    place, now = region("WINDOW", area()), bpy.context.window_manager.windows[0]
    side = area().spaces.active.region_3d
    armature = part("armature").evaluated_get(bpy.context.evaluated_depsgraph_get())
    names = [
        f"{side}_{joint}" for side in ("left", "right") for joint in ("knee", "ankle", "wrist")
    ]
    found = {}
    for name in names:
        head = armature.matrix_world @ armature.pose.bones[name].head
        x, y = location_3d_to_region_2d(place, side, head)
        found[name] = (place.x + x, now.height - (place.y + y))
    return found


def open_panel() -> None:
    """As if the artist had opened it: its heading cannot be pressed by a script."""
    panel = bpy.types.SHOTGOPHER_PT_bodies
    bpy.utils.unregister_class(panel)
    panel.bl_options = set()
    bpy.utils.register_class(panel)


def bring() -> Iterator[Step]:
    scene().shot_gopher.shot = str(shot)
    yield known
    press("camera_import")
    began = time.monotonic()
    press("body_import")
    told["import"] = time.monotonic() - began
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    told["made"] = sorted(each.name for each in bpy.data.objects if "person" in each.name)
    space = area().spaces.active
    space.region_3d.view_perspective = "CAMERA"
    for role in ("points", "frusta"):
        part(role).hide_set(True)
    space.overlay.show_floor = space.overlay.show_axis_x = space.overlay.show_axis_y = False
    scene().frame_set(FRAME)
    without_panels("shot", "roto", "masks")
    yield from look.take("body_stages")
    without_panels("stages")
    yield from look.take("body")


def check() -> Iterator[Step]:
    part("body").hide_set(True)
    part("armature").hide_set(True)
    yield from look.take("body_off")
    press("check_body")
    yield lambda: checker()._loaded is not None
    yield from look.take("body_on")
    told["joints"] = joints()
    told["milliseconds"] = yield from timed(checker())
    told["trouble"] = checker().trouble
    press("check_body")


def scale_and_undo() -> Iterator[Step]:
    part("body").hide_set(False)
    part("armature").hide_set(False)
    scene().frame_set(FRAME)
    told["size_before"] = size()
    with in_window("WINDOW"):
        # A button pushes this by itself; one that a script presses does not.
        bpy.ops.ed.undo_push(message="Import Bodies")
    press("survey_body")
    yield lambda: not view().bodies.offers
    told["size_after"] = size()
    yield from look.take("scaled")
    with in_window("WINDOW"):
        bpy.ops.ed.undo()
    yield 0.5
    told["size_undone"] = size()
    with in_window("WINDOW"):
        bpy.ops.ed.redo()
    yield 0.5


def size() -> float:
    """How high the body is at rest, in the scene's units."""
    bones = part("armature").data.bones
    return float(bones["head"].head_local.z - bones["left_foot"].head_local.z)


def write_files() -> None:
    """As after the file browser. What a build has no exporter for is told, the rest is written."""
    formats = {"bvh", "obj", "fbx", "abc", "usd"}
    with in_window():
        try:
            bpy.ops.shot_gopher.body_export(directory=str(folder / "out"), formats=formats)
        except RuntimeError as error:
            told["refused"] = str(error)
    told["built"] = [bpy.app.build_options.alembic, bpy.app.build_options.usd]
    told["files"] = sorted(file.name for file in (folder / "out").iterdir())


def from_the_side() -> Iterator[Step]:
    side = area().spaces.active.region_3d
    side.view_perspective = "PERSP"
    place = part("armature").pose.bones["pelvis"].head
    side.view_location, side.view_distance = place, 4.0
    yield from look.take("side")


def scenario() -> Iterator[Step]:
    watch.start()
    open_panel()
    yield from open_sidebar()
    yield from bring()
    yield from check()
    yield from scale_and_undo()
    write_files()
    yield from from_the_side()
    told["draws"], told["touched"] = watch.draws, watch.touched


window.PATIENCE = 200.0
Player(scenario(), folder / "report.json", told).start()
