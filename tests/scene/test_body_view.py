# SPDX-License-Identifier: GPL-3.0-or-later
"""Body on Plate: bones and keypoints meet in a view, whatever is done to the lens."""

from __future__ import annotations

import numpy as np
import pytest
from shot_gopher.backend.lens import bend
from shot_gopher.backend.reconstruction import CameraModel
from shot_gopher.backend.smplx import KEYPOINTS
from shot_gopher.operators.scene.body_view import PlateView, _away, _colors, _rows
from shot_gopher.operators.scene.view_drawing import Box

BENT = CameraModel("OPENCV", 960, 540, (800.0, 810.0, 470.0, 280.0, -0.12, 0.03, 0.002, -0.001))
PLAIN = CameraModel("PINHOLE", 960, 540, (800.0, 810.0, 470.0, 280.0))
BOX = Box(np.array([100.0, 40.0]), np.array([480.0, 270.0]))
PINHOLE = np.array([790.0, 800.0]), np.array([480.0, 270.0])
"""Focal length and center of the camera in the scene, which has no distortion."""


def slopes() -> np.ndarray:
    return np.random.default_rng(3).uniform(-0.4, 0.4, (40, 2)) * [1, 0.6]


def view(lens: CameraModel, undistorted: bool) -> PlateView:
    return PlateView(lens, PINHOLE, np.array([960, 540]), BOX, undistorted)


def by_the_camera(rays: np.ndarray) -> np.ndarray:
    """Where a view through the scene's camera shows them, in the region, y up."""
    focal, center = PINHOLE
    shares = (rays * focal + center) / [960, 540]
    return BOX.corner + [480, 270] * (shares * [1, -1] + [0, 1])


@pytest.mark.parametrize("undistorted", [False, True])
def test_bones_and_keypoints_of_a_bent_plate_meet(undistorted: bool) -> None:
    seen = view(BENT, undistorted)
    bones, dots = seen.seen(by_the_camera(slopes())), seen.keypoints(bend(BENT, slopes()))
    assert np.abs(bones - dots).max() < 1e-3
    away = np.linalg.norm(bones - by_the_camera(slopes()), axis=1).max()
    assert away == pytest.approx(0, abs=1e-9) if undistorted else away > 5


def test_a_plate_without_distortion_is_drawn_as_it_is() -> None:
    places = by_the_camera(slopes())
    assert np.array_equal(view(PLAIN, False).seen(places), places)
    assert np.abs(BOX.place(BOX.shares(places)) - places).max() < 1e-9


def test_keypoints_are_told_by_how_far_they_are_from_their_joints() -> None:
    points = np.zeros((len(KEYPOINTS), 2))
    away = _away(points, {"left_knee": np.array([3.0, 4.0])})
    assert away[KEYPOINTS.index("left_knee")] == 5
    assert np.isnan(away).sum() == len(KEYPOINTS) - 1
    near, far, unknown = _colors(np.array([2.0, 40.0, np.nan]))
    assert near[1] > near[0] + 0.3
    assert far[0] > far[1] + 0.3
    assert unknown.tolist() == [1, 1, 1, 1]
    assert _rows(9, {"ann": 3.25})[-1] == "ann: keypoints 3.2 px from their joints"
    assert _rows(9, {"ann": float("nan")})[-1].startswith("No keypoints")
