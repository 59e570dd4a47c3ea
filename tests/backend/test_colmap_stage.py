# SPDX-License-Identifier: GPL-3.0-or-later
"""The colmap stage on plates whose truth is known, and on plates that hold no camera move."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pycolmap
import pytest

from backend.accuracy import slip
from backend.camera import CameraTrack
from backend.dense_files import read_mesh
from backend.errors import Canceled, SolveError
from backend.events import Event, EventReader
from backend.formats.colmap import read_model
from backend.shot import CAMERAS, Shot
from backend.solve import FrameState, Motion, Solve
from backend.stages import ColmapOptions
from backend.worker.engines import diagnosis, keyframes
from backend.worker.engines.mapping import Rung, largest
from backend.worker.engines.matching import PairMatches
from backend.worker.engines.records import from_pycolmap
from tests.backend import colmap_child
from tests.backend import textured_room as rooms
from tests.data_folder import shared_data

WIDTH, HEIGHT, COUNT, FIRST, BLANK = 640, 360, 16, 1001, 1009
CHILD = Path(colmap_child.__file__)


@pytest.fixture(autouse=True)
def _handlers():
    """The stage under test sets a signal handler, as the worker does."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def true():
    return rooms.track(rooms.sideways, COUNT, WIDTH, HEIGHT, FIRST)


@pytest.fixture(scope="module")
def plate(tmp_path_factory, true):
    """A shot with frames 1001 to 1016 of the room, of which 1009 shows nothing."""
    planes = rooms.room()

    def frame(index: int) -> np.ndarray:
        if true.frames[index] == BLANK:
            return np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        return rooms.picture(planes, true, index)

    return rooms.make_shot(tmp_path_factory.mktemp("room") / "Szene 1", true, frame)


@pytest.fixture(scope="module")
def solved(plate, tmp_path_factory):
    """The shot after the stage, and what stage.json recorded."""
    path = tmp_path_factory.mktemp("solved") / "Szene 1"
    shutil.copytree(plate.path, path)
    shot = Shot(path)
    before = signal.getsignal(signal.SIGINT)
    record = colmap_child.solve(shot, ColmapOptions())
    signal.signal(signal.SIGINT, before)
    return shot, record


def events(shot: Shot) -> list[dict]:
    return EventReader(shot.path / "events.jsonl").poll()


def solved_camera(shot: Shot) -> CameraTrack:
    track = Solve.load(shot.camera).track
    return track.only(np.flatnonzero(track.solved))


class TestSolve:
    def test_camera_is_the_true_one(self, solved, true):
        track = solved_camera(solved[0])
        found = slip(true, track, rooms.scene_points(rooms.room()))
        assert len(found.frames) == COUNT - 1
        assert found.rms < 0.3
        assert found.jitter < 0.05
        assert abs(found.focal_error) < 0.015

    def test_every_frame_is_named_for_what_it_is(self, solved):
        solve = Solve.load(solved[0].camera)
        assert [frame.frame for frame in solve.frames] == list(range(FIRST, FIRST + COUNT))
        assert solve.numbers(FrameState.INTERPOLATED) == [BLANK]
        assert solve.numbers(FrameState.UNSOLVED) == []
        assert solve.track.frames.tolist() == list(range(FIRST, FIRST + COUNT))
        assert solve.track.frames[~solve.track.solved].tolist() == [BLANK]
        assert any(str(BLANK) in text and "interpolated" in text for text in solve.warnings)

    def test_errors_are_those_of_the_model(self, solved):
        """Against COLMAP's own figures for the model that was written."""
        solve = Solve.load(solved[0].camera)
        model = pycolmap.Reconstruction(str(solved[0].sparse))
        assert model.num_reg_images() == COUNT - 1
        assert solve.point_count == model.num_points3D()
        sums = sum(point.error * point.track.length() for point in model.points3D.values())
        mean = sums / model.compute_num_observations()
        assert solve.mean_error == pytest.approx(mean, rel=1e-6)
        assert solve.max_error == max(frame.error for frame in solve.frames)
        seen = {frame.frame: frame.observations for frame in solve.frames}
        for image in model.images.values():
            assert seen[int(Path(image.name).stem[-4:])] == image.num_points3D

    def test_model_is_whole_and_colored(self, solved):
        model = read_model(solved[0].sparse, observations=True)
        assert model.names[0] == f"frame_{FIRST}.png"
        assert len(model.cameras) == 1
        assert next(iter(model.cameras.values())).is_pinhole
        assert len(model.observations.image) > 4000
        assert model.points.colors.std() > 10
        assert (model.points.tracks >= 3).all()

    def test_world_stands_on_the_floor(self, solved):
        solve = Solve.load(solved[0].camera)
        assert "floor found" in solve.world_note
        assert solve.track.matrices[:, 2, 3].mean() == pytest.approx(1.6, abs=0.05)
        up = solve.track.matrices[:, :3, 1].mean(axis=0)
        assert up[2] > 0.95
        pixel = solve.track.project(np.zeros((1, 3)), COUNT // 2)[0]
        assert 0 < pixel[0] < WIDTH
        assert 0 < pixel[1] < HEIGHT

    def test_everything_is_delivered_and_nothing_else(self, solved):
        shot, record = solved
        extensions = ("chan", "clip", "csv", "jsx", "nk")
        expected = {
            "solve.json", "extrinsics.json", "intrinsics.json", "contact_sheet.png",
            "undistorted.json", "solve_plot.png",
            *(f"{stem}.{extension}" for stem in CAMERAS for extension in extensions),
        }  # fmt: skip
        assert {path.name for path in shot.camera.iterdir()} == expected
        names = {path.name for path in shot.output("colmap").iterdir()}
        assert names == {"sparse", "stage.json", "tracks.npz", "blockout.ply"}
        assert len(read_mesh(shot.blockout).faces) > 50
        assert not list(shot.path.glob("*.part"))
        kept = json.loads((shot.output("colmap") / "stage.json").read_text())
        assert kept["engine"] == "tracks"
        assert kept["registered"] == record["registered"] == COUNT - 1
        assert kept["interpolated"] == 1

    def test_progress_and_results_are_told(self, solved):
        records = events(solved[0])
        results = [r["path"] for r in records if r["event"] == Event.RESULT.value]
        assert results == [
            "colmap/sparse/0",
            "colmap/blockout.ply",
            "camera/solve.json",
            "camera/contact_sheet.png",
            "camera/solve_plot.png",
        ]
        progress = [r for r in records if r["event"] == Event.PROGRESS.value]
        assert {r["unit"] for r in progress} >= {"frames"}
        assert all(0 <= r["done"] <= r["total"] for r in progress)


def test_feature_matching_solves_the_camera_too(plate, true, tmp_path):
    path = tmp_path / "shot"
    shutil.copytree(plate.path, path)
    record = colmap_child.solve(Shot(path), ColmapOptions(engine="sift"))
    assert record["engine"] == "sift"
    assert record["pycolmap"] == pycolmap.__version__
    track = solved_camera(Shot(path))
    found = slip(true, track, rooms.scene_points(rooms.room()))
    assert len(found.frames) == COUNT - 1
    assert found.rms < 0.3


class TestTripod:
    def test_camera_that_only_turns(self, tmp_path):
        focal, center = 560.0, np.array([240.0, 135.0])
        inner = np.array([[focal, 0, center[0]], [0, focal, center[1]], [0, 0, 1]])
        source = cv2.resize(rooms.texture(31), (2048, 2048))
        wide = np.array([[focal, 0, 1024], [0, focal, 1024], [0, 0, 1]])

        def frame(index: int) -> np.ndarray:
            matrix = rooms.looking(np.zeros(3), 18 - 3 * index, 2 * np.sin(index), 0.3 * index)
            base = rooms.looking(np.zeros(3), 0, 0)
            flip = np.diag([1.0, -1.0, -1.0])
            turn = flip @ matrix[:3, :3].T @ base[:3, :3] @ flip
            homography = inner @ turn @ np.linalg.inv(wide)
            view = cv2.warpPerspective(source, homography, (480, 270), flags=cv2.INTER_AREA)
            grain = np.random.default_rng(index).normal(scale=2, size=view.shape)
            return np.clip(view + grain, 0, 255).astype(np.uint8)

        camera = rooms.track(rooms.standing, 12, 480, 270)
        shot = rooms.make_shot(tmp_path / "shot", camera, frame)
        colmap_child.solve(shot, ColmapOptions())
        solve = Solve.load(shot.camera)
        assert solve.quality.motion is Motion.TRIPOD
        assert not solve.track.travels
        assert solve.track.focal[0, 0] == pytest.approx(focal, rel=0.01)
        assert len(solve.numbers(FrameState.SOLVED)) == 12
        assert not shot.blockout.exists()

    def test_asked_to_travel_feature_matching_refuses_it(self, tmp_path):
        camera = rooms.track(rooms.turning, 12, 480, 270)
        planes = rooms.room()
        shot = rooms.make_shot(
            tmp_path / "shot", camera, lambda index: rooms.picture(planes, camera, index)
        )
        with pytest.raises(SolveError, match="only turns"):
            colmap_child.solve(shot, ColmapOptions(engine="sift", zoom="fixed", move="tripod"))
        said = [r["text"] for r in events(shot) if r["event"] == Event.WARNING.value]
        assert any("does not follow Camera Move, Zoom" in text for text in said)

    def test_refinement_needs_tracks(self, tmp_path):
        camera, planes = rooms.track(rooms.turning, 5, 480, 270), rooms.room()
        shot = rooms.make_shot(
            tmp_path / "shot", camera, lambda index: rooms.picture(planes, camera, index)
        )
        with pytest.raises(SolveError, match="no tracks to refine"):
            colmap_child.solve(shot, ColmapOptions(refine=True))

    def test_refinement_adjusts_tracks_whatever_the_engine(self, solved, tmp_path):
        shutil.copytree(solved[0].path, tmp_path / "shot")
        shot = Shot(tmp_path / "shot")
        record = colmap_child.solve(shot, ColmapOptions(engine="sift", refine=True))
        assert record["engine"] == Solve.load(shot.camera).engine == "tracks"


class TestRefusals:
    """Each plate that cannot be solved is named for what it is, and leaves nothing behind."""

    @pytest.fixture
    def refused(self, tmp_path):
        def run(frame, count=12, size=(480, 270), **options):
            camera = rooms.track(rooms.standing, count, *size)
            shot = rooms.make_shot(tmp_path / "shot", camera, frame)
            with pytest.raises(SolveError) as caught:
                colmap_child.solve(shot, ColmapOptions(**options))
            assert not list(shot.path.glob("*.part"))
            assert not shot.camera.exists()
            return caught.value.reason

        return run

    @staticmethod
    def window(dx=0, dy=0, seed=0):
        """480 x 270 of a large picture, with grain."""
        grain = np.random.default_rng(seed).normal(scale=2, size=(270, 480, 3))
        part = rooms.texture(31)[200 + dy : 470 + dy, 200 + dx : 680 + dx]
        return np.clip(part + grain, 0, 255).astype(np.uint8)

    def test_two_frames(self, refused):
        assert "has 2 frames" in refused(lambda index: self.window(9 * index), count=2)

    def test_static_camera(self, refused):
        started = time.process_time()
        reason = refused(lambda index: self.window(seed=index))
        assert "stands still" in reason
        assert time.process_time() - started < 30

    def test_static_camera_with_someone_walking(self, refused):
        def frame(index: int) -> np.ndarray:
            picture = self.window(seed=index).copy()
            x = 30 + 25 * index
            picture[60:250, x : x + 90] = rooms.texture(32)[:190, :90]
            return picture

        assert "stands still" in refused(frame)

    def test_grey_picture(self, refused):
        def frame(index: int) -> np.ndarray:
            grain = np.random.default_rng(index).normal(scale=1.0, size=(270, 480, 1))
            ramp = np.linspace(100, 140, 480)[None, :, None]
            return np.clip(np.broadcast_to(ramp, (270, 480, 3)) + grain, 0, 255).astype(np.uint8)

        assert "Too little texture" in refused(frame)

    def test_frames_that_have_nothing_to_do_with_each_other(self, refused):
        reason = refused(lambda index: rooms.texture(40 + index)[:270, :480])
        assert "cut too often" in reason

    def test_mask_of_the_wrong_size_leaves_the_old_solve(self, solved, tmp_path):
        path = tmp_path / "shot"
        shutil.copytree(solved[0].path, path)
        shot = Shot(path)
        old = shot.solve_file.read_bytes()
        shot.masks.mkdir(parents=True)
        cv2.imwrite(str(shot.masks / f"frame_{FIRST}.png"), np.zeros((90, 160), np.uint8))
        with pytest.raises(SolveError, match="160 x 90 but the plate is 640 x 360"):
            colmap_child.solve(shot, ColmapOptions())
        assert shot.solve_file.read_bytes() == old
        missing = [r["text"] for r in events(shot) if r["event"] == Event.WARNING.value][-1]
        assert missing.startswith(f"{COUNT - 1} frames have no mask")

    def test_missing_frames(self, plate, tmp_path):
        path = tmp_path / "shot"
        shutil.copytree(plate.path, path)
        Shot(path).frame_file(FIRST + 3).unlink()
        with pytest.raises(SolveError, match=f"missing from the shot .{FIRST + 3}."):
            colmap_child.solve(Shot(path), ColmapOptions())


class TestCancel:
    """A stop in the middle of a solve ends within seconds and leaves nothing."""

    @pytest.mark.parametrize(
        ("engine", "status", "by_file"),
        [
            ("tracks", "Tracking points", False),
            ("tracks", "Solving the camera", True),
            ("sift", "Finding features", False),
            ("sift", "Mapping keyframes", True),
        ],
    )
    def test_stops_at_once_and_leaves_nothing(self, plate, tmp_path, engine, status, by_file):
        path = tmp_path / "shot"
        shutil.copytree(plate.path, path)
        command = [sys.executable, str(CHILD), str(path), engine]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as child:
            self.wait_for(path, status, child)
            if by_file:
                (path / "cancel").touch()
            else:
                child.send_signal(signal.SIGINT)
            asked = time.monotonic()
            code = child.wait(30)
        assert code == 130
        assert time.monotonic() - asked < 10
        left = {entry.name for entry in path.iterdir()} - {"cancel"}
        assert left == {"source", "events.jsonl"}

    @staticmethod
    def wait_for(path: Path, status: str, child: subprocess.Popen) -> None:
        reader = EventReader(path / "events.jsonl")
        give_up = time.monotonic() + 120
        while time.monotonic() < give_up and child.poll() is None:
            if any(record.get("text") == status for record in reader.poll()):
                return
            time.sleep(0.05)
        raise AssertionError(f"never came to {status!r}")

    def test_before_the_first_frame(self, plate, tmp_path):
        path = tmp_path / "shot"
        shutil.copytree(plate.path, path)
        (path / "cancel").touch()
        with pytest.raises(Canceled):
            colmap_child.solve(Shot(path), ColmapOptions())
        assert not list(path.glob("*.part"))


class TestLargestModel:
    @staticmethod
    def model(frames: int) -> pycolmap.Reconstruction:
        options = pycolmap.SyntheticDatasetOptions()
        options.num_rigs, options.num_cameras_per_rig = 1, 1
        options.num_frames_per_rig, options.num_points3D = frames, 60
        return pycolmap.synthesize_dataset(options)

    def test_most_frames_win_wherever_they_stand(self):
        stub, whole, other = self.model(2), self.model(9), self.model(4)
        found = largest([stub, whole, other], Rung(0.95, 16))
        assert found.model is whole
        assert largest([whole, stub], Rung(0.95, 16)).model is whole
        assert largest([], Rung(0.95, 16)) is None

    def test_what_is_dropped_is_named(self):
        names = [("frame_0001.png", "frame_0002.png", "frame_0003.png", "frame_0009.png")]
        assert diagnosis.dropped(names) == [
            "A piece of 4 frames (1-3, 9) was solved apart from the rest and dropped."
        ]

    def test_real_folder_with_a_stub_first(self):
        folder = shared_data("colmap/bedroom_two_models")
        models = [pycolmap.Reconstruction(str(path)) for path in sorted(folder.rglob("sparse/*"))]
        assert models[0].num_reg_images() == 2
        record = from_pycolmap(largest(models, Rung(0.95, 16)).model)
        assert len(record.names) == 40
        read = read_model(sorted(folder.rglob("sparse/*"))[1])
        assert record.names == read.names
        assert np.allclose(record.translations, read.translations)
        assert np.allclose(record.quaternions, read.quaternions)
        assert np.allclose(np.sort(record.points.errors), np.sort(read.points.errors))


class TestDiagnosis:
    @staticmethod
    def pairs(travel: float) -> list[PairMatches]:
        """Matches of a camera that turns 2 degrees a step and travels, with 0.4 px of noise."""
        rng = np.random.default_rng(4)
        points = rng.uniform([-6, -3, 4], [6, 3, 14], (500, 3))
        views = []
        for step in range(6):
            angle = np.radians(2 * step)
            c, s = np.cos(angle), np.sin(angle)
            local = (points - [travel * step, 0, 0]) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
            pixel = local[:, :2] / local[:, 2:] * 1100 + [640, 360]
            views.append(pixel + rng.normal(scale=0.4, size=pixel.shape))
        inside = np.all([(v > 0).all(1) & (v < [1280, 720]).all(1) for v in views], axis=0)
        return [PairMatches(views[0][inside], view[inside], True) for view in views[1:]]

    def fit(self, travel: float) -> diagnosis.TurnFit:
        pairs = [(pair.first, pair.second) for pair in self.pairs(travel)]
        return diagnosis.fit_turn(pairs, 1280, 720)

    def test_turning_is_told_from_traveling(self):
        turn = self.fit(0.0)
        assert turn.share > 0.97
        assert turn.focal == pytest.approx(1100, rel=0.2)
        with pytest.raises(SolveError, match="only turns"):
            diagnosis.refuse_turn(turn, 1.0)
        travel = self.fit(0.12)
        assert travel.share < 0.5
        diagnosis.refuse_turn(travel, 1.0)

    def test_the_grey_zone_is_a_warning(self):
        turn = self.fit(0.015)
        assert 0.6 < turn.share < 0.97
        assert "uncertain" in diagnosis.weak_parallax(turn, 0.5, 0.08)
        assert diagnosis.weak_parallax(self.fit(0.12), 0.3, 0.5) == ""

    def test_odd_lens(self):
        assert diagnosis.odd_lens(1.05, -0.2) == ""
        assert "11 mm" in diagnosis.odd_lens(0.3, 0.0)
        assert "distortion 0.90" in diagnosis.odd_lens(1.05, 0.9)

    def test_a_stub_is_no_solve(self):
        diagnosis.refuse_stub(solved=20, points=300, frames=40)
        for solved, points, frames in ((3, 300, 5), (7, 300, 40), (40, 29, 40)):
            with pytest.raises(SolveError, match="No camera could be solved"):
                diagnosis.refuse_stub(solved, points, frames)

    @pytest.mark.parametrize("name", ["trees_rotation", "rollercoaster_pan"])
    def test_a_real_pan_is_solved_as_one(self, tmp_path, name):
        shot = self.part_of(f"nodal/{name}.mp4", tmp_path)
        colmap_child.solve(shot, ColmapOptions())
        solve = Solve.load(shot.camera)
        assert solve.quality.motion is Motion.TRIPOD
        assert not solve.track.travels

    def test_a_real_camera_that_stands_still_is_named(self, tmp_path):
        shot = self.part_of("static/dog_park.mp4", tmp_path)
        with pytest.raises(SolveError, match="stands still"):
            colmap_child.solve(shot, ColmapOptions())

    @staticmethod
    def part_of(clip: str, folder: Path) -> Shot:
        """The first 30 frames of a real shot, at reduced size."""
        capture = cv2.VideoCapture(str(shared_data(clip)))
        pictures = [capture.read()[1] for _ in range(30)]
        height, width = (round(side * 640 / pictures[0].shape[1]) for side in pictures[0].shape[:2])

        def frame(index: int) -> np.ndarray:
            small = cv2.resize(pictures[index], (width, height), interpolation=cv2.INTER_AREA)
            return small[:, :, ::-1]

        camera = rooms.track(rooms.standing, len(pictures), width, height)
        return rooms.make_shot(folder / "shot", camera, frame)


class TestKeyframes:
    frames = tuple(range(1, 41))

    def test_gap_and_motion_limit_the_distance(self):
        still = dict.fromkeys(keyframes.neighbors(self.frames), 1.0)
        assert keyframes.choose_keyframes(self.frames, still, (), 5, 100.0)[:3] == [1, 6, 11]
        fast = dict.fromkeys(still, 40.0)
        assert keyframes.choose_keyframes(self.frames, fast, (), 5, 100.0)[:3] == [1, 4, 7]

    def test_breaks_and_asked_frames_are_keyframes(self):
        shifts = dict.fromkeys(keyframes.neighbors(self.frames), 1.0)
        del shifts[17, 18]
        found = keyframes.choose_keyframes(self.frames, shifts, [23], 8, 100.0)
        assert {1, 17, 18, 23, 40} <= set(found)

    def test_links_reach_the_nearest_keyframes(self):
        pairs = keyframes.links((1, 2, 3, 4, 5), (1, 3, 5), 1)
        assert sorted(pairs) == [(1, 2), (2, 3), (3, 4), (4, 5)]
        assert (1, 4) in keyframes.links((1, 2, 3, 4, 5), (1, 3, 5), 2)

    def test_keyframe_pairs(self):
        assert keyframes.keyframe_pairs((1, 5, 9), (1, 2, 16)) == [(1, 5), (5, 9), (1, 9)]
        assert len(keyframes.keyframe_pairs((1, 5, 9, 12), (0,))) == 6

    def test_probes_are_even_and_hold_the_ends(self):
        assert keyframes.probe_frames(self.frames)[::7] == [1, 40]
        assert keyframes.probe_frames((4, 5, 9, 11, 12)) == [4, 5, 9, 11, 12]
