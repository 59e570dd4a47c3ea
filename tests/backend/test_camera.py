# SPDX-License-Identifier: GPL-3.0-or-later
"""The axis conversion and the camera record, held against COLMAP's own projection."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pycolmap
import pytest

from backend import camera
from backend.camera import CameraTrack, Similarity
from tests.backend.cameras import moving_track, points_ahead, with_gaps
from tests.backend.readers import turn, with_y_up

ORDERS = ["".join(order) for order in itertools.permutations("XYZ")]

LENSES = [
    (1920, 1080, (1500.0, 1620.0, 901.0, 577.0)),
    (1080, 1920, (2100.0, 1900.0, 602.5, 1011.25)),
    (3840, 2160, (3000.0, 3000.0, 1920.0, 1080.0)),
]


def random_quaternions(count: int, seed: int = 1) -> np.ndarray:
    quaternions = np.random.default_rng(seed).normal(size=(count, 4))
    return quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)


def some_world() -> Similarity:
    rotation = turn("x", 31) @ turn("y", -70) @ turn("z", 12) @ camera.SHOT_FROM_COLMAP
    return Similarity(2.7, rotation, np.array([5.0, -3.0, 1.5]))


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("world", [Similarity.axes_only(), some_world()])
def test_projects_as_colmap_does(
    lens: tuple[int, int, tuple[float, ...]], world: Similarity
) -> None:
    width, height, params = lens
    model = pycolmap.Camera(model="PINHOLE", width=width, height=height, params=params, camera_id=1)
    quaternions = random_quaternions(12)
    rng = np.random.default_rng(2)
    translations = rng.normal(size=(12, 3)) * 4
    rotations = camera.rotations_from_quaternions(quaternions)
    track = CameraTrack(
        frames=np.arange(12),
        matrices=camera.matrices_from_colmap(rotations, translations, world),
        focal=np.tile(params[:2], (12, 1)),
        center=np.tile(params[2:], (12, 1)),
        solved=np.ones(12, dtype=np.bool_),
        width=width,
        height=height,
        fps=Fraction(24),
    )
    for index in range(12):
        local = rng.uniform([-3, -3, 0.5], [3, 3, 20], (50, 3))
        w, x, y, z = quaternions[index]
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d([x, y, z, w]), translations[index])
        points = np.array([pose.inverse() * point for point in local])
        expected = model.img_from_cam(local)
        assert np.abs(track.project(world.apply(points), index) - expected).max() < 1e-6


def test_nothing_is_seen_behind_the_camera() -> None:
    track = moving_track(frames=2)
    ahead = points_ahead(track, 0)
    behind = 2 * track.matrices[0, :3, 3] - ahead
    assert np.isfinite(track.project(ahead, 0)).all()
    assert np.isnan(track.project(behind, 0)).all()


def test_the_shots_world_has_up_where_colmap_has_minus_y() -> None:
    up, ahead, right = np.array([[0, -1, 0], [0, 0, 1], [1, 0, 0]], dtype=np.float64)
    world = Similarity.axes_only()
    np.testing.assert_array_equal(world.apply(np.array([up, ahead, right])), np.eye(3)[[2, 1, 0]])
    # A camera that COLMAP left at its origin looks along +Y with +Z up.
    matrix = camera.matrices_from_colmap(np.eye(3)[None], np.zeros((1, 3)), world)[0]
    np.testing.assert_allclose(matrix[:3, :3] @ [0, 0, -1], [0, 1, 0])
    np.testing.assert_allclose(matrix[:3, :3] @ [0, 1, 0], [0, 0, 1])


def test_matrices_have_no_scale() -> None:
    rotations = camera.rotations_from_quaternions(random_quaternions(20))
    matrices = camera.matrices_from_colmap(rotations, np.ones((20, 3)), some_world())
    turned = matrices[:, :3, :3]
    products = turned @ np.swapaxes(turned, 1, 2)
    np.testing.assert_allclose(products, np.tile(np.eye(3), (20, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turned), 1)


def test_similarity_survives_json() -> None:
    world = some_world()
    back = Similarity.from_json(world.to_json())
    points = np.random.default_rng(0).normal(size=(9, 3))
    np.testing.assert_array_equal(back.apply(points), world.apply(points))
    expected = [2.7 * world.rotation @ point + world.translation for point in points]
    np.testing.assert_allclose(world.apply(points), expected)


def test_y_up_is_what_a_y_up_program_sees() -> None:
    track = moving_track(frames=5)
    turned = camera.y_up(track.matrices)
    for index in range(5):
        points = points_ahead(track, index)
        mine = np.linalg.inv(track.matrices[index]) @ np.c_[points, np.ones(40)].T
        theirs = np.linalg.inv(turned[index]) @ np.c_[with_y_up(points), np.ones(40)].T
        np.testing.assert_allclose(mine, theirs, atol=1e-9)
    np.testing.assert_allclose(camera.z_up(turned), track.matrices, atol=1e-15)


def test_opencv_axes_turn_the_camera_alone_and_undo_themselves() -> None:
    matrices = moving_track(frames=5).matrices
    turned = camera.with_opencv_axes(matrices)
    np.testing.assert_array_equal(turned[:, :3, 3], matrices[:, :3, 3])
    np.testing.assert_allclose(turned[:, :3, 2], -matrices[:, :3, 2])
    np.testing.assert_allclose(turned[:, :3, 1], -matrices[:, :3, 1])
    np.testing.assert_array_equal(camera.with_blender_axes(turned), matrices)


@pytest.mark.parametrize("lens", LENSES)
def test_blenders_lens_gives_the_same_pixels(lens: tuple[int, int, tuple[float, ...]]) -> None:
    """Blender: a film `sensor_width` wide, shifts as shares of it, pixels with an aspect."""
    width, height, (fx, fy, cx, cy) = lens
    track = replace(
        moving_track(frames=3, width=width, height=height),
        focal=np.tile([fx, fy], (3, 1)),
        center=np.tile([cx, cy], (3, 1)),
        sensor_width=24.9,
    )
    for index in range(3):
        blender = track.lens_at(index)
        assert min(blender.aspect_x, blender.aspect_y) == 1
        points = points_ahead(track, index)
        local = (points - track.matrices[index, :3, 3]) @ track.matrices[index, :3, :3]
        film = local[:, :2] / -local[:, 2:] * blender.lens / blender.sensor_width
        x = film[:, 0] - blender.shift_x + 0.5
        tall = height * blender.aspect_y / (width * blender.aspect_x)
        y = (film[:, 1] - blender.shift_y) / tall + 0.5
        pixels = np.stack([x * width, (1 - y) * height], axis=1)
        np.testing.assert_allclose(pixels, track.project(points, index), atol=1e-6)
    np.testing.assert_allclose(track.lens_mm(), fx * 24.9 / width)


def test_resized_scales_the_pixels() -> None:
    track = moving_track(frames=4)
    small = track.resized(480, 540)
    points = points_ahead(track, 2)
    expected = track.project(points, 2) * [0.25, 0.5]
    np.testing.assert_allclose(small.project(points, 2), expected)
    assert (small.width, small.height) == (480, 540)


def test_quaternions_go_both_ways_and_keep_their_side() -> None:
    quaternions = random_quaternions(500)
    rotations = camera.rotations_from_quaternions(quaternions * 3)
    back = camera.quaternions_from_rotations(rotations)
    np.testing.assert_allclose(np.abs(np.einsum("ni,ni->n", back, quaternions)), 1)
    assert (np.einsum("ni,ni->n", back[1:], back[:-1]) >= 0).all()
    w, x, y, z = quaternions[0]
    theirs = pycolmap.Rotation3d([x, y, z, w]).matrix()
    np.testing.assert_allclose(rotations[0], theirs, atol=1e-12)


@pytest.mark.parametrize("axis", range(3))
def test_quaternions_of_half_turns(axis: int) -> None:
    half = -np.eye(3)
    half[axis, axis] = 1
    (quaternion,) = camera.quaternions_from_rotations(half[None])
    np.testing.assert_allclose(np.abs(quaternion), np.eye(4)[axis + 1], atol=1e-12)


def composed(angles: np.ndarray, order: str) -> np.ndarray:
    """The first axis of the order turns first, so its matrix stands last."""
    product = np.eye(3)
    for axis in order:
        product = turn(axis.lower(), angles["XYZ".index(axis)]) @ product
    return product


@pytest.mark.parametrize("order", ORDERS)
def test_euler_angles_make_the_rotation(order: str) -> None:
    rotations = camera.rotations_from_quaternions(random_quaternions(200))
    angles = camera.euler_degrees(rotations, order)
    again = np.array([composed(row, order) for row in angles])
    np.testing.assert_allclose(again, rotations, atol=1e-12)
    np.testing.assert_allclose(camera.rotations_from_euler(angles, order), rotations, atol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("axis", range(3))
def test_euler_angles_follow_turn_after_turn(order: str, axis: int) -> None:
    """2.5 turns about one axis on top of a sway about the others: no step is larger than made."""
    t = np.linspace(0, 1, 300)
    angles = np.stack([12 * np.sin(9 * t), 9 * np.cos(7 * t) - 4, 15 * np.sin(5 * t)], axis=1)
    middle = "XYZ".index(order[1])
    angles[:, axis] = 900 * t if axis != middle else 80 * np.sin(9 * t)
    rotations = np.array([composed(row, order) for row in angles])
    np.testing.assert_allclose(camera.euler_degrees(rotations, order), angles, atol=1e-8)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_euler_angles_pass_gimbal_lock(order: str, direction: int, kind: type) -> None:
    """Through the pole exactly, while another axis turns: right, and without a jump."""
    angles = np.zeros((181, 3))
    first, middle, last = ("XYZ".index(axis) for axis in order)
    angles[:, middle] = direction * np.arange(181)
    angles[:, first], angles[:, last] = 20, 0.5 * np.arange(181)
    rotations = np.array([composed(row, order) for row in angles]).astype(kind).astype(np.float64)
    found = camera.euler_degrees(rotations, order)
    again = np.array([composed(row, order) for row in found])
    assert np.abs(again - rotations).max() < (1e-12 if kind is np.float64 else 1e-6)
    assert np.abs(np.diff(found, axis=0)).max() < 1.001


def test_euler_angles_that_stay_locked() -> None:
    """A camera that looks straight down and spins: rounding must not share the spin out anew."""
    angles = np.array([[90.0, 0.0, spin] for spin in range(0, 720, 5)])
    rotations = np.array([composed(row, "ZXY") for row in angles])
    rotations += np.random.default_rng(4).normal(size=rotations.shape) * 1e-10
    found = camera.euler_degrees(rotations, "ZXY")
    again = np.array([composed(row, "ZXY") for row in found])
    np.testing.assert_allclose(again, rotations, atol=1e-8)
    assert np.abs(np.diff(found, axis=0)).max() < 5.001


def test_gaps_are_filled_and_said() -> None:
    whole = moving_track(frames=400)
    track = with_gaps(whole)
    filled = camera.filled_gaps(track, np.arange(990, 1500))
    assert filled.frames.tolist() == whole.frames.tolist()
    kept = np.isin(whole.frames, track.frames)
    np.testing.assert_array_equal(filled.matrices[kept], track.matrices)
    np.testing.assert_array_equal(filled.focal[kept], track.focal)
    assert filled.solved.tolist() == (whole.solved & kept).tolist()
    turned = filled.matrices[:, :3, :3]
    np.testing.assert_allclose(
        turned @ np.swapaxes(turned, 1, 2), np.tile(np.eye(3), (400, 1, 1)), atol=1e-12
    )
    assert np.abs(filled.matrices - whole.matrices).max() < 0.01
    assert np.abs(filled.center - whole.center).max() < 0.5


def test_a_gap_takes_the_short_way_round() -> None:
    track = moving_track(frames=2)
    track.matrices[0, :3, :3], track.matrices[1, :3, :3] = turn("z", 170), turn("z", -170)
    track = replace(track, frames=np.array([1, 3]))
    middle = camera.filled_gaps(track, np.array([1, 2, 3])).matrices[1, :3, :3]
    np.testing.assert_allclose(middle, turn("z", 180), atol=1e-9)


def test_a_gap_is_turned_through_at_an_even_speed() -> None:
    """A camera on a tripod pans on at the same pace: the plate behind it would slide."""
    track = moving_track(frames=2)
    for index, angle in enumerate((0, 110)):
        track.matrices[index, :3, :3] = turn("y", angle)
    track = replace(track, frames=np.array([10, 21]))
    filled = camera.filled_gaps(track, np.arange(10, 22)).matrices
    for step in range(12):
        np.testing.assert_allclose(filled[step, :3, :3], turn("y", 10 * step), atol=1e-12)


def test_only_some_frames() -> None:
    track = moving_track(frames=8)
    some = track.only(np.array([1, 5]))
    assert some.frames.tolist() == [1002, 1006]
    for name in ("matrices", "focal", "center", "solved"):
        np.testing.assert_array_equal(getattr(some, name), getattr(track, name)[[1, 5]], name)


def test_a_camera_on_a_tripod_does_not_travel() -> None:
    track = moving_track(frames=8)
    assert track.travels
    track.matrices[:, :3, 3] = [1.0, 2.0, 3.0]
    assert not track.travels
    track.matrices[:, 0, 3] += np.linspace(0, 1e-9, 8)
    assert not track.travels


def test_frames_outside_the_solve_get_nothing() -> None:
    track = moving_track(frames=5, first=10)
    assert camera.filled_gaps(track, np.arange(1, 13)).frames.tolist() == [10, 11, 12]
