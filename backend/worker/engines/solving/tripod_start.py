# SPDX-License-Identifier: GPL-3.0-or-later
"""First values for a turning camera: rotations chained from image to image over the tracks.

Arrays and axes are those of tripod_model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....camera import Array
from .tripod_model import Marks, Mask, Turn, unit
from .tripod_parts import resected, unit_or_ahead

FEWEST = 8
"""Tracks that an image must share with those before it to be joined to them."""

_TRIES = 48
_MOST_TRIED = 400
_NEAR = 3.0
"""Px within which a track agrees with a tried rotation."""


@dataclass(frozen=True, eq=False)
class Chain:
    """The first turn of all images, and which of them hang together: the longest run (n,)."""

    turn: Turn
    joined: Mask


def chained(marks: Marks, images: int, tracks: int, lens: Turn, zoom: bool) -> Chain:
    """Rotations of every image from the tracks it shares with those before it.

    `lens` gives focal length (of the first image) and distortion. With `zoom` the focal length of
    each image is found besides.
    """
    order = np.argsort(marks.image, kind="stable")
    bounds = np.searchsorted(marks.image[order], np.arange(images + 1))
    found = _Chaining(images, tracks, lens, zoom)
    for image in range(images):
        found.add(image, marks.only(order[bounds[image] : bounds[image + 1]]))
    return found.result()


class _Chaining:
    """`run` (n,) numbers the runs of images that hang together, from 1; 0 for hardly a mark."""

    def __init__(self, images: int, tracks: int, lens: Turn, zoom: bool) -> None:
        self.zoom = zoom
        self.lens = lens
        self.rotations = np.tile(np.eye(3), (images, 1, 1))
        self.focal = np.full(images, float(lens.focal[0]))
        self.total = np.zeros((tracks, 3))
        self.run = np.zeros(images, dtype=np.int64)
        self.runs = 0
        self.rng = np.random.default_rng(1)

    def add(self, image: int, marks: Marks) -> None:
        before = max(image - 1, 0)
        self.rotations[image], self.focal[image] = self.rotations[before], self.focal[before]
        if len(marks) < FEWEST:
            return
        known = np.flatnonzero(np.abs(self.total[marks.track]).sum(axis=1) > 0)
        good = np.ones(len(marks), dtype=bool)
        if len(known) >= FEWEST:
            good[known] = self._join(image, marks.only(known))
        else:
            # Nothing ties this image to those before: another run begins.
            self.runs += 1
            self.total[:] = 0
        self.run[image] = self.runs
        rays = self._turn(image).rays(replace(marks, image=np.zeros_like(marks.image)))
        self.total[marks.track[good]] += rays[good] @ self.rotations[image]

    def _turn(self, image: int, directions: Array | None = None) -> Turn:
        return replace(
            self.lens,
            rotations=self.rotations[image : image + 1],
            focal=self.focal[image : image + 1],
            directions=np.zeros((0, 3)) if directions is None else directions,
        )

    def _join(self, image: int, marks: Marks) -> Mask:
        """Finds the image's rotation; which of the marks (m,) it explains."""
        local = replace(
            marks, track=np.arange(len(marks)), image=np.zeros(len(marks), dtype=np.int64)
        )
        turn = self._turn(image, unit(self.total[marks.track]))
        near = _NEAR / float(turn.focal[0])
        rotation = tried_rotation(turn.directions, turn.rays(local), near, self.rng)
        better = replace(turn, rotations=rotation[None])
        if np.median(better.errors(local)) < np.median(turn.errors(local)):
            turn = better
        turn = resected(turn, local, self.zoom, 3)
        self.rotations[image], self.focal[image] = turn.rotations[0], turn.focal[0]
        errors = turn.errors(local)
        good: Mask = errors < max(_NEAR, 3 * float(np.median(errors)))
        return good

    def result(self) -> Chain:
        lens = replace(
            self.lens,
            rotations=self.rotations,
            focal=self.focal,
            directions=unit_or_ahead(self.total),
        )
        lengths = np.bincount(self.run, minlength=2)
        longest = 1 + int(np.argmax(lengths[1:]))
        return Chain(lens, self.run == longest)


def tried_rotation(world: Array, rays: Array, near: float, rng: np.random.Generator) -> Array:
    """The rotation of two tracks that takes most of `world` (m, 3) to within `near` of `rays`."""
    step = -(-len(world) // _MOST_TRIED)
    thin_world, thin_rays = world[::step], rays[::step]
    pairs = rng.integers(0, len(world), (_TRIES, 2))
    rotations = _frames(rays[pairs]) @ np.swapaxes(_frames(world[pairs]), 1, 2)
    turned = np.einsum("kij,mj->kmi", rotations, thin_world)
    squares = ((turned - thin_rays) ** 2).sum(axis=2) / near**2
    best: Array = rotations[np.argmin(np.log1p(squares).sum(axis=1))]
    return best


def _frames(two: Array) -> Array:
    """Axes (k, 3, 3), in columns, that two directions (k, 2, 3) span."""
    middle = two[:, 0] + two[:, 1] + 1e-12
    across = np.cross(two[:, 0], two[:, 1]) + 1e-15
    first, second = unit(middle), unit(across)
    return np.stack([first, second, np.cross(first, second)], axis=2)
