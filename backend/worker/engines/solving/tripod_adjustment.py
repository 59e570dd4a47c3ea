# SPDX-License-Identifier: GPL-3.0-or-later
"""The adjustment of a camera that only turns: rotations, directions of the tracks, one lens.

Gauss-Newton with the directions eliminated (Schur complement; Triggs et al., Bundle Adjustment: A
Modern Synthesis, 2000, section 6). The images are taken in blocks, and no track spans more than
two of them, so the reduced system is block tridiagonal with a border for the lens: time and memory
grow linearly with the images. Arrays are those of tripod_model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....camera import Array, Integers, rotations_from_vectors
from .tripod_model import (
    Free,
    Linear,
    Marks,
    Turn,
    cauchy,
    cost_of,
    linearized,
    sums,
    tangents_of,
    unit,
)
from .tripod_parts import redirected, resected

BLOCK = 64
"""Images to a block when there are more than two blocks of them."""

_FIRST_DAMPING = 1e-7
_PRIOR_K = 0.3
_PRIOR_ASPECT = 0.05
"""Standard deviations that coefficients and aspect (log) are taken to have about their first values
before the plate is asked: they only matter where it says nothing."""

_ZOOM_STEP = 0.02
"""The same for the change of log focal length from one image to the next."""


@dataclass(frozen=True, eq=False)
class Adjusted:
    """The adjusted turn, its robust cost, and the covariance of `Free.names` (sigma 1 px marks).

    With a zoom, the covariance is of nothing but the shared parameters; `focal_variance` is that
    of log focal length, the mean over images.
    """

    turn: Turn
    cost: float
    covariance: Array
    focal_variance: float


def pieces_of(marks: Marks, images: int) -> Marks:
    """The marks with tracks cut where they would span more than two blocks of images.

    Every other track is cut one block later than its neighbors, so that no cut goes through all.
    """
    if images <= 2 * BLOCK:
        return marks
    block = marks.image // BLOCK
    odd = marks.track % 2
    part = (block + odd) // 2
    starts = np.ones(len(marks), dtype=bool)
    starts[1:] = (np.diff(marks.track) != 0) | (np.diff(part) != 0)
    return replace(marks, track=np.cumsum(starts) - 1)


def adjust(
    turn: Turn,
    marks: Marks,
    free: Free,
    scale: float,
    rounds: int,
    held: Integers | None = None,
    enough: float = 1e-6,
) -> Adjusted:
    """Up to `rounds` steps of damped Gauss-Newton under Cauchy's loss.

    Stops once a step lowers the cost by less than the share `enough` of it.

    `turn.directions` are those of the marks' tracks (of the pieces, after `pieces_of`). The
    rotations of the images `held` stay, one for each set of images that share tracks: by default
    the first image's.
    """
    held = np.zeros(1, dtype=np.int64) if held is None else held
    damping = _FIRST_DAMPING
    first = turn
    linear = linearized(turn, marks, free)
    cost = _cost(turn, first, linear, free, scale)
    for _ in range(rounds):
        step = _Reduced(turn, first, marks, linear, free, scale, damping, held).step()
        tried = _moved(turn, free, *step)
        linear_tried = linearized(tried, marks, free)
        cost_tried = _cost(tried, first, linear_tried, free, scale)
        if not cost_tried < cost:
            tried = _settled(tried, marks, free, scale)
            linear_tried = linearized(tried, marks, free)
            cost_tried = _cost(tried, first, linear_tried, free, scale)
        if not cost_tried < cost:
            damping = min(damping * 30, 1e3)
            continue
        gain = cost - cost_tried
        turn, linear, cost, damping = tried, linear_tried, cost_tried, max(damping / 30, 1e-12)
        if gain < enough * cost:
            break
    reduced = _Reduced(turn, first, marks, linear, free, scale, 0.0, held)
    covariance, focal_variance = reduced.covariances()
    return Adjusted(turn, cost, covariance, focal_variance)


def _settled(turn: Turn, marks: Marks, free: Free, scale: float) -> Turn:
    """The same lens, with directions and rotations that suit it.

    A step that changes the focal length turns everything by much, and the equations are only of
    first order: a good lens can come with rotations that are off.
    """
    for _ in range(2):
        turn = redirected(turn, marks, len(turn.directions), 1, scale)
        turn = resected(turn, marks, free.zoom, 1, scale)
    return redirected(turn, marks, len(turn.directions), 1, scale)


def _cost(turn: Turn, first: Turn, linear: Linear, free: Free, scale: float) -> float:
    cost = cost_of(linear.squares, scale)
    offsets, weights = _priors(turn, first, free)
    cost += float((offsets**2 * weights).sum())
    if free.zoom:
        cost += float((np.diff(np.log(turn.focal)) ** 2).sum()) / _ZOOM_STEP**2
        cost += (_focal_offset(turn, first, free) / free.spread) ** 2
    return cost


def _focal_offset(turn: Turn, first: Turn, free: Free) -> float:
    """Log focal length of the first image less what is expected of it."""
    return float(np.log(turn.focal[0] / (free.expected or first.focal[0])))


def _priors(turn: Turn, first: Turn, free: Free) -> tuple[Array, Array]:
    """How far each shared parameter is from where it is expected, and the weight of that."""
    offsets = {
        "focal": (_focal_offset(turn, first, free), free.spread),
        "k1": (turn.k1, _PRIOR_K),
        "k2": (turn.k2, _PRIOR_K),
        "aspect": (np.log(turn.aspect / first.aspect), _PRIOR_ASPECT),
    }
    chosen = np.array([offsets[name] for name in free.names]).reshape(-1, 2)
    return chosen[:, 0], 1 / chosen[:, 1] ** 2


def _moved(turn: Turn, free: Free, images: Array, tracks: Array, lens: Array) -> Turn:
    """The turn after a step: images (n, q), tracks (t, 2), lens (g,)."""
    tangents = tangents_of(turn.directions)
    spins = rotations_from_vectors(np.einsum("tij,tj->ti", tangents, tracks))
    change = dict(zip(free.names, np.clip(lens, -0.4, 0.4).tolist(), strict=True))
    zoom = images[:, 3] if free.zoom else np.full(len(images), change.get("focal", 0.0))
    return Turn(
        rotations=rotations_from_vectors(images[:, :3]) @ turn.rotations,
        focal=turn.focal * np.exp(np.clip(zoom, -0.4, 0.4)),
        directions=unit(np.einsum("tij,tj->ti", spins, turn.directions)),
        k1=turn.k1 + change.get("k1", 0.0),
        k2=turn.k2 + change.get("k2", 0.0),
        aspect=float(turn.aspect * np.exp(change.get("aspect", 0.0))),
    )


class _Reduced:
    """The normal equations without the directions: a chain of blocks with a border."""

    def __init__(
        self,
        turn: Turn,
        first: Turn,
        marks: Marks,
        linear: Linear,
        free: Free,
        scale: float,
        damping: float,
        held: Integers,
    ) -> None:
        self.marks, self.linear, self.free, self.damping = marks, linear, free, damping
        self.held = held
        self.images, self.tracks = len(turn.rotations), len(turn.directions)
        self.size = BLOCK if self.images > 2 * BLOCK else self.images
        self.blocks = -(-self.images // self.size)
        self.weight = marks.weight * cauchy(linear.squares, scale)
        self._eliminate()
        self._own_terms()
        self._prior_terms(turn, first)
        self._fill_in()

    def _eliminate(self) -> None:
        """`roots` (t, 2, 2): L with L L^T the inverse of each direction's own matrix."""
        by_track = self.linear.by_track
        weighted = by_track * self.weight[:, None, None]
        own = self._track_sums(np.swapaxes(weighted, 1, 2) @ by_track)
        own[:, [0, 1], [0, 1]] = own[:, [0, 1], [0, 1]] * (1 + self.damping) + 1e-9
        a, b, c = own[:, 0, 0], own[:, 0, 1], own[:, 1, 1]
        first, cross = np.sqrt(a), b / np.sqrt(a)
        second = np.sqrt(np.maximum(c - cross * cross, 1e-12))
        self.roots = np.zeros((self.tracks, 2, 2))
        self.roots[:, 0, 0], self.roots[:, 1, 1] = 1 / first, 1 / second
        self.roots[:, 0, 1] = -cross / (first * second)
        self.weighted_by_track = weighted
        pull = np.einsum("mki,mk->mi", weighted, self.linear.residual)
        self.pull = np.einsum("tij,ti->tj", self.roots, self._track_sums(pull))

    def _track_sums(self, values: Array) -> Array:
        return sums(values, self.marks.track, self.tracks)

    def _own_terms(self) -> None:
        """The images' and the lens's matrices before the directions are taken out."""
        linear, q = self.linear, self.free.per_image
        by_image = linear.by_image.copy()
        by_image[np.isin(self.marks.image, self.held), :, :3] = 0.0
        self.by_image = by_image
        weighted = np.swapaxes(by_image * self.weight[:, None, None], 1, 2)
        image, n = self.marks.image, self.images
        own = sums(weighted @ by_image, image, n)
        border = sums(weighted @ linear.by_lens, image, n)
        right = sums(np.einsum("mik,mk->mi", weighted, linear.residual), image, n)
        diagonal = np.arange(q)
        own[:, diagonal, diagonal] = own[:, diagonal, diagonal] * (1 + self.damping) + 1e-6
        own[self.held, :3, :3] = np.eye(3)
        weighted_lens = np.swapaxes(linear.by_lens * self.weight[:, None, None], 1, 2)
        self.corner = np.einsum("mik,mkj->ij", weighted_lens, linear.by_lens)
        self.lens_right = np.einsum("mik,mk->i", weighted_lens, linear.residual)
        self.chain = np.zeros((self.blocks, self.size * q, self.size * q))
        self.links = np.zeros((self.blocks - 1, self.size * q, self.size * q))
        padded = self.blocks * self.size
        self.border = np.zeros((padded, q, linear.by_lens.shape[2]))
        self.right = np.zeros((padded, q))
        self.border[:n], self.right[:n] = border, right
        every = np.tile(np.eye(q), (padded, 1, 1))
        every[:n] = own
        place = (np.arange(padded) % self.size)[:, None] * q + diagonal
        block = np.arange(padded) // self.size
        self.chain[block[:, None, None], place[:, :, None], place[:, None, :]] = every

    def _prior_terms(self, turn: Turn, first: Turn) -> None:
        offsets, weights = _priors(turn, first, self.free)
        self.corner += np.diag(weights)
        self.lens_right -= weights * offsets
        if not self.free.zoom:
            return
        steps = np.diff(np.log(turn.focal))
        for image, step in enumerate(steps.tolist()):
            self._zoom_step(image, step, 1 / _ZOOM_STEP**2)
        self.chain[0, 3, 3] += 1 / self.free.spread**2
        self.right[0, 3] -= _focal_offset(turn, first, self.free) / self.free.spread**2

    def _zoom_step(self, image: int, step: float, weight: float) -> None:
        block, place = divmod(image, self.size)
        following, after = divmod(image + 1, self.size)
        a, b = place * 4 + 3, after * 4 + 3
        self.chain[block, a, a] += weight
        self.chain[following, b, b] += weight
        self.right[image, 3] += weight * step
        self.right[image + 1, 3] -= weight * step
        if block == following:
            self.chain[block, a, b] -= weight
            self.chain[block, b, a] -= weight
        else:
            self.links[block, a, b] -= weight

    def _fill_in(self) -> None:
        """Takes out what goes through the directions, block by block of their first images."""
        track, image = self.marks.track, self.marks.image
        _tracks, starts = np.unique(track, return_index=True)
        home = np.zeros(self.tracks, dtype=np.int64)
        home[track[starts]] = image[starts] // self.size
        mixed = np.swapaxes(self.weighted_by_track, 1, 2)
        rooted = np.swapaxes(self.roots[track], 1, 2)
        through = rooted @ (mixed @ self.by_image)
        through_lens = self._track_sums(rooted @ (mixed @ self.linear.by_lens))
        homes = home[track]
        for block in range(self.blocks):
            chosen = np.flatnonzero(homes == block)
            if chosen.size:
                self._fill_block(block, chosen, through[chosen], through_lens)

    def _fill_block(self, block: int, chosen: Integers, through: Array, lens: Array) -> None:
        q, half = self.free.per_image, self.size * self.free.per_image
        names, row = np.unique(self.marks.track[chosen], return_inverse=True)
        last = block == self.blocks - 1
        wide = half if last else 2 * half
        dense = np.zeros((2 * len(names), wide))
        column = (self.marks.image[chosen] - block * self.size) * q
        rows = 2 * row[:, None, None] + np.arange(2)[:, None]
        dense[rows, column[:, None, None] + np.arange(q)] = through
        products = dense.T @ dense
        border = dense.T @ lens[names].reshape(2 * len(names), -1)
        pulls = dense.T @ self.pull[names].reshape(-1)
        self.chain[block] -= products[:half, :half]
        if not last:
            self.chain[block + 1] -= products[half:, half:]
            self.links[block] -= products[:half, half:]
        images = slice(block * self.size, block * self.size + wide // q)
        self.border[images] -= border.reshape(wide // q, q, -1)
        self.right[images] -= pulls.reshape(wide // q, q)
        flat = lens[names].reshape(2 * len(names), -1)
        self.corner -= flat.T @ flat
        self.lens_right -= flat.T @ self.pull[names].reshape(-1)

    def step(self) -> tuple[Array, Array, Array]:
        """Changes of the images (n, q), the directions (t, 2) and the lens (g,)."""
        g, q = len(self.lens_right), self.free.per_image
        known = np.concatenate([self.right[:, :, None], self.border], axis=2)
        solved = self._solve(known.reshape(self.blocks, self.size * q, 1 + g))
        solved = solved.reshape(-1, q, 1 + g)
        lens = np.zeros(g)
        if g:
            reduced = self.corner + np.diag(self.damping * np.diag(self.corner))
            reduced = reduced - np.einsum("nqi,nqj->ij", self.border, solved[:, :, 1:])
            right = self.lens_right - np.einsum("nqi,nq->i", self.border, solved[:, :, 0])
            lens = np.linalg.solve(reduced, right)
        images = (solved[:, :, 0] - solved[:, :, 1:] @ lens)[: self.images]
        return images, self._directions(images, lens), lens

    def _directions(self, images: Array, lens: Array) -> Array:
        moved = np.einsum("mkq,mq->mk", self.by_image, images[self.marks.image])
        moved += self.linear.by_lens @ lens
        pull = self._track_sums(np.einsum("mki,mk->mi", self.weighted_by_track, moved))
        left = self.pull - np.einsum("tij,ti->tj", self.roots, pull)
        step: Array = np.einsum("tij,tj->ti", self.roots, left)
        return step

    def _solve(self, known: Array) -> Array:
        """The chain solved for columns (blocks, size q, c), first block to last and back."""
        chain, solved = self.chain.copy(), known.copy()
        onward = np.zeros_like(self.links)
        for block in range(self.blocks - 1):
            link = self.links[block]
            both = np.concatenate([link, solved[block]], axis=1)
            both = np.linalg.solve(chain[block], both)
            onward[block], solved[block] = both[:, : link.shape[1]], both[:, link.shape[1] :]
            chain[block + 1] -= link.T @ onward[block]
            solved[block + 1] -= link.T @ solved[block]
        solved[-1] = np.linalg.solve(chain[-1], solved[-1])
        for block in range(self.blocks - 2, -1, -1):
            solved[block] -= onward[block] @ solved[block + 1]
        return solved

    def covariances(self) -> tuple[Array, float]:
        """The covariance of the shared lens, and the mean variance of a zoom's log focal."""
        g, q = len(self.lens_right), self.free.per_image
        solved = self._solve(self.border.reshape(self.blocks, self.size * q, g))
        solved = solved.reshape(self.border.shape)
        reduced = self.corner - np.einsum("nqi,nqj->ij", self.border, solved)
        covariance = np.linalg.inv(reduced) if g else np.zeros((0, 0))
        if not self.free.zoom:
            focal = float(covariance[0, 0]) if self.free.focal else 0.0
            return covariance, focal
        return covariance, self._zoom_variance()

    def _zoom_variance(self) -> float:
        """Of the mean of log focal length over the images."""
        q = self.free.per_image
        mean = np.zeros((self.blocks * self.size, q))
        mean[: self.images, 3] = 1 / self.images
        solved = self._solve(mean.reshape(self.blocks, self.size * q, 1))
        return float((solved.reshape(-1, q) * mean).sum())
