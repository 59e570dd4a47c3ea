# SPDX-License-Identifier: GPL-3.0-or-later
"""The guessed world of rooms whose floor is known, turned, scaled and placed by chance."""

from __future__ import annotations

import numpy as np
import pytest

from backend.camera import SHOT_FROM_COLMAP
from backend.world import CAMERA_HEIGHT, POINT_DISTANCE, guess_world

TRUE_UP = np.array([0.0, 0.0, 1.0])


def colmap_camera(pan, tilt, roll=0.0):
    """World-to-camera rotation of a camera in a Z-up world that looks along +Y at pan 0, tilt 0."""
    a, b, c = np.radians([pan, tilt, roll])
    forward = np.array([-np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), np.sin(b)])
    right = np.array([np.cos(a), np.sin(a), 0.0])
    down = np.cross(forward, right)
    turned = np.cos(c) * right + np.sin(c) * down
    return np.stack([turned, np.cross(forward, turned), forward])


def walk(tilt, roll=0.5, count=30, pans=(-12.0, 12.0)):
    rng = np.random.default_rng(3)
    share = np.linspace(0, 1, count)
    centers = np.stack([share * 2 - 1, share, 1.6 + 0.03 * np.sin(9 * share)], axis=1)
    pan = np.linspace(*pans, count)
    rotations = np.stack(
        [colmap_camera(angle, tilt + rng.normal(0, 0.7), rng.normal(0, roll)) for angle in pan]
    )
    return centers, rotations


def room_points(rng, floor=800, walls=900, table=150, outliers=60):
    parts = [
        np.column_stack([rng.uniform(-4, 4, floor), rng.uniform(0, 8, floor), np.zeros(floor)]),
        np.column_stack([rng.uniform(-4, 4, walls), np.full(walls, 8.0), rng.uniform(0, 3, walls)]),
        np.column_stack(
            [rng.uniform(-1, 1, table), rng.uniform(4, 5, table), np.full(table, 0.75)]
        ),
        rng.uniform([-4, 0, 0], [4, 8, 3], (outliers, 3)),
    ]
    return np.concatenate(parts) + rng.normal(0, 0.01, (floor + walls + table + outliers, 3))


def scrambled(rng, centers, rotations, points):
    """The same scene in a world of the solver's own: turned, scaled, moved."""
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    scale, move = rng.uniform(0.2, 6), rng.normal(size=3) * 10
    moved = [scale * values @ turn.T + move for values in (centers, points)]
    return moved[0], rotations @ turn.T, moved[1], turn


def tilt_of(world, turn):
    """Degrees between the scene's true up and the guessed one."""
    return np.degrees(np.arccos(np.clip((world.rotation @ turn @ TRUE_UP) @ TRUE_UP, -1, 1)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tilt", [-25.0, -8.0, 3.0])
def test_floor_becomes_the_ground(tilt, seed):
    rng = np.random.default_rng(seed)
    centers, rotations = walk(tilt)
    centers, rotations, points, turn = scrambled(rng, centers, rotations, room_points(rng))
    world, note = guess_world(centers, rotations, points)
    assert tilt_of(world, turn) < 0.5
    heights = world.apply(points)[:800, 2]
    assert abs(np.median(heights)) < 0.01
    assert world.apply(centers)[:, 2].mean() == pytest.approx(CAMERA_HEIGHT, abs=1e-9)
    assert note.startswith("floor found from ")
    assert note.endswith("camera height set to 1.6 m")
    assert np.linalg.det(world.rotation) == pytest.approx(1)


@pytest.mark.parametrize("tilt", [-60.0, -25.0, -8.0, 3.0])
def test_origin_is_on_the_floor_and_in_the_middle_camera_s_view(tilt):
    rng = np.random.default_rng(1)
    centers, rotations = walk(tilt)
    centers, rotations, points, _turn = scrambled(rng, centers, rotations, room_points(rng))
    world, _note = guess_world(centers, rotations, points)
    source = np.linalg.solve(world.rotation, -world.translation / world.scale)
    x, y, z = rotations[15] @ (source - centers[15])
    assert z > 0
    assert abs(x / z) < 0.05
    assert abs(y / z) < np.tan(np.radians(9.5))
    assert abs(world.apply(source[None])[0]).max() < 1e-9


def test_middle_camera_looks_along_y():
    rng = np.random.default_rng(1)
    centers, rotations = walk(-8.0)
    centers, rotations, points, _turn = scrambled(rng, centers, rotations, room_points(rng))
    world, _note = guess_world(centers, rotations, points)
    forward = world.rotation @ rotations[15, 2]
    assert abs(forward[0]) < 1e-9
    assert forward[1] > 0.9


def test_table_top_is_not_taken_for_the_floor():
    rng = np.random.default_rng(2)
    centers, rotations = walk(-15.0)
    points = room_points(rng, floor=250, table=900)
    centers, rotations, points, _turn = scrambled(rng, centers, rotations, points)
    world, _note = guess_world(centers, rotations, points)
    assert abs(np.median(world.apply(points)[:250, 2])) < 0.02


def test_without_a_floor_the_horizon_and_the_points_decide():
    rng = np.random.default_rng(5)
    centers, rotations = walk(-20.0, roll=0.2)
    points = rng.normal([0, 9, 2], [3, 3, 3], (700, 3))
    centers, rotations, points, turn = scrambled(rng, centers, rotations, points)
    world, note = guess_world(centers, rotations, points)
    assert "no floor found" in note
    assert tilt_of(world, turn) < 3
    moved = world.apply(points) - world.apply(np.median(centers, axis=0)[None])
    assert np.median(np.linalg.norm(moved, axis=1)) == pytest.approx(POINT_DISTANCE)


def test_one_direction_of_view_takes_the_cameras_up():
    """Right axes that are all the same say nothing about the tilt."""
    rng = np.random.default_rng(6)
    centers, rotations = walk(-6.0, roll=0.0, pans=(0.0, 0.0))
    points = rng.normal([0, 9, 2], [3, 3, 3], (400, 3))
    centers, rotations, points, turn = scrambled(rng, centers, rotations, points)
    world, _note = guess_world(centers, rotations, points)
    assert tilt_of(world, turn) == pytest.approx(6.0, abs=1.5)


def test_same_input_same_answer():
    rng = np.random.default_rng(7)
    centers, rotations = walk(-8.0)
    points = room_points(rng)
    one, two = (guess_world(centers, rotations, points)[0] for _ in range(2))
    assert one.scale == two.scale
    assert (one.rotation == two.rotation).all()
    assert (one.translation == two.translation).all()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_hardly_any_points(count):
    centers, rotations = walk(0.0)
    world, note = guess_world(centers, rotations, np.full((count, 3), 2.0))
    assert np.isfinite(world.translation).all()
    assert world.scale > 0
    assert "no floor" in note


def test_level_camera_in_colmap_axes_gets_the_plain_turn():
    """A level camera that looks straight ahead: COLMAP's axes and nothing else are turned."""
    centers = np.zeros((3, 3)) + np.arange(3)[:, None] * [0.1, 0, 0]
    rotations = np.tile(np.eye(3), (3, 1, 1))
    world, _note = guess_world(centers, rotations, np.random.default_rng(0).normal(size=(20, 3)))
    assert np.allclose(world.rotation, SHOT_FROM_COLMAP)


def pan(tilt, roll=0.3, count=40, center=(3.0, -2.0, 7.0)):
    """A camera on a tripod, and points at a made-up distance in the directions that it saw."""
    rng = np.random.default_rng(8)
    rotations = np.stack(
        [
            colmap_camera(angle, tilt + rng.normal(0, 0.5), rng.normal(0, roll))
            for angle in np.linspace(-30, 40, count)
        ]
    )
    seen = rng.uniform([-0.5, -0.3, 1], [0.5, 0.3, 1], (count, 30, 3))
    rays = np.einsum("nji,npj->npi", rotations, seen).reshape(-1, 3)
    points = center + 10 * rays / np.linalg.norm(rays, axis=1, keepdims=True)
    return np.tile(np.array(center), (count, 1)), rotations, points


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tilt", [-30.0, -5.0, 4.0, 25.0])
def test_a_tripod_stands_level_at_the_height_of_eyes(tilt, seed):
    rng = np.random.default_rng(seed)
    centers, rotations, points = pan(tilt)
    centers, rotations, points, turn = scrambled(rng, centers, rotations, points)
    world, note = guess_world(centers, rotations, points)
    assert tilt_of(world, turn) < 0.6
    placed = world.apply(centers)
    assert np.abs(placed[:, 2] - CAMERA_HEIGHT).max() < 1e-9
    away = np.linalg.norm(world.apply(points) - placed[0], axis=1)
    np.testing.assert_allclose(away, POINT_DISTANCE)
    forward = world.rotation @ rotations[20, 2]
    assert abs(forward[0]) < 1e-9
    assert forward[1] > 0.8
    assert "only turns" in note
    assert "1.6 m" in note


@pytest.mark.parametrize("tilt", [-30.0, -5.0, 4.0])
def test_the_origin_of_a_tripods_world_is_seen(tilt):
    centers, rotations, points = pan(tilt)
    world, _note = guess_world(centers, rotations, points)
    source = np.linalg.solve(world.rotation, -world.translation / world.scale)
    x, y, z = rotations[20] @ (source - centers[20])
    assert z > 0
    assert abs(x / z) < 0.05
    assert abs(y / z) < np.tan(np.radians(9.5))


def test_a_tripod_without_points_is_placed_too():
    centers, rotations, _points = pan(-5.0)
    world, _note = guess_world(centers, rotations, np.zeros((0, 3)))
    assert np.isfinite(world.translation).all()
    assert np.abs(world.apply(centers)[:, 2] - CAMERA_HEIGHT).max() < 1e-9
