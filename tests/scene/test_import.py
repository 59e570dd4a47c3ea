# SPDX-License-Identifier: GPL-3.0-or-later
"""What an import makes, and that the next one keeps what the artist did."""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy
import numpy as np
import pytest
from shot_gopher.backend.errors import BlenderError, FormatError
from shot_gopher.backend.shot import Shot
from shot_gopher.operators.scene.shot import ImportResult, import_shot

from .shots import PINHOLE, WORLD, arc, cloud, make_shot, resolved_with


def curves(block: bpy.types.ID) -> dict[tuple[str, int], bpy.types.FCurve]:
    """The F-curves of a block by path and index, in any Blender."""
    action = block.animation_data.action
    if hasattr(action, "layers"):
        bag = action.layers[0].strips[0].channelbag(block.animation_data.action_slot)
        found = bag.fcurves
    else:
        found = action.fcurves
    return {(curve.data_path, curve.array_index): curve for curve in found}


def test_makes_one_camera_a_cloud_and_frusta_in_a_collection(tmp_path: Path) -> None:
    result = import_shot(bpy.context, make_shot(tmp_path / "Café 7", points=300))
    assert result.collection.name == "Café 7 Track"
    assert set(result.collection.objects) == {result.camera, result.points, result.frusta}
    assert len(bpy.data.objects) == 3
    assert len(result.points.data.vertices) == 300
    assert len(result.frusta.data.vertices) == 12 * 5
    assert result.points.hide_render
    assert result.frusta.hide_render


def test_points_have_their_colors_and_places(tmp_path: Path) -> None:
    result = import_shot(bpy.context, make_shot(tmp_path / "shot", points=256))
    sparse = cloud(256)
    positions = np.empty(256 * 3, dtype=np.float32)
    result.points.data.vertices.foreach_get("co", positions)
    np.testing.assert_allclose(positions.reshape(-1, 3), WORLD.apply(sparse.positions), atol=1e-5)
    colors = np.empty(256 * 4, dtype=np.float32)
    result.points.data.attributes["color"].data.foreach_get("color_srgb", colors)
    np.testing.assert_allclose(colors.reshape(-1, 4)[:, :3] * 255, sparse.colors, atol=0.05)
    errors = np.empty(256, dtype=np.float32)
    result.points.data.attributes["reprojection_error"].data.foreach_get("value", errors)
    np.testing.assert_allclose(errors, sparse.errors, rtol=1e-6)


def test_points_are_drawn_as_dots_and_can_be_snapped_to(tmp_path: Path) -> None:
    result = import_shot(bpy.context, make_shot(tmp_path / "shot", points=50))
    graph = bpy.context.evaluated_depsgraph_get()
    shown = [each.object for each in graph.object_instances if each.parent or each.object]
    dots = [each for each in shown if each.type == "POINTCLOUD"]
    assert [len(each.data.points) for each in dots] == [50]
    assert "color" in dots[0].data.attributes
    assert dots[0].data.materials[0].name == "Shot Gopher Points"
    solid = result.points.evaluated_get(graph).data
    assert len(solid.vertices) >= 50
    assert len(solid.edges) == 1


def test_frusta_tell_interpolated_frames_apart(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", interpolated=(3, 4))
    frusta = import_shot(bpy.context, shot).frusta
    group = frusta.vertex_groups["interpolated"].index
    marked = [v.index for v in frusta.data.vertices if any(g.group == group for g in v.groups)]
    assert marked == list(range(15, 25))
    frames = np.empty(60, dtype=np.int32)
    frusta.data.attributes["frame"].data.foreach_get("value", frames)
    assert frames[::5].tolist() == list(range(1001, 1013))
    places = np.empty(180, dtype=np.float32)
    frusta.data.vertices.foreach_get("co", places)
    heights = np.linalg.norm(np.diff(places.reshape(12, 5, 3), axis=1)[:, 0], axis=1)
    assert heights[3] == pytest.approx(heights[0] / 2, rel=1e-4)


def test_frusta_tips_are_where_the_camera_is(tmp_path: Path) -> None:
    result = import_shot(bpy.context, make_shot(tmp_path / "shot"))
    for index in range(12):
        bpy.context.scene.frame_set(1001 + index)
        tip = result.frusta.data.vertices[5 * index].co
        assert (result.camera.matrix_world.translation - tip).length < 1e-5


def edited(result: ImportResult) -> dict[str, bpy.types.ID]:
    """What an artist does with an import: renames, parents, constrains, animates, adds."""
    camera = result.camera
    camera.name, result.points.name, result.collection.name = "hero", "survey", "tracking"
    cube = bpy.data.objects.new("cube", bpy.data.meshes.new("cube"))
    result.collection.objects.link(cube)
    cube.parent = camera
    empty = bpy.data.objects.new("ground", None)
    bpy.context.scene.collection.objects.link(empty)
    camera.parent = empty
    camera.constraints.new("LIMIT_DISTANCE").target = empty
    camera.data.dof.use_dof = True
    camera.data.dof.keyframe_insert("focus_distance", frame=1003)
    camera["note"] = "keep"
    camera.keyframe_insert("scale", frame=1001)
    paint = bpy.data.materials.new("paint")
    result.points.data.materials[0] = paint
    return {"cube": cube, "empty": empty, "paint": paint}


def test_import_again_keeps_what_the_artist_did(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    first = import_shot(bpy.context, shot)
    mine = edited(first)
    moved = arc(12, (0.2, 0.1, 0))
    lens = type(PINHOLE)("PINHOLE", 1920, 1080, (1200, 1200, 960, 540))
    second = import_shot(bpy.context, resolved_with(shot, lens, moved))
    assert (second.camera, second.points, second.frusta) == (
        first.camera, first.points, first.frusta,
    )  # fmt: skip
    assert second.collection == first.collection
    assert len(bpy.data.objects) == 5
    camera = second.camera
    assert (camera.name, second.points.name, second.collection.name) == (
        "hero", "survey", "tracking",
    )  # fmt: skip
    assert mine["cube"].parent == camera
    assert camera.parent == mine["empty"]
    assert [each.type for each in camera.constraints] == ["LIMIT_DISTANCE"]
    assert camera["note"] == "keep"
    assert ("scale", 0) in curves(camera)
    assert ("dof.focus_distance", 0) in curves(camera.data)
    assert second.points.data.materials[0] == mine["paint"]
    assert camera.data.lens == pytest.approx(1200 * 36 / 1920)
    bpy.context.scene.frame_set(1005)
    expected = WORLD.apply(-moved.rotations[4].T @ moved.translations[4])
    assert np.allclose(camera.matrix_world.translation, expected, atol=1e-4)


def test_import_again_replaces_keys(tmp_path: Path) -> None:
    """A solve with fewer frames leaves no key of the longer one."""
    camera = import_shot(bpy.context, make_shot(tmp_path / "shot", count=30)).camera
    shutil.rmtree(tmp_path / "shot")
    again = import_shot(bpy.context, make_shot(tmp_path / "shot", count=9)).camera
    assert again == camera
    assert {len(curve.keyframe_points) for curve in curves(camera).values()} == {9}


def test_rotation_mode_changes_with_the_solve(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    camera = import_shot(bpy.context, shot).camera
    import_shot(bpy.context, resolved_with(shot, PINHOLE, arc(12, roll=90)))
    assert camera.rotation_mode == "QUATERNION"
    assert not any(path == "rotation_euler" for path, _index in curves(camera))


def test_deleted_parts_come_back(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    first = import_shot(bpy.context, shot)
    camera = first.camera
    bpy.data.objects.remove(first.frusta)
    second = import_shot(bpy.context, shot)
    assert second.camera == camera
    assert second.frusta.name in second.collection.objects


def test_an_artists_copy_is_left_alone(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    camera = import_shot(bpy.context, shot).camera
    copy = camera.copy()
    copy.data = camera.data.copy()
    copy.animation_data_clear()
    bpy.context.scene.collection.objects.link(copy)
    copy.location = (9, 9, 9)
    assert import_shot(bpy.context, shot).camera == camera
    assert tuple(copy.location) == (9, 9, 9)


def test_two_shots_stay_apart(tmp_path: Path) -> None:
    one = import_shot(bpy.context, make_shot(tmp_path / "a" / "shot"))
    two = import_shot(bpy.context, make_shot(tmp_path / "b" / "shot"))
    assert one.camera != two.camera
    assert len(bpy.data.objects) == 6
    assert bpy.context.scene.camera == two.camera


def test_a_shot_that_moved_is_known_again(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "here" / "shot")
    camera = import_shot(bpy.context, shot).camera
    (tmp_path / "there").mkdir()
    shot.path.rename(tmp_path / "there" / "shot")
    assert import_shot(bpy.context, Shot(tmp_path / "there" / "shot")).camera == camera


def test_edit_mode_is_said_and_nothing_changes(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    points = import_shot(bpy.context, shot).points
    bpy.context.view_layer.objects.active = points
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(BlenderError, match="Edit Mode"):
        import_shot(bpy.context, shot)
    bpy.ops.object.mode_set(mode="OBJECT")
    assert len(points.data.vertices) == 300


def test_a_damaged_model_changes_nothing(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    import_shot(bpy.context, shot)
    file = shot.sparse / "points3D.bin"
    file.write_bytes(file.read_bytes()[:-40])
    bpy.context.scene.frame_end = 5000
    with pytest.raises(FormatError):
        import_shot(bpy.context, shot)
    assert bpy.context.scene.frame_end == 5000
    assert len(bpy.data.objects) == 3


def test_undo_takes_an_import_back(tmp_path: Path) -> None:
    """Two pushes around it are what an operator with UNDO does."""
    shot = make_shot(tmp_path / "shot")
    bpy.ops.ed.undo_push(message="before")
    import_shot(bpy.context, shot)
    bpy.ops.ed.undo_push(message="import")
    assert len(bpy.data.objects) == 3
    bpy.ops.ed.undo()
    assert len(bpy.data.objects) == 0
    assert bpy.context.scene.frame_end == 250
    bpy.ops.ed.redo()
    assert len(bpy.data.objects) == 3
    assert len(curves(bpy.context.scene.camera)[("location", 0)].keyframe_points) == 12
    assert import_shot(bpy.context, shot).camera == bpy.context.scene.camera
    assert len(bpy.data.objects) == 3
