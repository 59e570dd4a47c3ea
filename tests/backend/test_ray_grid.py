# SPDX-License-Identifier: GPL-3.0-or-later
"""The grid of rays: each falls on its own pixel, through every lens and at every zoom."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import FormatError
from backend.lens import bend, reach, straighten
from backend.ray_grid import RayGrid, ray_grid
from backend.reconstruction import CameraModel

PINHOLE = CameraModel("PINHOLE", 320, 180, (300.0, 290.0, 158.0, 93.0))
BENT = CameraModel("OPENCV", 320, 180, (300.0, 290.0, 158.0, 93.0, -0.12, 0.03, 0.002, -0.001))


def pixels_of(grid: RayGrid, lens: CameraModel, fx: float) -> np.ndarray:
    """Where the mixed rays fall on the plate that was shot with that focal length."""
    weights = grid.weights(np.array([fx]))[0]
    rays = np.einsum("k,kmc->mc", weights, grid.rays)
    kept = np.unique(grid.quads)
    np.testing.assert_allclose(rays[kept, 2], -1, atol=1e-12)
    return bend(lens.with_focal(fx, fx * lens.focal[1] / lens.focal[0]), rays[:, :2] * [1, -1])


@pytest.mark.parametrize("lens", [PINHOLE, BENT])
def test_rays_fall_on_their_pixels(lens: CameraModel) -> None:
    grid = ray_grid(lens, np.array([300.0, 300.0]), 600)
    assert grid.rays.shape == (1, len(grid.pixels), 3)
    np.testing.assert_allclose(pixels_of(grid, lens, 300.0), grid.pixels, atol=1e-4)


@pytest.mark.parametrize("lens", [PINHOLE, BENT])
def test_rays_follow_the_zoom(lens: CameraModel) -> None:
    grid = ray_grid(lens, np.linspace(280, 560, 9), 600)
    assert len(grid.rays) == (2 if lens is PINHOLE else 5)
    for fx in (280.0, 333.3, 420.0, 560.0):
        np.testing.assert_allclose(pixels_of(grid, lens, fx), grid.pixels, atol=1e-3)


def test_the_grid_reaches_the_outermost_pixels_in_about_so_many_faces() -> None:
    grid = ray_grid(PINHOLE, np.array([300.0]), 600)
    assert 500 < len(grid.quads) < 700
    np.testing.assert_array_equal(grid.pixels.min(axis=0), 0.5)
    np.testing.assert_array_equal(grid.pixels.max(axis=0), [319.5, 179.5])
    finest = ray_grid(PINHOLE, np.array([300.0]), 10**9)
    assert len(finest.quads) == 319 * 179
    corners = grid.pixels[grid.quads[0]] * [1, -1]
    (a, b), (c, d) = corners[1] - corners[0], corners[2] - corners[0]
    assert a * d - b * c > 0


def test_pixels_without_a_ray_are_left_out() -> None:
    """A lens that folds back before the corners of its plate."""
    folded = CameraModel("SIMPLE_RADIAL", 320, 180, (160.0, 160.0, 90.0, -0.4))
    grid = ray_grid(folded, np.array([160.0]), 600)
    kept = np.unique(grid.quads)
    assert 0 < len(kept) < len(grid.pixels)
    assert np.isfinite(grid.rays).all()
    np.testing.assert_allclose(pixels_of(grid, folded, 160.0)[kept], grid.pixels[kept], atol=0.01)


def test_a_fisheye_is_told() -> None:
    fisheye = CameraModel("OPENCV_FISHEYE", 320, 180, (160.0, 160.0, 160.0, 90.0, 0, 0, 0, 0.0))
    with pytest.raises(FormatError, match="OPENCV_FISHEYE"):
        ray_grid(fisheye, np.array([160.0]), 600)


def test_the_plate_reaches_to_its_farthest_corner() -> None:
    assert reach(PINHOLE) == pytest.approx(np.hypot(162 / 300, 93 / 290))
    far = reach(BENT)
    corners = np.array([(0, 0), (320, 0), (0, 180), (320, 180.0)])
    assert far == pytest.approx(np.linalg.norm(straighten(BENT, corners), axis=1).max())
    assert far > reach(PINHOLE)
