# SPDX-License-Identifier: GPL-3.0-or-later
"""Keyframes of a solved shot, and the views that stereo gets of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from backend.shot import Shot
from backend.worker.dense.keyframes import choose_keyframes, widest_angle
from backend.worker.dense.shot_views import ShotViews
from tests.backend.textured_room import room, scene_points, sideways, standing, track
from tests.extension.solved_shot import WORLD, solved_shot

FRAMES = 12


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    return solved_shot(tmp_path_factory.mktemp("shots") / "sh010", FRAMES)


def test_frames_with_little_between_them_are_left_out() -> None:
    camera, points = track(sideways, 60, 480, 270), scene_points(room())
    chosen = choose_keyframes(camera, points, 60)
    assert chosen[0] == 0
    assert chosen[-1] == 59
    assert 3 < len(chosen) < 40
    assert len(choose_keyframes(camera, points, 5)) <= 5


def test_little_travel_gives_keyframes_that_are_closer() -> None:
    """A tenth of the way: hardly 2.5 degrees from one end to the other."""
    camera = track(lambda share: sideways(0.5 + 0.1 * share), 60, 480, 270)
    assert 8 <= len(choose_keyframes(camera, scene_points(room()), 300)) < 20
    assert len(choose_keyframes(camera, scene_points(room()), 4)) <= 4
    whole = widest_angle(track(sideways, 60, 480, 270), scene_points(room()))
    assert widest_angle(camera, scene_points(room())) < 3 < 5 < whole < 60


def test_a_standing_camera_has_its_ends_alone() -> None:
    camera = track(standing, 9, 480, 270)
    assert choose_keyframes(camera, scene_points(room()), 9).tolist() == [0, 8]


def test_points_lie_in_a_view_where_the_plate_has_them(shot: Shot) -> None:
    views = ShotViews.of(shot, 0, 50, use_masks=True)
    truth = track(sideways, FRAMES, 480, 270)
    points = scene_points(room())[:200]
    for number in views.numbers[:2]:
        view = views.load(number)
        local = WORLD.apply(points) @ view.rotation.T + view.translation
        pixels = local[:, :2] / local[:, 2:] * view.focal + view.center
        with np.errstate(invalid="ignore"):
            expected = truth.project(points, number - 1)
        front = np.isfinite(expected).all(axis=1)
        np.testing.assert_allclose(pixels[front], expected[front], atol=1e-6)
        assert view.size == (480, 270)
        inside = ((expected > 0) & (expected < (480, 270))).all(axis=1) & front
        assert ((local[inside, 2] > view.near) & (local[inside, 2] < view.far)).all()


def test_a_pinhole_plate_is_seen_as_it_is(shot: Shot) -> None:
    view = ShotViews.of(shot, 0, 50, use_masks=True).load(1)
    plate = cv2.imread(str(shot.frame_file(1)))[..., ::-1].astype(int)
    assert np.abs(view.colors - plate)[2:-2, 2:-2].max() <= 1
    assert view.usable[1:-1, 1:-1].all()


def test_smaller_views_keep_their_place(shot: Shot) -> None:
    whole, half = (ShotViews.of(shot, size, 50, use_masks=True).load(1) for size in (0, 240))
    assert half.size == (240, 135)
    assert np.allclose(half.focal, np.array(whole.focal) / 2)
    expected = cv2.resize(whole.colors, (240, 135), interpolation=cv2.INTER_AREA)
    assert np.abs(half.colors.astype(int) - expected).mean() < 1


def test_masks_are_left_out_with_a_margin(shot: Shot) -> None:
    mask = np.zeros((270, 480), np.uint8)
    mask[100:150, 200:300] = 255
    shot.masks.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(shot.masks / "frame_0001.png"), mask)
    masked, plain = (ShotViews.of(shot, 0, 50, use_masks=each).load(1) for each in (True, False))
    assert not masked.usable[99:151, 199:301].any()
    assert masked.usable[90, 180]
    assert plain.usable[120, 250]
