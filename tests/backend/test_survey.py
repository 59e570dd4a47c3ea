# SPDX-License-Identifier: GPL-3.0-or-later
"""The surveyed world: what was told holds, on disk as well, and later solves land in it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from backend import environment, locations, outputs, survey
from backend.camera import (
    CameraTrack,
    Similarity,
    matrices_from_colmap,
    quaternions_from_rotations,
)
from backend.cli import main
from backend.errors import JobError, OutputError, UsageError
from backend.formats import TEXT_FORMATS
from backend.formats.colmap import write_model
from backend.host import Host
from backend.jobs import shot_lock_name
from backend.outputs import Freshness
from backend.processes import FileLock
from backend.reconstruction import CameraModel, Observations, Points, Reconstruction
from backend.shot import CAMERAS, Shot, write_json
from backend.solve import FrameSolve, FrameState, Grade, Motion, Quality, Solve
from backend.stages import STAGES, ColmapOptions, SceneOptions
from backend.survey import Axis, Constraints, Distance, Survey
from backend.undistorted import UndistortedPlate
from tests.backend import colmap_child
from tests.backend import textured_room as rooms
from tests.backend.readers import turn
from tests.backend.test_world import colmap_camera

FRAMES = np.arange(1001, 1041)
TRUE = np.array(
    [[-2, 3, 0], [2, 3, 0], [2, 7, 0], [-2, 7, 0], [0, 5, 0.8], [1, 5, 0.8], [0, 7, 2.4]], float
)
"""Points of the real scene in meters, Z up: four on the floor, three above it."""
SOLVER = Similarity(0.37, turn("x", 63) @ turn("z", 20), np.array([3.0, -1.0, 2.0]))
"""From the real scene to the solver's own world."""
LENS = CameraModel("PINHOLE", 1280, 720, (1300.0, 1300.0, 640.0, 360.0))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(locations.HOME_VARIABLE, str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """A stage sets a signal handler, as in the worker."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def true_cameras(tripod: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Centers and world-to-camera rotations in the real scene."""
    share = np.linspace(0, 1, len(FRAMES))
    centers = np.stack([share * 2 - 1, -2 + share, 1.6 + 0.05 * np.sin(9 * share)], axis=1)
    if tripod:
        centers[:] = centers[0]
    rotations = np.stack([colmap_camera(20 - 40 * s, -8.0, 1.0) for s in share])
    return centers, rotations


def in_solver(world: Similarity, tripod: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cameras and the points in the world of a solver."""
    centers, rotations = true_cameras(tripod)
    return world.apply(centers), rotations @ world.rotation.T, world.apply(TRUE)


def model_of(world: Similarity) -> Reconstruction:
    centers, rotations, points = in_solver(world)
    count = len(points)
    return Reconstruction(
        cameras={1: LENS},
        names=tuple(f"frame_{number:04d}.png" for number in FRAMES),
        camera_ids=np.ones(len(FRAMES), dtype=np.int64),
        quaternions=quaternions_from_rotations(rotations),
        translations=-np.einsum("nij,nj->ni", rotations, centers),
        points=Points(
            ids=np.arange(11, 11 + count, dtype=np.uint64),
            positions=points,
            colors=np.full((count, 3), 128, dtype=np.uint8),
            errors=np.full(count, 0.2),
            tracks=np.full(count, 2),
        ),
        observations=Observations(
            image=np.tile([0, 1], count),
            point=np.repeat(np.arange(count), 2),
            pixel=np.zeros((2 * count, 2)),
        ),
    )


def make_shot(path: Path) -> Shot:
    """A shot whose world is a guess that is off in every way."""
    shot, model = Shot(path), model_of(SOLVER)
    guess = Similarity(4.4, turn("y", 9) @ SOLVER.rotation.T, np.array([0.5, -9.0, 1.0]))
    shot.sparse.mkdir(parents=True)
    write_model(model, shot.sparse)
    rotations = true_cameras()[1] @ SOLVER.rotation.T
    matrices = matrices_from_colmap(rotations, model.translations, guess)
    track = CameraTrack(
        frames=FRAMES,
        matrices=matrices,
        focal=np.tile(LENS.focal, (len(FRAMES), 1)),
        center=np.tile(LENS.center, (len(FRAMES), 1)),
        solved=np.ones(len(FRAMES), dtype=np.bool_),
        width=LENS.width,
        height=LENS.height,
        fps=Fraction(24),
    )
    shot.camera.mkdir(parents=True)
    Solve(
        engine="test",
        camera=LENS,
        world=guess,
        world_note="made up",
        track=track,
        frames=tuple(FrameSolve(int(n), FrameState.SOLVED, 0.2, 7) for n in FRAMES),
        point_count=len(TRUE),
        mean_error=0.2,
        max_error=0.3,
        quality=Quality(Motion.MOVING, "The camera travels.", Grade.GOOD),
    ).save(shot.camera)
    for extension in ("abc", "usd", "chan"):
        shot.camera_file(extension).write_text("of the world before")
    record = {"stage": "colmap", "options": {}, "inputs": {}, "results": ["camera/solve.json"]}
    stage, plate = STAGES["colmap"], ""
    inputs = outputs.inputs_of(shot, stage, plate)
    mark = outputs.fingerprint(stage, ColmapOptions(), inputs)
    write_json(outputs.stage_file(shot, stage), record | {"fingerprint": mark, "inputs": inputs})
    return shot


def points_of(shot: Shot) -> np.ndarray:
    return survey.point_positions(shot, range(11, 11 + len(TRUE)))


def everything(now: np.ndarray) -> Constraints:
    return Constraints(
        floor=now[:4],
        origin=now[0],
        axis=Axis("x", now[0], now[1]),
        distance=Distance(4.0, now[0], now[1]),
    )


def test_everything_told_is_the_real_scene(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    survey.apply(shot, everything(points_of(shot)))
    np.testing.assert_allclose(points_of(shot), TRUE - TRUE[0], atol=1e-9)
    centers, _rotations = true_cameras()
    solve = Solve.load(shot.camera)
    np.testing.assert_allclose(solve.track.matrices[:, :3, 3], centers - TRUE[0], atol=1e-9)
    assert solve.world_note == "set by the artist: floor, origin, axis, distance"


def test_told_one_by_one_in_any_order_is_the_same(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    for name in ("distance", "axis", "floor", "origin"):
        told = everything(points_of(shot))
        survey.apply(shot, Constraints(**{name: getattr(told, name)}))
    np.testing.assert_allclose(points_of(shot), TRUE - TRUE[0], atol=1e-9)


def test_camera_and_points_stay_together(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    before = Solve.load(shot.camera).track
    pixels = before.project(points_of(shot), 7)
    survey.apply(shot, everything(points_of(shot)))
    after = Solve.load(shot.camera).track
    np.testing.assert_allclose(after.project(points_of(shot), 7), pixels, atol=1e-8)


def test_one_point_tells_the_height_alone(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    before = points_of(shot)
    survey.apply(shot, Constraints(floor=before[2:3]))
    np.testing.assert_allclose(points_of(shot), before - [0, 0, before[2, 2]], atol=1e-9)


def test_the_floor_is_the_plane_nearest_to_its_points(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    now = points_of(shot)
    survey.apply(shot, Constraints(floor=np.concatenate([now[:4], now[4:6]])))
    heights = points_of(shot)[:6, 2]
    assert abs(heights.mean()) < 1e-9
    assert (Solve.load(shot.camera).track.matrices[:, 2, 3] > 0).all(), "the cameras stand on it"


def test_axis_y_and_a_distance_keep_the_floor(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    survey.apply(shot, Constraints(floor=points_of(shot)[:4]))
    now = points_of(shot)
    survey.apply(shot, Constraints(axis=Axis("y", now[0], now[3])))
    now = points_of(shot)
    survey.apply(shot, Constraints(distance=Distance(2.4, TRUE[0] * 0, now[6] * [0, 0, 1])))
    now = points_of(shot)
    np.testing.assert_allclose(now[:4, 2], 0, atol=1e-9)
    np.testing.assert_allclose(now[3] - now[0], [0, 4, 0], atol=1e-9)
    assert now[6, 2] == pytest.approx(2.4)


def test_an_origin_over_the_floor_keeps_the_floor(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    survey.apply(shot, Constraints(origin=points_of(shot)[4]))
    np.testing.assert_allclose(points_of(shot)[4], 0, atol=1e-9)
    survey.apply(shot, everything(points_of(shot)).with_changes(Constraints(origin=None)))
    survey.apply(shot, Constraints(origin=points_of(shot)[4]))
    now = points_of(shot)
    np.testing.assert_allclose(now[4], [0, 0, 0.8], atol=1e-9)
    np.testing.assert_allclose(now[:4, 2], 0, atol=1e-9)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (Constraints(floor=TRUE[:2]), "three and more"),
        (Constraints(floor=np.outer([1.0, 2, 3], [1.0, 1, 0])), "one line"),
        (Constraints(axis=Axis("x", TRUE[0], TRUE[0] + [0, 0, 2])), "above the other"),
        (Constraints(distance=Distance(1.0, TRUE[0], TRUE[0])), "two points apart"),
        (Constraints(distance=Distance(0.0, TRUE[0], TRUE[1])), "over 0"),
    ],
)
def test_what_cannot_be_told_changes_nothing(
    tmp_path: Path, told: Constraints, sentence: str
) -> None:
    shot = make_shot(tmp_path / "shot")
    before = outputs.camera_digest(shot)
    with pytest.raises(UsageError, match=sentence):
        survey.apply(shot, told)
    assert outputs.camera_digest(shot) == before
    assert not shot.survey.exists()


def test_every_file_of_the_camera_is_in_the_new_world(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    survey.apply(shot, everything(points_of(shot)))
    for extension in TEXT_FORMATS:
        assert "of the world before" not in shot.camera_file(extension).read_text()
    row = shot.camera_file("csv").read_text().splitlines()[-1].split(",")
    centers, _rotations = true_cameras()
    values = [float(value) for value in row if value.lstrip("-").replace(".", "").isdigit()]
    assert any(np.allclose(value, (centers - TRUE[0])[-1, 0]) for value in values)
    assert not shot.camera_file("abc").exists(), "Blender's files show the world before"
    assert not shot.camera_file("usd").exists()
    assert {path.name for path in shot.path.iterdir()} == {"camera", "colmap", "survey.json"}


def test_the_cameras_of_every_plate_go_along(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    UndistortedPlate(1300, 740, LENS.width, LENS.height).save(shot.undistorted_file)
    for stem, extension in product(CAMERAS, ("abc", "usd", *TEXT_FORMATS)):
        shot.camera_file(extension, stem).write_text("of the world before")
    survey.apply(shot, everything(points_of(shot)))
    written = {path.name for path in shot.camera.glob("camera*.*")}
    assert written == {f"{stem}.{extension}" for stem in CAMERAS for extension in TEXT_FORMATS}
    for name in written:
        assert "of the world before" not in (shot.camera / name).read_text()


def test_the_solve_stays_current_and_the_scene_becomes_stale(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    scene = STAGES["scene"]
    inputs = outputs.inputs_of(shot, scene, "")
    mark = outputs.fingerprint(scene, SceneOptions(), inputs)
    (shot.path / "scene").mkdir()
    record = {"fingerprint": mark, "options": {}, "inputs": inputs, "results": []}
    write_json(outputs.stage_file(shot, scene), record)
    assert outputs.freshness_as_recorded(shot, scene) is Freshness.CURRENT
    survey.apply(shot, everything(points_of(shot)))
    assert outputs.freshness_as_recorded(shot, STAGES["colmap"]) is Freshness.CURRENT
    assert outputs.freshness_as_recorded(shot, scene) is Freshness.STALE


def test_reset_goes_back_to_the_guess(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    survey.reset(shot)
    found, first = points_of(shot), outputs.camera_digest(shot)
    survey.apply(shot, everything(points_of(shot)))
    survey.reset(shot)
    np.testing.assert_allclose(points_of(shot), found, atol=1e-9)
    assert not shot.survey.exists()
    note = Solve.load(shot.camera).world_note
    assert "median point distance" in note
    assert len(first) == len(outputs.camera_digest(shot))


def test_nothing_is_set_while_a_job_runs(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    lock = FileLock(locations.locks_folder(locations.home()) / shot_lock_name(shot))
    assert lock.acquire()
    with pytest.raises(JobError, match="is running"):
        survey.apply(shot, everything(points_of(shot)))
    lock.release()
    survey.apply(shot, everything(points_of(shot)))


def test_a_disk_that_fails_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shot = make_shot(tmp_path / "shot")
    before = {path: path.read_bytes() for path in shot.camera.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "camera.nk")

    monkeypatch.setattr(survey, "write_all", full)
    with pytest.raises(OutputError, match="disk is full"):
        survey.apply(shot, everything(points_of(shot)))
    assert {path: path.read_bytes() for path in shot.camera.iterdir()} == before
    assert {path.name for path in shot.path.iterdir()} == {"camera", "colmap"}


def test_a_kill_between_two_files_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shot = make_shot(tmp_path / "shot")
    moves = []

    def killed(source: Path, target: Path) -> None:
        if target.parent == shot.camera:
            moves.append(target)
        if len(moves) == 3:
            raise KeyboardInterrupt
        os.rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(outputs.os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            survey.apply(shot, everything(points_of(shot)))
    outputs.recover(shot, STAGES["colmap"])
    np.testing.assert_allclose(points_of(shot), TRUE - TRUE[0], atol=1e-9)
    centers, _rotations = true_cameras()
    matrices = Solve.load(shot.camera).track.matrices
    np.testing.assert_allclose(matrices[:, :3, 3], centers - TRUE[0], atol=1e-9)
    assert Survey.load(shot.survey).constraints.told == ("floor", "origin", "axis", "distance")


OTHER = Similarity(2.2, turn("z", 140) @ turn("y", 30), np.array([-8.0, 0.2, 5.0]))
"""From the real scene to the world of a later solve."""


def test_a_later_solve_lands_in_the_surveyed_world(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    survey.apply(shot, everything(points_of(shot)))
    centers, rotations, points = in_solver(OTHER)
    world, note = survey.world_for(shot, FRAMES, centers, rotations, points)
    np.testing.assert_allclose(world.apply(points), TRUE - TRUE[0], atol=1e-9)
    assert "set by the artist" in note


def test_a_later_solve_with_noise_and_fewer_frames_does_too(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    survey.apply(shot, everything(points_of(shot)))
    centers, rotations, points = in_solver(OTHER)
    rng = np.random.default_rng(1)
    centers = centers + rng.normal(0, 0.002 * OTHER.scale, centers.shape)
    shakes = np.radians(rng.normal(0, 0.02, (len(FRAMES), 3)))
    rotations = np.stack(
        [
            turn("x", np.degrees(a)) @ turn("y", np.degrees(b)) @ turn("z", np.degrees(c)) @ each
            for (a, b, c), each in zip(shakes, rotations, strict=True)
        ]
    )
    world, _note = survey.world_for(shot, FRAMES[5:30], centers[5:30], rotations[5:30], points[:5])
    assert np.abs(world.apply(points) - (TRUE - TRUE[0])).max() < 0.01


def test_a_tripod_solve_keeps_place_direction_and_scale(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    solve = Solve.load(shot.camera)
    matrices = solve.track.matrices.copy()
    matrices[:, :3, 3] = matrices[0, :3, 3]
    replace(solve, track=replace(solve.track, matrices=matrices)).save(shot.camera)
    survey.apply(shot, Constraints(origin=points_of(shot)[4]))
    surveyed = Survey.load(shot.survey)
    centers, rotations, points = in_solver(OTHER, tripod=True)
    world, _note = survey.world_for(shot, FRAMES, centers, rotations, points)
    np.testing.assert_allclose(world.apply(centers), surveyed.matrices[:, :3, 3], atol=1e-9)
    turned = world.rotation @ np.swapaxes(rotations, 1, 2)
    np.testing.assert_allclose(turned, surveyed.matrices[:, :3, :3], atol=1e-9)
    depth = np.median(np.linalg.norm(world.apply(points) - surveyed.matrices[0, :3, 3], axis=1))
    assert depth == pytest.approx(surveyed.depth)


def test_a_real_second_solve_lands_in_the_surveyed_world(tmp_path: Path) -> None:
    """Solved twice, with options that give other points: what was set the first time holds."""
    true = rooms.track(rooms.sideways, 12, 480, 270)
    shot = rooms.room_shot(tmp_path / "room", true)
    colmap_child.solve(shot, ColmapOptions(quality="low"))
    ends = Solve.load(shot.camera).track.matrices[[0, -1], :3, 3]
    way = np.linalg.norm(true.matrices[-1, :3, 3] - true.matrices[0, :3, 3])
    told = Constraints(origin=ends[0], distance=Distance(float(way), *ends))
    first = survey.apply(shot, told).solve
    assert np.linalg.norm(first.track.matrices[-1, :3, 3]) == pytest.approx(way)
    colmap_child.solve(shot, ColmapOptions(quality="medium"))
    second = Solve.load(shot.camera)
    assert "set by the artist" in second.world_note
    apart = second.track.matrices[:, :3, 3] - first.track.matrices[:, :3, 3]
    assert np.linalg.norm(apart, axis=1).max() < 0.03 * way
    turns = second.track.matrices[:, :3, :3] @ np.swapaxes(first.track.matrices[:, :3, :3], 1, 2)
    cosines = (np.trace(turns, axis1=1, axis2=2) - 1) / 2
    assert np.degrees(np.arccos(cosines.clip(-1, 1))).max() < 0.5


def test_without_a_survey_the_world_is_guessed(tmp_path: Path) -> None:
    centers, rotations, points = in_solver(OTHER)
    _world, note = survey.world_for(Shot(tmp_path), FRAMES, centers, rotations, points)
    assert "artist" not in note


def test_a_damaged_survey_is_told(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    survey.apply(shot, everything(points_of(shot)))
    data = json.loads(shot.survey.read_text())
    data["cameras"]["frames"].pop()
    shot.survey.write_text(json.dumps(data))
    with pytest.raises(survey.FormatError, match="damaged"):
        survey.apply(shot, Constraints(origin=TRUE[0]))


def test_a_missing_point_is_named(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    with pytest.raises(UsageError, match="no point 5, 999"):
        survey.point_positions(shot, [11, 5, 999])


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """This Python as the worker's: it has what the worker's has."""
    monkeypatch.setattr(environment, "find", lambda _home, _groups: Path(sys.executable))


def run(*words: str | Path) -> int:
    host = Host(Path(sys.executable), locations.home(), "", False, "test")
    return main(["survey", *map(str, words)], host)


@pytest.mark.usefixtures("worker")
def test_the_command_line_tells_it_all_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot = make_shot(tmp_path / "shot")
    words = ("--floor", "11,12,13,14", "--origin", "11", "--axis-x", "11,12")
    assert run(shot.path, *words, "--distance", "11,12=4") == 0
    assert "floor, origin, axis, distance" in capsys.readouterr().out
    np.testing.assert_allclose(points_of(shot), TRUE - TRUE[0], atol=1e-9)
    assert run(shot.path, "--reset") == 0
    assert not shot.survey.exists()


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        ((), 2, "Say what is known"),
        (("--axis-y", "11"), 2, "takes 2 points"),
        (("--floor", "11,12,two"), 2, "invalid"),
        (("--axis-x", "11,12", "--axis-y", "11,14"), 2, "not allowed with"),
        (("--floor", "11,12"), 1, "three and more"),
        (("--origin", "5"), 1, "no point 5"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    status: int,
    sentence: str,
) -> None:
    shot = make_shot(tmp_path / "shot")
    assert run(shot.path, *words) == status
    assert sentence in capsys.readouterr().err
    assert not shot.survey.exists()
