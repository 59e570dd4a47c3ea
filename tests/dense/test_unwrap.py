# SPDX-License-Identifier: GPL-3.0-or-later
"""Texture coordinates: nothing overlaps, charts keep their distance, texels are spread evenly."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest

from backend.worker.dense.charts import connected, neighbors_of
from backend.worker.dense.texel_samples import claim_texels
from backend.worker.dense.unwrap import Unwrapped, unwrap
from tests.backend.textured_room import room
from tests.dense.room_meshes import ball, of_planes

SIZE, PADDING = 512, 4
Mesh = tuple[np.ndarray, np.ndarray]


def boxes() -> Mesh:
    """The room's planes in 128 faces each, none of which shares an edge with another plane's."""
    return of_planes(room(), np.array([0, 0, 1.5]), cuts=8)


def noisy() -> Mesh:
    """A ball whose surface is rough enough for some faces to fold over."""
    return ball(40, noise=0.15)


MESHES: dict[str, Callable[[], Mesh]] = {"boxes": boxes, "noisy": noisy, "smooth": lambda: ball(40)}


@cache
def cut(name: str) -> tuple[Mesh, Unwrapped]:
    mesh = MESHES[name]()
    return mesh, unwrap(*mesh, SIZE, PADDING)


EVERY = pytest.mark.parametrize("name", list(MESHES))


def corners_in_texels(found: Unwrapped) -> np.ndarray:
    return found.uvs.astype(float) * SIZE


def charts(found: Unwrapped) -> np.ndarray:
    whole = np.zeros(len(found.corners), np.int32)
    return connected(whole, neighbors_of(found.corners))


def areas(found: Unwrapped) -> np.ndarray:
    """In the texture, under 0 for mirrored faces."""
    a, b, c = found.uvs.astype(float).transpose(1, 0, 2)
    across, along = (b - a).T, (c - a).T
    found: np.ndarray = (across[0] * along[1] - across[1] * along[0]) / 2
    return found


def real_areas(mesh: Mesh) -> np.ndarray:
    a, b, c = mesh[0][mesh[1]].astype(float).transpose(1, 0, 2)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


@EVERY
def test_every_face_lies_in_the_texture_and_the_cut_mesh_is_the_mesh(name: str) -> None:
    (_vertices, faces), found = cut(name)
    assert found.uvs.shape == (len(faces), 3, 2)
    assert found.uvs.dtype == np.float32
    assert 0 <= found.uvs.min() <= found.uvs.max() <= 1
    assert np.array_equal(found.origin[found.corners], faces)
    one = np.zeros((len(found.origin), 2), np.float32)
    one[found.corners] = found.uvs
    assert np.array_equal(one[found.corners], found.uvs), "a cut vertex has two places"


@EVERY
def test_no_face_lies_on_another(name: str) -> None:
    """Counted by a program of its own at four points a texel."""
    _mesh, found = cut(name)
    fine = 2 * SIZE
    count = np.zeros((fine, fine), np.int32)
    points = np.round(found.uvs.astype(float) * fine * 16).astype(np.int32)
    for place in points:
        low = place.min(axis=0) // 16
        size = place.max(axis=0) // 16 - low + 2
        part = np.zeros((size[1], size[0]), np.uint8)
        # Faces are filled with their edges: what is shared with a neighbor is taken off again.
        local = place - low * 16
        cv2.fillConvexPoly(part, local, 1, lineType=cv2.LINE_8, shift=4)
        cv2.polylines(part, [local], True, 0, thickness=2, lineType=cv2.LINE_8, shift=4)
        there = count[low[1] : low[1] + size[1], low[0] : low[0] + size[0]]
        there += part[: there.shape[0], : there.shape[1]]
    assert count.max() == 1


@EVERY
def test_charts_keep_the_padding(name: str) -> None:
    _mesh, found = cut(name)
    owner = np.full((SIZE, SIZE), -1, np.int32)
    claim_texels(corners_in_texels(found), owner, 0.0)
    chart = np.where(owner >= 0, charts(found)[owner] + 1, 0).astype(np.float32)
    reach = np.ones((PADDING + 1, PADDING + 1), np.uint8)
    highest = cv2.dilate(chart, reach)
    lowest = -cv2.dilate(np.where(chart > 0, -chart, -1e9).astype(np.float32), reach)
    near = (highest > 0) & (lowest < 1e8)
    assert chart.max() > 4
    assert (highest[near] == lowest[near]).all()


@EVERY
def test_texels_are_spread_evenly_and_not_wasted(name: str) -> None:
    mesh, found = cut(name)
    flat, real = areas(found), real_areas(mesh)
    assert np.abs(flat).sum() > 0.5
    density = np.sqrt(np.abs(flat) / real) / np.sqrt(np.abs(flat).sum() / real.sum())
    assert np.percentile(density, 5) > 1 / 2.2
    assert np.percentile(density, 95) < 1.6


@pytest.mark.parametrize("name", ["boxes", "noisy", "smooth"])
def test_no_chart_is_mirrored(name: str) -> None:
    _mesh, found = cut(name)
    assert (areas(found) > 0).all()


@pytest.mark.parametrize(("name", "most"), [("boxes", 60), ("noisy", 140), ("smooth", 30)])
def test_noise_does_not_tear_the_mesh_to_pieces(name: str, most: int) -> None:
    (_vertices, faces), found = cut(name)
    assert charts(found).max() + 1 <= most < len(faces) / 8


def test_a_flat_mesh_is_one_shape_without_any_stretch() -> None:
    """The room's floor comes out similar to itself."""
    vertices, faces = of_planes(room()[:1], np.array([0, 0, 1.5]), cuts=3)
    found = unwrap(vertices, faces, SIZE, PADDING)
    real = np.linalg.norm(np.diff(vertices[faces], axis=1), axis=2)
    flat = np.linalg.norm(np.diff(found.uvs, axis=1), axis=2)
    assert np.ptp(flat / real) < 1e-4 * (flat / real).max()


def test_more_charts_than_texels_find_a_place_too() -> None:
    """Loose triangles, each a chart of its own."""
    random = np.random.default_rng(1)
    vertices = random.normal(size=(3 * 900, 3)).astype(np.float32)
    faces = np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)
    found = unwrap(vertices, faces, 32, PADDING)
    assert (areas(found) > 0).all()
    assert 0 <= found.uvs.min() <= found.uvs.max() <= 1


def test_faces_without_area_do_no_harm() -> None:
    vertices, faces = of_planes(room()[:2], np.array([0, 0, 1.5]), cuts=2)
    faces = np.concatenate([faces, faces[:1, [0, 1, 1]]])
    found = unwrap(vertices, faces, SIZE, PADDING)
    assert np.isfinite(found.uvs).all()
    assert found.uvs.shape == (len(faces), 3, 2)


def test_an_empty_mesh_has_no_coordinates() -> None:
    found = unwrap(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    assert found.uvs.shape == (0, 3, 2)
    assert found.corners.shape == (0, 3)
    assert len(found.origin) == 0
