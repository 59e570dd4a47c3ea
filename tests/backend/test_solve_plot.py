# SPDX-License-Identifier: GPL-3.0-or-later
"""The plot of a solve shows what the solve says."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from backend.camera import CameraTrack, Similarity
from backend.reconstruction import CameraModel
from backend.solve import FrameSolve, FrameState, Grade, Motion, Quality, Solve
from backend.tracks import UNUSED, Tracks
from backend.worker.drawing import STATE_COLORS, ticks, wrapped
from backend.worker.solve_plot import WIDTH, write_solve_plot

COUNT = 40
FIRST = 1001


def solve_of(states=None, focal=None, errors=None, **quality):
    states = states or [FrameState.SOLVED] * COUNT
    errors = np.full(COUNT, 0.3) if errors is None else errors
    focal = np.full(COUNT, 1000.0) if focal is None else focal
    frames = [
        FrameSolve(FIRST + index, state, float(error), 200)
        if state is FrameState.SOLVED
        else FrameSolve(FIRST + index, state)
        for index, (state, error) in enumerate(zip(states, errors, strict=True))
    ]
    track = CameraTrack(
        frames=np.arange(FIRST, FIRST + COUNT),
        matrices=np.tile(np.eye(4), (COUNT, 1, 1)),
        focal=np.stack([focal, focal], axis=1),
        center=np.tile([640.0, 360.0], (COUNT, 1)),
        solved=np.ones(COUNT, bool),
        width=1280,
        height=720,
        fps=Fraction(24),
    )
    quality = {"motion": Motion.MOVING, "reason": "It moves.", "grade": Grade.GOOD} | quality
    return Solve(
        engine="tracks",
        camera=CameraModel("SIMPLE_RADIAL", 1280, 720, (1000.0, 640.0, 360.0, 0.0)),
        world=Similarity.axes_only(),
        world_note="",
        track=track,
        frames=tuple(frames),
        point_count=2000,
        mean_error=0.3,
        max_error=0.4,
        quality=Quality(**quality),
    )


def tracks_of(errors):
    """One track a frame long at least, with those errors."""
    count = len(errors)
    return Tracks(
        ids=np.arange(count),
        manual=np.zeros(count, bool),
        errors=np.asarray(errors, float),
        track=np.arange(count),
        frame=FIRST + np.arange(count) % COUNT,
        pixel=np.zeros((count, 2)),
        sigma=np.full(count, 0.1, np.float32),
    )


@pytest.fixture
def plot(tmp_path):
    def drawn(solve, tracks=None):
        path = tmp_path / "solve_plot.png"
        write_solve_plot(path, solve, tracks)
        return cv2.imread(str(path)).astype(int)

    return drawn


def area(picture, color, reach=12):
    """How many pixels have about that color."""
    return int((np.abs(picture - np.array(color)).max(axis=2) <= reach).sum())


CURVE = (222, 170, 92)
LENS = (190, 140, 200)


class TestPlot:
    def test_it_is_a_picture_1600_px_wide(self, plot):
        assert plot(solve_of()).shape[1] == WIDTH

    def test_frames_without_a_pose_of_their_own_stand_out(self, plot):
        states = [FrameState.SOLVED] * 30 + [FrameState.INTERPOLATED] * 4 + [FrameState.SOLVED] * 2
        gaps = plot(solve_of(states + [FrameState.UNSOLVED] * 4))
        whole = plot(solve_of())
        for state in (FrameState.INTERPOLATED, FrameState.UNSOLVED):
            color = STATE_COLORS[state]
            assert area(gaps, color) > area(whole, color) + 400, state

    def test_a_bad_frame_rises_from_the_curve_at_its_place(self, plot):
        errors = np.full(COUNT, 0.2)
        errors[30] = 0.6
        rows, columns = np.nonzero(
            np.abs(plot(solve_of(errors=errors)) - np.array(CURVE)).max(axis=2) < 14
        )
        top = columns[rows <= rows.min() + 3].mean()
        assert abs(top / WIDTH - (30 / 39 * 0.91 + 0.064)) < 0.03

    def test_the_focal_length_is_drawn_only_where_it_changes(self, plot):
        zoom = plot(solve_of(focal=np.linspace(1000, 1500, COUNT)))
        fixed = plot(solve_of())
        assert zoom.shape[0] > fixed.shape[0]
        assert area(zoom, LENS) > 500
        assert area(fixed, LENS) == 0

    def test_the_grade_gives_its_color(self, plot):
        good, fair, poor = (plot(solve_of(grade=grade))[52, 46] for grade in Grade)
        assert good.argmax() == 1
        assert poor.argmax() == 2
        assert fair[1:].min() > 150 > fair[0]

    def test_every_advice_gets_its_lines(self, plot):
        advice = ("Enter the focal length if you know it. " * 6, "Put masks over what moves.")
        assert plot(solve_of(advice=advice)).shape[0] >= plot(solve_of()).shape[0] + 3 * 26

    def test_the_histogram_shows_the_tracks_that_are_used(self, plot):
        low = plot(solve_of(), tracks_of([0.2] * 60 + [0.6] * 20 + [UNUSED] * 40))
        without = plot(solve_of(), None)
        unused = plot(solve_of(), tracks_of([UNUSED] * 40))
        assert area(low[500:], CURVE) > 1500
        assert area(without[500:], CURVE) == area(unused[500:], CURVE) == 0

    def test_a_solve_of_one_frame_is_drawn(self, plot):
        states = [FrameState.UNSOLVED] * 20 + [FrameState.SOLVED] + [FrameState.UNSOLVED] * 19
        assert area(plot(solve_of(states)), CURVE) > 10

    def test_the_worst_frame_does_not_hide_the_others(self, plot):
        errors = np.full(COUNT, 0.2)
        errors[5] = 500.0
        solve = replace(solve_of(errors=errors), mean_error=0.2)
        rows, _columns = np.nonzero(np.abs(plot(solve) - np.array(CURVE)).max(axis=2) < 14)
        assert np.percentile(rows, 90) - rows.min() > 40


class TestHelpers:
    @pytest.mark.parametrize(
        ("top", "expected"),
        [(1.0, [0, 0.5, 1]), (0.43, [0, 0.2, 0.4]), (1500, [0, 500, 1000, 1500])],
    )
    def test_ticks_are_round(self, top, expected):
        assert ticks(top, 4) == pytest.approx(expected)

    def test_no_line_is_wider_than_asked_and_no_word_is_lost(self):
        text = "the camera only turns about its own center " * 4
        lines = wrapped(text, 1.0, 300)
        assert " ".join(lines) == text.strip()
        assert len(lines) > 3
