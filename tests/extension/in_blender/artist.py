# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER PLATE STILL_PLATE: what an artist does, in a window, from an empty machine to a camera.

Leaves pictures of every state of the sidebar in FOLDER.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
from installed import NAME, module
from quiet_draw import DrawWatch
from window import Player, Step, in_window, open_sidebar, picture, press, sidebar_box

folder, plate, still_plate = map(Path, sys.argv[sys.argv.index("--") + 1 :])
watch = DrawWatch()
told: dict[str, Any] = {}


def extension() -> Any:
    return module("operators.monitor")


def settings() -> Any:
    return bpy.context.window_manager.windows[0].scene.shot_gopher


def stage(name: str) -> Any:
    scene = bpy.context.window_manager.windows[0].scene
    return extension().monitor.view(scene).stages[name]


def is_in(name: str, *states: str) -> Any:
    def reached() -> bool:
        return stage(name).state.name in states

    reached.__name__ = f"{name} to be {' or '.join(states)}"
    return reached


def camera() -> Any:
    return next((one for one in bpy.data.objects if one.get("shot_gopher_role") == "camera"), None)


def imported() -> bool:
    return camera() is not None


def idle() -> bool:
    return not bpy.app.timers.is_registered(extension()._tick)


def take(name: str) -> Iterator[Step]:
    yield 0.6
    picture(folder / f"{name}.png")
    told.setdefault("pictures", {})[name] = sidebar_box()


def signal_worker(number: int) -> None:
    """Stops a job's processes or lets them go on: so small a shot is solved before one can act."""
    os.killpg(extension().monitor._jobs[stage("colmap").job]._pid, number)


def an_empty_machine() -> Iterator[Step]:
    """Nothing installed, no network: the panel says so, and a job that is started says so too."""
    preferences = bpy.context.preferences.addons[NAME].preferences
    preferences.worker_home = str(folder / "empty_home")
    preferences.projects_folder = str(folder / "shots")
    yield lambda: extension().monitor.environment.known
    yield lambda: not extension().monitor.environment.ready
    settings().plate = str(plate)
    assert settings().shot == str(folder / "shots" / "sh010"), settings().shot
    yield from take("not_set_up")
    press("set_up")
    yield is_in("ingest", "FAILED")
    assert stage("ingest").remedy.name == "ALLOW_ONLINE", stage("ingest")
    yield from take("offline")
    preferences.worker_home = ""
    bpy.context.preferences.system.use_online_access = True


def install() -> Iterator[Step]:
    yield lambda: extension().monitor.environment.known
    yield 1.0
    press("environment_install")
    yield 2.0
    yield from take("installing")
    yield lambda: extension().monitor.environment.ready
    yield lambda: not extension().monitor.environment.installing
    yield is_in("ingest", "MISSING", "FAILED")


def a_plate_that_cannot_be_tracked() -> Iterator[Step]:
    settings().plate = str(still_plate)
    assert settings().shot == str(folder / "shots" / "sh020"), settings().shot
    yield is_in("ingest", "MISSING")
    press("stage_run", stage="colmap")
    yield is_in("ingest", "RUNNING", "DONE")
    yield is_in("colmap", "FAILED")
    told["failure"] = stage("colmap").reason
    assert not imported()
    yield from take("failed")


def track_and_load_another_file() -> Iterator[Step]:
    settings().plate = str(plate)
    yield is_in("ingest", "MISSING", "FAILED")
    press("set_up")
    yield is_in("ingest", "RUNNING")
    yield is_in("ingest", "DONE")
    first, second = folder / "first.blend", folder / "second.blend"
    bpy.data.objects.new("Mark of the second file", None)
    bpy.data.objects["Mark of the second file"].use_fake_user = True
    bpy.ops.wm.save_as_mainfile(filepath=str(second), copy=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(first))
    yield 0.5
    press("stage_run", stage="colmap")
    yield lambda: is_in("colmap", "RUNNING")() and stage("colmap").fraction > 0.2
    signal_worker(signal.SIGSTOP)
    job = stage("colmap").job
    yield from take("running")
    bpy.ops.wm.open_mainfile(filepath=str(second))
    # Before anything is drawn: a sidebar would wake the monitor, but it may be closed.
    assert not idle(), "the file load ended the timer"
    assert not extension().monitor._views, "the monitor was not told of the file load"
    yield 0.1
    assert bpy.data.filepath == str(second)
    yield is_in("colmap", "RUNNING")
    assert stage("colmap").job == job
    yield from open_sidebar()


def finish_while_the_artist_is_elsewhere() -> Iterator[Step]:
    """In Edit Mode nothing is imported; in a workspace without a 3D view it is."""
    window = bpy.context.window_manager.windows[0]
    cube = bpy.data.objects["Cube"]
    window.view_layer.objects.active = cube
    with in_window("WINDOW"):
        bpy.ops.object.mode_set(mode="EDIT")
    signal_worker(signal.SIGCONT)
    yield is_in("colmap", "DONE")
    yield 1.0
    assert not imported()
    with in_window("WINDOW"):
        bpy.ops.object.mode_set(mode="OBJECT")
        window.workspace = bpy.data.workspaces["Rendering"]
    yield imported
    window.workspace = bpy.data.workspaces["Layout"]
    yield 1.0
    yield from open_sidebar()


def look_at_the_scene() -> Iterator[Step]:
    scene = bpy.context.window_manager.windows[0].scene
    assert scene.camera == camera()
    assert (scene.frame_start, scene.frame_end) == (1, 24), (scene.frame_start, scene.frame_end)
    assert camera().data.background_images, "no plate behind the camera"
    roles = {one.get("shot_gopher_role") for one in scene.objects}
    assert {"camera", "points", "frusta"} <= roles, roles
    places = []
    for frame in (1, 8, 16, 24):
        scene.frame_set(frame)
        places.append(tuple(round(value, 4) for value in camera().matrix_world.translation))
        yield 0.2
    assert len(set(places)) == 4, places
    told["solve"] = stage("colmap").facts
    with in_window("WINDOW") as _:
        bpy.context.space_data.region_3d.view_perspective = "CAMERA"
    yield from take("done")


def export_and_import_a_model() -> Iterator[Step]:
    exported = folder / "exported"
    exported.mkdir()
    with in_window("WINDOW"):
        bpy.ops.shot_gopher.camera_export(directory=str(exported), formats={"chan", "csv"})
    assert {file.name for file in exported.iterdir()} == {"camera.chan", "camera.csv"}
    assert len((exported / "camera.chan").read_text().splitlines()) == 24
    window = bpy.context.window_manager.windows[0]
    shot_scene, window.scene = window.scene, bpy.data.scenes.new("A foreign model")
    yield 0.5
    sparse = folder / "shots" / "sh010" / "colmap" / "sparse"
    with in_window("WINDOW"):
        bpy.ops.shot_gopher.colmap_import(directory=str(sparse))
    assert window.scene.camera is not None
    assert window.scene.camera != shot_scene.camera
    bpy.data.scenes.remove(window.scene)
    window.scene = shot_scene
    yield 0.5


def undo() -> Iterator[Step]:
    with in_window("WINDOW"):
        bpy.ops.ed.undo()
    yield 0.5
    assert not imported(), "undo leaves the import"
    assert "Cube" in bpy.data.objects, "undo takes more than the import"
    with in_window("WINDOW"):
        bpy.ops.ed.redo()
    yield 0.5
    assert imported(), "redo does not bring the import back"
    yield is_in("colmap", "DONE")


def change_an_option_and_cancel() -> Iterator[Step]:
    settings().options.colmap.quality = "low"
    yield is_in("colmap", "STALE")
    yield from take("stale")
    press("stage_run", stage="colmap")
    yield is_in("colmap", "RUNNING")
    press("job_cancel", job=stage("colmap").job)
    yield is_in("colmap", "STALE")
    assert stage("colmap").facts, "the old solve is gone"
    settings().options.colmap.quality = "medium"
    yield is_in("colmap", "DONE")


def the_preferences() -> Iterator[Step]:
    press("allow_online")
    yield 1.0
    assert bpy.context.preferences.active_section == "SYSTEM"
    window = bpy.context.window_manager.windows[-1]
    bpy.ops.preferences.addon_show(module=NAME)
    yield 1.5
    picture(folder / "preferences.png")
    told["pictures"]["preferences"] = [0, 0, window.width, window.height]
    with bpy.context.temp_override(window=window):
        bpy.ops.wm.window_close()
    yield 0.5


def the_end() -> Iterator[Step]:
    """All is quiet: no timer runs, and no draw ever touched the disk."""
    yield idle
    told["draws"], told["touched"] = watch.draws, watch.touched
    told["trouble"] = extension().monitor.trouble


def scenario() -> Iterator[Step]:
    watch.start()
    yield from open_sidebar()
    yield from an_empty_machine()
    yield from install()
    yield from a_plate_that_cannot_be_tracked()
    yield from track_and_load_another_file()
    yield from finish_while_the_artist_is_elsewhere()
    yield from look_at_the_scene()
    yield from undo()
    yield from export_and_import_a_model()
    yield from change_an_option_and_cancel()
    yield from the_preferences()
    yield from the_end()


Player(scenario(), folder / "report.json", told).start()
