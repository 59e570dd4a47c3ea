# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn of a solve: the points of a frame with their errors, and how they look."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from backend.errors import FormatError, Remedy, SolveError
from backend.lens import bend, straighten
from backend.overlay import MOST, STRONGEST
from backend.reconstruction import PARAMETERS, CameraModel
from backend.shot import Shot
from backend.solve import FrameState
from backend.track_check import (
    BAD_ERROR,
    GOOD_ERROR,
    LEGEND,
    error_colors,
    read_check,
    sentence,
    slip_ends,
    slopes_to,
)
from backend.worker.projection import colmap_camera
from tests.backend.checked_shot import BARREL, COUNT, FIRST, FORWARD, make_shot

TERMS = {"k": -0.11, "k1": -0.14, "k2": 0.05, "k3": -0.02, "k4": 0.03, "k5": -0.01, "k6": 0.004,
         "p1": 0.003, "p2": -0.002}  # fmt: skip
POLYNOMIALS = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV")


def lens(model: str) -> CameraModel:
    given = {"f": 900.0, "fx": 900.0, "fy": 930.0, "cx": 655.0, "cy": 340.0} | TERMS
    return CameraModel(model, 1280, 720, tuple(given[name] for name in PARAMETERS[model]))


class TestLens:
    @pytest.mark.parametrize("model", POLYNOMIALS)
    def test_rays_fall_where_colmap_says(self, model: str) -> None:
        slopes = np.random.default_rng(1).uniform([-0.7, -0.4], [0.7, 0.4], (500, 2))
        rays = np.hstack([slopes, np.ones((500, 1))])
        expected = np.asarray(colmap_camera(lens(model)).img_from_cam(rays))
        assert np.abs(bend(lens(model), slopes) - expected).max() < 1e-9

    @pytest.mark.parametrize("model", POLYNOMIALS)
    def test_the_ray_of_a_pixel_falls_on_it(self, model: str) -> None:
        pixels = np.random.default_rng(2).uniform([0, 0], [1280, 720], (500, 2))
        slopes = straighten(lens(model), pixels)
        assert np.abs(bend(lens(model), slopes) - pixels).max() < 1e-5
        # From next to it, the same.
        again = straighten(lens(model), pixels, slopes + 0.002)
        assert np.abs(again - slopes).max() < 1e-7

    def test_a_lens_that_is_not_known_is_named(self) -> None:
        fisheye = CameraModel("OPENCV_FISHEYE", 640, 480, (300, 300, 320, 240, 0.1, 0, 0, 0))
        with pytest.raises(FormatError, match="OPENCV_FISHEYE"):
            bend(fisheye, np.zeros((1, 2)))


class TestReading:
    @pytest.mark.parametrize("zoom", [None, np.linspace(1, 1.3, COUNT)])
    def test_errors_are_those_that_the_solve_recorded(
        self, tmp_path: Path, zoom: np.ndarray | None
    ) -> None:
        made = make_shot(tmp_path / "shot", zoom=zoom)
        check = read_check(made.shot)
        for frame in made.solve.frames:
            seen = check.at(frame.frame, MOST)
            assert len(seen.error) == len(made.off)
            assert seen.error.mean() == pytest.approx(frame.error, abs=1e-9)
            assert np.sort(seen.error) == pytest.approx(made.off, abs=1e-9)
            assert sentence(seen, made.solve) == f"mean error {frame.error:.2f} px"

    def test_rays_lead_to_the_points_and_through_the_marks(self, tmp_path: Path) -> None:
        made = make_shot(tmp_path / "shot")
        seen = read_check(made.shot).at(FIRST + 3)
        away = bend(BARREL, seen.tracked) - bend(BARREL, seen.slopes)
        assert away[:, 0] == pytest.approx(seen.error, abs=1e-5)
        assert np.abs(away[:, 1]).max() < 1e-5
        assert bend(BARREL, seen.tracked) == pytest.approx(seen.pixel, abs=1e-5)
        there = slopes_to(made.solve.track, 3, seen.positions)
        assert there == pytest.approx(seen.slopes, abs=1e-12)
        world = made.solve.world.apply(made.model.points.positions)
        distance = np.linalg.norm(seen.positions[:, None] - world, axis=2).min(axis=1)
        assert distance.max() < 1e-9

    def test_between_solved_frames_the_tracks_tell(self, tmp_path: Path) -> None:
        """There the pose is interpolated, and the error is what that costs."""
        made = make_shot(tmp_path / "shot", interpolated=(3,), unsolved=(6, 7))
        check = read_check(made.shot)
        seen = check.at(FIRST + 3)
        assert seen.state is FrameState.INTERPOLATED
        assert np.sort(seen.error) == pytest.approx(made.off, abs=1e-6)
        assert "interpolated" in sentence(seen, made.solve)
        outside = check.at(FIRST + 7)
        assert (outside.state, outside.index, len(outside.error)) == (FrameState.UNSOLVED, None, 0)
        assert sentence(outside, made.solve) == "not solved"
        assert check.at(FIRST + COUNT) is None

    def test_few_points_are_the_strongest_from_everywhere(self, tmp_path: Path) -> None:
        lengths = 2 + np.arange(900) % 7
        made = make_shot(tmp_path / "shot", points=900, off=np.zeros(900), lengths=lengths)
        check = read_check(made.shot)
        few, all_ = check.at(FIRST, 40), check.at(FIRST, MOST)
        assert (len(few.error), len(check.at(FIRST).error)) == (40, STRONGEST)
        chosen = (few.pixel // 30).astype(int)
        assert len(np.unique(chosen, axis=0)) == 40
        for cell, pixel in zip(chosen, few.pixel, strict=True):
            inside = ((all_.pixel // 30).astype(int) == cell).all(axis=1)
            longest = lengths_of(made.model, all_.pixel[inside]).max()
            assert lengths_of(made.model, pixel[None])[0] == longest

    def test_a_shot_without_a_camera_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(SolveError, match="no camera yet") as error:
            read_check(Shot(tmp_path / "empty"))
        assert error.value.remedy is Remedy.TRACK_CAMERA

    def test_a_model_that_is_gone_is_told(self, tmp_path: Path) -> None:
        made = make_shot(tmp_path / "shot")
        (made.shot.sparse / "images.bin").unlink()
        with pytest.raises(FormatError, match="COLMAP model"):
            read_check(made.shot)

    def test_looking_up_a_frame_takes_no_time(self, tmp_path: Path) -> None:
        check = read_check(make_shot(tmp_path / "shot", points=900, off=np.zeros(900)).shot)
        began = time.perf_counter()
        for _ in range(1000):
            check.at(FIRST + 2)
        assert time.perf_counter() - began < 0.5


def lengths_of(model, pixels: np.ndarray) -> np.ndarray:
    """The lengths of the tracks that the first image sees at these pixels."""
    first = model.observations.image == 0
    at, point = model.observations.pixel[first], model.observations.point[first]
    nearest = np.linalg.norm(at[None] - pixels[:, None], axis=2).argmin(axis=1)
    return model.points.tracks[point[nearest]]


class TestNeighbors:
    def test_the_path_of_a_dolly_lies_ahead(self, tmp_path: Path) -> None:
        made = make_shot(tmp_path / "shot", travel=4 * FORWARD)
        lines = read_check(made.shot).neighbors(0)
        centers = made.solve.track.matrices[:, :3, 3]
        # The path comes first, from one camera to the next.
        nearest = [np.linalg.norm(centers - end, axis=1).argmin() for end in lines[0]]
        assert centers[nearest] == pytest.approx(lines[0], abs=1e-9)
        assert nearest[1] == nearest[0] + 1
        camera = made.solve.track.matrices[0]
        depths = (lines - camera[:3, 3]) @ -camera[:3, 2]
        assert depths.min() > 0
        assert np.abs(slopes_to(made.solve.track, 0, lines[:1])).max() < 0.5

    def test_nothing_lies_behind_the_last(self, tmp_path: Path) -> None:
        made = make_shot(tmp_path / "shot", travel=4 * FORWARD)
        assert len(read_check(made.shot).neighbors(COUNT - 1)) == 0

    def test_a_tripod_has_none(self, tmp_path: Path) -> None:
        made = make_shot(tmp_path / "shot", travel=np.zeros(3))
        assert len(read_check(made.shot).neighbors(0)) == 0


class TestLook:
    def test_colors_run_from_green_through_yellow_to_red(self) -> None:
        errors = np.array([0, GOOD_ERROR, (GOOD_ERROR + BAD_ERROR) / 2, BAD_ERROR, 50])
        red, green, _blue = error_colors(errors).T
        assert red[0] == red[1] < 0.3 < 0.8 < green[1]
        assert min(red[2], green[2]) > 0.8
        assert green[3] == green[4] < 0.3 < 0.8 < red[3]
        along = error_colors(np.linspace(GOOD_ERROR, BAD_ERROR, 50))
        assert (np.diff(along[:, 0]) >= 0).all()
        assert (np.diff(along[:, 1]) <= 0).all()

    def test_the_legend_names_the_thresholds(self) -> None:
        assert list(LEGEND) == ["under 0.5 px", "1.25 px", "2 px and over"]
        assert list(LEGEND.values()) == [GOOD_ERROR, 1.25, BAD_ERROR]

    def test_slip_is_drawn_longer_toward_the_track(self) -> None:
        ends = slip_ends(np.array([[10.0, 20.0]]), np.array([[10.5, 19.0]]), 10)
        assert ends.tolist() == [[15.0, 10.0]]
