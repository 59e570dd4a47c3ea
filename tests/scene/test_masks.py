# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks in Blender: edited by a button, shown over the plate, put back."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from shot_gopher.backend import environment
from shot_gopher.backend.mask_edits import edit_job
from shot_gopher.backend.reconstruction import CameraModel
from shot_gopher.backend.shot import FRAME_PATTERN, Shot
from shot_gopher.operators.monitor import _query
from shot_gopher.operators.scene.background import over_name, shown_name
from shot_gopher.operators.view import compose, read_shot

from .shots import make_shot, write_png

LENS = CameraModel("SIMPLE_PINHOLE", 64, 36, (50, 32, 18))
FRAMES = range(1001, 1006)


@pytest.fixture
def shot(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shot:
    """Imported, with the masks of an actor; this Python is the worker's."""
    made = make_shot(tmp_path / "shot", LENS, images=True)
    mask = np.zeros((36, 64, 3), dtype=np.uint8)
    mask[10:20, 10:20] = 255
    for number in FRAMES:
        write_png(made.roto / "actor" / f"{FRAME_PATTERN.format(number)}.png", mask)
    monkeypatch.setattr(environment, "find", lambda *_: Path(sys.executable))
    settings.shot = str(made.path)
    assert bpy.ops.shot_gopher.camera_import() == {"FINISHED"}
    settings.mask_label = "roto/actor"
    return made


def editing_now() -> Any:
    """That of the add-on as it is registered now."""
    return sys.modules["shot_gopher.operators.masks"].editing


def selected(folder: Path, number: int) -> int:
    """Pixels that a mask selects."""
    image = bpy.data.images.load(str(folder / f"{FRAME_PATTERN.format(number)}.png"))
    pixels = np.array(image.pixels[:]).reshape(36, 64, -1)[..., 0]
    bpy.data.images.remove(image)
    return int((pixels > 0.5).sum())


def test_masks_are_edited_as_the_panel_says_and_put_back(shot: Shot) -> None:
    bpy.context.scene.shot_gopher.mask_edit.grow = 2.0
    assert bpy.ops.shot_gopher.masks_edit() == {"FINISHED"}
    for folder in (shot.roto / "actor", shot.masks):
        assert [selected(folder, number) for number in (1001, 1005)] == [184, 184]
    assert bpy.ops.shot_gopher.masks_restore() == {"FINISHED"}
    assert selected(shot.roto / "actor", 1003) == 100


def test_what_is_wrong_is_reported(shot: Shot) -> None:
    with pytest.raises(RuntimeError, match="Say what to do"):
        bpy.ops.shot_gopher.masks_edit()
    with pytest.raises(RuntimeError, match="no masks 'roto/gone'"):
        bpy.ops.shot_gopher.masks_combine(how="union", labels="roto/gone", into="both")
    assert not (shot.roto / "both").exists()


def test_masks_are_imported(shot: Shot, tmp_path: Path) -> None:
    for number in range(1, 6):
        write_png(tmp_path / "theirs" / f"m{number}.png", np.full((36, 64, 3), 255, np.uint8))
    first = str(tmp_path / "theirs" / "m1.png")
    done = bpy.ops.shot_gopher.masks_import(filepath=first, into="sky", offset=1000)
    assert done == {"FINISHED"}
    assert selected(shot.roto / "sky", 1005) == 64 * 36


def test_masks_are_shown_over_the_plate_and_hidden(shot: Shot) -> None:
    scene = bpy.context.scene
    assert bpy.ops.shot_gopher.masks_over_plate() == {"FINISHED"}
    behind, over = scene.camera.data.background_images
    assert (over.clip.name, over.display_depth, over.alpha) == ("shot Roto: actor", "FRONT", 0.5)
    assert (shown_name(scene), over_name(scene)) == ("plate", "roto/actor")
    assert bpy.ops.shot_gopher.background_show(source="roto/actor") == {"FINISHED"}
    assert (shown_name(scene), over_name(scene)) == ("roto/actor", "roto/actor")
    assert bpy.ops.shot_gopher.background_show(source="plate") == {"FINISHED"}
    assert behind.clip.name == "shot"
    assert bpy.ops.shot_gopher.masks_over_plate() == {"FINISHED"}
    assert len(scene.camera.data.background_images) == 1
    assert shot.roto.is_dir()


def test_a_button_leaves_blender_free_and_the_panel_told(shot: Shot) -> None:
    """What a button does, without a window: the work is in a thread, a timer looks for its end."""
    editing = editing_now()
    editing.start(edit_job(shot, "roto/actor", "", {"invert": True}))
    try:
        assert editing.busy
        assert not bpy.ops.shot_gopher.masks_edit.poll()
        deadline = time.monotonic() + 20
        while editing._look() is not None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        editing.forget()
    assert (editing.busy, editing.trouble, editing.count) == (False, "", "17/17 frames")
    assert editing.fraction == 1.0
    assert selected(shot.roto / "actor", 1002) == 64 * 36 - 100


def test_a_canceled_edit_changes_nothing(shot: Shot) -> None:
    editing = editing_now()
    editing.start(edit_job(shot, "roto/actor", "", {"invert": True}))
    bpy.ops.shot_gopher.masks_cancel()
    deadline = time.monotonic() + 20
    while editing._look() is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    editing.forget()
    assert "Canceled" in editing.trouble
    assert selected(shot.roto / "actor", 1002) == 100
    assert sorted(each.name for each in shot.roto.iterdir()) == ["actor"]


@pytest.mark.usefixtures("shot")
def test_the_view_lists_the_masks() -> None:
    disk = read_shot(_query(bpy.context.scene), ())
    (actor,) = compose(disk, (), set()).masks
    assert (actor.name, actor.frames, actor.first, actor.last) == ("roto/actor", 5, 1001, 1005)
    assert not actor.restorable
