# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling the scene its ground, axes and scale from what is selected in Blender."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import bmesh
import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from shot_gopher.backend import outputs
from shot_gopher.backend.outputs import stage_file
from shot_gopher.backend.shot import Shot, write_json
from shot_gopher.backend.solve import Solve
from shot_gopher.backend.stages import STAGES
from shot_gopher.backend.survey import Survey
from shot_gopher.operators.scene import markers, stamp
from shot_gopher.operators.view import Query, SceneState, SolveView, read_shot

from .tracked import FIRST, tracked_shot


@pytest.fixture
def shot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shot]:
    """A tracked shot, imported by the registered add-on."""
    monkeypatch.setenv("SHOT_GOPHER_HOME", str(tmp_path / "home"))
    package = sys.modules["shot_gopher"]
    package.register()
    shot = tracked_shot(tmp_path / "shot")
    solved(shot, 1.0)
    bpy.context.scene.shot_gopher.shot = str(shot.path)
    bpy.ops.shot_gopher.camera_import()
    yield shot
    package.unregister()


def solved(shot: Shot, when: float) -> None:
    """Notes when the solve was made."""
    write_json(stage_file(shot, STAGES["colmap"]), {"finished": when, "fingerprint": "x"})


def part(role: str) -> bpy.types.Object:
    return next(each for each in bpy.data.objects if each.get("shot_gopher_role") == role)


def places() -> np.ndarray:
    mesh = part("points").data
    found = np.empty(3 * len(mesh.vertices), dtype=np.float32)
    mesh.vertices.foreach_get("co", found)
    return found.reshape(-1, 3).astype(np.float64)


def select_vertices(*indices: int) -> None:
    """Selects points of the cloud in Edit Mode, one after the other."""
    cloud = part("points")
    bpy.context.view_layer.objects.active = cloud
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="DESELECT")
    mesh = bmesh.from_edit_mesh(cloud.data)
    mesh.verts.ensure_lookup_table()
    for index in indices:
        mesh.verts[index].select = True
        mesh.select_history.add(mesh.verts[index])
    bmesh.update_edit_mesh(cloud.data)


def test_points_selected_in_edit_mode_become_the_floor(shot: Shot) -> None:
    before = places()
    select_vertices(3, 20, 41, 50)
    assert bpy.ops.shot_gopher.survey_floor() == {"FINISHED"}
    assert bpy.context.mode == "EDIT_MESH"
    mesh = bmesh.from_edit_mesh(part("points").data)
    assert [vertex.index for vertex in mesh.verts if vertex.select] == [3, 20, 41, 50]
    bpy.ops.object.mode_set(mode="OBJECT")
    now = places()
    assert abs(now[[3, 20, 41, 50], 2].mean()) < 1e-5
    distances = [np.linalg.norm(each[3] - each[20]) for each in (before, now)]
    assert distances[0] == pytest.approx(distances[1], rel=1e-5)
    assert Survey.load(shot.survey).constraints.told == ("floor",)


@pytest.mark.usefixtures("shot")
def test_camera_plate_and_points_stay_together() -> None:
    def seen() -> np.ndarray:
        scene = bpy.context.scene
        scene.frame_set(FIRST + 4)
        camera = part("camera")
        return np.array([world_to_camera_view(scene, camera, Vector(co))[:2] for co in places()])

    before = seen()
    select_vertices(3, 20, 41)
    bpy.ops.shot_gopher.survey_floor()
    select_vertices(7, 9)
    bpy.ops.shot_gopher.survey_distance(meters=12.0)
    bpy.ops.object.mode_set(mode="OBJECT")
    np.testing.assert_allclose(seen() * [640, 360], before * [640, 360], atol=0.002)


@pytest.mark.usefixtures("shot")
def test_the_axis_runs_from_the_first_selected_to_the_second() -> None:
    select_vertices(30, 7)
    bpy.ops.shot_gopher.survey_axis(axis="y")
    bpy.ops.object.mode_set(mode="OBJECT")
    way = places()[7] - places()[30]
    assert way[1] > 0
    assert way[0] == pytest.approx(0, abs=1e-5)


def empty_at(place: np.ndarray) -> bpy.types.Object:
    empty = bpy.data.objects.new("mark", None)
    bpy.context.scene.collection.objects.link(empty)
    empty.location = place
    empty.select_set(True)
    return empty


@pytest.mark.usefixtures("shot")
def test_empties_tell_places_and_go_with_them() -> None:
    bpy.ops.object.select_all(action="DESELECT")
    first, second = (empty_at(places()[index]) for index in (4, 8))
    bpy.context.view_layer.update()
    bpy.ops.shot_gopher.survey_distance(meters=2.5)
    bpy.context.view_layer.update()
    now = places()
    assert np.linalg.norm(now[4] - now[8]) == pytest.approx(2.5, rel=1e-5)
    for empty, index in ((first, 4), (second, 8)):
        np.testing.assert_allclose(empty.matrix_world.translation, now[index], atol=1e-4)


@pytest.mark.usefixtures("shot")
def test_a_parent_of_all_changes_nothing() -> None:
    """An artist has turned the whole track under an empty: its points still mean the same."""
    rig = bpy.data.objects.new("rig", None)
    bpy.context.scene.collection.objects.link(rig)
    rig.rotation_euler, rig.location = (0.3, 0.7, 1.9), (5, 5, 5)
    for role in ("camera", "points", "frusta"):
        part(role).parent = rig
    bpy.context.view_layer.update()
    select_vertices(11)
    bpy.ops.shot_gopher.survey_origin()
    bpy.ops.object.mode_set(mode="OBJECT")
    np.testing.assert_allclose(places()[11], 0, atol=1e-5)


@pytest.mark.usefixtures("shot")
def test_selected_tracks_stand_for_their_points() -> None:
    clip = bpy.data.movieclips[0]
    for track in clip.tracking.tracks:
        track.select = track.name in ("T000006", "T000013")
    with markers._clip_editor(clip):
        bpy.ops.shot_gopher.survey_distance(meters=7.0)
    now = places()
    assert np.linalg.norm(now[5] - now[12]) == pytest.approx(7.0, rel=1e-5)


def test_too_few_points_are_told_and_nothing_changes(shot: Shot) -> None:
    before = outputs.camera_digest(shot)
    select_vertices(5)
    with pytest.raises(RuntimeError, match=r"Select 2 points \(now 1\)"):
        bpy.ops.shot_gopher.survey_distance(meters=1.0)
    assert bpy.context.mode == "EDIT_MESH"
    bpy.ops.object.mode_set(mode="OBJECT")
    assert outputs.camera_digest(shot) == before


def state(shot: Shot) -> SceneState:
    shown = stamp.all_in(bpy.context.scene)
    options = {name: {} for name in STAGES}
    return read_shot(Query(str(shot.path), "", options, shown), []).scene


def test_undo_shows_another_world_which_can_be_kept_or_left(shot: Shot) -> None:
    found = places()
    bpy.ops.ed.undo_push(message="imported")
    bpy.ops.object.select_all(action="DESELECT")
    empty_at(places()[4])
    bpy.context.view_layer.update()
    bpy.ops.ed.undo_push(message="selected")
    bpy.ops.shot_gopher.survey_origin()
    bpy.ops.ed.undo_push(message="origin")
    assert state(shot) is SceneState.CURRENT
    bpy.ops.ed.undo()
    np.testing.assert_allclose(places(), found, atol=1e-6)
    assert state(shot) is SceneState.MOVED
    with pytest.raises(RuntimeError, match="another solve than the shot has"):
        bpy.ops.shot_gopher.survey_origin()
    bpy.ops.shot_gopher.survey_keep()
    assert state(shot) is SceneState.CURRENT
    assert not shot.survey.exists()
    np.testing.assert_allclose(places(), found, atol=1e-5)
    assert Solve.load(shot.camera).world_note == "made up"


def test_a_solve_made_meanwhile_is_offered(shot: Shot) -> None:
    solve = Solve.load(shot.camera)
    assert state(shot) is SceneState.CURRENT
    solve.track.matrices[0, 0, 3] += 0.5
    solve.save(shot.camera)
    solved(shot, 2.0)
    assert state(shot) is SceneState.OLDER
    with pytest.raises(RuntimeError, match="solved anew"):
        bpy.ops.shot_gopher.survey_keep()
    bpy.ops.shot_gopher.camera_import()
    assert state(shot) is SceneState.CURRENT
    (collection,) = bpy.context.scene.collection.children
    for each in list(collection.objects):
        bpy.data.objects.remove(each)
    bpy.data.collections.remove(collection)
    assert state(shot) is SceneState.MISSING


def test_reset_forgets_all(shot: Shot) -> None:
    select_vertices(5)
    bpy.ops.shot_gopher.survey_origin()
    assert shot.survey.exists()
    bpy.ops.shot_gopher.survey_reset()
    assert bpy.context.mode == "EDIT_MESH"
    assert not shot.survey.exists()


def test_the_view_tells_how_good_the_solve_is(shot: Shot) -> None:
    options = {name: {} for name in STAGES}
    solve = read_shot(Query(str(shot.path), "", options), []).solve
    assert (solve.grade, solve.reason) == ("good", "The camera travels.")
    assert solve.lines[0] == "Focal length 23.6 mm, as given"
    assert solve.tracks
    assert not solve.surveyed
    assert read_shot(Query(str(shot.path / "none"), "", options), []).solve == SolveView()
