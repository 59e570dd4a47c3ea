# SPDX-License-Identifier: GPL-3.0-or-later
"""Check Track in a bpy wheel: what it reads for which camera, and that it goes as it came."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from shot_gopher.backend import outputs, survey
from shot_gopher.backend.errors import SolveError
from shot_gopher.backend.shot import Shot, read_json, write_json
from shot_gopher.backend.stages import STAGES

from .tracked import COUNT, FIRST, tracked_shot


def check() -> Any:
    return sys.modules["shot_gopher.operators.check"]


@pytest.fixture
def shot(settings: Any, tmp_path: Path) -> Shot:
    """Imported into the scene."""
    made = tracked_shot(tmp_path / "shot")
    write_json(outputs.stage_file(made, STAGES["colmap"]), {"finished": 7.0})
    settings.shot = str(made.path)
    bpy.ops.shot_gopher.camera_import()
    return made


def wanted() -> Any:
    return check().Wanted.of(bpy.context.scene, bpy.context.scene.camera)


def distance_to_cloud(loaded: Any) -> float:
    """The most that a point that is drawn is from its place in the scene's cloud."""
    seen = loaded.check.at(FIRST + 3)
    drawn = seen.positions @ loaded.world[:3, :3].T + loaded.world[:3, 3]
    role = {each.get("shot_gopher_role"): each for each in bpy.context.scene.objects}
    cloud = np.array([vertex.co for vertex in role["points"].data.vertices])
    assert len(drawn) > 20
    return float(np.linalg.norm(drawn[:, None] - cloud, axis=2).min(axis=1).max())


@pytest.mark.usefixtures("shot")
def test_points_are_where_the_scene_has_them() -> None:
    loaded = check().Loaded.read(wanted())
    assert distance_to_cloud(loaded) < 1e-5
    assert sorted(loaded.check.seen) == list(range(FIRST, FIRST + COUNT))


def test_the_scenes_world_holds_when_the_shot_has_another(shot: Shot) -> None:
    """As after an undo: the scene is back in the old world, the files are not."""
    survey.apply(shot, survey.Constraints(origin=np.array([1.0, 2.0, 0.5])))
    ends = survey.point_positions(shot, [3, 9])
    survey.apply(shot, survey.Constraints(distance=survey.Distance(7.0, *ends)))
    loaded = check().Loaded.read(wanted())
    assert np.abs(loaded.world - np.eye(4)).max() > 0.4
    assert distance_to_cloud(loaded) < 1e-5


def test_another_solve_is_told(shot: Shot) -> None:
    record = outputs.stage_file(shot, STAGES["colmap"])
    write_json(record, read_json(record) | {"finished": 8.0})
    with pytest.raises(SolveError, match="import the camera again"):
        check().Loaded.read(wanted())


def test_a_shot_that_moved_is_found_through_the_scene(shot: Shot, settings: Any) -> None:
    moved = shot.path.parent / "elsewhere" / shot.name
    moved.parent.mkdir()
    shot.path.rename(moved)
    with pytest.raises(SolveError, match="is gone"):
        check().Loaded.read(wanted())
    settings.shot = str(moved)
    assert distance_to_cloud(check().Loaded.read(wanted())) < 1e-5


@pytest.mark.usefixtures("shot")
def test_a_camera_of_no_shot_is_not_read() -> None:
    scene = bpy.context.scene
    scene.camera["shot_gopher_source"] = "/some/colmap/folder"
    assert wanted() is None
    mine = bpy.data.objects.new("Mine", bpy.data.cameras.new("Mine"))
    scene.collection.objects.link(mine)
    assert check().Wanted.of(scene, mine) is None


def test_what_is_wanted_changes_with_the_world(shot: Shot) -> None:
    before = wanted()
    assert before == wanted()
    survey.apply(shot, survey.Constraints(origin=np.array([1.0, 2.0, 0.5])))
    assert wanted() == before, "the scene still shows the old world"
    bpy.ops.shot_gopher.camera_import()
    assert wanted() != before
    assert json.loads(wanted().world)["world"] != json.loads(before.world)["world"]


@pytest.mark.usefixtures("shot")
def test_it_is_off_once_the_add_on_is() -> None:
    module = check()
    module.checker.start()
    assert module.checker.on
    sys.modules["shot_gopher"].unregister()
    try:
        assert not module.checker.on
    finally:
        sys.modules["shot_gopher"].register()


@pytest.mark.usefixtures("shot")
def test_another_file_forgets_what_was_read() -> None:
    checker = check().checker
    checker._wanted, checker._loaded = wanted(), check().Loaded.read(wanted())
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    assert checker._loaded is None
    assert checker._wanted is None
