# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons of body motion, what the panel is told, and how the shot takes the body's scale."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from shot_gopher.backend.camera import Similarity
from shot_gopher.backend.dense import Place, place_of
from shot_gopher.backend.motion import MocapRecord, Motion
from shot_gopher.backend.shot import Shot
from shot_gopher.operators.scene.body_mesh import size_of
from shot_gopher.operators.view import Query, read_shot

from .body_shot import FIRST, PEOPLE, SCALE, body_shot, model_folder
from .test_body import after, worst


@pytest.fixture
def addon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shot]:
    """A shot with two people whose camera is in the scene of the registered add-on."""
    monkeypatch.setenv("SHOT_GOPHER_HOME", str(tmp_path / "home"))
    package = sys.modules["shot_gopher"]
    package.register()
    shot = body_shot(tmp_path / "shot", people=PEOPLE)
    bpy.context.scene.shot_gopher.shot = str(shot.path)
    bpy.ops.shot_gopher.camera_import()
    yield shot
    package.unregister()


def made(role: str) -> dict[str, bpy.types.Object]:
    found = [each for each in bpy.data.objects if each.get("shot_gopher_role") == role]
    return {each["shot_gopher_person"]: each for each in found}


def known(shot: Shot) -> Any:
    options = {name: {} for name in sys.modules["shot_gopher.backend.stages"].STAGES}
    return read_shot(Query(str(shot.path), "", options), ())


def load(shot: Shot, person: str) -> Motion:
    return Motion.load(shot.mocap.person(person).motion)


def test_one_press_imports_everybody_and_another_only_updates(addon: Shot) -> None:
    for _ in range(2):
        assert bpy.ops.shot_gopher.body_import() == {"FINISHED"}
        assert sorted(made("armature")) == sorted(made("body")) == sorted(PEOPLE)
    for person in PEOPLE:
        assert worst(made("body")[person], load(addon, person)) < 0.01
    bpy.data.objects.remove(made("body")["ann"])
    assert bpy.ops.shot_gopher.body_import(person="ann", how="PLAIN") == {"FINISHED"}
    assert [each.name for each in made("body")["ann"].modifiers] == ["Place in Shot", "Skeleton"]
    assert "Pose Correctives" in made("body")["bob"].modifiers


def test_the_panels_way_is_used_and_live_correctives_ask_for_the_files(
    addon: Shot, tmp_path: Path
) -> None:
    bpy.context.scene.shot_gopher.body_how = "POSED"
    assert bpy.ops.shot_gopher.body_import(person="ann") == {"FINISHED"}
    assert not made("armature")
    with pytest.raises(RuntimeError, match="SMPL-X"):
        bpy.ops.shot_gopher.body_import(person="ann", how="LIVE")
    from shot_gopher.backend.models import ModelStore

    ModelStore(tmp_path / "home").choose("smplx", model_folder())
    assert bpy.ops.shot_gopher.body_import(person="ann", how="LIVE") == {"FINISHED"}
    assert worst(made("body")["ann"], load(addon, "ann")) < 0.01


def test_the_panel_is_told_of_people_and_of_the_scale_that_is_offered(addon: Shot) -> None:
    there = known(addon)
    assert there.bodies.people == PEOPLE
    assert there.bodies.facts[:2] == ("2 people", "scale from planted feet")
    assert there.facts["mocap"] == there.bodies.facts[:2]
    assert not there.bodies.offers
    offer(addon)
    assert known(addon).bodies.offers
    addon.mocap.record.write_text("{}")
    assert known(addon).bodies.people == ()


def offer(shot: Shot) -> Place:
    """The motion tells that the shot's world is SCALE times too large, and too high."""
    record = MocapRecord.load(shot.mocap.record)
    step = Similarity(1 / SCALE, np.eye(3), np.array([0.0, 0, -0.03]))
    offered = Place(record.place.solve, after(step, record.place.world))
    replace(record, offered=offered).save(shot.mocap.record)
    return offered


def test_the_whole_shot_takes_the_bodys_scale(addon: Shot) -> None:
    bpy.ops.shot_gopher.body_import(person="ann")
    camera = bpy.context.scene.camera
    bpy.context.scene.frame_set(FIRST)
    before = np.array(camera.matrix_world)
    offered = offer(addon)
    assert bpy.ops.shot_gopher.survey_body() == {"FINISHED"}
    np.testing.assert_allclose(place_of(addon).world.matrix(), offered.world.matrix(), atol=1e-9)
    bpy.context.scene.frame_set(FIRST)
    moved = np.array(camera.matrix_world)
    np.testing.assert_allclose(moved[:3, 3], before[:3, 3] / SCALE - [0, 0, 0.03], atol=1e-5)
    motion = load(addon, "ann")
    in_meters = replace_scale(motion)
    assert worst(made("body")["ann"], in_meters) < 0.01
    assert size_of(made("body")["ann"]) == pytest.approx(1.0)
    assert not known(addon).bodies.offers
    assert bpy.ops.shot_gopher.body_import(person="ann") == {"FINISHED"}
    assert worst(made("body")["ann"], in_meters) < 0.01


def replace_scale(motion: Motion) -> Motion:
    fields = {name: getattr(motion, name) for name in Motion.__dataclass_fields__}
    lower = motion.translation - [0, 0, 0.03]
    return Motion(**fields | {"scale": 1.0, "translation": lower})


@pytest.mark.usefixtures("addon")
def test_nothing_offered_is_told() -> None:
    with pytest.raises(RuntimeError, match="does not tell"):
        bpy.ops.shot_gopher.survey_body()


@pytest.mark.usefixtures("addon")
def test_export_writes_those_in_the_scene(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="Import the bodies first"):
        bpy.ops.shot_gopher.body_export(directory=str(tmp_path / "out"), formats={"bvh"})
    bpy.ops.shot_gopher.body_import()
    kwargs = {"directory": str(tmp_path / "out"), "formats": {"bvh", "obj"}}
    assert bpy.ops.shot_gopher.body_export(**kwargs) == {"FINISHED"}
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "ann.bvh",
        "ann.obj",
        "bob.bvh",
        "bob.obj",
    ]


@pytest.mark.usefixtures("addon")
def test_the_check_reads_people_and_an_import_makes_it_read_again() -> None:
    mocap = sys.modules["shot_gopher.operators.mocap"]
    overlay = sys.modules["shot_gopher.operators.plate_overlay"]
    wanted = overlay.Wanted.of(bpy.context.scene, bpy.context.scene.camera)
    checker = mocap.body_checker
    bpy.ops.shot_gopher.body_import()
    checker.prepare(wanted)
    assert checker._armatures == {each: f"shot {each} Armature" for each in PEOPLE}
    seen = checker.read(wanted)
    assert sorted(seen.motions) == sorted(PEOPLE)
    checker._wanted, checker._loaded = wanted, seen
    bpy.ops.shot_gopher.body_import()
    assert checker._loaded is None
