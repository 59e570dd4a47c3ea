# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER MOVIE IMAGES...: plates are dropped from a file manager, and a recent shot is opened."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
from installed import NAME, module, monitor, scene
from quiet_draw import DrawWatch
from window import Player, Step, area, in_window, open_sidebar, picture, press, region, sidebar_box

SOURCE = Path(__file__).with_name("drag_and_drop.py")
folder, movie, *images = map(Path, sys.argv[sys.argv.index("--") + 1 :])
watch = DrawWatch()
told: dict[str, Any] = {"pictures": {}}


def chosen() -> tuple[str, str]:
    return scene().shot_gopher.plate, scene().shot_gopher.shot


def stage(name: str) -> Any:
    return monitor().view(scene()).stages[name]


def take(name: str, whole: bool = False) -> Iterator[Step]:
    yield 0.6
    picture(folder / f"{name}.png")
    window = bpy.context.window_manager.windows[0]
    everything = [0, 0, window.width, window.height]
    told["pictures"][name] = everything if whole else sidebar_box()


def key(name: str) -> Iterator[Step]:
    yield 0.4
    subprocess.run(["xdotool", "key", name], check=True)
    yield 0.6


def drop(kind: str, *paths: Path) -> Iterator[Step]:
    """Drops files in the middle of a region; Blender asks which importer is meant."""
    place, window = region(kind, area()), bpy.context.window_manager.windows[0]
    x, y = place.x + place.width // 2, window.height - place.y - place.height // 2
    command = ["python3", SOURCE, x, y, *paths]
    dropping = subprocess.Popen(list(map(str, command)))

    def dropped() -> bool:
        return dropping.poll() is not None

    yield dropped
    assert dropping.returncode == 0, f"Blender did not take {paths}"
    yield 0.6


def track_with_shot_gopher() -> Iterator[Step]:
    """The entry of Blender's menu, by its underlined letter."""
    yield from key("t")


def have_an_environment() -> Iterator[Step]:
    yield lambda: monitor().environment.known
    if not monitor().environment.ready:
        press("environment_install")
        yield lambda: monitor().environment.ready


def see_what_is_in_a_plate() -> Iterator[Step]:
    """Before anything is set up: its size, or why it cannot be read."""
    scene().shot_gopher.plate = str(movie)
    yield lambda: "480 x 270 px, 24 fps" in monitor().view(scene()).plate_lines
    yield from take("plate")
    broken = folder / "broken.mp4"
    broken.write_bytes(b"no movie at all")
    scene().shot_gopher.plate = str(broken)
    yield lambda: "broken.mp4" in monitor().view(scene()).plate_fault
    yield from take("broken_plate")
    scene().shot_gopher.plate = scene().shot_gopher.shot = ""


def refuse() -> Iterator[Step]:
    before = chosen()
    yield from drop("WINDOW", movie)
    yield from take("drop_menu", whole=True)
    yield from track_with_shot_gopher()
    yield from take("drop_dialog", whole=True)
    yield from key("Escape")
    assert chosen() == before, chosen()


def track_a_movie() -> Iterator[Step]:
    yield from drop("UI", movie)
    yield from track_with_shot_gopher()
    yield from key("Return")
    assert chosen() == (str(movie), str(folder / "shots" / movie.stem)), chosen()
    yield lambda: stage("ingest").state.name == "RUNNING"
    yield lambda: stage("colmap").state.name == "RUNNING"
    job = stage("colmap").job
    yield from take("dropped_movie")
    press("job_cancel", job=job)
    yield lambda: not monitor().active_jobs
    assert stage("ingest").state.name == "DONE"


def set_up_images() -> Iterator[Step]:
    first = chosen()
    yield from drop("WINDOW", *images)
    yield from track_with_shot_gopher()
    yield from take("drop_dialog_images", whole=True)
    yield from key("Escape")
    with in_window("WINDOW"):
        # The same with another choice in the dialog, for which there is no key.
        bpy.ops.shot_gopher.plate_open("INVOKE_DEFAULT", filepath=str(images[1]), then="SET_UP")
    yield from key("Return")
    assert chosen()[0] == str(images[0]), chosen()
    assert chosen()[1] != first[1]
    yield lambda: stage("ingest").state.name == "DONE"
    yield lambda: len(monitor().recent) == 2
    yield from take("dropped_images")


def open_the_first_again() -> Iterator[Step]:
    with in_window():
        bpy.ops.wm.call_menu(name="SHOTGOPHER_MT_recent_shots")
    yield from take("recent_shots", whole=True)
    yield from key("Escape")
    newest, older = monitor().recent
    assert newest.folder == chosen()[1]
    press("shot_open", directory=older.folder)
    assert chosen() == (str(movie), str(folder / "shots" / movie.stem)), chosen()
    yield lambda: monitor().view(scene()).folder == older.folder
    assert stage("ingest").state.name == "DONE"


def the_end() -> Iterator[Step]:
    yield lambda: not bpy.app.timers.is_registered(module("operators.monitor")._tick)
    told["touched"], told["trouble"] = watch.touched, monitor().trouble


def scenario() -> Iterator[Step]:
    bpy.context.preferences.system.use_online_access = True
    preferences = bpy.context.preferences.addons[NAME].preferences
    preferences.projects_folder = str(folder / "shots")
    watch.start()
    yield from open_sidebar()
    yield from have_an_environment()
    yield from see_what_is_in_a_plate()
    yield from refuse()
    yield from track_a_movie()
    yield from set_up_images()
    yield from open_the_first_again()
    yield from the_end()


Player(scenario(), folder / "report.json", told).start()
