# SPDX-License-Identifier: GPL-3.0-or-later
"""The imported camera projects as COLMAP does, to a hundredth of a pixel."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import bpy
import numpy as np
import pycolmap
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from shot_gopher.backend.formats.colmap import read_model, write_model
from shot_gopher.backend.reconstruction import CameraModel
from shot_gopher.backend.shot import Shot
from shot_gopher.operators.scene.shot import ImportResult, import_model, import_shot

from .shots import PINHOLE, WORLD, arc, cloud, make_shot, model_of

LENSES = {
    "centered": PINHOLE,
    "fx over fy": CameraModel("PINHOLE", 1920, 1080, (1500, 1380, 960, 540)),
    "fx under fy": CameraModel("PINHOLE", 1920, 1080, (1400, 1530, 960, 540)),
    "off-center": CameraModel("PINHOLE", 1920, 1080, (1500, 1440, 900.3, 611.7)),
    "one focal length": CameraModel("SIMPLE_PINHOLE", 1280, 720, (1100, 655, 350)),
    "portrait": CameraModel("PINHOLE", 1080, 1920, (1700, 1650, 520, 1000)),
    "4K": CameraModel("PINHOLE", 4096, 2160, (3900, 3850, 2100, 1055)),
}
TOLERANCE = 0.01


def blender_pixels(result: ImportResult, positions: np.ndarray) -> np.ndarray:
    """Where Blender's own projection puts points, in COLMAP's pixels, at the current frame."""
    scene = bpy.context.scene
    size = np.array([scene.render.resolution_x, scene.render.resolution_y])
    views = [world_to_camera_view(scene, result.camera, Vector(point)) for point in positions]
    return np.array([[x, 1 - y] for x, y, _depth in views]) * size


def vertices(points: bpy.types.Object) -> np.ndarray:
    """World positions of an imported cloud."""
    positions = np.empty(len(points.data.vertices) * 3, dtype=np.float32)
    points.data.vertices.foreach_get("co", positions)
    return positions.reshape(-1, 3).astype(np.float64)


def colmap_pixels(lens: CameraModel, poses, index: int, positions: np.ndarray) -> np.ndarray:
    """Where pycolmap puts points of COLMAP's world in an image."""
    camera = pycolmap.Camera(
        model=lens.model, width=lens.width, height=lens.height, params=list(lens.params)
    )
    return camera.img_from_cam(positions @ poses.rotations[index].T + poses.translations[index])


def worst_slip(result: ImportResult, lens: CameraModel, poses, positions, first: int) -> float:
    slips = []
    for index in range(len(poses.rotations)):
        bpy.context.scene.frame_set(first + index)
        slip = blender_pixels(result, vertices(result.points)) - colmap_pixels(
            lens, poses, index, positions
        )
        slips.append(np.linalg.norm(slip, axis=1).max())
    return max(slips)


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_projects_as_colmap(tmp_path: Path, lens: CameraModel) -> None:
    poses = arc(8)
    shot = make_shot(tmp_path / "shot", lens, poses=poses)
    result = import_shot(bpy.context, shot)
    positions = read_model(shot.sparse).points.positions
    assert worst_slip(result, lens, poses, positions, 1001) < TOLERANCE


@pytest.mark.parametrize("roll", [88.0, 90.0, 179.0])
def test_projects_as_colmap_near_gimbal_lock(tmp_path: Path, roll: float) -> None:
    """A phone held upright rolls the camera by a quarter turn, where Euler angles lock."""
    poses = arc(8, roll=roll)
    shot = make_shot(tmp_path / "shot", poses=poses)
    result = import_shot(bpy.context, shot)
    positions = read_model(shot.sparse).points.positions
    assert worst_slip(result, PINHOLE, poses, positions, 1001) < TOLERANCE


def test_rotation_keys_are_euler_angles_without_flips(tmp_path: Path) -> None:
    result = import_shot(bpy.context, make_shot(tmp_path / "shot", count=60))
    assert result.camera.rotation_mode == "XYZ"
    angles = []
    for frame in range(1001, 1061):
        bpy.context.scene.frame_set(frame)
        angles.append(result.camera.rotation_euler[:])
    assert np.abs(np.diff(angles, axis=0)).max() < np.radians(5)


def test_far_from_the_origin_a_model_is_recentered(tmp_path: Path) -> None:
    """1000 units out, 32-bit floats would slip by a third of a pixel."""
    offset = (1000.0, -400.0, 2000.0)
    poses, points = arc(5, offset), cloud(200, offset)
    names = [f"frame_{number:04d}.png" for number in range(1, 6)]
    lens = LENSES["off-center"]
    write_model(model_of(poses, lens, points, names), tmp_path / "far")
    result = import_model(bpy.context, tmp_path / "far")
    assert np.abs(vertices(result.points)).max() < 100
    assert worst_slip(result, lens, poses, points.positions, 1) < TOLERANCE


def test_several_cameras_change_the_lens(tmp_path: Path) -> None:
    poses, points = arc(6), cloud(50)
    wide = CameraModel("PINHOLE", 1920, 1080, (900, 900, 930, 520))
    names = [f"frame_{number:04d}.png" for number in range(1, 7)]
    model = model_of(poses, PINHOLE, points, names)
    ids = np.array([1, 1, 1, 2, 2, 1])
    model = type(model)(
        **(vars(model) | {"cameras": {1: PINHOLE, 2: wide}, "camera_ids": ids}),
    )
    write_model(model, tmp_path / "two")
    result = import_model(bpy.context, tmp_path / "two")
    for index, lens in enumerate([PINHOLE, PINHOLE, PINHOLE, wide, wide, PINHOLE]):
        bpy.context.scene.frame_set(index + 1)
        slip = blender_pixels(result, vertices(result.points)) - colmap_pixels(
            lens, poses, index, points.positions
        )
        assert np.abs(slip).max() < TOLERANCE


@pytest.mark.parametrize(
    ("fps", "whole", "base"),
    [
        ("24000/1001", 24, 1.001),
        ("25", 25, 1.0),
        ("30000/1001", 30, 1.001),
        ("144/5", 29, 145 / 144),
    ],
)
def test_frame_rate_is_exact(tmp_path: Path, fps: str, whole: int, base: float) -> None:
    from shot_gopher.operators.scene.rate import scene_rate

    import_shot(bpy.context, make_shot(tmp_path / "shot", fps=Fraction(fps)))
    render = bpy.context.scene.render
    assert render.fps == whole
    assert render.fps_base == pytest.approx(base, rel=1e-7)
    assert scene_rate(bpy.context.scene) == Fraction(fps)


def test_scene_has_the_plates_range_and_size(tmp_path: Path) -> None:
    scene = bpy.context.scene
    result = import_shot(bpy.context, make_shot(tmp_path / "shot", first=1001, count=9))
    assert (scene.frame_start, scene.frame_end) == (1001, 1009)
    assert scene.frame_current == 1001
    assert (scene.render.resolution_x, scene.render.resolution_y) == (1920, 1080)
    assert (scene.render.pixel_aspect_x, scene.render.pixel_aspect_y) == (1, 1)
    assert scene.camera == result.camera


def test_pixel_aspect_only_where_the_lens_needs_it(tmp_path: Path) -> None:
    import_shot(bpy.context, make_shot(tmp_path / "shot", LENSES["fx over fy"]))
    render = bpy.context.scene.render
    assert render.pixel_aspect_x == 1
    assert render.pixel_aspect_y == pytest.approx(1500 / 1380)


def test_clip_range_suits_the_scene(tmp_path: Path) -> None:
    """A solve has any unit: a scene a thousandth as large must not vanish in the near plane."""
    small = type(WORLD)(0.001, WORLD.rotation, np.zeros(3))
    shot = make_shot(tmp_path / "shot", world=small)
    data = import_shot(bpy.context, shot).camera.data
    assert data.clip_start < 0.004 < 0.01 < data.clip_end


def test_a_shot_without_a_solve_says_so(tmp_path: Path) -> None:
    from shot_gopher.backend.errors import Remedy, SolveError

    with pytest.raises(SolveError, match="track it first") as error:
        import_shot(bpy.context, Shot(tmp_path))
    assert error.value.remedy is Remedy.TRACK_CAMERA
    assert len(bpy.data.objects) == 0
