# SPDX-License-Identifier: GPL-3.0-or-later
"""Lenses that zoom and cameras that only turn, in the scene and in the files that it writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from shot_gopher.backend.reconstruction import CameraModel
from shot_gopher.backend.shot import Shot
from shot_gopher.backend.undistorted import UndistortedPlate
from shot_gopher.operators.scene.exports import export, sample_camera
from shot_gopher.operators.scene.shot import ImportResult, import_shot

from tests.backend.readers import clip_of, clip_pixels, csv_pixels, csv_rows

from .shots import PINHOLE, Poses, arc, make_shot
from .test_camera import blender_pixels, colmap_pixels, read_model, vertices
from .test_exports import FRAMES, film_cameras, film_pixels, needs_readers, slip
from .test_import import curves

ZOOM = np.concatenate([np.ones(4), np.linspace(1, 2.2, 8)])
WIDE = CameraModel("PINHOLE", 1920, 1080, (1100, 1100, 960, 540))
ODD = CameraModel("PINHOLE", 1920, 1080, (1100, 1020, 930, 560))
BENT = CameraModel("SIMPLE_RADIAL", 64, 36, (50, 32, 18, -0.1))
TOLERANCE = 0.01


def zoomed(tmp_path: Path, lens: CameraModel = WIDE, **how) -> ImportResult:
    return import_shot(bpy.context, make_shot(tmp_path / "shot", lens, zoom=ZOOM, **how))


@pytest.mark.parametrize("lens", [WIDE, ODD], ids=["plain", "odd"])
def test_every_frame_projects_as_colmap(tmp_path: Path, lens: CameraModel) -> None:
    poses = arc(12)
    shot = make_shot(tmp_path / "shot", lens, poses=poses, zoom=ZOOM)
    result = import_shot(bpy.context, shot)
    positions = read_model(shot.sparse).points.positions
    fx, fy = lens.focal
    for index, factor in enumerate(ZOOM):
        bpy.context.scene.frame_set(1001 + index)
        expected = colmap_pixels(lens.with_focal(fx * factor, fy * factor), poses, index, positions)
        away = blender_pixels(result, vertices(result.points)) - expected
        assert np.abs(away).max() < TOLERANCE


def test_the_lens_has_keys_and_loses_them_with_the_next_solve(tmp_path: Path) -> None:
    result = zoomed(tmp_path)
    keyed = curves(result.camera.data)
    assert set(keyed) == {("lens", 0)}
    keys = keyed["lens", 0].keyframe_points
    assert [key.co.x for key in keys] == list(FRAMES)
    np.testing.assert_allclose([key.co.y for key in keys], ZOOM * 1100 * 36 / 1920, rtol=1e-6)
    again = import_shot(bpy.context, make_shot(tmp_path / "shot", WIDE))
    assert again.camera == result.camera
    assert ("lens", 0) not in curves(again.camera.data)
    assert again.camera.data.lens == pytest.approx(1100 * 36 / 1920)


def test_frusta_have_the_angle_of_their_frame(tmp_path: Path) -> None:
    frusta = zoomed(tmp_path).frusta
    places = np.array([vertex.co for vertex in frusta.data.vertices]).reshape(12, 5, 3)
    width = np.linalg.norm(places[:, 1] - places[:, 2], axis=1)
    np.testing.assert_allclose(width[0] / width, ZOOM, rtol=1e-4)


@needs_readers
@pytest.mark.parametrize("format_name", ["abc", "usd"])
def test_alembic_and_usd_zoom(tmp_path: Path, format_name: str) -> None:
    camera = zoomed(tmp_path, ODD).camera
    (path,) = export(bpy.context, camera, tmp_path / "out", [format_name], FRAMES)
    cameras = film_cameras(path)
    focals = np.array([cameras[frame]["focal"] for frame in FRAMES])
    np.testing.assert_allclose(focals / focals[0], ZOOM, rtol=1e-5)
    size = np.array([1920, 1080])
    assert slip(camera, lambda f, points: film_pixels(cameras[f], points, size)) < TOLERANCE


def test_text_formats_zoom(tmp_path: Path) -> None:
    camera = zoomed(tmp_path, ODD).camera
    export(bpy.context, camera, tmp_path, ["csv", "clip"], FRAMES)
    rows, clip = csv_rows(tmp_path / "camera.csv"), clip_of(tmp_path / "camera.clip")
    assert slip(camera, lambda f, points: csv_pixels(rows[f], points)) < TOLERANCE
    assert slip(camera, lambda f, points: clip_pixels(clip, f, points)) < TOLERANCE


def test_a_zoom_that_bends_needs_proxies_made_for_it(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", BENT, zoom=ZOOM, images=True)
    (warning,) = import_shot(bpy.context, shot).warnings
    assert "zooms" in warning
    (shot.undistorted_proxies / "frame_1001.png" / "proxy_50_undistorted").mkdir(parents=True)
    assert import_shot(bpy.context, Shot(shot.path)).warnings == ()


def tripod(count: int = 36) -> Poses:
    """A pan of 35 degrees from one place."""
    angles = np.radians(1.001 * np.arange(count))
    c, s, zero, one = np.cos(angles), np.sin(angles), np.zeros(count), np.ones(count)
    rotations = np.moveaxis(np.array([[c, zero, -s], [zero, one, zero], [s, zero, c]]), -1, 0)
    place = np.array([0.0, -1.0, -6.0])
    return Poses(rotations, -rotations @ place)


def test_a_tripod_has_a_place_and_no_keys_for_it(tmp_path: Path) -> None:
    moving = import_shot(bpy.context, make_shot(tmp_path / "shot", count=36)).camera
    assert ("location", 0) in curves(moving)
    shot = make_shot(tmp_path / "shot", poses=tripod())
    result = import_shot(bpy.context, shot)
    assert result.camera == moving
    assert not any(path == "location" for path, _index in curves(moving))
    positions = read_model(shot.sparse).points.positions
    for index in (0, 17, 35):
        bpy.context.scene.frame_set(1001 + index)
        expected = colmap_pixels(PINHOLE, tripod(), index, positions)
        away = blender_pixels(result, vertices(result.points)) - expected
        assert np.abs(away).max() < TOLERANCE


def test_a_tripods_frusta_are_no_pile(tmp_path: Path) -> None:
    frusta = import_shot(bpy.context, make_shot(tmp_path / "shot", poses=tripod())).frusta
    frames = np.empty(len(frusta.data.vertices), dtype=np.int32)
    frusta.data.attributes["frame"].data.foreach_get("value", frames)
    assert frames[::5].tolist() == [1001, 1006, 1011, 1016, 1021, 1026, 1031, 1036]
    ends = np.array(
        [frusta.data.vertices[i].co for edge in frusta.data.edges for i in edge.vertices]
    )
    assert np.linalg.norm(ends[::2] - ends[1::2], axis=1).min() > 1e-4


@needs_readers
def test_a_tripods_files_stand_still(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", poses=tripod())
    camera = import_shot(bpy.context, shot).camera
    frames = range(1001, 1037)
    export(bpy.context, camera, tmp_path, ["abc", "csv"], frames)
    cameras = film_cameras(tmp_path / "camera.abc")
    places = np.array([np.array(cameras[frame]["matrix"])[:3, 3] for frame in frames])
    assert np.ptp(places, axis=0).max() < 1e-6
    size = np.array([1920, 1080])
    rows = csv_rows(tmp_path / "camera.csv")
    for frame in (1001, 1020, 1036):
        bpy.context.scene.frame_set(frame)
        points = np.array([camera.matrix_world @ p for p in bpy_points()])
        assert np.abs(film_pixels(cameras[frame], points, size)
                      - csv_pixels(rows[frame], points)).max() < TOLERANCE  # fmt: skip


def bpy_points() -> list:
    from mathutils import Vector

    rng = np.random.default_rng(5)
    return [Vector(point) for point in rng.uniform((-1, -1, -14), (1, 1, -6), (20, 3))]


class TestBothPlates:
    """The camera for the undistorted plate, out of the scene's camera with an artist's edits."""

    SIZE = UndistortedPlate(2000, 1120, 1920, 1080)

    @pytest.fixture
    def camera(self, tmp_path: Path) -> bpy.types.Object:
        lens = CameraModel("RADIAL", 1920, 1080, (1100, 930, 560, -0.1, 0.01))
        shot = make_shot(tmp_path / "shot", lens, zoom=ZOOM)
        self.SIZE.save(shot.undistorted_file)
        camera = import_shot(bpy.context, shot).camera
        camera.delta_location = (0.1, 0.2, 0.3)
        return camera

    @needs_readers
    @pytest.mark.parametrize("format_name", ["abc", "usd"])
    def test_the_files_are_the_same_camera_on_another_frame(
        self, tmp_path: Path, camera: bpy.types.Object, format_name: str
    ) -> None:
        files = export(bpy.context, camera, tmp_path, [format_name], FRAMES, every_plate=True)
        assert [file.stem for file in files] == ["camera", "camera_plate", "camera_undistorted"]
        plain, as_shot, flat = (film_cameras(file) for file in files)
        assert as_shot == plain
        offset = np.array([2000 / 2 - 930, 1120 / 2 - 560])
        for frame in (1001, 1012):
            bpy.context.scene.frame_set(frame)
            assert flat[frame]["focal"] == pytest.approx(plain[frame]["focal"], rel=1e-6)
            points = np.array([camera.matrix_world @ p for p in bpy_points()])
            expected = film_pixels(plain[frame], points, np.array([1920, 1080])) + offset
            found = film_pixels(flat[frame], points, np.array([2000, 1120]))
            assert np.abs(found - expected).max() < TOLERANCE

    def test_the_text_files_say_which_plate_they_fit(
        self, tmp_path: Path, camera: bpy.types.Object
    ) -> None:
        export(bpy.context, camera, tmp_path, ["csv"], FRAMES, every_plate=True)
        fits = {
            stem: csv_rows(tmp_path / f"{stem}.csv")[1001]["fits"]
            for stem in ("camera", "camera_plate", "camera_undistorted")
        }
        assert fits == {
            "camera": "undistorted plate",
            "camera_plate": "distorted plate",
            "camera_undistorted": "undistorted plate",
        }

    def test_a_camera_of_the_artists_own_has_no_plate(self, tmp_path: Path) -> None:
        data = bpy.data.cameras.new("mine")
        camera = bpy.data.objects.new("mine", data)
        bpy.context.scene.collection.objects.link(camera)
        bpy.context.scene.camera = camera
        files = export(bpy.context, camera, tmp_path, ["chan"], [1, 2], every_plate=True)
        assert [file.name for file in files] == ["camera.chan"]

    def test_the_next_import_takes_the_next_solves_size(
        self, tmp_path: Path, camera: bpy.types.Object
    ) -> None:
        shot = Shot(tmp_path / "shot")
        replace(self.SIZE, width=2040).save(shot.undistorted_file)
        import_shot(bpy.context, shot)
        export(bpy.context, camera, tmp_path, ["csv"], FRAMES, every_plate=True)
        assert csv_rows(tmp_path / "camera_undistorted.csv")[1001]["width"] == "2040"
        shot.undistorted_file.unlink()
        import_shot(bpy.context, shot)
        files = export(bpy.context, camera, tmp_path / "b", ["csv"], FRAMES, every_plate=True)
        assert [file.name for file in files] == ["camera.csv"]

    def test_a_zooms_track_comes_back_from_the_scene(self, camera: bpy.types.Object) -> None:
        track = sample_camera(bpy.context.scene, camera, FRAMES)
        np.testing.assert_allclose(track.focal[:, 0], 1100 * ZOOM, rtol=1e-6)
        np.testing.assert_allclose(track.center, np.tile([930, 560], (12, 1)), atol=1e-3)
