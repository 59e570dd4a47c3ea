# SPDX-License-Identifier: GPL-3.0-or-later
"""What has no texture gets the plane that its edges lie on, unless something says otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.worker.dense.flat_regions import Plane, filled_flat, planes_of, without_texture
from backend.worker.dense.fusion import Seen, fuse
from backend.worker.dense.prior import FILLED
from backend.worker.dense.views import DepthMap
from tests.dense.known_room import HEIGHT, NUMBERS, SOURCES, WIDTH, truth

MIDDLE = 4
BACK = Plane(np.array([0.0, 1.0, 0.0]), 7.0)


@pytest.fixture(scope="module")
def planes() -> list[Plane]:
    views = [truth()[number][0] for number in NUMBERS]
    return planes_of(fuse(SOURCES, truth().__getitem__), views)


def blind(margin: int = 0) -> tuple[Seen, DepthMap]:
    """The middle view with a gray patch on its back wall of which stereo sees the rim of that many
    pixels; and the truth."""
    view, known = truth()[MIDDLE]
    on_back = np.abs(BACK.depth(view, *centers()) / known.depth - 1) < 1e-3
    rows, columns = np.nonzero(on_back)
    top, bottom = rows.min() + 4, min(rows.max() - 3, rows.min() + 34)
    left = int(np.median(columns)) - 20
    patch = np.s_[top:bottom, left : left + 40]
    assert on_back[patch].all()
    colors, confidence = view.colors.copy(), known.confidence.copy()
    random = np.random.default_rng(0)
    shape = colors[patch].shape
    colors[patch] = np.clip(random.normal(128, 1.5, shape), 0, 255).astype(np.uint8)
    inner = np.s_[top + margin : bottom - margin, left + margin : left + 40 - margin]
    confidence[inner] = 0
    depth = known.depth.copy()
    depth[inner] = 0
    return (replace(view, colors=colors), replace(known, depth=depth, confidence=confidence)), known


def centers() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32) + np.float32(0.5)
    return x, y


def hollow(found: DepthMap) -> np.ndarray:
    return found.confidence == 0


def test_the_rooms_planes_are_found(planes: list[Plane]) -> None:
    """The floor, the back wall and the side walls among them."""
    for normal, offset in (((0, 0, 1), 0), ((0, 1, 0), 7), ((1, 0, 0), 4), ((1, 0, 0), -4)):
        alike = [
            plane
            for plane in planes
            if abs(abs(plane.normal @ normal) - 1) < 1e-3
            and abs(plane.offset * np.sign(plane.normal @ normal) - offset) < 0.02
        ]
        assert alike, (normal, offset)


def test_a_plane_has_the_depth_that_the_room_has() -> None:
    view, known = truth()[MIDDLE]
    off = np.abs(BACK.depth(view, *centers()) / known.depth - 1)
    assert (off < 1e-4).mean() > 0.1


def test_a_patch_of_one_color_is_filled(planes: list[Plane]) -> None:
    (view, found), known = blind()
    whole = filled_flat(found, view, planes)
    holes = hollow(found)
    filled = holes & (whole.depth > 0)
    assert filled[holes].mean() > 0.7
    assert np.percentile(np.abs(whole.depth[filled] / known.depth[filled] - 1), 95) < 0.003
    assert np.unique(whole.confidence[filled]) == pytest.approx(FILLED)
    assert np.median((whole.normal * known.normal).sum(axis=2)[filled]) > 0.999
    np.testing.assert_array_equal(whole.depth[~holes], found.depth[~holes])


def test_what_has_texture_is_left_alone(planes: list[Plane]) -> None:
    (_view, found), _known = blind()
    plain, _map = truth()[MIDDLE]
    whole = filled_flat(found, plain, planes)
    assert (whole.depth > 0)[hollow(found)].mean() < 0.2


def test_masked_pixels_stay_empty(planes: list[Plane]) -> None:
    (view, found), _known = blind()
    usable = ~hollow(found)
    whole = filled_flat(found, replace(view, usable=usable), planes)
    assert not whole.depth[hollow(found)].any()


def test_a_plane_that_the_edge_is_seen_behind_is_not_taken() -> None:
    """A sheet in the air, in front of all of the wall that the patch is on."""
    (view, found), _known = blind()
    sheet = Plane(BACK.normal, BACK.offset - 1.0)
    assert not (filled_flat(found, view, [sheet]).depth > 0)[hollow(found)].any()
    assert (filled_flat(found, view, [sheet, BACK]).depth > 0)[hollow(found)].any()


def test_something_sure_inside_forbids_the_plane() -> None:
    """A bulge in the middle of the patch, which stereo has seen."""
    (view, found), known = blind()
    depth, confidence = found.depth.copy(), found.confidence.copy()
    rows, columns = np.nonzero(hollow(found))
    bulge = np.s_[rows.min() + 9 : rows.max() - 8, columns.min() + 9 : columns.max() - 8]
    depth[bulge], confidence[bulge] = known.depth[bulge] * 0.9, 1
    whole = filled_flat(replace(found, depth=depth, confidence=confidence), view, [BACK])
    assert not (whole.depth > 0)[hollow(found) & (confidence == 0)].any()


def test_a_sky_beside_a_wall_does_not_become_wall() -> None:
    """The left half has nothing: its edge is on the wall, along one line."""
    view, known = truth()[MIDDLE]
    wall = BACK.depth(view, *centers())
    colors, half = view.colors.copy(), np.s_[:, : WIDTH // 2]
    colors[half] = (120, 160, 220)
    sky = DepthMap(
        MIDDLE, np.where(centers()[0] < WIDTH // 2, 0, wall).astype(np.float32), known.normal,
        (centers()[0] >= WIDTH // 2).astype(np.float32),
    )  # fmt: skip
    whole = filled_flat(sky, replace(view, colors=colors), [BACK])
    assert (whole.depth[half] > 0).mean() < 0.15


def test_noise_counts_as_no_texture() -> None:
    (view, found), _known = blind()
    calm = without_texture(view)
    inner = np.zeros_like(calm)
    rows, columns = np.nonzero(hollow(found))
    inner[rows.min() + 4 : rows.max() - 3, columns.min() + 4 : columns.max() - 3] = True
    assert calm[inner].mean() > 0.95
    assert calm[~inner].mean() < 0.3


def test_no_points_tell_no_planes() -> None:
    empty = fuse({}, truth().__getitem__)
    assert planes_of(empty, [truth()[MIDDLE][0]]) == []
