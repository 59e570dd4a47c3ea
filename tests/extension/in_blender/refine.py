# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER SHOT: what an artist adds to a solve: the ground, an undo, a deleted track, Refine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bmesh
import bpy
from installed import monitor, scene, view
from quiet_draw import DrawWatch
from window import Player, Step, area, in_window, open_sidebar, picture, press, region, sidebar_box

folder, shot = map(Path, sys.argv[sys.argv.index("--") + 1 :])
watch = DrawWatch()
told: dict[str, Any] = {}


def shows(state: str) -> Any:
    def reached() -> bool:
        return view().solved and view().scene.name == state

    reached.__name__ = f"the scene to be {state}"
    return reached


def part(role: str) -> Any:
    return next(one for one in scene().objects if one.get("shot_gopher_role") == role)


def heights(*indices: int) -> list[float]:
    """Of points of the cloud, also while it is edited."""
    cloud = part("points")
    if cloud.mode != "EDIT":
        return [cloud.data.vertices[index].co.z for index in indices]
    mesh = bmesh.from_edit_mesh(cloud.data)
    mesh.verts.ensure_lookup_table()
    return [mesh.verts[index].co.z for index in indices]


def take(name: str) -> Iterator[Step]:
    yield 0.6
    picture(folder / f"{name}.png")
    told.setdefault("pictures", {})[name] = sidebar_box()


def import_what_was_solved_elsewhere() -> Iterator[Step]:
    scene().shot_gopher.shot = str(shot)
    yield shows("MISSING")
    yield from take("offered")
    press("camera_import")
    yield shows("CURRENT")
    assert len(bpy.data.movieclips[0].tracking.tracks) > 100


def set_the_floor_in_edit_mode() -> Iterator[Step]:
    cloud = part("points")
    with in_window("WINDOW"):
        bpy.context.view_layer.objects.active = cloud
        bpy.ops.object.mode_set(mode="EDIT")
        bpy.ops.mesh.select_all(action="DESELECT")
        mesh = bmesh.from_edit_mesh(cloud.data)
        mesh.verts.ensure_lookup_table()
        for index in range(10):
            mesh.verts[index].select = True
        bmesh.update_edit_mesh(cloud.data)
        bpy.ops.ed.undo_push(message="Select")
    before = camera_height()
    assert abs(heights(3)[0] - 0.7) < 1e-4, heights(3)
    press("survey_floor")
    assert cloud.mode == "EDIT"
    assert max(map(abs, heights(0, 5, 9, 20))) < 1e-4, heights(0, 5, 9, 20)
    assert abs(before - camera_height() - 0.7) < 1e-4, camera_height()
    yield shows("CURRENT")
    yield from take("floor")


def camera_height() -> float:
    scene().frame_set(5)
    return part("camera").matrix_world.translation.z


def undo_and_decide() -> Iterator[Step]:
    """The undo takes back the scene, not the shot: the artist says which of them holds."""
    height = camera_height()
    with in_window("WINDOW"):
        bpy.ops.ed.undo()
    yield shows("MOVED")
    assert abs(heights(3)[0] - 0.7) < 1e-4, heights(3)
    assert abs(camera_height() - height - 0.7) < 1e-4
    yield from take("undone")
    press("survey_keep")
    yield shows("CURRENT")
    assert not (shot / "survey.json").exists()
    with in_window("WINDOW"):
        bpy.ops.object.mode_set(mode="OBJECT")


def in_clip_editor() -> Any:
    return in_window("UI", "CLIP_EDITOR")


def delete_a_track_and_refine() -> Iterator[Step]:
    place = area()
    place.type = "CLIP_EDITOR"
    place.spaces.active.clip = clip = bpy.data.movieclips[0]
    place.spaces.active.show_region_ui = True
    yield 0.5
    region("UI", place).active_panel_category = "Shot Gopher"
    yield from take_clip("clip")
    with in_window("WINDOW", "CLIP_EDITOR"):
        for track in clip.tracking.tracks:
            track.select = track.name == "T000007"
        bpy.ops.clip.delete_track()
    with in_clip_editor():
        assert bpy.ops.shot_gopher.refine("INVOKE_DEFAULT") == {"FINISHED"}
    edits = json.loads((shot / "tracks" / "edits.json").read_text())
    assert (edits["deleted"], edits["marks"]) == ([7], {}), edits
    yield lambda: view().busy
    yield lambda: not view().busy
    told["refined"] = view().stages["colmap"].state.name, view().stages["colmap"].reason
    yield shows("CURRENT")
    assert "T000007" not in clip.tracking.tracks
    yield from take_clip("refined")


def take_clip(name: str) -> Iterator[Step]:
    yield 1.0
    picture(folder / f"{name}.png")
    window = bpy.context.window_manager.windows[0]
    told["pictures"][name] = [0, 0, window.width, window.height]


def scenario() -> Iterator[Step]:
    watch.start()
    bpy.context.preferences.system.use_online_access = True
    yield from open_sidebar()
    yield from import_what_was_solved_elsewhere()
    yield from set_the_floor_in_edit_mode()
    yield from undo_and_decide()
    yield from delete_a_track_and_refine()
    told["draws"], told["touched"] = watch.draws, watch.touched
    told["trouble"] = monitor().trouble


Player(scenario(), folder / "report.json", told).start()
