# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER SHOT: looks at a solve through Check Track, and does to the scene what artists do.

Leaves pictures of the window, and tells where in them the points are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
from bpy_extras.view3d_utils import location_3d_to_region_2d
from installed import module, monitor, scene
from looking import timed
from quiet_draw import DrawWatch
from window import Player, Step, area, in_window, open_sidebar, picture, press, region

folder, shot = map(Path, sys.argv[sys.argv.index("--") + 1 :])
watch = DrawWatch()
told: dict[str, Any] = {"pictures": {}}


def checker() -> Any:
    return module("operators.check").checker


def read() -> bool:
    return checker()._loaded is not None


def in_trouble() -> bool:
    return bool(checker().trouble)


def take(name: str) -> Iterator[Step]:
    yield 0.8
    picture(folder / f"{name}.png")
    place, window = region("WINDOW", area()), bpy.context.window_manager.windows[0]
    told["pictures"][name] = [
        place.x, window.height - place.y - place.height, place.width, place.height
    ]  # fmt: skip


def places() -> list[tuple[float, float]]:
    """The pixels of the picture where the cloud's points are, by Blender's own projection."""
    place, window = region("WINDOW", area()), bpy.context.window_manager.windows[0]
    cloud = next(each for each in scene().objects if each.get("shot_gopher_role") == "points")
    view = area().spaces.active.region_3d
    found = (
        location_3d_to_region_2d(place, view, cloud.matrix_world @ vertex.co)
        for vertex in cloud.data.vertices
    )
    return [(place.x + x, window.height - (place.y + y)) for x, y in filter(None, found)]


def look_through_the_camera() -> Iterator[Step]:
    scene().shot_gopher.shot = str(shot)
    yield lambda: monitor().view(scene()).solved
    press("camera_import")
    yield lambda: monitor().view(scene()).scene.name == "CURRENT"
    space = area().spaces.active
    for each in scene().objects:
        # The cloud and the frusta would be drawn at the same places.
        each.hide_set(each.type != "CAMERA")
    space.overlay.show_floor = space.overlay.show_axis_x = space.overlay.show_axis_y = False
    space.region_3d.view_perspective = "CAMERA"
    scene().frame_set(12)
    yield from take("off")


def turn_it_on() -> Iterator[Step]:
    press("check_track")
    yield read
    yield from take("on")
    told["places"] = places()
    told["milliseconds"] = yield from timed(checker())
    scene().frame_set(12)


def move_the_camera() -> Iterator[Step]:
    camera = scene().camera
    camera.delta_location.x += 0.05
    yield from take("moved")
    told["moved_places"] = places()
    camera.delta_location.x -= 0.05


def move_the_world() -> Iterator[Step]:
    """Everything hangs on an empty: nothing slips."""
    root = bpy.data.objects.new("Root", None)
    scene().collection.objects.link(root)
    for each in scene().objects:
        if each.get("shot_gopher_role"):
            each.parent = root
    root.location, root.rotation_euler, root.scale = (3, -2, 1), (0.2, 0.1, 1.3), (2, 2, 2)
    yield from take("hung")
    told["hung_places"] = places()
    root.location, root.rotation_euler, root.scale = (0, 0, 0), (0, 0, 0), (1, 1, 1)


def undo_and_delete() -> Iterator[Step]:
    with in_window("WINDOW"):
        bpy.ops.ed.undo_push(message="Before")
        bpy.data.objects.remove(scene().camera)
        bpy.ops.ed.undo_push(message="Camera deleted")
    yield 0.5
    with in_window("WINDOW"):
        bpy.ops.ed.undo()
    yield 0.5
    # Blender leaves the camera view when its camera goes, and an undo does not bring it back.
    area().spaces.active.region_3d.view_perspective = "CAMERA"
    yield 0.5
    assert checker().on
    assert scene().camera is not None
    assert not checker().trouble, checker().trouble


def lose_the_shot() -> Iterator[Step]:
    moved = shot.with_name("elsewhere")
    shot.rename(moved)
    yield 0.5
    assert read(), "what was read is still good"
    with in_window():
        bpy.ops.shot_gopher.check_track()
        bpy.ops.shot_gopher.check_track()
    yield in_trouble
    told["gone"] = checker().trouble
    region("UI", area()).tag_redraw()
    yield from take("gone")
    moved.rename(shot)
    with in_window():
        bpy.ops.shot_gopher.check_track()
        assert not checker().on
        bpy.ops.shot_gopher.check_track()
    yield read
    assert not checker().trouble


def load_another_file() -> Iterator[Step]:
    bpy.ops.wm.read_homefile()
    yield 1.0
    assert not read()
    assert not checker().trouble
    area().spaces.active.region_3d.view_perspective = "CAMERA"
    yield 0.5
    with in_window():
        bpy.ops.shot_gopher.check_track()
    assert not checker().on


def scenario() -> Iterator[Step]:
    watch.start()
    yield from open_sidebar()
    yield from look_through_the_camera()
    yield from turn_it_on()
    yield from move_the_camera()
    yield from move_the_world()
    yield from undo_and_delete()
    yield from lose_the_shot()
    yield from load_another_file()
    told["touched"], told["trouble"] = watch.touched, monitor().trouble


Player(scenario(), folder / "report.json", told).start()
