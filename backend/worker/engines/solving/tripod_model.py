# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera that only turns: its lens, its rotations, and the directions of what it sees.

n images, t tracks, m marks sorted by track. A direction (t, 3) is a unit vector of the world; the
rotations (n, 3, 3) take it into the camera, x right, y down, z forward. Pixels are measured from
the picture's center. With u = (x / z, y / z) and s = u . u a direction falls on
`(f u_x, f a u_y) (1 + k1 s + k2 s^2)`: COLMAP's RADIAL, a = fy / fx being the pixel's aspect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....camera import Array, Integers

Mask = NDArray[np.bool_]

_AHEAD = 0.02
"""Smallest z of a direction that still counts as before the camera."""


_AT_A_TIME = 100_000


@dataclass(frozen=True, eq=False)
class Marks:
    """track, image (m,), pixel (m, 2) from the center, weight (m,): 1 / variance in px^-2."""

    track: Integers
    image: Integers
    pixel: Array
    weight: Array

    def __len__(self) -> int:
        return len(self.track)

    def only(self, keep: Mask | Integers | slice) -> Marks:
        """The marks chosen by a mask, a slice or by indices that ascend."""
        return Marks(self.track[keep], self.image[keep], self.pixel[keep], self.weight[keep])


@dataclass(frozen=True)
class Free:
    """What of the lens is solved. `zoom` gives each image its own focal length.

    `expected` is the focal length in px (of the first image) that is likely before the plate is
    asked, `spread` its standard deviation (of the log): they matter where the plate says nothing.
    """

    focal: bool = True
    zoom: bool = False
    k1: bool = False
    k2: bool = False
    aspect: bool = False
    expected: float = 0.0
    spread: float = 0.7

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that all images share."""
        shared = {"focal": self.focal and not self.zoom, "k1": self.k1, "k2": self.k2}
        return tuple(name for name, on in (shared | {"aspect": self.aspect}).items() if on)

    @property
    def per_image(self) -> int:
        return 4 if self.zoom else 3


@dataclass(frozen=True, eq=False)
class Turn:
    """A camera that turns: rotations (n, 3, 3), focal (n,) px (fx), directions (t, 3), lens."""

    rotations: Array
    focal: Array
    directions: Array
    k1: float = 0.0
    k2: float = 0.0
    aspect: float = 1.0

    def project(self, marks: Marks) -> Array:
        """Pixels (m, 2) from the center; far away for directions behind the camera."""
        local = _local(self, marks)
        u = local[:, :2] / np.maximum(local[:, 2:], _AHEAD)
        return _bent(u, self) * _scales(self, marks)

    def errors(self, marks: Marks) -> Array:
        """Distances (m,) in px between the marks and where their directions fall."""
        distance: Array = np.linalg.norm(marks.pixel - self.project(marks), axis=1)
        return distance

    def rays(self, marks: Marks) -> Array:
        """Unit vectors (m, 3) of the marks in their cameras."""
        u = unbent(marks.pixel / _scales(self, marks), self.k1, self.k2)
        return unit(np.concatenate([u, np.ones((len(u), 1))], axis=1))


def unit(vectors: Array) -> Array:
    scaled: Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled


def unbent(bent: Array, k1: float, k2: float) -> Array:
    """The u (m, 2) whose image through the lens is `bent`: Newton's method on the radius."""
    radius = np.linalg.norm(bent, axis=1)
    r = radius.copy()
    for _ in range(8 if k1 or k2 else 0):
        s = r * r
        slope = np.maximum(1 + s * (3 * k1 + 5 * k2 * s), 0.2)
        r = np.clip(r - (r * (1 + s * (k1 + k2 * s)) - radius) / slope, 0, 4 * radius)
    straight: Array = bent * (r / np.maximum(radius, 1e-12))[:, None]
    return straight


def sums(values: Array, index: Integers, count: int) -> Array:
    """Sums (count, ...) of the rows (m, ...) that share an index."""
    columns = values.reshape(len(values), int(np.prod(values.shape[1:])))
    added = np.zeros((count, columns.shape[1]))
    for place in range(columns.shape[1]):
        added[:, place] = np.bincount(index, columns[:, place], count)
    return added.reshape(count, *values.shape[1:])


def _scales(turn: Turn, marks: Marks) -> Array:
    focal = turn.focal[marks.image]
    return np.stack([focal, focal * turn.aspect], axis=1)


def slices(count: int) -> list[slice]:
    """Marks by the hundred thousand, so that what is made of each needs little memory at a time."""
    return [slice(start, start + _AT_A_TIME) for start in range(0, count, _AT_A_TIME)]


def _local(turn: Turn, marks: Marks) -> Array:
    local = np.empty((len(marks), 3))
    for part in slices(len(marks)):
        rotations, directions = turn.rotations[marks.image[part]], turn.directions
        local[part] = np.einsum("mij,mj->mi", rotations, directions[marks.track[part]])
    return local


def _bent(u: Array, turn: Turn) -> Array:
    s = (u * u).sum(axis=1, keepdims=True)
    bent: Array = u * (1 + s * (turn.k1 + turn.k2 * s))
    return bent


@dataclass(frozen=True, eq=False)
class Linear:
    """Residuals (m, 2), mark minus projection, and what moves the projection.

    by_image (m, 2, q): a rotation vector in the camera's axes, then log focal length when zooming;
    by_track (m, 2, 2): a turn of the direction about each axis of its `tangents` (t, 3, 2);
    by_lens (m, 2, g): `Free.names`. `squares` (m,) are weighted squared distances.
    """

    residual: Array
    squares: Array
    by_image: Array
    by_track: Array
    by_lens: Array
    tangents: Array


def linearized(turn: Turn, marks: Marks, free: Free) -> Linear:
    local = _local(turn, marks)
    depth = np.maximum(local[:, 2], _AHEAD)
    u, v = local[:, 0] / depth, local[:, 1] / depth
    plane = np.stack([u, v], axis=1)
    s = u * u + v * v
    scales = _scales(turn, marks)
    pixel = plane * (1 + s * (turn.k1 + turn.k2 * s))[:, None] * scales
    by_turn = _slope(turn, plane, s, scales) @ _by_turn(u, v)
    tangents = tangents_of(turn.directions)
    turned = turn.rotations[marks.image] @ tangents[marks.track]
    residual = marks.pixel - pixel
    by_image = np.concatenate([by_turn, pixel[:, :, None]], axis=2) if free.zoom else by_turn
    columns = {
        "focal": pixel,
        "k1": plane * s[:, None] * scales,
        "k2": plane * (s * s)[:, None] * scales,
        "aspect": pixel * [0.0, 1.0],
    }
    shared = [columns[name] for name in free.names]
    by_lens = np.stack(shared, axis=2) if shared else np.zeros((len(marks), 2, 0))
    squares = (residual * residual).sum(axis=1) * marks.weight
    return Linear(residual, squares, by_image, by_turn @ turned, by_lens, tangents)


def _slope(turn: Turn, plane: Array, s: Array, scales: Array) -> Array:
    """(m, 2, 2): how the pixel moves with x / z and y / z."""
    outer = plane[:, :, None] * plane[:, None, :] * (2 * (turn.k1 + 2 * turn.k2 * s))[:, None, None]
    outer[:, [0, 1], [0, 1]] += (1 + s * (turn.k1 + turn.k2 * s))[:, None]
    slope: Array = outer * scales[:, :, None]
    return slope


def _by_turn(u: Array, v: Array) -> Array:
    """(m, 2, 3): how x / z and y / z move as the camera's axes are turned by a small vector."""
    rows = np.empty((len(u), 2, 3))
    rows[:, 0, 0], rows[:, 0, 1], rows[:, 0, 2] = -u * v, 1 + u * u, -v
    rows[:, 1, 0], rows[:, 1, 1], rows[:, 1, 2] = -1 - v * v, u * v, u
    return rows


def tangents_of(directions: Array) -> Array:
    """(t, 3, 2): two unit vectors square to each direction and to each other."""
    smallest = np.argmin(np.abs(directions), axis=1)
    first = unit(np.cross(directions, np.eye(3)[smallest]))
    return np.stack([first, np.cross(directions, first)], axis=2)


def cauchy(squares: Array, scale: float) -> Array:
    """Weights (m,) of Cauchy's robust loss; `scale` in standard deviations."""
    weights: Array = 1 / (1 + squares / scale**2)
    return weights


def cost_of(squares: Array, scale: float) -> float:
    return float(scale**2 * np.log1p(squares / scale**2).sum())
