# SPDX-License-Identifier: GPL-3.0-or-later
"""Dense points and mesh in the scene: the files, the world they stand in, their looks and uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from shot_gopher.backend import outputs
from shot_gopher.backend.camera import Similarity
from shot_gopher.backend.dense import DenseRecord, Place, find_parts, place_of, settings
from shot_gopher.backend.dense_files import (
    Cloud,
    Triangles,
    read_cloud,
    read_mesh,
    write_cloud,
    write_mesh,
)
from shot_gopher.backend.errors import BlenderError, FormatError, UsageError
from shot_gopher.backend.formats import ply
from shot_gopher.backend.outputs import stage_file
from shot_gopher.backend.shot import Shot, write_json
from shot_gopher.backend.stages import STAGES, DenseOptions
from shot_gopher.operators.scene import color_space
from shot_gopher.operators.scene.dense import import_dense
from shot_gopher.operators.scene.shot import import_shot
from shot_gopher.operators.view import Query, read_shot

from .shots import write_frames, write_png
from .tracked import FIRST, LENS, tracked_shot

SIDE = 6
"""Quads along a side of the test mesh."""


def grid(side: int = SIDE, seam: bool = True) -> Triangles:
    """A square sheet in z = 0 whose left and right half lie apart in the texture."""
    ticks = np.linspace(-1, 1, side + 1, dtype=np.float32)
    y, x = np.meshgrid(ticks, ticks, indexing="ij")
    positions = np.stack([x, y, 0 * x], axis=-1).reshape(-1, 3)
    corner = (np.arange(side)[:, None] * (side + 1) + np.arange(side)).ravel()
    a, b, c, d = corner, corner + 1, corner + side + 2, corner + side + 1
    faces = np.stack([np.stack([a, b, c], 1), np.stack([a, c, d], 1)], axis=1).reshape(-1, 3)
    uvs = (positions[faces][..., :2] * 0.25 + 0.25).astype(np.float32)
    if seam:
        uvs[positions[faces][..., 0].mean(axis=1) > 0] += 0.5
    return Triangles(positions, faces.astype(np.int32), uvs)


def points(count: int = 500) -> Cloud:
    rng = np.random.default_rng(3)
    normals = rng.normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Cloud(
        rng.uniform(-1, 1, (count, 3)).astype(np.float32),
        normals.astype(np.float32),
        rng.integers(0, 256, (count, 3)).astype(np.uint8),
        rng.uniform(0, 1, count).astype(np.float32),
    )


def make_dense(shot: Shot, mesh: Triangles | None = None, cloud: Cloud | None = None) -> None:
    """What a run of the dense stage leaves."""
    dense, mesh, cloud = shot.dense, mesh or grid(), cloud or points()
    dense.path.mkdir(parents=True, exist_ok=True)
    write_cloud(dense.cloud, cloud)
    write_mesh(dense.mesh, mesh, dense.texture.name)
    image = np.full((16, 16, 3), 40, dtype=np.uint8)
    image[:8] = (200, 100, 50)
    write_png(dense.texture, image)
    counts = (len(cloud.positions), len(mesh.faces))
    frames = tuple(range(FIRST, FIRST + 4))
    DenseRecord("cpu", place_of(shot), frames, *counts, texture_size=16).save(dense.record)


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    made = tracked_shot(tmp_path / "shot", images=False)
    write_json(stage_file(made, STAGES["colmap"]), {"finished": 1.0, "fingerprint": "x"})
    make_dense(made)
    return made


@pytest.fixture
def addon(shot: Shot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shot]:
    """The same with the add-on registered and the camera imported."""
    monkeypatch.setenv("SHOT_GOPHER_HOME", str(shot.path.parent / "home"))
    package = sys.modules["shot_gopher"]
    package.register()
    bpy.context.scene.shot_gopher.shot = str(shot.path)
    bpy.ops.shot_gopher.camera_import()
    yield shot
    package.unregister()


def places(part: bpy.types.Object) -> np.ndarray:
    found = np.empty(3 * len(part.data.vertices), dtype=np.float32)
    part.data.vertices.foreach_get("co", found)
    return found.reshape(-1, 3).astype(np.float64)


# The files


def test_a_cloud_comes_back_as_it_was(tmp_path: Path) -> None:
    cloud, path = points(), tmp_path / "cloud.ply"
    write_cloud(path, cloud)
    again = read_cloud(path)
    for name in ("positions", "normals", "colors", "confidence"):
        np.testing.assert_array_equal(getattr(again, name), getattr(cloud, name))


def test_blender_reads_our_files_too(tmp_path: Path) -> None:
    cloud, mesh = points(), grid()
    write_cloud(tmp_path / "cloud.ply", cloud)
    write_mesh(tmp_path / "mesh.ply", mesh, "texture.png")
    axes = {"forward_axis": "Y", "up_axis": "Z"}
    bpy.ops.wm.ply_import(filepath=str(tmp_path / "cloud.ply"), **axes)
    np.testing.assert_array_equal(places(bpy.context.object), cloud.positions)
    bpy.ops.wm.ply_import(filepath=str(tmp_path / "mesh.ply"), **axes)
    theirs = bpy.context.object.data
    uvs = np.empty(2 * len(theirs.loops), dtype=np.float32)
    theirs.uv_layers[0].uv.foreach_get("vector", uvs)
    np.testing.assert_array_equal(uvs.reshape(-1, 3, 2), mesh.uvs)


def test_a_mesh_is_split_at_seams_in_the_file_alone(tmp_path: Path) -> None:
    mesh, path = grid(), tmp_path / "mesh.ply"
    write_mesh(path, mesh)
    seam = SIDE + 1
    assert len(ply.read(path)["vertex"]) == len(mesh.positions) + seam
    again = read_mesh(path)
    assert len(again.positions) == len(mesh.positions)
    np.testing.assert_array_equal(again.positions[again.faces], mesh.positions[mesh.faces])
    np.testing.assert_array_equal(again.uvs, mesh.uvs)


def test_places_in_the_texture_may_stand_at_the_faces(tmp_path: Path) -> None:
    mesh, path = grid(), tmp_path / "mesh.ply"
    vertices = np.empty(len(mesh.positions), [(name, ">f8") for name in "xyz"])
    for index, name in enumerate("xyz"):
        vertices[name] = mesh.positions[:, index]
    faces = np.empty(len(mesh.faces), [("vertex_index", "u4", (3,)), ("texcoord", "f4", (6,))])
    faces["vertex_index"], faces["texcoord"] = mesh.faces, mesh.uvs.reshape(-1, 6)
    ply.write(path, {"vertex": vertices, "face": faces})
    np.testing.assert_array_equal(read_mesh(path).uvs, mesh.uvs)


def test_faces_that_blender_cannot_hold_are_left_out(tmp_path: Path) -> None:
    mesh = grid(seam=False)
    mesh.faces[3, 1] = mesh.faces[3, 0]
    write_mesh(tmp_path / "mesh.ply", mesh)
    assert len(read_mesh(tmp_path / "mesh.ply").faces) == len(mesh.faces) - 1


HEAD = b"ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty float x\n"
XYZ = HEAD + b"property float y\nproperty float z\n"
FACES = b"element face 1\nproperty list uchar int vertex_indices\nend_header\n" + bytes(12)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not whole"),
        (b"ply\nformat ascii 1.0\nend_header\n", "not binary"),
        (XYZ.replace(b"vertex 1", b"vertex 9999999999") + b"end_header\n" + bytes(12), "ends"),
        (XYZ.replace(b"vertex 1", b"vertex -1") + b"end_header\n", "no number of rows"),
        (XYZ.replace(b"float x", b"string x") + b"end_header\n", "no PLY file"),
        (HEAD + b"end_header\n" + bytes(4), "has no points"),
        (XYZ + b"end_header\n" + bytes(12), "has no faces"),
        (XYZ + FACES + b"\4" + bytes(16), "triangles"),
        (XYZ + FACES + b"\3" + b"\0\0\0\0" * 2 + b"\7\0\0\0", "not there"),
        (XYZ + FACES + b"\3", "ends"),
        (XYZ + FACES[:-12] + b"\0\0\xc0\x7f" * 3 + b"\3" + bytes(12), "nowhere"),
    ],
)
def test_a_damaged_file_is_told(data: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "mesh.ply"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=sentence):
        read_mesh(path)


def test_the_record_comes_back_and_says_what_is_there(shot: Shot) -> None:
    record = DenseRecord.load(shot.dense.record)
    assert record.frames == (FIRST, FIRST + 1, FIRST + 2, FIRST + 3)
    np.testing.assert_array_equal(record.place.world.matrix(), place_of(shot).world.matrix())
    there = find_parts(shot)
    assert (there.cloud, there.mesh, there.blockout) == (True, True, False)
    assert there.facts == ("4 frames with depth", "500 points", "72 faces", "16 px texture")
    shot.dense.record.write_text("{")
    assert not find_parts(shot)
    options = {name: {} for name in STAGES}
    make_dense(shot)
    assert read_shot(Query(str(shot.path), "", options), []).facts["dense"] == there.facts


def test_options_stand_for_numbers() -> None:
    assert settings(DenseOptions()).faces == 500_000
    asked = settings(DenseOptions(quality="preview", faces=7, texture_size=512))
    assert (asked.image_size, asked.faces, asked.texture_size) == (1000, 7, 512)


def test_a_new_result_makes_the_built_scene_old(shot: Shot) -> None:
    before = outputs.inputs_of(shot, STAGES["scene"], "")
    DenseRecord("cuda", place_of(shot), (FIRST,), 1).save(shot.dense.record)
    assert outputs.inputs_of(shot, STAGES["scene"], "") != before


# In the scene


def test_points_and_mesh_land_as_they_are(shot: Shot) -> None:
    result = import_dense(bpy.context, shot)
    cloud, mesh = points(), grid()
    np.testing.assert_allclose(places(result.cloud), cloud.positions, atol=1e-6)
    data = result.cloud.data
    normals = np.empty(3 * len(cloud.normals), dtype=np.float32)
    data.attributes["point_normal"].data.foreach_get("vector", normals)
    np.testing.assert_allclose(normals.reshape(-1, 3), cloud.normals, atol=1e-6)
    assert data.attributes["confidence"].data[7].value == pytest.approx(cloud.confidence[7])
    colors = [data.attributes["color"].data[9].color_srgb[index] for index in range(3)]
    np.testing.assert_allclose(np.array(colors) * 255, cloud.colors[9], atol=0.01)
    data = result.mesh.data
    assert (len(data.vertices), len(data.polygons)) == (len(mesh.positions), len(mesh.faces))
    assert not data.validate()
    corners = np.empty(3 * len(mesh.faces), dtype=np.int32)
    data.loops.foreach_get("vertex_index", corners)
    here = places(result.mesh)[corners].reshape(-1, 3, 3)
    np.testing.assert_allclose(here, mesh.positions[mesh.faces], atol=1e-6)
    uvs = np.empty(6 * len(mesh.faces), dtype=np.float32)
    data.uv_layers["UVMap"].uv.foreach_get("vector", uvs)
    np.testing.assert_array_equal(uvs.reshape(-1, 3, 2), mesh.uvs)
    assert all(polygon.use_smooth for polygon in data.polygons)


def test_only_sharp_edges_stay_sharp(shot: Shot) -> None:
    mesh = grid(seam=False)
    mesh.positions[:, 2] = np.where(mesh.positions[:, 0] > 0, 2 * mesh.positions[:, 0], 0)
    make_dense(shot, mesh)
    data = import_dense(bpy.context, shot).mesh.data
    sharp = [edge for edge in data.edges if edge.use_edge_sharp]
    assert len(sharp) == SIDE
    assert all(abs(data.vertices[i].co.x) < 1e-6 for edge in sharp for i in edge.vertices)


def test_the_texture_is_shown_as_it_was_shot(shot: Shot) -> None:
    mesh = import_dense(bpy.context, shot).mesh
    nodes = mesh.active_material.node_tree.nodes
    (picture,) = (node for node in nodes if node.type == "TEX_IMAGE")
    assert Path(picture.image.filepath) == shot.dense.texture.resolve()
    assert picture.image.colorspace_settings.name == "sRGB"
    assert nodes.active == picture
    assert any(node.type == "EMISSION" for node in nodes)


def test_a_studio_may_call_its_color_spaces_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    image = bpy.data.images.new("picture", 4, 4)
    color_space.mark_as_data(image)
    assert image.colorspace_settings.is_data
    monkeypatch.setattr(color_space, "_COLOR", ("srgb_tx", "Linear Rec.709", "sRGB"))
    color_space.mark_as_color(image)
    assert image.colorspace_settings.name == "Linear Rec.709"
    monkeypatch.setattr(color_space, "_COLOR", ("srgb_tx",))
    color_space.mark_as_color(image)
    assert image.colorspace_settings.name == "Linear Rec.709"


def test_an_import_is_made_in_place(shot: Shot) -> None:
    import_shot(bpy.context, shot)
    first = import_dense(bpy.context, shot)
    mesh, cloud = first.mesh, first.cloud
    mesh.name, mesh.location = "Set", (1, 2, 3)
    mine = bpy.data.materials.new("mine")
    mesh.material_slots[0].material = mine
    mesh.modifiers.new("Decimate", "DECIMATE")
    counts = [len(each) for each in (bpy.data.objects, bpy.data.meshes, bpy.data.collections)]
    make_dense(shot, grid(side=9), points(70))
    again = import_dense(bpy.context, shot)
    assert (again.mesh, again.cloud) == (mesh, cloud)
    assert (len(mesh.data.polygons), len(cloud.data.vertices)) == (162, 70)
    assert tuple(mesh.location) == (1, 2, 3)
    assert mesh.active_material == mine
    assert len(mesh.modifiers) == 1
    now = [len(each) for each in (bpy.data.objects, bpy.data.meshes, bpy.data.collections)]
    assert now == counts
    (track,) = bpy.context.scene.collection.children
    assert [each.name for each in track.children] == ["shot Dense"]


def test_a_new_texture_is_read_again(shot: Shot) -> None:
    mesh = import_dense(bpy.context, shot).mesh
    (picture,) = (n for n in mesh.active_material.node_tree.nodes if n.type == "TEX_IMAGE")
    assert picture.image.pixels[0] == pytest.approx(40 / 255)
    write_png(shot.dense.texture, np.full((8, 8, 3), 255, dtype=np.uint8))
    import_dense(bpy.context, shot)
    assert tuple(picture.image.size) == (8, 8)
    assert picture.image.pixels[0] == pytest.approx(1.0)


def test_the_points_make_room_for_the_first_mesh_alone(shot: Shot) -> None:
    result = import_dense(bpy.context, shot)
    assert result.cloud.hide_get()
    result.cloud.hide_set(False)
    assert not import_dense(bpy.context, shot).cloud.hide_get()


def test_nothing_is_changed_in_edit_mode(shot: Shot) -> None:
    mesh = import_dense(bpy.context, shot).mesh
    bpy.context.view_layer.objects.active = mesh
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(BlenderError, match="Leave Edit Mode of shot Mesh"):
        import_dense(bpy.context, shot)
    with pytest.raises(BlenderError, match="Leave Edit Mode of shot Mesh"):
        import_shot(bpy.context, shot)
    bpy.ops.object.mode_set(mode="OBJECT")


def test_a_blockout_is_imported_where_there_is_no_better(shot: Shot) -> None:
    for file in (shot.dense.record, shot.dense.mesh, shot.dense.cloud):
        file.unlink()
    with pytest.raises(UsageError, match="run Dense Mesh"):
        import_dense(bpy.context, shot)
    write_mesh(shot.blockout, replace(grid(), uvs=None))
    assert find_parts(shot).blockout
    result = import_dense(bpy.context, shot)
    assert result.mesh is None
    assert "blockout" in result.summary
    assert result.blockout.name == "shot Blockout"
    assert result.blockout.hide_render
    world = place_of(shot).world
    np.testing.assert_allclose(
        places(result.blockout), world.apply(grid().positions.astype(float)), atol=1e-5
    )
    make_dense(shot)
    better = import_dense(bpy.context, shot)
    assert better.blockout is None
    assert result.blockout.hide_get()


# One world


def seen(part: bpy.types.Object) -> np.ndarray:
    """Where the part's vertices are in the camera's frame, and how far."""
    scene = bpy.context.scene
    scene.frame_set(FIRST + 4)
    found = [
        world_to_camera_view(scene, scene.camera, part.matrix_world @ Vector(co))
        for co in places(part)
    ]
    return np.array(found)


def set_floor_and_scale() -> None:
    """Says with empties what the floor is and how far two points are apart."""
    for meters, spots in (
        (0, [(0, 0, 0.5), (1, 0.2, 0.4), (0.1, 1, 0.7)]),
        (9, [(0, 0, 0), (1, 1, 1)]),
    ):
        bpy.ops.object.select_all(action="DESELECT")
        for spot in spots:
            empty = bpy.data.objects.new("mark", None)
            empty.location = spot
            bpy.context.scene.collection.objects.link(empty)
            empty.select_set(True)
        bpy.context.view_layer.update()
        if meters:
            assert bpy.ops.shot_gopher.survey_distance(meters=meters) == {"FINISHED"}
        else:
            assert bpy.ops.shot_gopher.survey_floor() == {"FINISHED"}


def test_mesh_and_points_stay_with_the_camera_when_the_floor_is_set(addon: Shot) -> None:
    assert bpy.ops.shot_gopher.dense_import() == {"FINISHED"}
    parts = [each for each in bpy.data.objects if each.get("shot_gopher_role") in ("mesh", "cloud")]
    assert len(parts) == 2
    before = [seen(part) for part in parts]
    old = place_of(addon).world
    set_floor_and_scale()
    factor = place_of(addon).world.scale / old.scale
    assert abs(factor - 1) > 0.1
    for part, then in zip(parts, before, strict=True):
        np.testing.assert_allclose(seen(part)[:, :2], then[:, :2], atol=1e-5)
        np.testing.assert_allclose(seen(part)[:, 2], then[:, 2] * factor, rtol=1e-4)
    # The files are still in the world before: reading them again changes nothing.
    bpy.ops.shot_gopher.dense_import()
    for part, then in zip(parts, before, strict=True):
        np.testing.assert_allclose(seen(part)[:, :2], then[:, :2], atol=1e-5)


@pytest.mark.usefixtures("addon")
def test_a_selected_mesh_is_no_mark_and_moves_once() -> None:
    bpy.ops.shot_gopher.dense_import()
    mesh = next(each for each in bpy.data.objects if each.get("shot_gopher_role") == "mesh")
    before = seen(mesh)
    bpy.ops.object.select_all(action="DESELECT")
    mesh.select_set(True)
    with pytest.raises(RuntimeError, match="Select 1 point"):
        bpy.ops.shot_gopher.survey_origin()
    empty = bpy.data.objects.new("mark", None)
    empty.location = (0.5, 0.2, 0.1)
    bpy.context.scene.collection.objects.link(empty)
    empty.select_set(True)
    bpy.context.view_layer.update()
    bpy.ops.shot_gopher.survey_origin()
    np.testing.assert_allclose(seen(mesh)[:, :2], before[:, :2], atol=1e-5)
    assert tuple(mesh.location) == (0, 0, 0)


def test_a_mesh_of_another_solve_is_left_and_told(shot: Shot) -> None:
    import_shot(bpy.context, shot)
    mesh = import_dense(bpy.context, shot).mesh
    before = places(mesh)
    write_json(stage_file(shot, STAGES["colmap"]), {"finished": 2.0, "fingerprint": "x"})
    result = import_shot(bpy.context, shot)
    assert any("another solve" in text for text in result.warnings)
    np.testing.assert_array_equal(places(mesh), before)
    with pytest.raises(UsageError, match="another solve"):
        import_dense(bpy.context, shot)


def test_a_place_knows_the_way_to_another() -> None:
    turn = np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]])
    one = Place(1.0, Similarity(2.0, turn, np.array([1.0, 2, 3])))
    two = Place.from_text(Place(1.0, Similarity(3.0, np.eye(3), np.array([0, 0, 1.0]))).to_text())
    spot = np.array([[0.3, 0.4, 0.5]])
    np.testing.assert_allclose(one.step_to(two).apply(one.world.apply(spot)), two.world.apply(spot))
    assert one.step_to(replace(two, solve=5.0)) is None


# What the mesh is for


def mesh_object() -> bpy.types.Object:
    return next(each for each in bpy.data.objects if each.get("shot_gopher_role") == "mesh")


@pytest.mark.usefixtures("addon")
def test_a_mesh_catches_shadows_is_a_holdout_or_hides() -> None:
    with pytest.raises(RuntimeError, match="Import the dense mesh first"):
        bpy.ops.shot_gopher.dense_use(use="HOLDOUT")
    bpy.ops.shot_gopher.dense_import()
    mesh, render = mesh_object(), bpy.context.scene.render
    bpy.ops.shot_gopher.dense_use(use="HIDDEN")
    assert (mesh.hide_render, mesh.is_holdout, mesh.is_shadow_catcher) == (True, False, False)
    assert not render.film_transparent
    bpy.ops.shot_gopher.dense_use(use="HOLDOUT")
    assert (mesh.hide_render, mesh.is_holdout, mesh.is_shadow_catcher) == (False, True, False)
    assert render.film_transparent
    assert mesh.active_material.name == "shot As Shot"
    bpy.ops.shot_gopher.dense_use(use="CATCHER")
    assert (mesh.hide_render, mesh.is_holdout, mesh.is_shadow_catcher) == (False, False, True)
    assert mesh.active_material.name == "shot Lit"
    bpy.ops.shot_gopher.dense_use(use="RENDERED")
    assert (mesh.hide_render, mesh.is_holdout, mesh.is_shadow_catcher) == (False, False, False)


def test_materials_are_made_once_and_kept(addon: Shot) -> None:
    bpy.ops.shot_gopher.dense_import()
    mesh = mesh_object()
    with pytest.raises(RuntimeError, match="frames are missing"):
        bpy.ops.shot_gopher.dense_look(look="PROJECTED")
    write_frames(addon, [FIRST], 8, 8)
    for look, name in (("LIT", "Lit"), ("PROJECTED", "Projected Plate"), ("PLATE", "As Shot")):
        bpy.ops.shot_gopher.dense_look(look=look)
        assert mesh.active_material.name == f"shot {name}"
    count = len(bpy.data.materials)
    for look in ("LIT", "PROJECTED", "PLATE"):
        bpy.ops.shot_gopher.dense_look(look=look)
    assert len(bpy.data.materials) == count


def test_the_projected_plate_lies_where_the_camera_sees_it(addon: Shot, tmp_path: Path) -> None:
    """Rendered from the camera the mesh shows the plate's own pixels, the frame's own number."""
    rng = np.random.default_rng(5)
    plates = {}
    for number in range(FIRST, FIRST + 12):
        blocks = rng.integers(60, 250, (9, 16, 3)).astype(np.uint8)
        plates[number] = blocks.repeat(40, axis=0).repeat(40, axis=1)
        write_png(addon.frame_file(number), plates[number])
    bpy.ops.shot_gopher.dense_import()
    scene, mesh = bpy.context.scene, mesh_object()
    scene.frame_set(FIRST + 5)
    camera = scene.camera
    camera.data.shift_x, camera.data.shift_y = 0.06, -0.04
    facing = camera.matrix_world.to_quaternion()
    mesh.location = camera.matrix_world @ Vector((0.4, -0.2, -4))
    mesh.rotation_mode, mesh.rotation_quaternion = "QUATERNION", facing
    bpy.ops.shot_gopher.dense_look(look="PROJECTED")
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BOX", 0.01
    scene.render.resolution_percentage = 25
    scene.view_settings.view_transform = "Standard"
    scene.render.film_transparent = True
    scene.render.filepath = str(tmp_path / "view.png")
    bpy.ops.render.render(write_still=True)
    view = bpy.data.images.load(scene.render.filepath)
    pixels = np.array(view.pixels[:]).reshape(90, 160, 4)[::-1]
    covered = pixels[..., 3] > 0.99
    assert covered.mean() > 0.15
    expected = plates[FIRST + 5][2::4, 2::4] / 255
    off = np.abs(pixels[..., :3] - expected)[covered].max(axis=1)
    # What is off lies at the edges of the blocks, where pixels are mixed.
    assert (off < 3 / 255).mean() > 0.85
    assert LENS.width == 640
