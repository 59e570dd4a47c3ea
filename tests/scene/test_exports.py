# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluated scene camera in every format, read back by readers that share no code with ours."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector
from shot_gopher.backend.camera import CameraTrack
from shot_gopher.backend.errors import BlenderError, OutputError
from shot_gopher.backend.reconstruction import CameraModel
from shot_gopher.operators.scene.exports import export, sample_camera
from shot_gopher.operators.scene.shot import ImportResult, import_shot

from tests.backend.readers import (
    chan_lines,
    chan_pixels,
    clip_of,
    clip_pixels,
    csv_pixels,
    csv_rows,
    seen,
)

from .shots import arc, make_shot

LENS = CameraModel("PINHOLE", 1920, 1080, (1500, 1380, 900, 580))
FRAMES = range(1001, 1013)
TEXT = ("chan", "clip", "csv", "jsx", "nk")
TOLERANCE = 0.01
needs_readers = pytest.mark.skipif(
    find_spec("alembic3d") is None or find_spec("pxr") is None,
    reason="alembic3d and usd-core read these files back",
)


def imported(tmp_path: Path, lens: CameraModel = LENS, **how) -> ImportResult:
    return import_shot(bpy.context, make_shot(tmp_path / "shot", lens, **how))


def some_points(camera: bpy.types.Object) -> np.ndarray:
    """World points before the camera at the current frame."""
    local = np.random.default_rng(3).uniform((-1, -1, -14), (1, 1, -6), (25, 3))
    rotation = camera.matrix_world.normalized()
    return np.array([rotation @ Vector(point) for point in local])


def as_blender_sees(camera: bpy.types.Object, points: np.ndarray) -> np.ndarray:
    scene = bpy.context.scene
    size = np.array([scene.render.resolution_x, scene.render.resolution_y])
    views = [world_to_camera_view(scene, camera, Vector(point)) for point in points]
    return np.array([[x, 1 - y] for x, y, _depth in views]) * size


def film_cameras(path: Path) -> dict[int, dict[str, object]]:
    reader = Path(__file__).with_name("film_camera.py")
    answer = subprocess.run(
        [sys.executable, str(reader), str(path)], capture_output=True, text=True, check=True
    )
    return {int(frame): camera for frame, camera in json.loads(answer.stdout).items()}


def film_pixels(camera: dict[str, object], points: np.ndarray, size: np.ndarray) -> np.ndarray:
    """By the film back: its middle lies off the lens's axis by the offset, in mm."""
    matrix = np.array(camera["matrix"])
    on_film = seen(points, matrix[:3, :3], matrix[:3, 3]) * camera["focal"]
    share = (on_film - camera["offset"]) / camera["aperture"]
    return size * (0.5 + share * (1, -1))


def slip(camera: bpy.types.Object, read) -> float:
    """Largest distance in px of `read(frame, points)` from what Blender shows."""
    worst = 0.0
    for frame in FRAMES:
        bpy.context.scene.frame_set(frame)
        points = some_points(camera)
        away = np.linalg.norm(read(frame, points) - as_blender_sees(camera, points), axis=1)
        worst = max(worst, away.max())
    return worst


@needs_readers
@pytest.mark.parametrize("format_name", ["abc", "usd"])
def test_alembic_and_usd_read_back(tmp_path: Path, format_name: str) -> None:
    camera = imported(tmp_path).camera
    (path,) = export(bpy.context, camera, tmp_path / "out", [format_name], FRAMES)
    cameras = film_cameras(path)
    assert list(cameras) == list(FRAMES)
    size = np.array([1920, 1080])
    assert slip(camera, lambda f, points: film_pixels(cameras[f], points, size)) < TOLERANCE


def test_text_formats_read_back(tmp_path: Path) -> None:
    camera = imported(tmp_path).camera
    files = export(bpy.context, camera, tmp_path, TEXT, FRAMES)
    assert [file.name for file in files] == [f"camera.{name}" for name in TEXT]
    rows, clip = csv_rows(tmp_path / "camera.csv"), clip_of(tmp_path / "camera.clip")
    assert slip(camera, lambda f, points: csv_pixels(rows[f], points)) < TOLERANCE
    assert slip(camera, lambda f, points: clip_pixels(clip, f, points)) < TOLERANCE


def test_chan_holds_the_evaluated_camera(tmp_path: Path) -> None:
    lens = CameraModel("SIMPLE_PINHOLE", 1920, 1080, (1500, 960, 540))
    camera = imported(tmp_path, lens).camera
    export(bpy.context, camera, tmp_path, ["chan"], FRAMES)
    lines = chan_lines(tmp_path / "camera.chan")
    film = (36.0, 36.0 * 1080 / 1920)
    read = lambda f, points: chan_pixels(lines[f], points, 1920, 1080, film)  # noqa: E731
    assert slip(camera, read) < TOLERANCE


def artist_edits(camera: bpy.types.Object) -> None:
    """A scaled and turned parent, a constraint, a zoom and a bump in the middle."""
    ground = bpy.data.objects.new("ground", None)
    bpy.context.scene.collection.objects.link(ground)
    ground.matrix_world = Matrix.Rotation(0.7, 4, "X") @ Matrix.Scale(2.5, 4)
    camera.parent = ground
    target = bpy.data.objects.new("target", None)
    bpy.context.scene.collection.objects.link(target)
    target.location = (0, 0, 1)
    target.keyframe_insert("location", frame=1001)
    target.location = (3, 0, 1)
    target.keyframe_insert("location", frame=1012)
    aim = camera.constraints.new("TRACK_TO")
    aim.target, aim.influence = target, 0.4
    camera.data.keyframe_insert("lens", frame=1001)
    camera.data.lens *= 1.5
    camera.data.keyframe_insert("lens", frame=1012)
    camera.delta_location = (0, 0, 0.25)


@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920)])
def test_an_artists_edits_are_included(tmp_path: Path, fit: str, size: tuple[int, int]) -> None:
    camera = imported(tmp_path).camera
    artist_edits(camera)
    camera.data.sensor_fit = fit
    camera.data.sensor_height = 20
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y = size
    render.resolution_percentage = 25
    track = sample_camera(bpy.context.scene, camera, FRAMES)
    assert (track.width, track.height) == size
    assert slip(camera, lambda f, points: track.project(points, f - 1001)) < TOLERANCE
    turns = track.matrices[:, :3, :3]
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (12, 1, 1)),
                               atol=1e-9)  # fmt: skip
    assert np.ptp(track.focal[:, 0]) > 100


@needs_readers
def test_an_artists_edits_are_in_alembic(tmp_path: Path) -> None:
    """Only the camera is written, in world space, whatever it hangs on."""
    camera = imported(tmp_path).camera
    artist_edits(camera)
    camera.hide_select = True
    (path,) = export(bpy.context, camera, tmp_path / "out", ["abc"], FRAMES)
    cameras = film_cameras(path)
    size = np.array([1920, 1080])
    assert slip(camera, lambda f, points: film_pixels(cameras[f], points, size)) < TOLERANCE


def test_the_lens_is_written_in_the_artists_millimeters(tmp_path: Path) -> None:
    camera = imported(tmp_path).camera
    track = sample_camera(bpy.context.scene, camera, FRAMES)
    assert track.lens_mm() == pytest.approx(np.full(12, camera.data.lens))
    camera.data.sensor_fit, camera.data.sensor_height = "VERTICAL", 18.0
    track = sample_camera(bpy.context.scene, camera, FRAMES)
    assert track.lens_mm() == pytest.approx(np.full(12, camera.data.lens))


def test_the_scene_is_as_before(tmp_path: Path) -> None:
    camera = imported(tmp_path).camera
    scene = bpy.context.scene
    scene.frame_set(1004, subframe=0.25)
    before = {name: len(getattr(bpy.data, name)) for name in ("objects", "cameras", "actions")}
    export(bpy.context, camera, tmp_path, [*TEXT, "abc", "usd"], FRAMES)
    assert (scene.frame_current, scene.frame_subframe) == (1004, 0.25)
    assert {name: len(getattr(bpy.data, name)) for name in before} == before
    assert len(bpy.data.scenes) == 1
    assert bpy.context.scene == scene


def test_exact_rate_and_plate_are_kept(tmp_path: Path) -> None:
    lens = CameraModel("SIMPLE_RADIAL", 1920, 1080, (1500, 960, 540, -0.1))
    camera = imported(tmp_path, lens, fps=Fraction(30000, 1001)).camera
    track = sample_camera(bpy.context.scene, camera, FRAMES)
    assert track.fps == Fraction(30000, 1001)
    assert track.fits == "undistorted plate"


def test_a_build_without_alembic_says_so_and_writes_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's Blender is such a build; here only the flag that says so is changed."""

    class Without:
        alembic = usd = False

    class App:
        build_options = Without

        def __getattr__(self, name: str) -> object:
            return getattr(bpy.app, name)

    camera = imported(tmp_path).camera
    from shot_gopher.operators.scene import exports

    class Bpy:
        app = App()

        def __getattr__(self, name: str) -> object:
            return getattr(bpy, name)

    monkeypatch.setattr(exports, "bpy", Bpy())
    with pytest.raises(BlenderError, match=r"without Alembic.*without USD") as error:
        export(bpy.context, camera, tmp_path / "out", ["abc", "usd", "chan"], FRAMES)
    assert "Traceback" not in error.value.reason
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["camera.chan"]


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    camera = imported(tmp_path).camera
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(OutputError):
        export(bpy.context, camera, tmp_path / "out", ["chan", "abc"], FRAMES)


@pytest.mark.parametrize("format_name", ["abc", "usd"])
def test_what_was_there_stays_when_writing_fails(tmp_path: Path, format_name: str) -> None:
    camera = imported(tmp_path).camera
    out = tmp_path / "out"
    (out / f"camera.{os.getpid()}.part.{format_name}").mkdir(parents=True)
    target = out / f"camera.{format_name}"
    target.write_text("old")
    with pytest.raises((OutputError, BlenderError)):
        export(bpy.context, camera, out, [format_name], FRAMES)
    assert target.read_text() == "old"


def test_an_orthographic_camera_says_so(tmp_path: Path) -> None:
    camera = imported(tmp_path).camera
    camera.data.type = "ORTHO"
    with pytest.raises(BlenderError, match="perspective"):
        sample_camera(bpy.context.scene, camera, FRAMES)


def test_a_mirrored_camera_says_so(tmp_path: Path) -> None:
    camera = imported(tmp_path).camera
    camera.scale.x = -1
    with pytest.raises(BlenderError, match="mirrored"):
        sample_camera(bpy.context.scene, camera, FRAMES)


def test_a_camera_out_of_the_scene_says_so(tmp_path: Path) -> None:
    camera = imported(tmp_path).camera
    bpy.context.scene.camera = None
    for collection in camera.users_collection:
        collection.objects.unlink(camera)
    with pytest.raises(BlenderError, match="hidden"):
        sample_camera(bpy.context.scene, camera, FRAMES)


def test_a_thousand_frames_are_no_long_wait(tmp_path: Path) -> None:
    """The bench holds the figure; a loaded machine must not fail a test."""
    camera = imported(tmp_path, poses=arc(1000)).camera
    for name in TEXT:
        began = time.process_time()
        export(bpy.context, camera, tmp_path, [name], range(1001, 2001))
        assert time.process_time() - began < 0.5, name


def test_angles_do_not_flip(tmp_path: Path) -> None:
    camera = imported(tmp_path, poses=arc(60, roll=90)).camera
    export(bpy.context, camera, tmp_path, ["chan"], range(1001, 1061))
    keys = np.array(list(chan_lines(tmp_path / "camera.chan").values()))
    assert np.abs(np.diff(keys[:, 3:6], axis=0)).max() < 90
    assert math.isfinite(keys.sum())
    assert isinstance(sample_camera(bpy.context.scene, camera, [1001]), CameraTrack)
