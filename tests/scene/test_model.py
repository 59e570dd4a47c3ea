# SPDX-License-Identifier: GPL-3.0-or-later
"""Any COLMAP model: names, numbers, image sizes and layouts that other programs leave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pycolmap
import pytest
from shot_gopher.backend.errors import FormatError
from shot_gopher.backend.formats.colmap import write_model
from shot_gopher.backend.reconstruction import CameraModel
from shot_gopher.operators.scene.shot import ImportResult, import_model

from tests.data_folder import shared_data

from .shots import arc, cloud, model_of, write_png
from .test_camera import blender_pixels, colmap_pixels, vertices

SMALL = CameraModel("PINHOLE", 64, 36, (50, 50, 32, 18))


def written(folder: Path, names: list[str], lens: CameraModel = SMALL) -> Path:
    write_model(model_of(arc(len(names)), lens, cloud(80), names), folder)
    return folder


def pictures(folder: Path, names: list[str], size: tuple[int, int] = (64, 36)) -> None:
    for name in names:
        write_png(folder / name, np.full((size[1], size[0], 3), 90, dtype=np.uint8))


def scene_range() -> tuple[int, int]:
    return bpy.context.scene.frame_start, bpy.context.scene.frame_end


def slip(result: ImportResult, lens: CameraModel, frames: list[int]) -> float:
    """Largest distance in px between Blender's and COLMAP's projection of the cloud."""
    poses, points = arc(len(frames)), cloud(80)
    slips = []
    for index, frame in enumerate(frames):
        bpy.context.scene.frame_set(frame)
        wanted = colmap_pixels(lens, poses, index, points.positions)
        slips.append(np.abs(blender_pixels(result, vertices(result.points)) - wanted).max())
    return max(slips)


def test_names_with_spaces_and_subfolders(tmp_path: Path) -> None:
    names = [f"day 1/take é/shot {number:04d}.png" for number in range(1001, 1006)]
    pictures(tmp_path / "my shot" / "images", names)
    result = import_model(bpy.context, written(tmp_path / "my shot" / "sparse" / "0", names))
    assert scene_range() == (1001, 1005)
    assert result.clip.frame_start == 1001
    assert Path(result.clip.filepath).name == "shot 1001.png"
    assert result.collection.name == "my shot Track"
    assert result.warnings == ()
    assert slip(result, SMALL, list(range(1001, 1006))) < 0.01


def test_names_without_telling_numbers_count_from_one(tmp_path: Path) -> None:
    names = ["left/1.png", "left/2.png", "right/1.png", "right/2.png"]
    pictures(tmp_path / "images", names)
    result = import_model(bpy.context, written(tmp_path / "model", names))
    assert scene_range() == (1, 4)
    assert result.clip is None
    assert "not one numbered sequence" in result.warnings[0]
    assert slip(result, SMALL, [1, 2, 3, 4]) < 0.01


def test_numbers_blender_cannot_count_to_count_from_one(tmp_path: Path) -> None:
    names = ["scan_20231105123045.png", "scan_20231105123046.png"]
    import_model(bpy.context, written(tmp_path / "model", names))
    assert scene_range() == (1, 2)


def test_images_of_another_size_scale_the_lens(tmp_path: Path) -> None:
    names = [f"frame_{number:04d}.png" for number in range(1, 4)]
    lens = CameraModel("PINHOLE", 640, 360, (500, 480, 330, 170))
    pictures(tmp_path / "images", names, (160, 90))
    result = import_model(bpy.context, written(tmp_path / "model", names, lens))
    render = bpy.context.scene.render
    assert (render.resolution_x, render.resolution_y) == (160, 90)
    quarter = CameraModel("PINHOLE", 160, 90, (125, 120, 82.5, 42.5))
    assert slip(result, quarter, [1, 2, 3]) < 0.01


def test_images_of_several_sizes_fit_the_main_ones_frame(tmp_path: Path) -> None:
    """Blender fits a background into the frame: a taller picture leaves bars at its sides."""
    names = [f"frame_{number:04d}.png" for number in range(1, 4)]
    pictures(tmp_path / "images", names[:2])
    pictures(tmp_path / "images", names[2:], (36, 72))
    tall = CameraModel("PINHOLE", 36, 72, (60, 60, 18, 36))
    model = model_of(arc(3), SMALL, cloud(80), names)
    model = replace(model, cameras={1: SMALL, 2: tall}, camera_ids=np.array([1, 1, 2]))
    write_model(model, tmp_path / "model")
    result = import_model(bpy.context, tmp_path / "model")
    bpy.context.scene.frame_set(3)
    wanted = colmap_pixels(tall, arc(3), 2, cloud(80).positions) / 2 + (23, 0)
    assert np.abs(blender_pixels(result, vertices(result.points)) - wanted).max() < 0.01


def test_unregistered_images_between_are_interpolated(tmp_path: Path) -> None:
    every = [f"frame_{number:04d}.png" for number in range(1, 8)]
    registered = [every[index] for index in (1, 2, 5)]
    pictures(tmp_path / "images", every)
    result = import_model(bpy.context, written(tmp_path / "model", registered))
    assert scene_range() == (2, 6)
    assert len(result.frusta.data.vertices) == 5 * 5
    group = result.frusta.vertex_groups["interpolated"].index
    marked = [v.index // 5 for v in result.frusta.data.vertices if v.groups]
    assert group == 0
    assert sorted(set(marked)) == [2, 3]


def test_the_largest_model_is_taken(tmp_path: Path) -> None:
    written(tmp_path / "sparse" / "0", ["f_1.png", "f_2.png"])
    written(tmp_path / "sparse" / "1", [f"f_{number}.png" for number in range(1, 9)])
    import_model(bpy.context, tmp_path / "sparse")
    assert scene_range() == (1, 8)


def test_image_names_cannot_lead_out_of_their_folder(tmp_path: Path) -> None:
    pictures(tmp_path, ["secret_1.png"])
    (tmp_path / "a" / "images").mkdir(parents=True)
    result = import_model(
        bpy.context,
        written(tmp_path / "a" / "model", ["../../secret_1.png"]),
        tmp_path / "a" / "images",
    )
    assert result.clip is None


def test_import_again_finds_the_model(tmp_path: Path) -> None:
    folder = written(tmp_path / "model", ["f_1.png", "f_2.png"])
    first, second = import_model(bpy.context, folder), import_model(bpy.context, folder)
    assert first.camera == second.camera
    assert len(bpy.data.objects) == 3


def test_a_scene_keeps_its_frame_rate(tmp_path: Path) -> None:
    bpy.context.scene.render.fps = 50
    import_model(bpy.context, written(tmp_path / "model", ["f_1.png"]))
    assert bpy.context.scene.render.fps == 50


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no COLMAP model"):
        import_model(bpy.context, tmp_path)
    assert len(bpy.data.objects) == 0


@pytest.mark.parametrize("kind", ["model_bin", "model_txt", "model_txt_9_of_11_subfolders"])
def test_a_model_made_by_others_with_half_size_images(kind: str) -> None:
    """Sceaux castle: the photos are half the size of the model's cameras."""
    folder = shared_data(f"colmap/sceaux/{kind}")
    result = import_model(bpy.context, folder)
    (camera,) = pycolmap.Reconstruction(str(folder)).cameras.values()
    focal = camera.focal_length
    assert scene_range() == (7100, 7110)
    render = bpy.context.scene.render
    assert (render.resolution_x, render.resolution_y) == (1416, 1064)
    assert result.clip.frame_start == 7100
    assert tuple(result.clip.size) == (1416, 1064)
    assert result.camera.data.lens == pytest.approx(36 * focal / 2832)
    assert len(result.points.data.vertices) > 6000
    assert len(result.frusta.data.vertices) == 11 * 5


def test_points_of_a_foreign_model_are_where_its_observations_say() -> None:
    """The mean reprojection error of Sceaux in Blender is the one COLMAP's file states."""
    folder = shared_data("colmap/sceaux/model_bin")
    result = import_model(bpy.context, folder, folder / "nowhere")
    model = pycolmap.Reconstruction(str(folder))
    clouds = vertices(result.points)
    image = next(each for each in model.images.values() if each.name.endswith("100_7104.JPG"))
    seen = [each for each in image.points2D if each.has_point3D()]
    bpy.context.scene.frame_set(7104)
    ids = _point_ids(folder)
    index = {key: place for place, key in enumerate(ids)}
    pixels = blender_pixels(result, clouds[[index[each.point3D_id] for each in seen]])
    camera = model.cameras[image.camera_id]
    straight = camera.cam_from_img(np.array([each.xy for each in seen]))
    straight = straight * camera.focal_length + (camera.principal_point_x, camera.principal_point_y)
    assert np.median(np.linalg.norm(pixels - straight, axis=1)) < 1.0


def _point_ids(folder: Path) -> list[int]:
    from shot_gopher.backend.formats.colmap import read_model

    return read_model(folder).points.ids.tolist()


def test_two_models_of_which_the_first_is_a_stub() -> None:
    result = import_model(bpy.context, shared_data("colmap/bedroom_two_models"))
    assert len(result.frusta.data.vertices) == 40 * 5
    assert result.clip is None
    assert "images were not found" in result.warnings[0]
