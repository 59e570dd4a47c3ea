# SPDX-License-Identifier: GPL-3.0-or-later
"""Slip against cameras whose error is known beforehand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from backend.accuracy import best_similarity, load_truth, slip, turn_slip
from backend.camera import Similarity
from backend.errors import FormatError
from tests.backend import textured_room as rooms

WIDTH, HEIGHT, COUNT = 640, 360, 24


@pytest.fixture(scope="module")
def true():
    return rooms.track(rooms.sideways, COUNT, WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def points():
    return rooms.scene_points(rooms.room())


def chance(seed: int) -> Similarity:
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    return Similarity(float(rng.uniform(0.05, 20)), turn, rng.normal(size=3) * 30)


def in_world(track, world):
    """The same camera in a world turned, scaled and moved."""
    matrices = track.matrices.copy()
    matrices[:, :3, :3] = world.rotation @ matrices[:, :3, :3]
    matrices[:, :3, 3] = world.apply(matrices[:, :3, 3])
    return replace(track, matrices=matrices)


def turned(track, radians):
    """Each camera turned about its own up axis by its own angle."""
    matrices = track.matrices.copy()
    for matrix, angle in zip(matrices, radians, strict=True):
        c, s = np.cos(angle), np.sin(angle)
        matrix[:3, :3] = matrix[:3, :3] @ [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    return replace(track, matrices=matrices)


@pytest.mark.parametrize("seed", range(3))
def test_best_similarity_finds_the_one_that_was_applied(seed):
    world, source = chance(seed), np.random.default_rng(seed).normal(size=(40, 3))
    found = best_similarity(source, world.apply(source))
    assert found.scale == pytest.approx(world.scale)
    assert np.allclose(found.rotation, world.rotation)
    assert np.allclose(found.translation, world.translation)


def test_best_similarity_never_mirrors():
    source = np.random.default_rng(0).normal(size=(40, 3))
    assert np.linalg.det(best_similarity(source, source * [1, 1, -1]).rotation) > 0


@pytest.mark.parametrize("seed", range(3))
def test_the_same_camera_in_another_world_does_not_slip(true, points, seed):
    found = slip(true, in_world(true, chance(seed)), points)
    assert found.rms < 1e-5
    assert found.max < 1e-4
    assert found.focal_error == pytest.approx(0)
    assert found.jitter < 1e-5
    assert found.frames.tolist() == true.frames.tolist()


def test_shaking_is_slip_and_jitter(true, points):
    """A turn of a pixel at the center, one way and the other from frame to frame."""
    angle = np.arctan(1 / true.focal[0, 0])
    signs = np.where(np.arange(COUNT) % 2, 1, -1)
    found = slip(true, in_world(turned(true, signs * angle), chance(1)), points)
    assert found.rms == pytest.approx(1.0, rel=0.12)
    assert found.jitter == pytest.approx(2 / np.sqrt(1.5), rel=0.12)
    assert found.per_frame == pytest.approx(np.full(COUNT, found.rms), rel=0.15)


def test_one_bad_frame_stands_out(true, points):
    angles = np.zeros(COUNT)
    angles[9] = np.arctan(6 / true.focal[0, 0])
    found = slip(true, in_world(turned(true, angles), chance(2)), points)
    assert np.argmax(found.per_frame) == 9
    assert found.per_frame[9] == pytest.approx(6, rel=0.2)
    assert np.median(found.per_frame) < 0.5
    assert found.max > 5


def test_wrong_focal_length_is_told(true, points):
    found = slip(true, in_world(replace(true, focal=true.focal * 1.02), chance(0)), points)
    assert found.focal_error == pytest.approx(0.02)
    assert found.rms > 0.2


def test_the_fit_is_in_pixels_not_in_space(true, points):
    """The result is the least over all similarities: no nearby one does better."""
    solved = in_world(replace(true, focal=true.focal * 1.02), chance(3))
    best = slip(true, solved, points).rms
    for seed in range(6):
        rng = np.random.default_rng(seed)
        nudge = Similarity(1 + 1e-3 * rng.normal(), np.eye(3), 1e-3 * rng.normal(size=3))
        nudged = replace(true, matrices=in_world(true, nudge).matrices)
        again = slip(nudged, solved, nudge.apply(points)).rms
        assert again == pytest.approx(best, rel=1e-4)


def test_a_lens_that_bends_is_undone_by_telling_it(true, points):
    """A plate with distortion, solved with it: the pinhole alone slips, with its lens not."""
    center, focal = true.center[0], true.focal[0, 0]

    def bend(pixels):
        x = (pixels - center) / focal
        return center + focal * x * (1 + 0.03 * (x**2).sum(axis=1, keepdims=True))

    straight = slip(true, true, points).rms
    bent = slip(true, true, points, bend).rms
    assert straight < 1e-6
    assert bent > 0.3


def test_only_common_frames_count(true, points):
    five = part(true, slice(4, 9))
    assert slip(true, five, points).frames.tolist() == [5, 6, 7, 8, 9]
    with pytest.raises(ValueError, match="in common"):
        slip(true, replace(five, frames=five.frames + 100), points)


def test_each_frame_may_have_its_own_lens(true, points):
    """A zoom whose lens bends more in every frame, told frame by frame."""
    center, bends = true.center[0], np.linspace(0.01, 0.05, COUNT)

    def lens(bend):
        def distort(pixels):
            x = (pixels - center) / true.focal[0, 0]
            return center + (pixels - center) * (1 + bend * (x**2).sum(axis=1, keepdims=True))

        return distort

    lenses = [lens(bend) for bend in bends]
    alone = [
        slip(true, part(true, slice(index, index + 3)), points, lenses[index + 1]).rms
        for index in (0, 10, 20)
    ]
    every = slip(true, true, points, lenses)
    third = slip(true, part(true, slice(10, 13)), points, lenses[10:13])
    assert third.rms == pytest.approx(alone[1], rel=0.05)
    assert alone[0] < every.rms < alone[2]


@pytest.fixture(scope="module")
def tripod():
    return rooms.track(rooms.turning, COUNT, WIDTH, HEIGHT)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_tripod_in_another_world_does_not_slip(tripod, points, seed):
    """Whatever the solver took for the place of the camera and for its world's turn."""
    world = Similarity(1.0, chance(seed).rotation, np.zeros(3))
    moved = in_world(tripod, world)
    moved.matrices[:, :3, 3] = [0, 0, 7]
    found = turn_slip(tripod, moved, points)
    assert found.rms < 1e-6
    assert found.jitter < 1e-6
    assert found.rotation < 1e-6
    assert found.focal_error == pytest.approx(0)


def test_a_shaking_tripod_slips_by_its_angle(tripod, points):
    angle = np.arctan(1 / tripod.focal[0, 0])
    signs = np.where(np.arange(COUNT) % 2, 1, -1)
    solved = in_world(turned(tripod, signs * angle), chance(1))
    found = turn_slip(tripod, solved, points)
    assert found.rms == pytest.approx(1.0, rel=0.15)
    assert found.jitter == pytest.approx(2 / np.sqrt(1.5), rel=0.15)
    assert found.rotation == pytest.approx(np.degrees(angle), rel=1e-3)


def test_the_rotation_fitted_to_a_tripod_is_the_best_one_in_pixels(tripod, points):
    """A wrong focal length: no turn near the one that was found leaves less slip."""
    solved = replace(tripod, focal=tripod.focal * 1.02)
    best = turn_slip(tripod, solved, points)
    assert best.focal_error == pytest.approx(0.02)
    assert best.rms > 0.5
    for seed in range(4):
        world = Similarity(1.0, chance(seed).rotation, np.zeros(3))
        assert turn_slip(tripod, in_world(solved, world), points).rms == pytest.approx(best.rms)


def test_a_camera_that_travels_is_no_tripod(true, points):
    with pytest.raises(ValueError, match="stand still"):
        turn_slip(true, true, points)


def part(track, chosen):
    """Some frames of a track."""
    names = ("frames", "matrices", "focal", "center", "solved")
    return replace(track, **{name: getattr(track, name)[chosen] for name in names})


def test_load_truth(tmp_path, true, points):
    path = tmp_path / "camera.json"
    data = {
        "fps": "24000/1001", "width": WIDTH, "height": HEIGHT, "fx": 672.0, "fy": 672.0,
        "cx": 320.0, "cy": 180.0, "frames": true.frames.tolist(),
        "camera_to_world": true.matrices.tolist(), "points": points.tolist(),
    }  # fmt: skip
    path.write_text(json.dumps(data))
    loaded, loaded_points = load_truth(path)
    assert np.allclose(loaded_points, points)
    assert slip(true, loaded, points).rms < 1e-6
    assert loaded.fps.denominator == 1001


def test_load_truth_of_a_zoom(tmp_path, true, points):
    path = tmp_path / "camera.json"
    focal = np.linspace(600, 900, COUNT)
    data = {
        "fps": 24, "width": WIDTH, "height": HEIGHT, "fx": focal.tolist(), "fy": 700.0,
        "cx": 320.0, "cy": 180.0, "frames": true.frames.tolist(),
        "camera_to_world": true.matrices.tolist(), "points": points.tolist(),
    }  # fmt: skip
    path.write_text(json.dumps(data))
    loaded, _points = load_truth(path)
    assert loaded.focal[:, 0].tolist() == focal.tolist()
    assert loaded.focal[:, 1].tolist() == [700.0] * COUNT


@pytest.mark.parametrize(
    "broken", [{"frames": [1, 2]}, {"points": [1]}, {"fx": "wide"}, {"fx": [600, 700]}]
)
def test_load_truth_refuses_what_is_not_one(tmp_path, true, points, broken):
    path = tmp_path / "camera.json"
    data = {
        "fps": 24, "width": WIDTH, "height": HEIGHT, "fx": 672.0, "fy": 672.0, "cx": 320.0,
        "cy": 180.0, "frames": true.frames.tolist(),
        "camera_to_world": true.matrices.tolist(), "points": points.tolist(),
    }  # fmt: skip
    path.write_text(json.dumps(data | broken))
    with pytest.raises(FormatError, match="camera"):
        load_truth(path)
