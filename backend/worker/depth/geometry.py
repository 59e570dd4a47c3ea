# SPDX-License-Identifier: GPL-3.0-or-later
"""A frame's camera over a map of any size, and what of one frame's depth another frame sees.

A map's pixels divide the plate as it was shot evenly, lens distortion included; a pixel's center
lies half a pixel from its corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ...camera import Array
from ...lens import bend, straighten
from ...reconstruction import CameraModel
from ..lens_maps import everywhere
from .line import Floats


@dataclass(frozen=True, eq=False)
class MapView:
    """A frame's camera with a map of `size` (width, height).

    rotation (3, 3) and translation (3,) take the shot's world to the camera: x right, y down, z
    forward.
    """

    number: int
    size: tuple[int, int]
    lens: CameraModel
    rotation: Array
    translation: Array

    def slopes(self) -> Floats:
        """(h, w, 2) x / z and y / z of the rays through the map's pixels."""
        return _slopes(self.lens, self.size)

    def pixels(self, local: Array) -> Array:
        """(m, 2) where points (m, 3) in the camera's axes fall on the map; NaN behind the
        camera."""
        depth = np.where(local[:, 2] > 0, local[:, 2], np.nan)
        with np.errstate(invalid="ignore"):
            places = bend(self.lens, local[:, :2] / depth[:, None])
        return places * (self.size[0] / self.lens.width, self.size[1] / self.lens.height)

    def local(self, points: Array) -> Array:
        """Points (m, 3) of the shot's world in the camera's axes."""
        moved: Array = points @ self.rotation.T + self.translation
        return moved


@lru_cache(maxsize=4)
def _slopes(lens: CameraModel, size: tuple[int, int]) -> Floats:
    scale = np.array([lens.width / size[0], lens.height / size[1]])
    return everywhere(lambda pixels: straighten(lens, pixels * scale), *size).astype(np.float32)


def step_between(one: MapView, other: MapView) -> tuple[Array, Array]:
    """Rotation and translation from the first camera's axes to the second's."""
    rotation = other.rotation @ one.rotation.T
    return rotation, other.translation - rotation @ one.translation


@dataclass(frozen=True, eq=False)
class Seen:
    """What a second frame sees of m pixels of a first one.

    places (m, 2) in the second's map, NaN where it does not see them; depth (m,) in the second;
    gain (m,) how much of a change of the first's depth, both as shares, changes that.
    """

    places: Array
    depth: Array
    gain: Array


def look(one: MapView, other: MapView, slopes: Array, depth: Array) -> Seen:
    """What the second frame sees of the first one's rays with slopes (m, 2) at depths (m,)."""
    rotation, translation = step_between(one, other)
    rays = np.concatenate([slopes, np.ones((len(slopes), 1))], axis=1)
    turned = rays @ rotation.T
    local = turned * depth[:, None] + translation
    places = other.pixels(local)
    outside = ~((places >= 0) & (places <= other.size)).all(axis=1)
    places[outside] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = turned[:, 2] * depth / local[:, 2]
    return Seen(places, local[:, 2], gain)


def sampled(values: Floats, places: Array) -> Array:
    """(m,) of a map at places (m, 2), in between its pixels; NaN at places that are NaN.

    0 means nothing in a map: next to it there is nothing either.
    """
    x, y = (np.nan_to_num(places[:, axis], nan=-9.0).astype(np.float32) - 0.5 for axis in (0, 1))
    lookup = np.ascontiguousarray(values, np.float32)

    def read(of: Floats, way: int) -> Array:
        rows = _remapped(of, x, y, way)
        return rows

    found = read(lookup, cv2.INTER_LINEAR)
    whole = read((lookup > 0).astype(np.float32), cv2.INTER_LINEAR)
    result: Array = np.where(whole > 0.999, found, 0.0)
    result[np.isnan(places).any(axis=1)] = np.nan
    return result


_ROW = 16384
"""OpenCV takes no maps that are longer than 32767 pixels."""


def _remapped(values: Floats, x: Floats, y: Floats, way: int) -> Array:
    found = np.empty(len(x))
    for start in range(0, len(x), _ROW):
        part = slice(start, start + _ROW)
        row = cv2.remap(values, x[None, part], y[None, part], way, borderMode=cv2.BORDER_REPLICATE)
        found[part] = np.asarray(row)[0]
    return found
