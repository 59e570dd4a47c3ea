# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracks joined across breaks, and where the camera comes back, on rendered rooms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.accuracy import slip
from backend.camera import CameraTrack
from backend.errors import SolveError
from backend.events import EventWriter
from backend.tracks import Tracks
from backend.worker.engines.joining import joined
from backend.worker.engines.joining.features import Matches, fitting, verified
from backend.worker.engines.joining.local import carried
from backend.worker.engines.joining.marks import ByFrame, with_marks
from backend.worker.engines.tracking import Found, Tracking, TrackSettings, track
from backend.worker.engines.tracks_solver import TrackSolver
from backend.worker.report import Report
from tests.backend import textured_room as rooms
from tests.backend.test_track_solver import HEIGHT, WIDTH, Told, camera_of, points_of, task_of

COUNT = 30
SETTINGS = TrackSettings(cells=28)
GAP = range(14, 18)
"""Frames that show something else."""

Picture = Callable[[int], np.ndarray]


def away_and_back(share: float) -> np.ndarray:
    """Turns to another wall and back, a step to the side."""
    away = np.sin(np.pi * share)
    position = np.array([-0.5 + share, -1.5 + 0.6 * away, 1.6])
    return rooms.looking(position, -75 * away, -6)


@pytest.fixture(scope="module")
def true() -> CameraTrack:
    return rooms.track(rooms.sideways, COUNT, WIDTH, HEIGHT, 1)


@pytest.fixture(scope="module")
def pictures(true) -> dict[int, np.ndarray]:
    planes = rooms.room()
    return {number: rooms.picture(planes, true, number - 1) for number in range(1, COUNT + 1)}


def written(folder: Path, pictures: dict[int, np.ndarray]) -> dict[int, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = {number: folder / f"frame_{number:04d}.png" for number in pictures}
    for number, path in paths.items():
        assert cv2.imwrite(str(path), pictures[number])
    return paths


def black(_number: int) -> np.ndarray:
    return np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def white(_number: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), 250, np.uint8)


def elsewhere(number: int) -> np.ndarray:
    """A room of other textures."""
    planes = [replace(plane, seed=plane.seed + 100) for plane in rooms.room()]
    return rooms.picture(planes, rooms.track(rooms.turning, COUNT, WIDTH, HEIGHT), number - 1)


def broken(pictures: dict[int, np.ndarray], gap: range, by: Picture) -> dict[int, np.ndarray]:
    return {number: by(number) if number in gap else p for number, p in pictures.items()}


def report_in(folder: Path) -> Report:
    return Report(EventWriter(folder / "events.jsonl"), folder / "cancel")


def tracked(paths: dict[int, Path], folder: Path) -> Tracking:
    return track(paths, {}, WIDTH, HEIGHT, SETTINGS, report_in(folder))


def shared(tracks: Tracks, first: int, second: int) -> Matches:
    return ByFrame(tracks).shared(first, second)


@pytest.fixture(scope="module")
def gone_black(pictures, tmp_path_factory) -> tuple[dict[int, Path], Tracking]:
    folder = tmp_path_factory.mktemp("black")
    paths = written(folder, broken(pictures, GAP, black))
    return paths, tracked(paths, folder)


def test_tracks_are_joined_across_black_frames(gone_black, true, tmp_path):
    """The same tracks live on both sides, to a fraction of a pixel where the room shows them."""
    paths, tracking = gone_black
    before, after = GAP[0] - 1, GAP[-1] + 1
    assert len(shared(tracking.tracks, before, after)) == 0
    found = joined(tracking, paths, {}, 0, 5, report_in(tmp_path))
    assert found.numbers == [number for number in paths if number not in GAP]
    assert f"{ranges_of(1, before)}, {ranges_of(after, COUNT)} are joined" in found.warning
    assert f"Frames {ranges_of(GAP[0], GAP[-1])} could not be matched" in found.warning
    pairs = shared(found.tracks, before, after)
    assert len(pairs) > 100
    assert len(shared(found.tracks, before - 3, after + 3)) > 60
    assert np.median(missed(pairs, true, before, after)) < 0.1
    assert np.percentile(missed(pairs, true, before, after), 90) < 0.5


def ranges_of(first: int, last: int) -> str:
    return f"{first}-{last}"


def missed(pairs: Matches, camera: CameraTrack, first: int, second: int) -> np.ndarray:
    """Px from the epipolar line of the true cameras to what was found in the second frame."""
    one = camera.matrices[first - 1]
    focal, center = camera.focal[0, 0], camera.center[0]
    local = np.column_stack([(pairs.here - center) / focal, -np.ones(len(pairs))])
    rays = (local * [1, -1, 1]) @ one[:3, :3].T
    places = [camera.project(one[:3, 3] + depth * rays, second - 1) for depth in (2, 8)]
    along = places[1] - places[0]
    off = pairs.there - places[0]
    return np.abs(along[:, 0] * off[:, 1] - along[:, 1] * off[:, 0]) / np.linalg.norm(along, axis=1)


def test_an_unbroken_plate_costs_nothing(pictures, tmp_path):
    paths = written(tmp_path, {number: pictures[number] for number in range(1, 9)})
    tracking = tracked(paths, tmp_path)
    missing = dict.fromkeys(paths, tmp_path / "none.png")
    found = joined(tracking, missing, {}, 0, 5, report_in(tmp_path))
    assert found.tracks is tracking.tracks
    assert found.numbers == list(paths)
    assert found.warning == ""


def test_a_flash_is_bridged_and_solved_with_both_sides(pictures, true, tmp_path):
    flashed = range(15, 17)
    paths = written(tmp_path / "frames", broken(pictures, flashed, white))
    told = Told()
    solution = TrackSolver().solve(task_of(paths, tmp_path), told)
    assert len(solution.reconstruction.names) == COUNT - len(flashed)
    assert "joined and solved as one shot" in " ".join(told.warnings)
    camera = camera_of(solution, true)
    index = camera.frames - 1
    seen = replace(
        true,
        frames=camera.frames,
        matrices=true.matrices[index],
        focal=true.focal[index],
        center=true.center[index],
        solved=true.solved[index],
    )
    assert slip(seen, camera, points_of(true)).rms < 0.5


def test_another_place_is_named_and_not_joined(pictures, tmp_path):
    paths = written(tmp_path, broken(pictures, range(21, COUNT + 1), elsewhere))
    found = joined(tracked(paths, tmp_path), paths, {}, 0, 5, report_in(tmp_path))
    assert found.numbers == list(range(1, 21))
    assert "No track crosses frame 21 (a cut" in found.warning
    assert "only the longest piece, 1-20, is solved" in found.warning


def test_a_cut_away_is_left_out_and_both_sides_joined(pictures, tmp_path):
    away = range(11, 20)
    paths = written(tmp_path, broken(pictures, away, elsewhere))
    found = joined(tracked(paths, tmp_path), paths, {}, 0, 5, report_in(tmp_path))
    assert found.numbers == [number for number in paths if number not in away]
    assert "Frames 11-19 could not be matched" in found.warning


def test_a_cut_to_another_view_of_the_place_is_not_joined(pictures, tmp_path):
    """Both sides match well, but no camera gets there from one frame to the next."""
    views = dict(pictures)
    planes = rooms.room()
    other = rooms.track(away_and_back, 3 * COUNT, WIDTH, HEIGHT)
    for index in range(12):
        views[19 + index] = rooms.picture(planes, other, 76 + index)
    paths = written(tmp_path, views)
    found = joined(tracked(paths, tmp_path), paths, {}, 0, 5, report_in(tmp_path))
    assert found.numbers == list(range(1, 19))


def test_masked_areas_join_nothing(gone_black, tmp_path):
    paths, tracking = gone_black
    mask = tmp_path / "mask.png"
    assert cv2.imwrite(str(mask), np.full((HEIGHT, WIDTH), 255, np.uint8))
    masks = dict.fromkeys(paths, mask)
    found = joined(tracking, paths, masks, 0, 5, report_in(tmp_path))
    assert "only the longest piece" in found.warning


def test_a_plate_of_many_cuts_is_refused(gone_black, tmp_path):
    paths, tracking = gone_black
    with pytest.raises(SolveError, match="cut too often"):
        joined(tracking, paths, {}, 0, COUNT, report_in(tmp_path))


def test_a_place_the_camera_comes_back_to_is_linked(tmp_path):
    camera = rooms.track(away_and_back, 44, WIDTH, HEIGHT, 1)
    planes = rooms.room()
    pictures = {number: rooms.picture(planes, camera, number - 1) for number in range(1, 45)}
    paths = written(tmp_path, pictures)
    tracking = tracked(paths, tmp_path)
    assert len(shared(tracking.tracks, 3, 42)) == 0
    without = joined(tracking, paths, {}, 0, 5, report_in(tmp_path))
    assert without.tracks is tracking.tracks
    found = joined(tracking, paths, {}, 8, 5, report_in(tmp_path))
    assert found.numbers == list(paths)
    assert found.warning == ""
    first, last = found.record["links"][0]
    assert last - first > 20
    pairs = shared(found.tracks, first, last)
    assert len(pairs) > 40
    assert np.median(missed(pairs, camera, first, last)) < 0.15


def test_false_matches_are_told_from_true_ones():
    rng = np.random.default_rng(4)
    here = rng.uniform([0, 0], [WIDTH, HEIGHT], (200, 2))
    turned = here @ np.array([[0.98, 0.1], [-0.1, 0.98]]) + [20, 5]
    chance = rng.uniform([0, 0], [WIDTH, HEIGHT], (200, 2))
    mixed = np.where((np.arange(200) < 120)[:, None], turned, chance)
    good = fitting(Matches(here, mixed), 1.0)
    assert good[:120].mean() > 0.95
    assert good[120:].mean() < 0.05
    size = (WIDTH, HEIGHT)
    assert verified(Matches(here, chance), size) is None
    corner = Matches(here / 12, turned / 12)
    assert verified(corner, size) is None
    assert verified(Matches(here, turned), size) is not None


def test_local_motion_follows_two_depths():
    """The left half of the picture grows and moves otherwise than the right one."""
    rng = np.random.default_rng(5)
    here = rng.uniform([0, 0], [WIDTH, HEIGHT], (400, 2))
    left = here[:, 0] < WIDTH / 2
    there = np.where(left[:, None], 1.1 * here + np.array([4, 0]), here + np.array([-12, 3]))
    at = np.array([[80.0, 180.0], [560.0, 180.0]])
    pixel, shape = carried(Matches(here, there), at, 12)
    assert pixel == pytest.approx(np.array([[92.0, 198.0], [548.0, 183.0]]), abs=1.0)
    assert shape[0] == pytest.approx(1.1 * np.eye(2), abs=0.06)
    assert shape[1] == pytest.approx(np.eye(2), abs=0.06)


def test_new_marks_are_sorted_in_and_known_ones_kept():
    tracks = Tracks(
        ids=np.array([4, 9]),
        manual=np.zeros(2, np.bool_),
        errors=np.full(2, -1.0),
        track=np.array([0, 0, 1]),
        frame=np.array([1, 2, 1]),
        pixel=np.array([[1.0, 1], [2, 2], [3, 3]]),
        sigma=np.full(3, 0.1, np.float32),
    )
    found = Found(
        ids=np.array([9, 4, 4]),
        frame=np.array([7, 2, 9]),
        pixel=np.array([[7.0, 7], [8, 8], [9, 9]]),
        sigma=np.full(3, 0.2, np.float32),
    )
    more = with_marks(tracks, found)
    assert more.track.tolist() == [0, 0, 0, 1, 1]
    assert more.frame.tolist() == [1, 2, 9, 1, 7]
    assert more.pixel[:, 0].tolist() == [1, 2, 9, 3, 7]
