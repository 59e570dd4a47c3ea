# SPDX-License-Identifier: GPL-3.0-or-later
"""Views at the sizes that matching runs through, coarse to fine, and cameras from view to view."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..views import Floats, View

Doubles = NDArray[np.float64]

MOST_LEVELS = 4
CALMING = 0.7
"""Standard deviation in pixels of the blur before matching: patches leave out every other row and
column, so that without it half of the picture's detail is grain to them."""
SMALLEST_SIDE = 60
"""No level has a shorter side than this, in pixels."""


def level_sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Width and height of each level, the finest (the view's own) first, each half the last."""
    width, height = size
    halves = [(-(-width // 2**level), -(-height // 2**level)) for level in range(1, MOST_LEVELS)]
    return [size, *(half for half in halves if min(half) >= SMALLEST_SIDE)]


def gray_levels(view: View, sizes: Sequence[tuple[int, int]]) -> list[Floats]:
    """Brightness 0 to 1 at each size, NaN where a pixel that is not usable has a part."""
    gray: Floats = cv2.cvtColor(view.colors, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    hidden: Floats = (~view.usable).astype(np.float32)
    some = bool(hidden.any())
    found: list[Floats] = []
    for index, size in enumerate(sizes):
        if index:
            gray = _smaller(gray, size)
            hidden = _smaller(hidden, size) if some else hidden
        found.append(_calm(gray, hidden > 0) if some else _blurred(gray))
    return found


def _smaller(image: Floats, size: tuple[int, int]) -> Floats:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


def _blurred(image: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), CALMING), np.float32)


def _calm(gray: Floats, hidden: NDArray[np.bool_]) -> Floats:
    """Blurred without what is hidden, which becomes NaN."""
    share = _blurred((~hidden).astype(np.float32))
    seen = _blurred(np.where(hidden, np.float32(0), gray))
    blurred: Floats = np.where(hidden, np.float32(np.nan), seen / np.maximum(share, 1e-6))
    return blurred.astype(np.float32)


def intrinsics(view: View, size: tuple[int, int]) -> Doubles:
    """fx, fy, cx, cy at a size, for coordinates with a pixel's center at whole numbers."""
    scale = np.array(size) / view.size
    focal, center = np.array(view.focal), np.array(view.center)
    return np.concatenate([focal * scale, center * scale - 0.5])


def _matrix(view: View, size: tuple[int, int]) -> Doubles:
    fx, fy, cx, cy = intrinsics(view, size)
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def warp(here: View, there: View, size: tuple[int, int], other: tuple[int, int]) -> Doubles:
    """(12,) M, 3 x 3, and k: a pixel p = (x, y, 1) of inverse depth w here is at M p + k w there,
    divided by its third coordinate; that times depth here is depth there."""
    turn = there.rotation @ here.rotation.T
    move = there.translation - turn @ here.translation
    camera = _matrix(there, other)
    matrix = camera @ turn @ np.linalg.inv(_matrix(here, size))
    return np.concatenate([matrix.ravel(), camera @ move])


def parallax(warps: Doubles, size: tuple[int, int], w: float) -> Doubles:
    """(n,) how many pixels each source's picture moves by a change of 1 in inverse depth at `w`,
    the mean over the image."""
    x, y = np.meshgrid(np.linspace(0.1, 0.9, 4) * size[0], np.linspace(0.1, 0.9, 4) * size[1])
    points = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    matrices, moves = warps[:, :9].reshape(-1, 3, 3), warps[:, 9:, None]
    at = matrices @ points + moves * w
    z = np.where(np.abs(at[:, 2:]) > 1e-3, at[:, 2:], 1e-3)
    speed = (moves[:, :2] * z - at[:, :2] * moves[:, 2:]) / z**2
    found: Doubles = np.linalg.norm(speed, axis=1).mean(axis=1)
    return found
