# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth maps of a room that is known exactly become points on its walls."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest

from backend.dense_files import Cloud
from backend.errors import Canceled
from backend.worker.dense import fusion
from backend.worker.dense.clouds import thinned
from backend.worker.dense.fusion import FusionOptions, Seen, _out_of_sight, fuse
from backend.worker.dense.nearest import Tree, spacing
from backend.worker.dense.views import DepthMap
from tests.dense.evaluation import footprints, score
from tests.dense.known_room import (
    COUNT,
    HEIGHT,
    NUMBERS,
    PLANES,
    SOURCES,
    WIDTH,
    distances,
    spoiled,
    truth,
)


@pytest.fixture(scope="module")
def exact() -> Cloud:
    return fuse(SOURCES, truth().__getitem__)


@pytest.fixture(scope="module")
def rough() -> Cloud:
    return fuse(SOURCES, spoiled().__getitem__)


def views() -> list:
    return [truth()[number][0] for number in NUMBERS]


def shown_at(cloud: Cloud, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Of the points that a view sees: where in the pixel of the ray to them they should be, by
    the depth that the room has there, and where they are."""
    one, _known = seen
    local = cloud.positions.astype(float) @ one.rotation.T + one.translation
    pixel = local[:, :2] / local[:, 2:] * one.focal + one.center
    inside = (local[:, 2] > 0) & ((pixel >= 0) & (pixel < one.size)).all(axis=1)
    return pixel[inside], local[inside]


def test_points_of_perfect_depth_are_on_the_walls(exact: Cloud) -> None:
    wide = footprints(exact.positions, views())
    assert np.percentile(distances(exact.positions) / wide, 99) < 0.05


def test_no_point_is_shifted_in_its_picture() -> None:
    """The first view gives a point for each pixel: they come back to the pixels' centers."""
    one, _known = truth()[1]
    only = fuse({1: SOURCES[1]}, truth().__getitem__)
    pixel, _local = shown_at(only, truth()[1])
    assert len(pixel) == len(only.positions) > 0.6 * WIDTH * HEIGHT
    assert np.abs(pixel - np.floor(pixel) - 0.5).max() < 0.01
    assert one.size == (WIDTH, HEIGHT)


def test_rough_depth_is_not_shifted_either(rough: Cloud) -> None:
    """Noise moves points both ways: what is left in the middle is a shift. The back wall faces the
    cameras, floor and side walls run along them; a point near a second plane tells of neither."""
    wide = footprints(rough.positions, views())
    away = np.array([distances(rough.positions, [plane]) for plane in PLANES])
    for index in range(4):
        plane = PLANES[index]
        normal = np.cross(plane.u, plane.v).astype(float)
        normal /= np.linalg.norm(normal)
        others = np.delete(away, index, axis=0).min(axis=0)
        chosen = (away[index] < 3 * wide) & (others > 6 * wide)
        shift = ((rough.positions[chosen] - plane.corner) @ normal) / wide[chosen]
        assert chosen.sum() > 100
        assert abs(np.median(shift)) < 0.03


def test_outliers_do_not_become_points(rough: Cloud) -> None:
    wide = footprints(rough.positions, views())
    assert (distances(rough.positions) <= 2 * wide).mean() > 0.97
    assert len(rough.positions) > 0.8 * WIDTH * HEIGHT


def test_averaging_makes_noise_less(rough: Cloud) -> None:
    """One map's median error would be 0.67 x 0.5 pixels along the ray."""
    back = np.abs(rough.positions[:, 1] - 7) < 0.1
    wide = footprints(rough.positions[back], views())
    assert np.median(np.abs(rough.positions[back, 1] - 7) / wide) < 0.22


def test_each_spot_stands_once(exact: Cloud) -> None:
    """The views overlap by more than half: all pixels with depth are several times as many."""
    assert WIDTH * HEIGHT * 0.8 < len(exact.positions) < WIDTH * HEIGHT * 1.6
    tree = Tree.of(exact.positions)
    near = tree.nearest(exact.positions, 2)[1][:, 1]
    assert (near < 0.25 * footprints(exact.positions, views())).mean() < 0.05


def test_a_view_that_comes_later_does_not_say_again_what_is_known() -> None:
    twice = dict(truth())
    one, known = truth()[1]
    twice[99] = replace(one, number=99), replace(known, number=99)
    again = fuse({1: SOURCES[1], 99: SOURCES[1]}, twice.__getitem__)
    assert len(again.positions) <= 1.01 * len(fuse({1: SOURCES[1]}, truth().__getitem__).positions)


def test_normals_face_the_cameras_and_colors_are_the_pictures(exact: Cloud) -> None:
    floor = np.abs(exact.positions[:, 2]) < 1e-3
    inside = floor & (np.abs(exact.positions[:, 0]) < 3.5)
    assert np.median(exact.normals[inside, 2]) > 0.999
    one, _known = truth()[1]
    only = fuse({1: SOURCES[1]}, truth().__getitem__)
    pixel, _local = shown_at(only, truth()[1])
    x, y = np.floor(pixel).astype(int).T
    assert np.median(np.abs(one.colors[y, x].astype(int) - only.colors)) < 12


def test_masked_pixels_give_nothing_and_say_nothing() -> None:
    masked = {}
    for number, (one, known) in truth().items():
        usable = one.usable.copy()
        usable[:, : WIDTH // 2] = False
        masked[number] = replace(one, usable=usable), known
    found = fuse({4: SOURCES[4]}, masked.__getitem__)
    pixel, _local = shown_at(found, truth()[4])
    assert len(found.positions) > 500
    assert pixel[:, 0].min() > WIDTH // 2
    alone = {n: (replace(v, usable=v.usable & (n == 4)), d) for n, (v, d) in truth().items()}
    assert len(fuse({4: SOURCES[4]}, alone.__getitem__).positions) == 0


def test_as_many_views_as_asked_must_agree() -> None:
    def load(number: int) -> Seen:
        one, known = truth()[number]
        return one, known if number in (1, 2) else replace(known, depth=known.depth * 0)

    two, three = (
        fuse({1: SOURCES[1]}, load, FusionOptions(views=views)) for views in (2, 3)
    )  # fmt: skip
    assert len(two.positions) > 0.5 * WIDTH * HEIGHT
    assert len(three.positions) == 0


def test_a_surface_that_others_look_through_is_none() -> None:
    """Two maps have a sheet in the air, four see the room behind it."""

    def load(number: int) -> Seen:
        one, known = truth()[number]
        if number not in (3, 4):
            return one, known
        # The plane Y = 1 of the world, in front of all that the room has.
        y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
        rays = np.stack(
            [(x - one.center[0]) / one.focal[0], (y - one.center[1]) / one.focal[1], x * 0 + 1], 2
        )
        normal = one.rotation @ np.array([0.0, -1.0, 0.0])
        depth = (one.rotation @ [0, 1.0, 0] + one.translation) @ normal / (rays @ normal)
        sheet = DepthMap(
            number,
            depth.astype(np.float32),
            np.broadcast_to(normal, (HEIGHT, WIDTH, 3)).astype(np.float32),
            np.ones_like(known.confidence),
        )
        return one, sheet

    options = FusionOptions(views=2)
    assert len(fuse({3: [4]}, load, options).positions) > 1000
    seen_through = fuse({3: [4, 1, 2, 5, 6, 7]}, load, options)
    assert len(seen_through.positions) < 0.12 * len(fuse({3: [4]}, load, options).positions)


def test_confidence_is_kept() -> None:
    def load(number: int) -> Seen:
        one, known = truth()[number]
        return one, replace(known, confidence=known.confidence * np.float32(0.6))

    found = fuse({4: SOURCES[4]}, load)
    assert np.median(found.confidence) == pytest.approx(0.6, abs=0.01)
    assert len(fuse({4: SOURCES[4]}, load, FusionOptions(confidence=0.7)).positions) == 0


def test_few_views_are_in_memory_and_few_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    near, most = {number: others[:2] for number, others in SOURCES.items()}, 4
    monkeypatch.setattr(fusion, "KEPT", most)
    alive: weakref.WeakSet[DepthMap] = weakref.WeakSet()
    asked: list[int] = []
    seen_at_once: list[int] = []

    def load(number: int) -> Seen:
        asked.append(number)
        view, known = truth()[number]
        known = replace(known)
        alive.add(known)
        seen_at_once.append(len(alive))
        return view, known

    fuse(near, load)
    assert max(seen_at_once) <= most + 1 < len(SOURCES)
    assert sorted(asked) == sorted(SOURCES), "each is read once"


def test_progress_is_told_and_can_end_it() -> None:
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        if done == 2:
            raise Canceled

    with pytest.raises(Canceled):
        fuse(SOURCES, truth().__getitem__, progress=progress)
    assert told == [(1, COUNT), (2, COUNT)]


def test_no_depth_is_an_empty_cloud() -> None:
    assert len(fuse({}, truth().__getitem__).positions) == 0


def test_nearest_points_are_those_of_all_distances() -> None:
    random = np.random.default_rng(0)
    points = (random.normal(size=(700, 3)) ** 3).astype(np.float32)
    points[:50] = points[0]
    asked = random.normal(size=(60, 3)).astype(np.float32)
    every = np.linalg.norm(points[None].astype(float) - asked[:, None], axis=2)
    found, far = Tree.of(points).nearest(asked, 4)
    np.testing.assert_allclose(far, np.sort(every, axis=1)[:, :4], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(every, found, 1), far, rtol=1e-5)


def test_spacing_of_a_grid() -> None:
    grid = np.stack(np.meshgrid(np.arange(12), np.arange(12), [0]), -1).reshape(-1, 3) * 0.5
    spaced = spacing(Tree.of(grid.astype(np.float32)))
    inner = ((grid[:, :2] > 0.4) & (grid[:, :2] < 5.1)).all(axis=1)
    np.testing.assert_allclose(spaced[inner], 0.5 * np.sqrt(2), rtol=1e-5)


def test_f1_of_a_plane_half_covered() -> None:
    truth_points = np.random.default_rng(1).random((20000, 3)).astype(np.float32) * [1, 1, 0]
    half = truth_points[truth_points[:, 0] < 0.5] + [0, 0, 0.01]
    found = score(half.astype(np.float32), truth_points.astype(np.float32), 0.03, 0.03)
    assert found.precision == 1
    assert found.recall == pytest.approx(0.5, abs=0.04)
    assert found.f1 == pytest.approx(2 * found.recall / (1 + found.recall))
    assert found.median == pytest.approx(0.01, abs=0.004)


def test_points_stay_within_their_number(exact: Cloud) -> None:
    most = len(exact.positions) // 3
    few = fuse(SOURCES, truth().__getitem__, FusionOptions(most=most))
    assert most // 8 < len(few.positions) <= most
    everywhere = Tree.of(few.positions).nearest(exact.positions)[1][:, 0]
    assert (everywhere < 6 * footprints(exact.positions, views())).mean() > 0.95


def test_thinning_keeps_the_most_confident_of_each_cell() -> None:
    random = np.random.default_rng(3)
    places = random.random((4000, 3)).astype(np.float32)
    sure = random.random(4000).astype(np.float32)
    few = thinned(Cloud(places, places, np.zeros((4000, 3), np.uint8), sure), 500)
    assert 100 < len(few.positions) <= 500
    assert few.confidence.mean() > 0.75
    kept = {tuple(row) for row in places.tolist()}
    assert all(tuple(row) in kept for row in few.positions.tolist())


def test_points_out_of_sight_are_told_from_those_in_it() -> None:
    one, _known = truth()[4]
    random = np.random.default_rng(5)
    told = 0
    for middle in random.uniform([-9, -9, -4], [9, 12, 7], (300, 3)):
        low, high = middle - 0.3, middle + 0.3
        inside = random.uniform(low, high, (500, 3)) @ one.rotation.T + one.translation
        pixel = inside[:, :2] / inside[:, 2:] * one.focal + one.center
        seen = (inside[:, 2] > 0) & ((pixel >= 0) & (pixel < one.size)).all(axis=1)
        hidden = _out_of_sight(low.astype(np.float32), high.astype(np.float32), one)
        assert not (hidden and seen.any())
        told += hidden
    assert told > 100
