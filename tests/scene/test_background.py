# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands behind the camera: one thing at a time, with its proxies, as the artist wants it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from shot_gopher.backend.outputs import lens_digest
from shot_gopher.backend.pictures import find_pictures
from shot_gopher.backend.processes import FileLock
from shot_gopher.backend.proxies import Made
from shot_gopher.backend.reconstruction import CameraModel
from shot_gopher.backend.shot import FRAME_PATTERN, Shot, write_json
from shot_gopher.operators.monitor import monitor
from shot_gopher.operators.scene.shot import import_shot

from .shots import arc, make_shot, resolved_with, write_png
from .test_addon import STARTED, write_job

BENT = CameraModel("SIMPLE_RADIAL", 64, 36, (50, 32, 18, -0.1))
FIRST = 1001


def bent_shot(folder: Path) -> Shot:
    """With a matte from frame 1003 on; proxies of plate and undistorted plate in all sizes."""
    shot = make_shot(folder, BENT, images=True)
    for number in (1003, 1004, 1005):
        name = f"{FRAME_PATTERN.format(number)}.png"
        write_png(shot.roto / "actor" / name, np.zeros((36, 64, 3), dtype=np.uint8))
    for directory, ending in ((shot.proxies, ""), (shot.undistorted_proxies, "_undistorted")):
        for percent in (25, 50, 100):
            (directory / "frame_1001.png" / f"proxy_{percent}{ending}").mkdir(parents=True)
    return shot


def write_matte_proxies(shot: Shot) -> None:
    (matte,) = find_pictures(shot)
    directory = shot.written_proxies / matte.name
    for percent in (25, 50, 100):
        for ending in ("", "_undistorted"):
            (directory / "frame_1003.png" / f"proxy_{percent}{ending}").mkdir(parents=True)
    Made(matte.digest(), lens_digest(shot)).save(directory)


@pytest.fixture
def shot(settings: Any, tmp_path: Path) -> Shot:
    """Imported into the scene."""
    made = bent_shot(tmp_path / "shot")
    settings.shot = str(made.path)
    assert bpy.ops.shot_gopher.camera_import() == {"FINISHED"}
    return made


def shown() -> bpy.types.CameraBackgroundImage:
    (only,) = bpy.context.scene.camera.data.background_images
    return only


def show(name: str) -> bpy.types.MovieClip:
    assert bpy.ops.shot_gopher.background_show(source=name) == {"FINISHED"}
    return shown().clip


@pytest.mark.usefixtures("shot")
def test_a_plate_that_is_bent_is_shown_undistorted_at_first() -> None:
    assert shown().clip["shot_gopher_background"] == "undistorted"
    assert shown().clip_user.use_render_undistorted
    assert shown().clip_user.proxy_render_size == "PROXY_100"
    assert {clip.name for clip in bpy.data.movieclips} == {"shot", "shot Undistorted Plate"}


def test_each_has_its_clip_its_frames_and_its_proxies(shot: Shot) -> None:
    write_matte_proxies(shot)
    plate = show("plate")
    assert not shown().clip_user.use_render_undistorted
    assert (plate.use_proxy_custom_directory, plate.use_proxy) == (False, True)
    matte = show("roto/actor")
    assert (matte.name, matte.frame_start) == ("shot Roto: actor", 1003)
    assert Path(matte.proxy.directory) == (shot.written_proxies / "roto" / "actor").resolve()
    assert shown().clip_user.use_render_undistorted
    assert matte.proxy.build_undistorted_25
    assert not matte.proxy.build_25


def test_without_proxies_the_images_are_shown(shot: Shot) -> None:
    """Blender would show nothing where the proxies that it is told to use are not there."""
    clip = show("roto/actor")
    assert not clip.use_proxy
    assert shown().clip_user.proxy_render_size == "FULL"
    write_matte_proxies(shot)
    assert bpy.ops.shot_gopher.background_refresh() == {"FINISHED"}
    assert shown().clip == clip
    assert clip.use_proxy
    assert shown().clip_user.proxy_render_size == "PROXY_100"


@pytest.mark.usefixtures("shot")
def test_switching_keeps_what_the_artist_set_and_the_clips() -> None:
    image = shown()
    image.alpha, image.display_depth, image.rotation = 0.3, "FRONT", 0.5
    clips = [show(name).name for name in ("plate", "roto/actor", "undistorted", "plate")]
    assert clips[0] == clips[3]
    assert len(bpy.data.movieclips) == 3
    assert shown().alpha == pytest.approx(0.3)
    assert (shown().display_depth, shown().rotation) == ("FRONT", 0.5)


def test_an_import_keeps_the_choice_as_long_as_it_is_there(shot: Shot) -> None:
    show("roto/actor")
    import_shot(bpy.context, shot)
    assert shown().clip["shot_gopher_background"] == "roto/actor"
    (shot.roto / "actor").rename(shot.path / "gone")
    import_shot(bpy.context, shot)
    assert shown().clip["shot_gopher_background"] == "undistorted"


def test_a_clip_has_the_lens_of_the_last_solve(shot: Shot) -> None:
    matte = show("roto/actor")
    assert matte.tracking.camera.k1 == pytest.approx(-0.1)
    other = replace(BENT, params=(55, 31, 17, -0.2))
    import_shot(bpy.context, resolved_with(shot, other, arc(12)))
    camera = matte.tracking.camera
    assert (camera.k1, camera.focal_length_pixels) == pytest.approx((-0.2, 55))
    assert tuple(camera.principal_point_pixels) == pytest.approx((31, 19))


@pytest.mark.usefixtures("shot")
def test_what_is_shown_is_saved_and_with_it_the_markers(tmp_path: Path) -> None:
    """Nobody but itself holds the plate's clip while a matte is shown."""
    plate = show("plate")
    plate.tracking.tracks.new(name="mine", frame=1)
    show("roto/actor")
    file = tmp_path / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(file))
    bpy.ops.wm.open_mainfile(filepath=str(file))
    assert shown().clip["shot_gopher_background"] == "roto/actor"
    assert bpy.data.movieclips["shot"].tracking.tracks[0].name == "mine"
    assert show("plate").tracking.tracks[0].name == "mine"


@pytest.mark.usefixtures("shot")
def test_undo_takes_a_switch_back() -> None:
    bpy.ops.ed.undo_push(message="import")
    show("plate")
    bpy.ops.ed.undo_push(message="switch")
    bpy.ops.ed.undo()
    assert shown().clip["shot_gopher_background"] == "undistorted"
    bpy.ops.ed.redo()
    assert shown().clip["shot_gopher_background"] == "plate"


@pytest.mark.usefixtures("shot")
def test_what_is_not_there_is_refused_in_a_sentence() -> None:
    with pytest.raises(RuntimeError, match=r"no 'cleanplate'.*plate, undistorted, roto/actor"):
        bpy.ops.shot_gopher.background_show(source="cleanplate")
    bpy.data.objects.remove(bpy.context.scene.camera)
    with pytest.raises(RuntimeError, match="Import the camera first"):
        bpy.ops.shot_gopher.background_show(source="plate")


def test_the_artist_picks_the_size(shot: Shot, settings: Any) -> None:
    for size, wanted in (("25", "PROXY_25"), ("FULL", "FULL"), ("AUTO", "PROXY_100")):
        settings.proxy_size = size
        assert shown().clip_user.proxy_render_size == wanted
    settings.proxy_size = "50"
    show("plate")
    assert shown().clip_user.proxy_render_size == "PROXY_50"
    show("roto/actor")
    assert shown().clip_user.proxy_render_size == "FULL"
    import_shot(bpy.context, shot, 0, "25")
    show("undistorted")
    assert shown().clip_user.proxy_render_size == "PROXY_50"


def clip_editor() -> bpy.types.SpaceClipEditor:
    area = bpy.context.window_manager.windows[0].screen.areas[0]
    area.type = "CLIP_EDITOR"
    return area.spaces[0]


def test_clip_editors_show_the_plate_with_its_proxies(shot: Shot, settings: Any) -> None:
    space = clip_editor()
    space.clip = None
    import_shot(bpy.context, shot)
    assert space.clip == bpy.data.movieclips["shot"]
    assert space.clip_user.proxy_render_size == "PROXY_100"
    settings.proxy_size = "25"
    assert space.clip_user.proxy_render_size == "PROXY_25"
    show("roto/actor")
    assert space.clip == bpy.data.movieclips["shot"]
    settings.editor_follows = True
    assert show("undistorted") == space.clip
    assert space.clip_user.use_render_undistorted
    assert space.clip_user.proxy_render_size == "PROXY_25"


def test_overscan_is_put_around_the_frame_and_taken_away_again(shot: Shot) -> None:
    size = {"width": 70, "height": 40, "plate_width": 64, "plate_height": 36}
    write_json(shot.undistorted_file, size | {"is_plate": False, "cut": False})
    for number in range(FIRST, FIRST + 12):
        write_png(shot.undistorted_frame(number), np.zeros((40, 70, 3), dtype=np.uint8))
    show("camera/undistorted")
    assert shown().scale == pytest.approx(40 / 36)
    assert not shown().clip_user.use_render_undistorted
    show("undistorted")
    assert shown().scale == 1
    shown().scale = 2
    show("plate")
    assert shown().scale == 2, "what the artist set is gone"


def test_proxies_that_have_just_been_written_are_used_at_once(shot: Shot, tmp_path: Path) -> None:
    show("roto/actor")
    folder = tmp_path / "home" / "jobs" / "1"
    status = {"event": "status", "text": "Writing proxies"}
    write_job(folder.parent, shot.path, folder.name, [STARTED, status])
    request = json.loads((folder / "request.json").read_text())
    request["stages"] = [{"name": "proxies", "options": {}}]
    (folder / "request.json").write_text(json.dumps(request))
    worker = FileLock(folder / "worker.lock")
    assert worker.acquire()
    monitor.refresh_soon()
    _tick_until(lambda: monitor.active_jobs)
    write_matte_proxies(shot)
    with (folder / "events.jsonl").open("a") as events:
        events.write(json.dumps({"seq": 3, "time": 2.0, "stage": "", "event": "finished"}) + "\n")
    worker.release()
    _tick_until(lambda: shown().clip_user.proxy_render_size == "PROXY_100")


def _tick_until(reached: Callable[[], object]) -> None:
    """Timers do not run without a window's loop."""
    end = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < end
        monitor.tick()
        time.sleep(0.01)


# The scene's range


def with_cut(shot: Shot, first: int, last: int) -> Shot:
    data = json.loads(shot.plate_file.read_text())
    write_json(shot.plate_file, data | {"cut": [first, last]})
    return shot


def scene_range() -> tuple[int, int]:
    return bpy.context.scene.frame_start, bpy.context.scene.frame_end


def test_the_scene_has_the_cut_and_everything_else_the_handles(tmp_path: Path) -> None:
    shot = with_cut(bent_shot(tmp_path / "shot"), 1004, 1009)
    result = import_shot(bpy.context, shot)
    assert scene_range() == (1004, 1009)
    assert bpy.context.scene.frame_current == 1004
    assert result.clip.frame_start == FIRST
    assert result.clip.frame_duration == 12
    keys = result.camera.animation_data.action.frame_range
    assert tuple(keys) == (1001, 1012)
    bpy.context.scene.frame_set(1002)
    import_shot(bpy.context, shot)
    assert bpy.context.scene.frame_current == 1002


def test_a_range_that_the_artist_set_stays(tmp_path: Path) -> None:
    shot = with_cut(bent_shot(tmp_path / "shot"), 1004, 1009)
    import_shot(bpy.context, shot)
    import_shot(bpy.context, with_cut(shot, 1003, 1009))
    assert scene_range() == (1003, 1009)
    bpy.context.scene.frame_end = 1011
    import_shot(bpy.context, with_cut(shot, 1005, 1006))
    assert scene_range() == (1003, 1011)
