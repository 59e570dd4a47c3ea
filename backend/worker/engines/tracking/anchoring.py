# SPDX-License-Identifier: GPL-3.0-or-later
"""Registers many small patches to one picture at once, to a few hundredths of a pixel.

Inverse-compositional affine alignment (Baker and Matthews, "Lucas-Kanade 20 Years On", 2004) with
a Gaussian window; gain and bias of the gray levels are projected out (Hager and Belhumeur, 1998).
All that depends on the reference patch alone is computed once, so that a step is one `cv2.remap`
and one product for all patches together.

n patches of p samples; a warp is `center + shape @ sample`, positions have (0, 0) at the middle of
the first pixel, as in OpenCV.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TypeVar

import cv2
import numpy as np

from ....camera import Integers
from ....tracks import Floats
from .blur import Blur, averaged
from .records import Booleans

T = TypeVar("T")

_GRID = np.float32(32)
"""`cv2.remap` rounds positions to 1 / 32 px: patches are sampled where that rounds nothing."""

_SETTLED = 0.05
"""Px; a smaller step ends the registration of a patch."""

_MOST = 0.6
"""Share of the patches from which it is cheaper to step all of them than to pick some out."""

_BLOCK = 256
"""Patches that one thread steps at a time; what is found must not depend on the machine."""

_THREADS = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="register")

_REACH = 0.7
"""Of a patch's radius, standard deviation of its Gaussian: a wide one finds it more exactly, a
narrow one holds where depth changes beside it."""

_DAMPING = 0.02
"""Of the affine part, over the mean of its curvature."""

_STEEPEST = 4.0
"""Px, the farthest that one step may go: farther away the patch is lost."""


@dataclass(frozen=True, eq=False)
class Window:
    """The samples of a patch: a disc, weighted by a Gaussian; `sparse` takes every other one.

    samples  (p, 2) px from the center
    weights  (p,), sum 1
    """

    radius: int
    sparse: bool = False

    @cached_property
    def inside(self) -> Booleans:
        """(side, side), the samples of the square that belong to the disc."""
        axis = np.arange(-self.radius, self.radius + 1)
        disc = np.hypot(axis[:, None], axis[None]) <= self.radius + 0.5
        if self.sparse:
            disc &= (axis[:, None] + axis[None]) % 2 == 0
        return np.asarray(disc)

    @cached_property
    def samples(self) -> Floats:
        rows, columns = np.nonzero(self.inside)
        samples: Floats = np.stack([columns, rows], 1).astype(np.float32)
        return samples - np.float32(self.radius)

    @cached_property
    def weights(self) -> Floats:
        reach = _REACH * self.radius
        weights: Floats = np.exp(-np.square(self.samples).sum(1) / (2 * reach**2))
        return np.asarray(weights / weights.sum(), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class References:
    """What patches are registered to.

    design  (n, 7, p): rows 0 to 5 give the step (x, y, and shape xx, xy, yx, yy), 6 the gain
    spread  (n,) weighted standard deviation of the gray levels
    unit    (n,) px of position error for each gray level of noise
    """

    design: Floats
    spread: Floats
    unit: Floats

    def __len__(self) -> int:
        return len(self.design)

    def take(self, index: Integers | slice) -> References:
        return References(*(getattr(self, part.name)[index] for part in fields(self)))

    def put(self, index: Integers, other: References) -> None:
        """Replaces some in place."""
        for part in fields(self):
            getattr(self, part.name)[index] = getattr(other, part.name)

    @staticmethod
    def joined(first: References, second: References) -> References:
        return References(
            *(
                np.concatenate([getattr(first, part.name), getattr(second, part.name)])
                for part in fields(References)
            )
        )


def references(values: Floats, window: Window) -> References:
    """References of square patches (n, side + 2, side + 2): one sample of border for gradients."""
    middle, across, down = _gradients(values, window)
    x, y = window.samples.T / np.float32(window.radius)
    steepest = np.stack([across, down, across * x, across * y, down * x, down * y], axis=1)
    weights = window.weights
    level = middle - (middle @ weights)[:, None]
    variance = np.maximum(np.square(level) @ weights, 1e-6)
    gain = level * weights / variance[:, None]
    means, slopes = steepest @ weights, (steepest @ gain[:, :, None])[:, :, 0]
    steepest -= means[:, :, None]
    steepest -= slopes[:, :, None] * level[:, None]
    weighted = steepest * weights
    step = _inverse_curvature(weighted @ steepest.transpose(0, 2, 1)) @ weighted
    step[:, 2:] /= window.radius
    unit = np.sqrt(np.square(step[:, :2]).sum(axis=(1, 2)) / 2)
    design = np.concatenate([step, gain[:, None]], axis=1)
    return References(np.ascontiguousarray(design), np.sqrt(variance), unit)


def _gradients(values: Floats, window: Window) -> tuple[Floats, Floats, Floats]:
    """The gray levels (n, p) of patches in a window, and how they change across and down."""
    side = values.shape[2]
    flat = values.reshape(len(values), side * values.shape[1])
    rows, columns = np.nonzero(window.inside)
    index = (rows + 1) * side + columns + 1

    def at(offset: int) -> Floats:
        return np.take(flat, index + offset, axis=1)

    half = np.float32(0.5)
    return at(0), (at(1) - at(-1)) * half, (at(side) - at(-side)) * half


def _inverse_curvature(curvature: Floats) -> Floats:
    """Inverses of matrices (n, 6, 6), damped in place."""
    diagonal = np.einsum("nkk->nk", curvature)
    floor = np.float32(1e-3) + np.float32(1e-4) * diagonal.mean(axis=1)
    diagonal += floor[:, None]
    diagonal[:, 2:] += np.float32(_DAMPING) * diagonal[:, 2:].mean(axis=1, keepdims=True)
    return positive_inverses(curvature)


def positive_inverses(matrices: Floats) -> Floats:
    """Of positive definite matrices (n, k, k), by Gauss and Jordan on all of them at once."""
    left = np.ascontiguousarray(matrices.transpose(1, 2, 0), dtype=np.float64)
    for pivot in range(len(left)):
        scale = 1 / left[pivot, pivot]
        left[pivot, pivot] = 1
        left[pivot] *= scale
        column = left[:, pivot].copy()
        column[pivot] = 0
        left[:, pivot] = np.where(np.arange(len(left))[:, None] == pivot, left[pivot, pivot], 0)
        left -= column[:, None] * left[pivot]
    return np.ascontiguousarray(left.transpose(2, 0, 1), dtype=np.float32)


def cut_out(image: Floats, centers: Integers, reach: int) -> Floats:
    """Square patches (n, 2 reach + 1, 2 reach + 1) around whole pixels (n, 2) of the picture.

    What lies outside the picture repeats its border.
    """
    axis = np.arange(-reach, reach + 1)
    rows = np.clip(centers[:, 1, None] + axis, 0, image.shape[0] - 1)
    columns = np.clip(centers[:, 0, None] + axis, 0, image.shape[1] - 1)
    return np.asarray(image[rows[:, :, None], columns[:, None, :]])


@dataclass(frozen=True, eq=False)
class Registration:
    """Where patches are found.

    center       (n, 2)
    shape        (n, 2, 2)
    correlation  (n,) -1..1 with the reference
    gain         (n,) contrast over that of the reference
    residual     (n,) standard deviation of what is left, in the reference's gray levels
    """

    center: Floats
    shape: Floats
    correlation: Floats
    gain: Floats
    residual: Floats

    def take(self, index: Integers | slice) -> Registration:
        """Some of them; of a slice, a view."""
        return Registration(*(getattr(self, part.name)[index] for part in fields(self)))

    @staticmethod
    def joined(*found: Registration) -> Registration:
        return Registration(
            *(
                np.concatenate([getattr(one, part.name) for one in found])
                for part in fields(Registration)
            )
        )


def in_blocks(work: Callable[[slice], T], count: int) -> list[T]:
    """What `work` makes of patches, block by block on all cores. Not to be called within."""
    blocks = [slice(start, start + _BLOCK) for start in range(0, count, _BLOCK)]
    if len(blocks) == 1:
        return [work(blocks[0])]
    return list(_THREADS.map(work, blocks))


def register(
    image: Floats,
    patches: References,
    window: Window,
    center: Floats,
    shape: Floats,
    steps: int,
    blur: Blur | None = None,
) -> Registration:
    """Registers every patch from the warp given. Patches that have settled are left alone.

    With `blur`, each patch sees the picture drawn out along a streak.
    """
    found = Registration(
        center.astype(np.float32),
        shape.astype(np.float32),
        *(np.zeros(len(patches), np.float32) for _ in range(3)),
    )

    def settle(block: slice) -> None:
        streaks = blur.take(block) if blur else None
        _settle(image, patches.take(block), window, found.take(block), steps, streaks)

    in_blocks(settle, len(patches))
    return found


def _settle(
    image: Floats,
    patches: References,
    window: Window,
    found: Registration,
    steps: int,
    blur: Blur | None,
) -> None:
    """Steps patches until they have settled, written to `found`."""
    every = np.arange(len(patches))
    active = every
    for _ in range(steps):
        if not len(active):
            break
        if len(active) > _MOST * len(every):
            active = every
        part = patches if active is every else patches.take(active)
        moved = _step(image, part, window, found, active, blur)
        active = active[moved > _SETTLED]


def _step(
    image: Floats,
    patches: References,
    window: Window,
    found: Registration,
    index: Integers,
    blur: Blur | None,
) -> Floats:
    """One step of the patches `index`, written to `found`; returns how far each moved in px."""
    center = np.rint(found.center[index] * _GRID) / _GRID
    shape = found.shape[index]
    seen = _sampled(image, window, center, shape, blur.take(index) if blur else None)
    answer = np.einsum("nkp,np->nk", patches.design, seen)
    mean = seen @ window.weights
    spread = np.sqrt(np.maximum(np.square(seen) @ window.weights - mean**2, 1e-6))
    gain = answer[:, 6]
    found.gain[index] = gain
    found.correlation[index] = correlation = gain * patches.spread / spread
    sure = np.clip(correlation, 0.1, 1)
    found.residual[index] = patches.spread * np.sqrt(1 - sure**2) / sure
    step = answer[:, :6] / np.maximum(gain, 0.05)[:, None]
    length = np.hypot(step[:, 0], step[:, 1])
    step *= np.minimum(1, _STEEPEST / np.maximum(length, 1e-6))[:, None]
    found.shape[index] = turned = shape @ inverses(
        np.eye(2, dtype=np.float32) + step[:, 2:].reshape(-1, 2, 2)
    )
    moved = center - np.einsum("nij,nj->ni", turned, step[:, :2])
    change = moved - found.center[index]
    found.center[index] = moved
    return np.asarray(np.hypot(change[:, 0], change[:, 1]))


def _sampled(
    image: Floats, window: Window, center: Floats, shape: Floats, blur: Blur | None
) -> Floats:
    """(n, p) gray levels under the warped patches."""
    x, y = (
        shape[:, row, :1] * window.samples[:, 0]
        + shape[:, row, 1:] * window.samples[:, 1]
        + center[:, row, None]
        for row in (0, 1)
    )
    if blur is not None:
        return averaged(blur.lights, x, y, np.einsum("nij,nj->ni", shape, blur.streaks))
    return np.asarray(
        cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32
    )


def determinants(shape: Floats) -> Floats:
    """Of matrices (n, 2, 2)."""
    return np.asarray(shape[:, 0, 0] * shape[:, 1, 1] - shape[:, 0, 1] * shape[:, 1, 0])


def stretches(shape: Floats) -> Floats:
    """(n,) larger over smaller singular value of matrices (n, 2, 2)."""
    area = np.maximum(np.abs(determinants(shape)), np.float32(1e-6))
    half = np.maximum(np.square(shape).sum(axis=(1, 2)) / (2 * area), 1)
    return np.asarray(half + np.sqrt(half**2 - 1))


def expected_error(patches: References, found: Registration) -> Floats:
    """(n,) px in the picture, from what is left of the gray levels.

    A patch that had to be stretched is less sure: often it is an edge that slides along itself.
    """
    size = np.sqrt(np.abs(determinants(found.shape)))
    return np.asarray(patches.unit * found.residual * size * stretches(found.shape))


def inverses(shape: Floats) -> Floats:
    """Of matrices (n, 2, 2), those without one aside."""
    determinant = determinants(shape)
    determinant = np.where(np.abs(determinant) < 0.1, np.float32(0.1), determinant)
    turned = np.stack([shape[:, 1, 1], -shape[:, 0, 1], -shape[:, 1, 0], shape[:, 0, 0]], axis=1)
    return np.asarray((turned / determinant[:, None]).reshape(-1, 2, 2), dtype=np.float32)
