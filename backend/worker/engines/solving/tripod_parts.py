# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a turning camera found anew while the rest is held: its images, its directions.

Arrays are those of tripod_model.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....camera import Array, Integers, rotations_from_vectors
from .tripod_model import (
    Free,
    Marks,
    Turn,
    cauchy,
    linearized,
    slices,
    sums,
    tangents_of,
    unit,
)


def resected(turn: Turn, marks: Marks, zoom: bool, rounds: int, scale: float = 1.0) -> Turn:
    """Each image's rotation (and focal length) anew, the directions held.

    The loss is Cauchy's, `scale` standard deviations wide, never narrower than the typical error.
    """
    free = Free(focal=False, zoom=zoom)
    for _ in range(rounds):
        squares = turn.errors(marks) ** 2 * marks.weight
        wide = max(scale, float(np.sqrt(np.median(squares))))
        own, pull = _normal(turn, marks, free, wide)
        own += 1e-9 * np.eye(free.per_image) * (1 + np.trace(own, axis1=1, axis2=2))[:, None, None]
        step = np.linalg.solve(own, pull[:, :, None])[:, :, 0]
        focal = turn.focal * np.exp(np.clip(step[:, 3], -0.2, 0.2)) if zoom else turn.focal
        rotations = rotations_from_vectors(step[:, :3]) @ turn.rotations
        turn = replace(turn, rotations=rotations, focal=focal)
    return turn


def redirected(turn: Turn, marks: Marks, tracks: int, rounds: int, scale: float = 1.0) -> Turn:
    """The direction of every one of `tracks` tracks anew, the images held; Cauchy's loss."""
    turn = replace(turn, directions=_mean_directions(turn, marks, tracks))
    for _ in range(rounds):
        own, pull = _normal(turn, marks, None, scale)
        own[:, [0, 1], [0, 1]] += 1e-9 * (1 + np.trace(own, axis1=1, axis2=2))[:, None]
        step = np.linalg.solve(own, pull[:, :, None])[:, :, 0]
        spins = rotations_from_vectors(np.einsum("tij,tj->ti", tangents_of(turn.directions), step))
        turn = replace(turn, directions=unit(np.einsum("tij,tj->ti", spins, turn.directions)))
    return turn


def _mean_directions(turn: Turn, marks: Marks, tracks: int) -> Array:
    total = np.zeros((tracks, 3))
    for part in slices(len(marks)):
        some = marks.only(part)
        world = np.einsum("mji,mj->mi", turn.rotations[some.image], turn.rays(some))
        total += sums(world, some.track, tracks)
    return unit_or_ahead(total)


def _normal(turn: Turn, marks: Marks, free: Free | None, scale: float) -> tuple[Array, Array]:
    """Normal matrices and right sides of the images (`free`), or of the directions (None)."""
    count = len(turn.directions) if free is None else len(turn.rotations)
    size = 2 if free is None else free.per_image
    own, pull = np.zeros((count, size, size)), np.zeros((count, size))
    for part in slices(len(marks)):
        some = marks.only(part)
        linear = linearized(turn, some, free or Free(focal=False))
        columns, index = (
            (linear.by_track, some.track) if free is None else (linear.by_image, some.image)
        )
        weight = some.weight * cauchy(linear.squares, scale)
        weighted = np.swapaxes(columns * weight[:, None, None], 1, 2)
        own += sums(weighted @ columns, index, count)
        pull += sums(np.einsum("mik,mk->mi", weighted, linear.residual), index, count)
    return own, pull


def median_of(values: Array, index: Integers, count: int) -> Array:
    """Medians (count,) of the values (m,) that share an index; 0 where there are none."""
    order = np.lexsort((values, index))
    lengths = np.bincount(index, minlength=count)
    starts = np.cumsum(lengths) - lengths
    low = np.minimum(starts + np.maximum(lengths - 1, 0) // 2, max(len(values) - 1, 0))
    high = np.minimum(starts + lengths // 2, max(len(values) - 1, 0))
    middle = (values[order[low]] + values[order[high]]) / 2
    return np.where(lengths > 0, middle, 0.0)


def unit_or_ahead(vectors: Array) -> Array:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length > 0, vectors / np.maximum(length, 1e-12), [0.0, 0.0, 1.0])
