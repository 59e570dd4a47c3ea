# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a turning camera found anew while the rest is held: its images, its directions.

Arrays are those of tripod_model.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....camera import Array, Integers
from .tripod_model import Free, Marks, Turn, linearized, rotations_of, sums, tangents_of, unit


def resected(turn: Turn, marks: Marks, zoom: bool, rounds: int, scale: float = 1.0) -> Turn:
    """Each image's rotation (and focal length) anew, the directions held. `scale` in px or sigma.

    The loss is Cauchy's, its width never under the image's own median error.
    """
    free = Free(focal=False, zoom=zoom)
    images = len(turn.rotations)
    for _ in range(rounds):
        linear = linearized(turn, marks, free)
        wide = max(scale**2, float(np.median(linear.squares)))
        weight = marks.weight / (1 + linear.squares / wide)
        weighted = np.swapaxes(linear.by_image * weight[:, None, None], 1, 2)
        own = sums(weighted @ linear.by_image, marks.image, images)
        pull = sums(np.einsum("mik,mk->mi", weighted, linear.residual), marks.image, images)
        own += 1e-9 * np.eye(free.per_image) * (1 + np.trace(own, axis1=1, axis2=2))[:, None, None]
        step = np.linalg.solve(own, pull[:, :, None])[:, :, 0]
        focal = turn.focal * np.exp(np.clip(step[:, 3], -0.2, 0.2)) if zoom else turn.focal
        rotations = rotations_of(step[:, :3]) @ turn.rotations
        turn = replace(turn, rotations=rotations, focal=focal)
    return turn


def redirected(turn: Turn, marks: Marks, tracks: int, rounds: int, scale: float = 1.0) -> Turn:
    """The direction of every one of `tracks` tracks anew, the images held; Cauchy's loss."""
    rays = turn.rays(marks)
    world = np.einsum("mji,mj->mi", turn.rotations[marks.image], rays)
    turn = replace(turn, directions=unit_or_ahead(sums(world, marks.track, tracks)))
    for _ in range(rounds):
        linear = linearized(turn, marks, Free(focal=False))
        weight = marks.weight / (1 + linear.squares / scale**2)
        weighted = np.swapaxes(linear.by_track * weight[:, None, None], 1, 2)
        own = sums(weighted @ linear.by_track, marks.track, tracks)
        pull = sums(np.einsum("mik,mk->mi", weighted, linear.residual), marks.track, tracks)
        own[:, [0, 1], [0, 1]] += 1e-9 * (1 + np.trace(own, axis1=1, axis2=2))[:, None]
        step = np.linalg.solve(own, pull[:, :, None])[:, :, 0]
        spins = rotations_of(np.einsum("tij,tj->ti", tangents_of(turn.directions), step))
        turn = replace(turn, directions=unit(np.einsum("tij,tj->ti", spins, turn.directions)))
    return turn


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
