# SPDX-License-Identifier: GPL-3.0-or-later
"""Picks in a scene: what prompts.json has is what the scene shows, and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import bpy
import pytest
from shot_gopher.backend.errors import FormatError
from shot_gopher.backend.prompts import Point, Prompt, PromptedObject, Prompts
from shot_gopher.backend.shot import Shot
from shot_gopher.operators.picks import keep_mask
from shot_gopher.operators.scene import picks

CAR = PromptedObject(
    "car",
    {
        3: Prompt((Point(10.5, 20.25), Point(4.0, 5.0, False)), (1.0, 2.0, 30.5, 40.0)),
        9: Prompt(mask="roto/.prompts/car_frame_0009.png"),
    },
)
BAG = PromptedObject("bag", {3: Prompt((Point(1.0, 1.0),))})


def test_a_scene_shows_what_was_picked(settings: Any) -> None:
    prompts = Prompts((CAR, BAG))
    picks.show(settings, prompts)
    assert picks.prompts_of(settings) == prompts
    assert [each.name for each in settings.picked] == ["car", "bag"]
    picks.show(settings, Prompts((BAG,)))
    assert picks.prompts_of(settings) == Prompts((BAG,))


def test_a_frame_has_one_box_and_one_mask_of_an_object(settings: Any) -> None:
    each = picks.add_object(settings)
    picks.set_box(each, 1, (30.0, 40.0), (10.0, 20.0))
    picks.set_box(each, 1, (5.0, 60.0), (15.0, 2.0))
    picks.set_mask(each, 1, "a.png")
    picks.set_mask(each, 1, "b.png")
    (told,) = picks.prompts_of(settings).objects
    assert told.frames == {1: Prompt(box=(5.0, 2.0, 15.0, 60.0), mask="b.png")}


def test_names_are_not_given_twice(settings: Any) -> None:
    names = [picks.add_object(settings).name for _ in range(3)]
    settings.picked.remove(1)
    assert picks.add_object(settings).name == names[1]
    assert len({tuple(each.color) for each in settings.picked}) == 3


def test_a_frame_is_cleared_and_an_object_removed(settings: Any) -> None:
    picks.show(settings, Prompts((CAR, BAG)))
    bpy.context.scene.frame_set(3)
    assert bpy.ops.shot_gopher.picks_clear() == {"FINISHED"}
    assert list(picks.prompts_of(settings).objects[0].frames) == [9]
    assert bpy.ops.shot_gopher.picks_clear() == {"CANCELLED"}
    assert bpy.ops.shot_gopher.object_remove() == {"FINISHED"}
    assert picks.prompts_of(settings) == Prompts((BAG,))


def test_a_mask_is_kept_where_no_stage_replaces_it(tmp_path: Path) -> None:
    shot = Shot(tmp_path)
    file = shot.roto / "person_00" / "frame_0007.png"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"mask")
    kept = keep_mask(shot, "roto/person_00", 7, "the car")
    assert kept == "roto/.prompts/the_car_frame_0007.png"
    assert (tmp_path / kept).read_bytes() == b"mask"
    for source, frame in (("roto/person_00", 8), ("roto/nobody", 7)):
        with pytest.raises(FormatError):
            keep_mask(shot, source, frame, "car")


@pytest.fixture
def two_shots(tmp_path: Path) -> tuple[Shot, Shot]:
    """Two shots of which the first has picks."""
    one, other = Shot(tmp_path / "one"), Shot(tmp_path / "other")
    Prompts((CAR,)).save(one.prompts)
    return one, other


def picking() -> Any:
    """The add-on's module as it is registered now."""
    return sys.modules["shot_gopher.operators.picks_view"]


def on_disk(shot: Shot) -> Prompts:
    return Prompts.load(shot.prompts)


def test_picks_are_those_of_the_shot(settings: Any, two_shots: tuple[Shot, Shot]) -> None:
    one, other = two_shots
    settings.shot = str(one.path)
    assert picks.prompts_of(settings) == Prompts((CAR,))
    settings.shot = str(other.path)
    assert picks.prompts_of(settings) == Prompts()
    picks.add_point(picks.add_object(settings, "bag"), 3, (1.0, 1.0), True)
    picking().save_picks(bpy.context.scene)
    assert (on_disk(one), on_disk(other)) == (Prompts((CAR,)), Prompts((BAG,)))
    settings.shot = str(one.path)
    picking().save_picks(bpy.context.scene)
    assert picks.prompts_of(settings) == on_disk(one) == Prompts((CAR,))


def test_what_was_written_elsewhere_stays_until_something_changes_here(
    settings: Any, two_shots: tuple[Shot, Shot]
) -> None:
    shot, _other = two_shots
    settings.shot = str(shot.path)
    Prompts((BAG,)).save(shot.prompts)
    picking().save_picks(bpy.context.scene)
    assert on_disk(shot) == Prompts((BAG,))
    picking().follow_shot(bpy.context.scene, again=True)
    assert picks.prompts_of(settings) == Prompts((BAG,))


def test_the_last_object_that_goes_is_gone_on_disk_too(
    settings: Any, two_shots: tuple[Shot, Shot]
) -> None:
    shot, _other = two_shots
    settings.shot = str(shot.path)
    assert bpy.ops.shot_gopher.object_remove() == {"FINISHED"}
    picking().save_picks(bpy.context.scene)
    assert on_disk(shot) == Prompts()


def test_an_opened_file_shows_what_is_picked_by_now(
    settings: Any, two_shots: tuple[Shot, Shot], tmp_path: Path
) -> None:
    shot, _other = two_shots
    settings.shot = str(shot.path)
    blend = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    Prompts((BAG,)).save(shot.prompts)
    bpy.ops.wm.open_mainfile(filepath=blend)
    opened = bpy.context.scene.shot_gopher
    assert picks.prompts_of(opened) == Prompts((BAG,))
    shot.prompts.unlink()
    bpy.ops.wm.open_mainfile(filepath=blend)
    assert picks.prompts_of(bpy.context.scene.shot_gopher) == Prompts((CAR,))


def test_a_damaged_file_is_told(settings: Any, two_shots: tuple[Shot, Shot]) -> None:
    shot, _other = two_shots
    shot.prompts.write_text("{")
    settings.shot = str(shot.path)
    assert "prompts.json" in picking().state.trouble
    assert picks.prompts_of(settings) == Prompts()
