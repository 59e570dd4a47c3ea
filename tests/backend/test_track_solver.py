# SPDX-License-Identifier: GPL-3.0-or-later
"""The solver for plates from images to solution, and its refinement of an earlier solve."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.accuracy import slip
from backend.camera import CameraTrack, Similarity, matrices_from_colmap, rotations_from_quaternions
from backend.errors import Canceled, SolveError
from backend.shot import frame_number
from backend.solve import Grade, Motion
from backend.stages import ColmapOptions
from backend.tracks import UNUSED, TrackEdits
from backend.worker.engines import Prior, Solution, SolveInput
from backend.worker.engines.solving.moving import MovingSolve
from backend.worker.engines.tracks_solver import TrackSolver
from tests.backend import textured_room as rooms

WIDTH, HEIGHT, COUNT = 640, 360, 24


class Told:
    """Keeps what a solve reports; `stop` makes it look canceled."""

    def __init__(self, stop: bool = False) -> None:
        self.warnings: list[str] = []
        self.stop = stop

    def status(self, _text: str) -> None:
        self.check()

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def progress(self, _done: int, _total: int, _unit: str) -> None:
        self.check()

    def check(self) -> None:
        if self.stop:
            raise Canceled


@pytest.fixture(scope="module")
def true() -> CameraTrack:
    return rooms.track(rooms.sideways, COUNT, WIDTH, HEIGHT, 1)


@pytest.fixture(scope="module")
def frames(tmp_path_factory, true) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("frames")
    planes = rooms.room()
    paths = {}
    for index, number in enumerate(true.frames.tolist()):
        paths[number] = folder / f"frame_{number:04d}.png"
        assert cv2.imwrite(str(paths[number]), rooms.picture(planes, true, index))
    return paths


def task_of(frames, work: Path, **changes) -> SolveInput:
    options = changes.pop("options", ColmapOptions())
    return SolveInput(frames, WIDTH, HEIGHT, {}, options, work, **changes)


def camera_of(solution: Solution, true: CameraTrack) -> CameraTrack:
    model = solution.reconstruction
    numbers = np.array([frame_number(name) for name in model.names])
    lenses = [model.cameras[id_] for id_ in model.camera_ids.tolist()]
    rotations = rotations_from_quaternions(model.quaternions)
    world = Similarity.axes_only()
    return replace(
        true,
        frames=numbers,
        matrices=matrices_from_colmap(rotations, model.translations, world),
        focal=np.array([lens.focal for lens in lenses]),
        center=np.array([lens.center for lens in lenses]),
        solved=np.ones(len(numbers), dtype=bool),
    )


def points_of(true: CameraTrack) -> np.ndarray:
    """Places before the middle camera, in the true world."""
    random = np.random.default_rng(1)
    local = np.stack(
        [random.uniform(-1, 1, 60), random.uniform(-0.6, 0.6, 60), -random.uniform(3, 6, 60)], 1
    )
    middle = true.matrices[len(true.frames) // 2]
    return local @ middle[:3, :3].T + middle[:3, 3]


@pytest.fixture(scope="module")
def solution(frames, tmp_path_factory) -> Solution:
    return TrackSolver().solve(task_of(frames, tmp_path_factory.mktemp("work")), Told())


def test_a_plate_is_solved_to_a_fraction_of_a_pixel(solution, true):
    found = slip(true, camera_of(solution, true), points_of(true))
    assert len(found.frames) == COUNT
    assert found.rms < 0.5
    assert solution.quality.motion is Motion.MOVING
    assert solution.quality.grade is not Grade.POOR
    assert 0 < solution.quality.focal_sigma < 0.05
    assert solution.record["expected_slip"] < 1.0


def test_what_is_handed_out_hangs_together(solution):
    model, tracks = solution.reconstruction, solution.tracks
    assert tracks is not None
    assert model.observations is not None
    assert set(model.points.ids.tolist()) <= set((tracks.ids + 1).tolist())
    assert model.observations.point.max() < len(model.points.ids)
    assert model.observations.image.max() < len(model.names)
    seen = np.bincount(model.observations.point, minlength=len(model.points.ids))
    assert (seen == model.points.tracks).all()
    used = tracks.errors != UNUSED
    assert used.mean() > 0.7
    assert np.median(tracks.errors[used]) < 0.3
    assert len(np.unique(model.points.colors, axis=0)) > 20
    assert 0.8 < solution.record["still"] <= 1


def test_refining_takes_the_edits_to_heart(solution, frames, true, tmp_path):
    """Deleted tracks are gone; a new one, set by hand, gets a point and an error."""
    tracks = solution.tracks
    assert tracks is not None
    longest = int(tracks.ids[tracks.lengths.argmax()])
    mine = tracks.track == tracks.lengths.argmax()
    marks = {
        int(frame): (float(x), float(y))
        for frame, (x, y) in zip(tracks.frame[mine], tracks.pixel[mine], strict=True)
    }
    new, gone = int(tracks.ids.max()) + 5, tuple(tracks.ids[:40].tolist())
    edited = tracks.edited(TrackEdits(deleted=(*gone, longest), marks={new: marks}))
    prior = Prior(solution.reconstruction, edited)
    refined = TrackSolver().solve(task_of(frames, tmp_path, prior=prior), Told())
    assert refined.tracks is not None
    assert not np.isin(gone, refined.tracks.ids).any()
    assert 0 <= refined.tracks.errors[refined.tracks.ids == new][0] < 0.5
    assert new + 1 in refined.reconstruction.points.ids
    found = slip(true, camera_of(refined, true), points_of(true))
    assert len(found.frames) == COUNT
    assert found.rms < 0.5
    before = solution.reconstruction.cameras[1]
    assert refined.reconstruction.cameras[1].model == before.model


def test_a_given_focal_length_is_taken_as_it_is(frames, true, tmp_path):
    options = ColmapOptions(focal_length=float(true.focal[0, 0]) / WIDTH * 36)
    found = TrackSolver().solve(task_of(frames, tmp_path, options=options), Told())
    assert found.reconstruction.cameras[1].focal[0] == pytest.approx(true.focal[0, 0])
    assert found.quality.focal_sigma == 0
    assert slip(true, camera_of(found, true), points_of(true)).rms < 0.25


def test_a_cut_is_named_and_the_longer_shot_solved(frames, tmp_path):
    """Some frames of another view follow the plate."""
    cut = dict(frames)
    for number in range(1, 9):
        cut[COUNT + number] = tmp_path / f"frame_{COUNT + number:04d}.png"
        turned = cv2.flip(cv2.imread(str(frames[number])), -1)
        assert cv2.imwrite(str(cut[COUNT + number]), turned)
    told = Told()
    found = TrackSolver().solve(task_of(cut, tmp_path), told)
    assert f"No track crosses frame {COUNT + 1}" in " ".join(told.warnings)
    assert len(found.reconstruction.names) == COUNT


def test_a_still_picture_is_refused(frames, tmp_path):
    first = cv2.imread(str(frames[1]))
    random = np.random.default_rng(6)
    still = {}
    for number in range(1, 13):
        noisy = np.clip(first + random.normal(0, 2, first.shape), 0, 255).astype(np.uint8)
        still[number] = tmp_path / f"frame_{number:04d}.png"
        assert cv2.imwrite(str(still[number]), noisy)
    with pytest.raises(SolveError, match="stands still"):
        TrackSolver().solve(task_of(still, tmp_path), Told())


def test_a_solve_is_dropped_once_the_shot_is_named_otherwise(frames, tmp_path, monkeypatch):
    """A solve that never ends by itself, of a shot whose picture stands still."""
    give_up = time.monotonic() + 60

    def endless(solve):
        while time.monotonic() < give_up:
            solve.check()
        raise AssertionError("nothing stopped the solve")

    monkeypatch.setattr(MovingSolve, "run", endless)
    still = dict.fromkeys(range(1, 13), frames[1])
    with pytest.raises(SolveError, match="stands still"):
        TrackSolver().solve(task_of(still, tmp_path), Told())


def test_three_frames_are_too_few(frames, tmp_path):
    few = {number: frames[number] for number in (1, 2, 3)}
    with pytest.raises(SolveError, match="at least 5"):
        TrackSolver().solve(task_of(few, tmp_path), Told())


def test_a_solve_stops_when_it_is_canceled(frames, tmp_path):
    with pytest.raises(Canceled):
        TrackSolver().solve(task_of(frames, tmp_path), Told(stop=True))
