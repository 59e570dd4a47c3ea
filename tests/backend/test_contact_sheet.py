# SPDX-License-Identifier: GPL-3.0-or-later
"""The contact sheet shows the right frames with the points where the plate has them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from backend.camera import CameraTrack, Similarity
from backend.reconstruction import CameraModel
from backend.solve import FrameSolve, FrameState, Grade, Motion, Quality, Solve
from backend.worker.contact_sheet import HEADER, FramePoints, choose_frames, write_contact_sheet

WIDTH, HEIGHT = 640, 360
FRAMES = list(range(11, 31))


@pytest.fixture
def solve():
    count = len(FRAMES)
    track = CameraTrack(
        frames=np.array(FRAMES),
        matrices=np.tile(np.eye(4), (count, 1, 1)),
        focal=np.full((count, 2), 600.0),
        center=np.tile([320.0, 180.0], (count, 1)),
        solved=np.ones(count, bool),
        width=WIDTH,
        height=HEIGHT,
        fps=Fraction(24),
    )
    return Solve(
        engine="sift",
        camera=CameraModel("SIMPLE_RADIAL", WIDTH, HEIGHT, (600.0, 320.0, 180.0, 0.0)),
        world=Similarity.axes_only(),
        world_note="",
        track=track,
        frames=tuple(FrameSolve(n, FrameState.SOLVED, 0.25, 3) for n in FRAMES),
        point_count=3,
        mean_error=0.25,
        max_error=0.31,
        quality=Quality(Motion.MOVING, "The camera travels.", Grade.GOOD),
    )


@pytest.fixture
def images(tmp_path):
    """Plain grey frames, so that whatever has color was drawn."""
    files = {}
    for number in FRAMES:
        files[number] = tmp_path / f"frame_{number:04d}.png"
        cv2.imwrite(str(files[number]), np.full((HEIGHT, WIDTH, 3), 120, np.uint8))
    return files


def points(*pixels, depth=2.0):
    count = len(pixels)
    return FramePoints(
        np.array(pixels, float).reshape(-1, 2), np.full(count, depth), np.full(count, 5)
    )


def sheet(path):
    picture = cv2.imread(str(path)).astype(int)
    return picture, picture.max(axis=2) - picture.min(axis=2) > 60


def tiles(picture):
    """The tiles' rectangles, found as what stands out from the background."""
    lighter = (picture.max(axis=2) > 60).astype(np.uint8)
    lighter[:HEADER] = 0
    closed = cv2.morphologyEx(lighter, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    _n, _labels, stats, _centers = cv2.connectedComponentsWithStats(closed)
    found = [stat[:4] for stat in stats[1:] if stat[4] > 10000]
    return sorted(found, key=lambda box: (box[1] // 40, box[0]))


def test_a_point_is_drawn_where_the_plate_has_it(tmp_path, images, solve):
    path = tmp_path / "sheet.png"
    write_contact_sheet(path, images, {FRAMES[0]: points((160, 90), (480, 180))}, solve)
    picture, colored = sheet(path)
    x, y, width, _height = tiles(picture)[0]
    scale = width / WIDTH
    _n, _labels, _stats, centers = cv2.connectedComponentsWithStats(colored.astype(np.uint8)[90:])
    found = sorted(centers[1:].tolist())
    assert len(found) == 2
    for center, pixel in zip(found, [(160, 90), (480, 180)], strict=True):
        expected = np.array([x, y - 90]) + scale * np.array(pixel)
        assert np.abs(np.array(center) - expected).max() < 1.5


def test_a_dozen_tiles_of_the_plate_s_shape(tmp_path, images, solve):
    path = tmp_path / "sheet.png"
    write_contact_sheet(path, images, {}, solve)
    picture, _colored = sheet(path)
    found = tiles(picture)
    assert len(found) == 12
    assert picture.shape[1] == pytest.approx(1920, abs=12)
    assert all(box[2] / box[3] == pytest.approx(16 / 9, rel=0.06) for box in found)


def test_near_and_far_differ_in_color(tmp_path, images, solve):
    path = tmp_path / "sheet.png"
    seen = {
        FRAMES[0]: FramePoints(
            np.array([[100.0, 100], [500, 100]]), np.array([1.0, 9.0]), np.array([3, 3])
        )
    }
    write_contact_sheet(path, images, seen, solve)
    picture, colored = sheet(path)
    colored[:90] = False
    columns = np.flatnonzero(colored.any(axis=0))
    middle = columns.mean()
    near, far = (
        picture[colored & side].mean(axis=0)
        for side in (
            np.arange(picture.shape[1]) < middle,
            np.arange(picture.shape[1]) >= middle,
        )
    )
    assert near[2] > near[0] + 40
    assert far[0] > far[2] + 40


def test_frames_without_a_pose_are_marked(tmp_path, images, solve):
    frames = tuple(
        FrameSolve(n, FrameState.UNSOLVED) if n == FRAMES[0] else frame
        for n, frame in zip(FRAMES, solve.frames, strict=True)
    )
    path = tmp_path / "sheet.png"
    write_contact_sheet(path, images, {}, replace(solve, frames=frames))
    picture, colored = sheet(path)
    x, y, width, height = tiles(picture)[0]
    inside = colored[y : y + height, x : x + width]
    assert inside[1, 20:-20].all()
    assert not colored[y : y + height, x + width + 20 :].any()


def test_chosen_frames_hold_the_ends_and_are_even():
    chosen = choose_frames(FRAMES)
    assert len(chosen) == 12
    assert (chosen[0], chosen[-1]) == (11, 30)
    assert set(np.diff(chosen)) <= {1, 2}
    assert choose_frames([4, 6, 9]) == [4, 6, 9]


@pytest.mark.parametrize("count", [2, 5, 7])
def test_few_frames_and_upright_plates(tmp_path, images, solve, count):
    path = tmp_path / "sheet.png"
    few = {number: images[number] for number in FRAMES[:count]}
    upright = replace(solve, camera=replace(solve.camera, width=HEIGHT, height=WIDTH))
    write_contact_sheet(path, few, {}, upright)
    assert cv2.imread(str(path)).shape[1] == pytest.approx(1920, abs=12)
