# SPDX-License-Identifier: GPL-3.0-or-later
"""Sparse points of a room that is known exactly become a rough mesh on its walls."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from time import process_time

import numpy as np
import pytest

from backend.camera import quaternions_from_rotations
from backend.dense_files import Triangles
from backend.reconstruction import CameraModel, Observations, Points, Reconstruction
from backend.worker.blockout import _without_small_pieces, blockout
from tests.backend.textured_room import Plane, room, sideways, track

WIDTH, HEIGHT, COUNT = 640, 360, 24
PLANES = room()
NOISE = 0.01


@cache
def solved(count: int = 2500, outliers: float = 0.03) -> Reconstruction:
    """A solve of the room: points spread over its walls with noise, some of them at a wrong depth
    before the middle camera, each seen by the images in which nothing hides its place."""
    random = np.random.default_rng(count)
    sizes = np.array([np.linalg.norm(np.cross(plane.u, plane.v)) for plane in PLANES])
    chosen = random.choice(len(PLANES), count, p=sizes / sizes.sum())
    shares = random.random((count, 2))
    places = np.reshape([
        PLANES[index].corner + a * PLANES[index].u + b * PLANES[index].v
        for index, (a, b) in zip(chosen, shares, strict=True)
    ], (-1, 3))  # fmt: skip
    astray = random.random(count) < outliers
    rotations, translations = poses()
    eye = -rotations[COUNT // 2].T @ translations[COUNT // 2]
    far = np.where(astray, random.uniform(0.3, 1.2, count), 1)[:, None]
    shown = eye + (places - eye) * far + random.normal(scale=NOISE, size=places.shape)
    image, point = np.nonzero([seen(places, r, t) for r, t in zip(rotations, translations,
                                                                  strict=True)])  # fmt: skip
    tracks = np.bincount(point, minlength=count)
    points = Points(
        np.arange(count, dtype=np.uint64), shown, np.zeros((count, 3), np.uint8),
        np.full(count, 0.5), tracks,
    )  # fmt: skip
    focal = 1.05 * WIDTH
    lens = CameraModel("PINHOLE", WIDTH, HEIGHT, (focal, focal, WIDTH / 2, HEIGHT / 2))
    return Reconstruction(
        {1: lens}, tuple(f"{n}.png" for n in range(COUNT)), np.ones(COUNT, np.int64),
        quaternions_from_rotations(rotations), translations, points,
        Observations(image, point, np.zeros((len(image), 2))),
    )  # fmt: skip


def poses() -> tuple[np.ndarray, np.ndarray]:
    matrices = track(sideways, COUNT, WIDTH, HEIGHT).matrices @ np.diag([1.0, -1.0, -1.0, 1.0])
    into = np.linalg.inv(matrices)
    return into[:, :3, :3], into[:, :3, 3]


def seen(places: np.ndarray, turn: np.ndarray, move: np.ndarray) -> np.ndarray:
    """(n,) which places of the walls a camera sees."""
    local = places @ turn.T + move
    flat = local[:, :2] / np.maximum(local[:, 2:], 1e-9)
    inside = (local[:, 2] > 0.1) & (np.abs(flat) < (0.5 / 1.05, 0.5 * HEIGHT / WIDTH / 1.05)).all(1)
    return inside & ~blocked(-turn.T @ move, places)


def blocked(start: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(n,) which ways from a place to others go through one of the room's planes."""
    found = np.zeros(len(ends), bool)
    for plane in PLANES:
        share, a, b = crossing(plane, start, ends)
        found |= (share > 0) & (share < 0.995) & (a >= 0) & (a <= 1) & (b >= 0) & (b <= 1)
    return found


def crossing(
    plane: Plane, start: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sides = np.linalg.inv(np.column_stack([plane.u, plane.v, np.cross(plane.u, plane.v)]))
    here, there = sides @ (start - plane.corner), (ends - plane.corner) @ sides.T
    share = here[2] / (here[2] - there[:, 2])
    a, b = (here[:2] + share[:, None] * (there[:, :2] - here[:2])).T
    return share, a, b


def off_walls(places: np.ndarray) -> np.ndarray:
    """(n,) how far places are from the nearest wall."""
    found = []
    for plane in PLANES:
        sides = np.stack([plane.u, plane.v]).astype(float)
        shares = np.clip((places - plane.corner) @ sides.T / (sides**2).sum(axis=1), 0, 1)
        found.append(np.linalg.norm(places - plane.corner - shares @ sides, axis=1))
    return np.min(found, axis=0)


def sampled(mesh: Triangles) -> np.ndarray:
    """Places evenly over a mesh's area."""
    random = np.random.default_rng(0)
    corners = mesh.positions[mesh.faces].astype(float)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]),
                          axis=1)  # fmt: skip
    face = random.choice(len(area), 20000, p=area / area.sum())
    share = random.dirichlet([1, 1, 1], 20000)
    return np.einsum("nc,nci->ni", share, corners[face])


def area_of(mesh: Triangles) -> float:
    a, b, c = mesh.positions[mesh.faces].transpose(1, 0, 2)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


@pytest.mark.parametrize(
    ("count", "astray", "near"), [(600, 0.0, 0.85), (2500, 0.0, 0.97), (2500, 0.03, 0.95)]
)
def test_faces_lie_on_the_walls(count: int, astray: float, near: float) -> None:
    mesh = blockout(solved(count, astray))
    assert mesh is not None
    away = off_walls(sampled(mesh))
    assert (away < 0.2).mean() > near
    assert area_of(mesh) > 25


def test_no_face_stands_between_cameras_and_points() -> None:
    """Not between a box and the wall behind it, and not at a point whose depth is wrong: no more
    than one sample in fifty is half a meter from all walls."""
    mesh = blockout(solved())
    assert mesh is not None
    assert (off_walls(sampled(mesh)) > 0.5).mean() < 0.02


def test_points_astray_cost_no_surface() -> None:
    """A tenth at a wrong depth: nearly as much surface as without them, and as near the walls."""
    mesh, without = blockout(solved(2500, 0.1)), blockout(solved(2500, 0.0))
    assert mesh is not None
    assert without is not None
    assert area_of(mesh) > 0.9 * area_of(without)
    assert (off_walls(sampled(mesh)) < 0.2).mean() > 0.975


def test_what_has_no_points_is_not_bridged() -> None:
    """A band of the back wall 2 m wide without points, where others are 0.2 m apart."""
    model = solved(10_000, 0.0)
    x, y, _z = model.points.positions.T
    bare = (np.abs(y - 7) < 0.1) & (x > -1.2) & (x < 0.8)
    tracks = np.where(bare, 0, model.points.tracks)
    mesh = blockout(replace(model, points=replace(model.points, tracks=tracks)))
    assert mesh is not None
    x, y, z = sampled(mesh).T
    band = (np.abs(y - 7) < 0.3) & (x > -0.8) & (x < 0.4) & (z > 1.1) & (z < 2.3)
    assert band.mean() * area_of(mesh) < 0.3
    whole = blockout(model)
    assert whole is not None
    x, y, z = sampled(whole).T
    band = (np.abs(y - 7) < 0.3) & (x > -0.8) & (x < 0.4) & (z > 1.1) & (z < 2.3)
    assert band.mean() * area_of(whole) > 1.2


def test_crumbs_are_dropped() -> None:
    strip = np.arange(300)[:, None] + (0, 1, 2)
    crumb = np.array([[400, 401, 402], [401, 402, 403]])
    kept = _without_small_pieces(np.concatenate([crumb, strip]), 500)
    assert kept.tolist() == strip.tolist()


def test_faces_look_at_the_cameras() -> None:
    mesh = blockout(solved())
    assert mesh is not None
    a, b, c = mesh.positions[mesh.faces].astype(float).transpose(1, 0, 2)
    rotations, translations = poses()
    to_eye = -rotations[COUNT // 2].T @ translations[COUNT // 2] - (a + b + c) / 3
    assert ((np.cross(b - a, c - a) * to_eye).sum(axis=1) > 0).mean() > 0.99


def test_several_views_make_one_surface() -> None:
    """The last image sees less than two thirds of what all see."""
    model = solved()
    mesh, seen_last = blockout(model), model.observations
    assert mesh is not None
    assert seen_last is not None
    last = seen_last.image >= COUNT - 2
    only = Observations(seen_last.image[last], seen_last.point[last], seen_last.pixel[last])
    some = blockout(replace(model, observations=only))
    assert some is not None
    assert area_of(some) < 0.85 * area_of(mesh)


def test_many_points_take_little_time() -> None:
    model = solved(30_000)
    began = process_time()
    mesh = blockout(model)
    assert process_time() - began < 5
    assert mesh is not None
    assert (off_walls(sampled(mesh)) < 0.1).mean() > 0.97


@pytest.mark.parametrize("count", [0, 1, 60])
def test_too_few_points_make_no_mesh(count: int) -> None:
    assert blockout(solved(count, 0.0)) is None


def test_points_at_one_place_make_no_mesh() -> None:
    model = solved(400, 0.0)
    one = replace(model.points, positions=model.points.positions * 0 + (0, 5, 1))
    assert blockout(replace(model, points=one)) is None


def test_points_that_few_images_see_are_left_out() -> None:
    model = solved(2500, 0.0)
    rare = replace(model.points, tracks=np.full_like(model.points.tracks, 2))
    assert blockout(replace(model, points=rare)) is None
