# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER SHOT: looks at everything that can stand behind the camera, in every size of its proxies.

Takes a picture of each in the camera view and in the movie clip editor; the test says what color
it must have.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
from installed import monitor, scene, view
from quiet_draw import DrawWatch
from window import Player, Step, area, in_window, open_sidebar, picture, press, region, sidebar_box

SIZES = ("25", "50", "100", "FULL")
folder, shot = map(Path, sys.argv[sys.argv.index("--") + 1 :])
watch = DrawWatch()
told: dict[str, Any] = {"places": {}, "menus": {}}


def solved() -> bool:
    return view().solved


def settled() -> bool:
    return not view().busy


def middle(kind: str) -> list[int]:
    """The middle of the area's picture, in a picture of the window."""
    place = area(kind)
    window = bpy.context.window_manager.windows[0]
    pane = region("WINDOW", place)
    return [pane.x + pane.width // 2, window.height - pane.y - pane.height // 2]


def view_box() -> list[int]:
    """Where the camera view is in a picture of the window, without tools, gizmos and sidebar."""
    pane, window = region("WINDOW", area()), bpy.context.window_manager.windows[0]
    top = window.height - pane.y - pane.height
    return [pane.x + 100, top + 100, pane.width - 500, pane.height - 150]


def take(name: str, kind: str) -> Iterator[Step]:
    area(kind).tag_redraw()
    yield 0.5
    picture(folder / f"{name}.png")
    told["places"][name] = middle(kind)


def look_through_the_camera() -> None:
    with in_window("WINDOW"):
        space = bpy.context.space_data
        space.region_3d.view_perspective = "CAMERA"
        space.overlay.show_relationship_lines = False
        space.overlay.show_floor = space.overlay.show_axis_x = space.overlay.show_axis_y = False
        bpy.ops.view3d.view_center_camera()
    for each in scene().objects:
        each.hide_set(each.type != "CAMERA")


def show_each_in_every_size(kind: str, sources: list[str]) -> Iterator[Step]:
    for source in sources:
        with in_window("WINDOW", kind):
            assert bpy.ops.shot_gopher.background_show(source=source) == {"FINISHED"}
        for size in SIZES:
            scene().shot_gopher.proxy_size = size
            yield from take(f"{kind}_{source.replace('/', '-')}_{size}", kind)


def keep_what_the_artist_set() -> Iterator[Step]:
    """Opacity stays, an undo brings back what was shown, a saved file shows it again."""
    camera = scene().camera.data
    (image,) = camera.background_images
    image.alpha = 0.25
    with in_window():
        for source in ("plate", "roto/actor"):
            # As a button does, with an undo step.
            bpy.ops.shot_gopher.background_show("INVOKE_DEFAULT", True, source=source)
    yield 0.3
    (image,) = scene().camera.data.background_images
    assert abs(image.alpha - 0.25) < 1e-6, image.alpha
    assert image.clip.get("shot_gopher_background") == "roto/actor"
    with in_window("WINDOW"):
        bpy.ops.ed.undo()
    yield 0.3
    (image,) = scene().camera.data.background_images
    assert image.clip.get("shot_gopher_background") == "plate", image.clip
    with in_window("WINDOW"):
        bpy.ops.ed.redo()
    yield 0.3
    file = folder / "shown.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(file))
    bpy.ops.wm.open_mainfile(filepath=str(file))
    yield solved
    (image,) = scene().camera.data.background_images
    assert image.clip.get("shot_gopher_background") == "roto/actor", image.clip
    assert abs(image.alpha - 0.25) < 1e-6
    plate = next(clip for clip in bpy.data.movieclips if clip["shot_gopher_role"] == "plate")
    assert len(plate.tracking.tracks) > 50, "the markers are gone"
    yield from open_sidebar()


def scenario() -> Iterator[Step]:
    watch.start()
    scene().view_settings.view_transform = "Standard"
    yield from open_sidebar()
    scene().shot_gopher.shot = str(shot)
    yield solved
    press("camera_import")
    yield settled
    yield lambda: len(view().backgrounds) > 2
    told["backgrounds"] = [each.name for each in view().backgrounds]
    told["first"] = scene().camera.data.background_images[0].clip["shot_gopher_background"]
    look_through_the_camera()
    yield from show_each_in_every_size("VIEW_3D", ["plate", "undistorted", "roto/actor"])
    told["view"] = view_box()
    with in_window("WINDOW"):
        bpy.ops.shot_gopher.background_show(source="camera/undistorted")
    yield from take("VIEW_3D_camera-undistorted_FULL", "VIEW_3D")
    with in_window("WINDOW"):
        bpy.ops.shot_gopher.background_show(source="roto/actor")
    bpy.context.preferences.view.ui_scale = 0.7
    yield 1.0
    picture(folder / "behind.png")
    told["pictures"] = {"behind": sidebar_box()}
    bpy.context.preferences.view.ui_scale = 1.0
    scene().shot_gopher.editor_follows = True
    area().type = "CLIP_EDITOR"
    space = area("CLIP_EDITOR").spaces.active
    space.show_track_path = space.show_marker_pattern = space.show_disabled = False
    yield 0.5
    yield from show_each_in_every_size("CLIP_EDITOR", ["plate", "undistorted", "roto/actor"])
    area("CLIP_EDITOR").type = "VIEW_3D"
    scene().shot_gopher.proxy_size = "AUTO"
    yield 0.5
    yield from keep_what_the_artist_set()
    told["draws"], told["touched"] = watch.draws, watch.touched
    told["trouble"] = monitor().trouble


Player(scenario(), folder / "report.json", told).start()
