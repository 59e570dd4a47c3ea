# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each pixel of the undistorted plate lies in the plate as shot, and the other way.

Positions are pixels with (0, 0) at the corner of the first pixel, as COLMAP counts. Lens models are
COLMAP's own, so whatever it solves can be undistorted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..camera import Array
from ..reconstruction import CameraModel
from ..solve import Solve
from ..undistorted import UndistortedPlate, pinhole_focal
from .projection import colmap_camera

MOST_GROWTH = 2.0
"""How many times as wide and high as the plate the undistorted one may be. A fisheye's corners lie
at infinity; what reaches farther out is cut."""

_BORDER_POINTS = 65
_SAME = 0.01
"""Pixels that a lens may move a pixel and still count as one that moves nothing."""
_SHAVED = 0.25
"""Pixels of the outermost row that are given up rather than adding two more rows."""
_MOST_LENSES = 200


def undistorted_plate(solve: Solve) -> UndistortedPlate:
    """The size of a solve's undistorted plate: one for the shot, also where the lens zooms."""
    focals = np.unique(solve.track.focal, axis=0)
    step = max(1, len(focals) // _MOST_LENSES)
    few = np.concatenate([focals[::step], focals[-1:]])
    return plate_for([solve.camera.with_focal(*focal) for focal in few.tolist()])


def plate_for(lenses: Sequence[CameraModel]) -> UndistortedPlate:
    """The smallest undistorted plate that holds the picture of each lens; all of one size.

    Even sizes, which every codec takes.
    """
    size = np.array([lenses[0].width, lenses[0].height])
    if all(_moves_nothing(lens) for lens in lenses):
        width, height = size.tolist()
        return UndistortedPlate(width, height, width, height, is_plate=True)
    reach = np.max([_reach(lens) for lens in lenses], axis=0)
    stretch = pinhole_focal(np.array(lenses[0].focal)) / np.array(lenses[0].focal)
    most = size / 2 * stretch * MOST_GROWTH
    cut = bool((reach > most).any())
    width, height = (2 * np.ceil(np.minimum(reach, most) - _SHAVED).astype(int)).tolist()
    return UndistortedPlate(width, height, lenses[0].width, lenses[0].height, cut=cut)


def _moves_nothing(lens: CameraModel) -> bool:
    """Whether the plate is an undistorted one already: a pinhole, centered, with square pixels."""
    size = np.array([lens.width, lens.height])
    fx, fy = lens.focal
    off_center = np.abs(size / 2 - lens.center).max()
    return bool(
        lens.is_pinhole and off_center < _SAME and abs(fx / fy - 1) * size.max() / 2 < _SAME
    )


def _reach(lens: CameraModel) -> Array:
    """(2,) pixels of the undistorted plate from its middle to the farthest point of the plate.

    Infinite where an ideal pinhole cannot see what the lens does.
    """
    across = np.linspace(0, lens.width, _BORDER_POINTS)
    down = np.linspace(0, lens.height, _BORDER_POINTS)
    border = np.concatenate(
        [np.stack(np.broadcast_arrays(across, y), 1) for y in (0.0, lens.height)]
        + [np.stack(np.broadcast_arrays(x, down), 1) for x in (0.0, lens.width)]
    )
    slopes = np.nan_to_num(np.abs(_slopes(lens, border)), nan=np.inf)
    far: Array = slopes.max(axis=0) * pinhole_focal(np.array(lens.focal))
    return far


def _slopes(lens: CameraModel, pixels: Array) -> Array:
    """x / z and y / z of the rays through pixels (m, 2) of the plate; NaN where there is none.

    COLMAP answers something for rays from the side and from behind, too: only what leads back to
    its pixel is taken.
    """
    camera = colmap_camera(lens)
    rays = np.ones((len(pixels), 3))
    rays[:, :2] = camera.cam_from_img(pixels)
    back = np.array(camera.img_from_cam(rays), dtype=np.float64)
    lost = ~(np.abs(back - pixels).max(axis=1) < _SAME)
    slopes: Array = rays[:, :2]
    slopes[lost] = np.nan
    return slopes


@dataclass(frozen=True)
class LensMaps:
    """One lens and the undistorted plate that it is taken out to."""

    lens: CameraModel
    plate: UndistortedPlate

    @property
    def _pinhole(self) -> tuple[float, Array]:
        """Focal length and center of the undistorted plate's camera."""
        center = np.array([self.plate.width, self.plate.height]) / 2
        return float(pinhole_focal(np.array(self.lens.focal))), center

    def undistort(self) -> Array:
        """(height, width, 2) of the undistorted plate: where each pixel's center lies in the plate.

        Also beyond the plate's edges; NaN where the lens sees nothing.
        """
        focal, center = self._pinhole
        camera = colmap_camera(self.lens)

        def bent(pixels: Array) -> Array:
            rays = np.ones((len(pixels), 3))
            rays[:, :2] = (pixels - center) / focal
            return np.array(camera.img_from_cam(rays), dtype=np.float64)

        positions = everywhere(bent, self.plate.width, self.plate.height)
        positions[~_unfolded(positions)] = np.nan
        return positions

    def distort(self) -> Array:
        """(height, width, 2) of the plate: where each pixel's center lies in the undistorted one.

        NaN where the lens sees nothing.
        """
        focal, center = self._pinhole

        def straight(pixels: Array) -> Array:
            return _slopes(self.lens, pixels) * focal + center

        return everywhere(straight, self.lens.width, self.lens.height)


Warp = Callable[[Array], Array]
"""Takes pixels (m, 2) to others."""

_NODES = 33
_PROBES = 29
_EXACT = 1e-4
"""Pixels that an interpolated position may be off."""


def everywhere(warp: Warp, width: int, height: int) -> Array:
    """(height, width, 2) a warp at the center of every pixel.

    Lenses are so smooth that a polynomial through a thousand places says all others, in a tenth of
    the time. Where it does not (a lens at the end of its range), each pixel is computed.
    """
    found = _interpolated(warp, width, height)
    columns, rows = (np.linspace(0, size - 1, _PROBES).astype(int) for size in (width, height))
    exact = _on_grid(warp, columns + 0.5, rows + 0.5)
    # A comparison with NaN is never true.
    if (np.abs(found[np.ix_(rows, columns)] - exact) < _EXACT).all():
        return found
    return _on_grid(warp, np.arange(width) + 0.5, np.arange(height) + 0.5)


def _on_grid(warp: Warp, x: Array, y: Array) -> Array:
    """(y, x, 2) a warp at every pair of the coordinates x and y."""
    pixels = np.stack(np.meshgrid(x, y), axis=-1)
    warped: Array = warp(pixels.reshape(-1, 2)).reshape(pixels.shape)
    return warped


def _interpolated(warp: Warp, width: int, height: int) -> Array:
    """A warp at the center of every pixel, by the polynomial through Chebyshev's points."""
    angles = (np.arange(_NODES) + 0.5) * np.pi / _NODES
    nodes = (1 - np.cos(angles)) / 2
    grid = _on_grid(warp, nodes * width, nodes * height)
    across, down = (_polynomial(nodes, np.sin(angles), size) for size in (width, height))
    return np.stack([down @ grid[..., axis] @ across.T for axis in (0, 1)], axis=-1)


def _polynomial(nodes: Array, weights: Array, size: int) -> Array:
    """(size, n) what each node (n,) in 0..1 counts for at the centers of `size` pixels.

    The barycentric formula: Berrut and Trefethen, Barycentric Lagrange interpolation, SIAM Review
    46 (2004) 501. `weights` are those of the nodes but for their alternating signs.
    """
    away = ((np.arange(size) + 0.5) / size)[:, None] - nodes
    # On a node itself the formula divides by zero; this near to it, it says the same.
    away[np.abs(away) < 1e-14] = 1e-14
    parts = weights * (-1.0) ** np.arange(len(nodes)) / away
    shares: Array = parts / parts.sum(axis=1, keepdims=True)
    return shares


_COARSE = 8
"""Steps in px at which a map that is nowhere turned over is looked at."""


def _unfolded(positions: Array) -> NDArray[np.bool_]:
    """Where (h, w) a map is one to one: the part around its middle that is not turned over.

    Past some angle a polynomial lens turns back and shows the plate again, mirrored.
    """
    every = positions[::_COARSE, ::_COARSE]
    if min(every.shape[:2]) > 1 and _upright(every).all():
        return np.ones(positions.shape[:2], dtype=np.bool_)
    upright = _upright(positions)
    _count, found = cv2.connectedComponents(upright.astype(np.uint8), connectivity=4)
    labels = np.asarray(found)
    middle = labels[labels.shape[0] // 2, labels.shape[1] // 2]
    same: NDArray[np.bool_] = (labels == middle) & upright
    return same


def _upright(positions: Array) -> NDArray[np.bool_]:
    """Where (h, w) neighbors of a map lie as the pixels do, not mirrored."""
    along = np.gradient(positions, axis=1)
    down = np.gradient(positions, axis=0)
    area = along[..., 0] * down[..., 1] - along[..., 1] * down[..., 0]
    upright: NDArray[np.bool_] = np.nan_to_num(area, nan=-1.0) > 0
    return upright
