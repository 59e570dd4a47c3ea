# SPDX-License-Identifier: GPL-3.0-or-later
"""Plate and clean plate projected onto the dense mesh: each pixel where the bent lens saw it."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from shot_gopher.backend.backgrounds import find_backgrounds
from shot_gopher.backend.dense import DenseRecord, place_of
from shot_gopher.backend.dense_files import Triangles, write_mesh
from shot_gopher.backend.errors import UsageError
from shot_gopher.backend.lens import bend, reach
from shot_gopher.backend.reconstruction import CameraModel
from shot_gopher.backend.shot import Shot
from shot_gopher.backend.solve import Solve
from shot_gopher.operators.scene.dense import import_dense
from shot_gopher.operators.scene.dense_look import Look, held_frame, look_of, set_look
from shot_gopher.operators.scene.shot import import_shot

from .depth_shot import BENT, COUNT, FIRST, PINHOLE, depth_shot, move_world, pixels_of
from .shots import write_png

WIDTH, HEIGHT = BENT.width, BENT.height
FULL = CameraModel(
    "FULL_OPENCV", 160, 90,
    (150.0, 150.0, 79.0, 46.0, -0.1, 0.02, 0.001, -0.002, 0.01, 0.03, 0.01, 0.002),
)  # fmt: skip


def write_clean(shot: Shot) -> None:
    """Frames that say in red and green which pixel it is, and in blue which frame."""
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    for index in range(COUNT):
        blue = np.full_like(row, 40 * index)
        image = np.stack([column, 2 * row, blue], axis=-1)
        write_png(shot.clean_frame(FIRST + index), image.astype(np.uint8))


def sheet(shot: Shot, number: int) -> Triangles:
    """A sheet across the camera's view of one frame, larger than it."""
    matrix = Solve.load(shot.camera).track.matrices[number - FIRST]
    corners = np.array(
        [(-40, -25, -8), (40, -25, -8), (40, 25, -8), (-40, 25, -8)], dtype=np.float64
    )
    places = (corners @ matrix[:3, :3].T + matrix[:3, 3]).astype(np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)
    return Triangles(places, faces, None)


def shot_with_sheet(
    folder: Path, lens: CameraModel = BENT, zoom: np.ndarray | None = None
) -> tuple[Shot, bpy.types.Object]:
    shot = depth_shot(folder, lens, zoom=zoom)
    write_clean(shot)
    shot.dense.path.mkdir(parents=True)
    write_mesh(shot.dense.mesh, sheet(shot, FIRST + 2))
    DenseRecord("cpu", place_of(shot), (FIRST,), 0, 2).save(shot.dense.record)
    import_shot(bpy.context, shot)
    return shot, import_dense(bpy.context, shot).mesh


def rendered(number: int, folder: Path) -> np.ndarray:
    """(h, w, 4) from the top, linear, as the camera of that frame sees the scene."""
    scene = bpy.context.scene
    scene.frame_set(number)
    for image in bpy.data.images:
        if image.source == "SEQUENCE":
            image.colorspace_settings.name = "Non-Color"
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.cycles.use_denoising = False
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BOX", 0.01
    scene.render.film_transparent = True
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_depth = "32"
    scene.render.filepath = str(folder / "view.exr")
    bpy.ops.render.render(write_still=True)
    view = bpy.data.images.load(scene.render.filepath)
    view.colorspace_settings.name = "Non-Color"
    pixels = np.array(view.pixels[:]).reshape(HEIGHT, WIDTH, 4)[::-1]
    bpy.data.images.remove(view)
    return pixels


def expected(shot: Shot, shown: int, projected: int) -> np.ndarray:
    """(h, w, 2): the pixel of frame `projected` that a pinhole at frame `shown` sees on the sheet,
    which is the bent picture of where its ray meets the sheet."""
    solve = Solve.load(shot.camera)
    lens = solve.camera_at(shown - FIRST)
    slopes = (pixels_of(lens) - lens.center) / lens.focal
    places = np.asarray(sheet(shot, FIRST + 2).positions, dtype=np.float64)
    normal = np.cross(places[1] - places[0], places[2] - places[0])
    matrix = solve.track.matrices[shown - FIRST]
    rays = np.column_stack([slopes * [1, -1], -np.ones(len(slopes))]) @ matrix[:3, :3].T
    far = (places[0] - matrix[:3, 3]) @ normal / (rays @ normal)
    spots = matrix[:3, 3] + rays * far[:, None]
    other = solve.track.matrices[projected - FIRST]
    local = (spots - other[:3, 3]) @ other[:3, :3]
    there = local[:, :2] / -local[:, 2:] * [1, -1]
    pixels = bend(solve.camera_at(projected - FIRST), there)
    return pixels.reshape(HEIGHT, WIDTH, 2)


def check(shot: Shot, pixels: np.ndarray, shown: int, projected: int) -> None:
    wanted = expected(shot, shown, projected)
    inside = ((wanted > 1) & (wanted < [WIDTH - 1, HEIGHT - 1])).all(axis=2)
    assert inside.mean() > 0.4
    found = pixels[..., :2] * 255 / [1, 2] + 0.5
    off = np.abs(found - wanted)[inside].max(axis=1)
    assert off.max() < 0.005
    np.testing.assert_allclose(pixels[inside][:, 2] * 255, 40 * (projected - FIRST), atol=0.5)
    outside = ((wanted < -1) | (wanted > [WIDTH + 1, HEIGHT + 1])).any(axis=2)
    assert np.abs(pixels[outside][:, :3]).max(initial=0) < 1e-6


@pytest.mark.parametrize("lens", [PINHOLE, BENT, FULL], ids=lambda lens: lens.model)
def test_a_clean_plate_lies_where_the_lens_saw_it(tmp_path: Path, lens: CameraModel) -> None:
    shot, mesh = shot_with_sheet(tmp_path / "shot", lens)
    set_look(bpy.context.scene, mesh, shot, Look.CLEAN)
    assert look_of(mesh) is Look.CLEAN
    for number in (FIRST + 3, FIRST + 1):
        check(shot, rendered(number, tmp_path), number, number)


def test_a_projection_zooms_with_the_lens(tmp_path: Path) -> None:
    shot, mesh = shot_with_sheet(tmp_path / "shot", BENT, np.linspace(0.8, 1.6, COUNT))
    set_look(bpy.context.scene, mesh, shot, Look.CLEAN)
    for number in (FIRST, FIRST + 4):
        check(shot, rendered(number, tmp_path), number, number)


def test_a_held_frame_stays_on_the_mesh(tmp_path: Path) -> None:
    shot, mesh = shot_with_sheet(tmp_path / "shot", BENT, np.linspace(0.8, 1.2, COUNT))
    scene = bpy.context.scene
    scene.frame_set(FIRST + 1)
    set_look(scene, mesh, shot, Look.CLEAN, hold=True)
    assert held_frame(mesh) == FIRST + 1
    check(shot, rendered(FIRST + 3, tmp_path), FIRST + 3, FIRST + 1)
    check(shot, rendered(FIRST, tmp_path), FIRST, FIRST + 1)
    assert mesh.active_material.name == f"shot Projected Clean Plate {FIRST + 1}"
    scene.frame_set(FIRST + 1)
    cameras, materials = len(bpy.data.cameras), len(bpy.data.materials)
    set_look(scene, mesh, shot, Look.CLEAN, hold=True)
    assert (len(bpy.data.cameras), len(bpy.data.materials)) == (cameras, materials)
    set_look(scene, mesh, shot, Look.CLEAN)
    assert held_frame(mesh) == 0
    check(shot, rendered(FIRST + 3, tmp_path), FIRST + 3, FIRST + 3)


def test_a_lens_that_folds_back_shows_its_picture_once(tmp_path: Path) -> None:
    """Seen through a much wider camera: past the corners the polynomial comes back inside."""
    folds = CameraModel("SIMPLE_RADIAL", 160, 90, (150.0, 79.0, 46.0, -0.3))
    shot, mesh = shot_with_sheet(tmp_path / "shot", folds)
    scene = bpy.context.scene
    scene.frame_set(FIRST + 2)
    set_look(scene, mesh, shot, Look.CLEAN)
    wide = bpy.data.objects.new("wide", scene.camera.data.copy())
    wide.data.animation_data_clear()
    scene.collection.objects.link(wide)
    wide.matrix_world = scene.camera.matrix_world
    wide.data.lens, wide.data.shift_x, wide.data.shift_y = scene.camera.data.lens / 4, 0, 0
    scene.camera = wide
    pixels = rendered(FIRST + 2, tmp_path)
    slopes = (pixels_of(folds) - [80, 45]) / (150 / 4)
    far = (np.linalg.norm(slopes, axis=1) > 1.1 * reach(folds)).reshape(HEIGHT, WIDTH)
    again = bend(folds, slopes).reshape(HEIGHT, WIDTH, 2)
    folded = far & ((again > 0) & (again < [WIDTH, HEIGHT])).all(axis=2)
    assert folded.sum() > 200
    assert np.abs(pixels[folded][:, :3]).max() < 1e-6
    assert (pixels[..., 0] > 0.1).sum() > 300


def test_a_held_frame_moves_with_the_world(tmp_path: Path) -> None:
    shot, mesh = shot_with_sheet(tmp_path / "shot")
    scene = bpy.context.scene
    scene.frame_set(FIRST + 1)
    set_look(scene, mesh, shot, Look.CLEAN, hold=True)
    before = rendered(FIRST + 3, tmp_path)
    move_world(shot)
    assert import_shot(bpy.context, shot).warnings == ()
    after = rendered(FIRST + 3, tmp_path)
    np.testing.assert_allclose(after[..., :3], before[..., :3], atol=2e-3)


def test_nothing_is_projected_where_there_is_nothing(tmp_path: Path) -> None:
    shot, mesh = shot_with_sheet(tmp_path / "shot")
    for index in range(COUNT):
        shot.clean_frame(FIRST + index).unlink()
    with pytest.raises(UsageError, match="run Clean Plate"):
        set_look(bpy.context.scene, mesh, shot, Look.CLEAN)
    set_look(bpy.context.scene, mesh, shot, Look.PROJECTED)
    assert look_of(mesh) is Look.PROJECTED


def test_depth_and_clean_plate_can_stand_behind_the_camera(tmp_path: Path) -> None:
    shot, _mesh = shot_with_sheet(tmp_path / "shot")
    named = {each.name: each for each in find_backgrounds(shot, shot.load_plate())}
    assert named["depth"].label == "Depth"
    assert named["cleanplate"].first == shot.clean_frame(FIRST).resolve()
    assert named["depth"].first == shot.depth.image(FIRST).resolve()
    assert named["depth"].lens is not None
