# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a camera that only turns explains the windows of a plate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....camera import Array
from .kind_windows import SAMPLES, Windows
from .tripod_adjustment import adjust
from .tripod_model import Free, Marks, Turn
from .tripod_parts import redirected
from .tripod_start import tried_rotation

_FOCALS = np.geomspace(0.45, 4.0, 7)
"""Tried, over the picture's longer side."""

_NEAR = 1.5
_SIGMA = 0.15
"""Px; what a track's error is taken to be at least, over a width of 1280."""

_SCALES = (40.0, 8.0, 3.0)
_NEAREST = 0.3
"""The adjustment begins with a loss as wide as this share of the marks needs, no wider: a shot with
more actors than background would else be turned to suit the actors."""


@dataclass(frozen=True, eq=False)
class TurnOfWindows:
    """The turn that suits the windows best, and what it leaves: residual (t, s, 2) in px."""

    turn: Turn
    residual: Array


def turn_of(
    windows: Windows, size: int, focal: float | None, aspect: float, zoom: bool
) -> TurnOfWindows:
    """One lens with one coefficient for all windows; a focal length a frame with `zoom`."""
    marks = _marks(windows, size)
    first = _first_turn(windows, marks, size, focal, aspect)
    held = np.arange(windows.count) * SAMPLES
    count = len(windows.window)
    turn = redirected(first, marks, count, 2, _SCALES[-1])
    near = np.sqrt(np.percentile(turn.errors(marks) ** 2 * marks.weight, 100 * _NEAREST))
    widest = float(np.clip(3 * near, _SCALES[-1], _SCALES[0]))
    for index, scale in enumerate(np.minimum(_SCALES, widest).tolist()):
        free = Free(focal=focal is None, zoom=zoom and focal is None, k1=index > 0)
        turn = adjust(turn, marks, free, scale, 4, held, 1e-3).turn
    residual = (marks.pixel - turn.project(marks)).reshape(count, SAMPLES, 2)
    return TurnOfWindows(turn, residual)


def _marks(windows: Windows, size: int) -> Marks:
    count = len(windows.window)
    image = windows.window[:, None] * SAMPLES + np.arange(SAMPLES)
    sigma = np.maximum(windows.sigma, _SIGMA * size / 1280)
    return Marks(
        track=np.repeat(np.arange(count), SAMPLES),
        image=image.reshape(-1),
        pixel=windows.pixel.reshape(-1, 2),
        weight=np.repeat(1 / sigma**2, SAMPLES),
    )


def _first_turn(
    windows: Windows, marks: Marks, size: int, focal: float | None, aspect: float
) -> Turn:
    tried = [focal] if focal else [share * size for share in _FOCALS]
    starts = [_Start(windows, marks, f, aspect) for f in tried]
    best = min(starts, key=lambda start: start.cost) if len(starts) > 1 else starts[0]
    return best.turn()


class _Start:
    """Rotations from each window's first sample, at one focal length."""

    def __init__(self, windows: Windows, marks: Marks, focal: float, aspect: float) -> None:
        images, count = windows.count * SAMPLES, len(windows.window)
        self.windows, self.focal = windows, focal
        self.lens = Turn(
            np.tile(np.eye(3), (images, 1, 1)),
            np.full(images, focal),
            np.zeros((0, 3)),
            aspect=aspect,
        )
        self.rays = self.lens.rays(marks).reshape(count, SAMPLES, 3)

    def _rotation(self, window: int, sample: int) -> tuple[Array, float]:
        """The rotation to one sample and how badly it fits."""
        mine = self.rays[self.windows.window == window]
        near, rng = _NEAR / self.focal, np.random.default_rng(4)
        found = tried_rotation(mine[:, 0], mine[:, sample], near, rng)
        apart = np.linalg.norm(mine[:, 0] @ found.T - mine[:, sample], axis=1) / near
        return found, float(np.log1p(apart**2).sum())

    @property
    def cost(self) -> float:
        """Over the last samples, which have moved most."""
        return sum(self._rotation(window, SAMPLES - 1)[1] for window in range(self.windows.count))

    def turn(self) -> Turn:
        rotations = self.lens.rotations.copy()
        for window in range(self.windows.count):
            for sample in range(1, SAMPLES):
                rotations[window * SAMPLES + sample] = self._rotation(window, sample)[0]
        return replace(self.lens, rotations=rotations)


@dataclass(frozen=True, eq=False)
class Parallax:
    """What depth explains of a turn's residuals: `residual` (t, s, 2) is left in px, `moved`
    (t, s, 2) is what the camera's travel makes of the tracks' `nearness` (t,)."""

    residual: Array
    moved: Array
    nearness: Array


def parallax_of(windows: Windows, found: TurnOfWindows, sigma: float) -> Parallax:
    """The travel of each sample and the inverse depth of each track, to first order.

    Small motions (Longuet-Higgins and Prazdny, Proc. R. Soc. B 208, 1980, 385): a camera that
    travels by T moves a point of inverse depth p by `p (-f T_xy + x T_z)`; rotations and the
    tracks' places are found again with them. Least squares in turns, from two first guesses,
    robust by Cauchy weights of width `sigma` px.
    """
    guesses = [_sideways(windows, found), _inward(windows, found)]
    best = [_alternated(windows, found, guess, sigma) for guess in guesses]
    return min(best, key=lambda one: _loss(one, sigma))


def _loss(parallax: Parallax, sigma: float) -> float:
    squares = (parallax.residual**2).sum(axis=2)
    return float(np.log1p(squares / sigma**2).sum())


def _sideways(windows: Windows, found: TurnOfWindows) -> Array:
    """Nearness (t,) of a travel across the line of sight: what the tracks have most in common."""
    return _leading(windows, found.residual.reshape(len(windows.window), -1))


def _inward(windows: Windows, found: TurnOfWindows) -> Array:
    """Nearness (t,) of a travel along the line of sight, which moves tracks from the center."""
    length = np.maximum(np.linalg.norm(windows.pixel, axis=2), 20.0)
    along = (found.residual * windows.pixel).sum(axis=2) / length
    inward: Array = _leading(windows, along) / length.mean(axis=1)
    return inward


def _leading(windows: Windows, rows: Array) -> Array:
    """The first left singular vector of each window's rows, outliers held back."""
    leading = np.zeros(len(rows))
    for window in range(windows.count):
        mine = windows.window == window
        part = rows[mine]
        sizes = np.linalg.norm(part, axis=1)
        part = part / np.maximum(sizes / (2 * np.median(sizes) + 1e-9), 1.0)[:, None]
        leading[mine] = np.linalg.svd(part, full_matrices=False)[0][:, 0]
    return leading


_ROUNDS = 14


def _alternated(windows: Windows, found: TurnOfWindows, nearness: Array, sigma: float) -> Parallax:
    """Travel and turns given the tracks, then the tracks given those, again and again."""
    turn = found.turn
    focal = turn.focal.reshape(-1, SAMPLES)[windows.window]
    plane = windows.pixel / focal[:, :, None] / [1.0, turn.aspect]
    by_turn, by_travel = _flow(plane, focal, turn.aspect)
    weight = np.ones(found.residual.shape[:2])
    place = np.zeros((len(nearness), 2))
    moved = np.zeros_like(found.residual)
    left = found.residual
    for _ in range(_ROUNDS):
        turned, travel = _cameras(
            windows, found.residual - place[:, None], by_turn, by_travel, nearness, weight
        )
        spun = np.einsum("tsij,tsj->tsi", by_turn, turned[windows.window])
        pull = np.einsum("tsij,tsj->tsi", by_travel, travel[windows.window])
        place, nearness = _tracks(found.residual - spun, pull, weight)
        moved = pull * nearness[:, None, None]
        left = found.residual - spun - moved - place[:, None]
        weight = 1 / (1 + (left**2).sum(axis=2) / sigma**2)
    return Parallax(left, moved - moved.mean(axis=1, keepdims=True), nearness)


def _flow(plane: Array, focal: Array, aspect: float) -> tuple[Array, Array]:
    """How pixels move with a small turn and with a travel at unit depth: (t, s, 2, 3) each."""
    x, y = plane[:, :, 0], plane[:, :, 1]
    zero, one = np.zeros_like(x), np.ones_like(x)
    turn = np.array([[-x * y, 1 + x * x, -y], [-1 - y * y, x * y, x]])
    travel = np.array([[one, zero, -x], [zero, one, -y]])
    scales = np.stack([focal, focal * aspect], axis=2)[:, :, :, None]
    return np.moveaxis(turn, (0, 1), (2, 3)) * scales, np.moveaxis(travel, (0, 1), (2, 3)) * scales


def _cameras(
    windows: Windows,
    target: Array,
    by_turn: Array,
    by_travel: Array,
    nearness: Array,
    weight: Array,
) -> tuple[Array, Array]:
    """The turn and travel (w, s, 3) of every sample."""
    columns = np.concatenate([by_turn, by_travel * nearness[:, None, None, None]], axis=3)
    weighted = np.swapaxes(columns * weight[:, :, None, None], 2, 3)
    starts = np.searchsorted(windows.window, np.arange(windows.count))
    own = np.add.reduceat(weighted @ columns, starts, axis=0)
    pull = np.add.reduceat(np.einsum("tsij,tsj->tsi", weighted, target), starts, axis=0)
    size = np.einsum("wsii->wsi", own) * 1e-6 + 1e-12
    own[:, :, np.arange(6), np.arange(6)] += size
    solved = np.linalg.solve(own, pull[..., None])[..., 0]
    return solved[:, :, :3], solved[:, :, 3:]


def _tracks(target: Array, pull: Array, weight: Array) -> tuple[Array, Array]:
    """Each track's place (t, 2) and nearness (t,)."""
    total = np.maximum(weight.sum(axis=1), 1e-9)
    mean_target = np.einsum("ts,tsi->ti", weight, target) / total[:, None]
    mean_pull = np.einsum("ts,tsi->ti", weight, pull) / total[:, None]
    apart, along = target - mean_target[:, None], pull - mean_pull[:, None]
    power = np.einsum("ts,tsi,tsi->t", weight, along, along)
    nearness = np.einsum("ts,tsi,tsi->t", weight, along, apart) / (power + 1e-9 * power.max())
    return mean_target - nearness[:, None] * mean_pull, nearness


def unrolled(windows: Windows, found: TurnOfWindows, sigma: float, height: int) -> Windows:
    """The windows with what a rolling shutter does taken out, as far as there is any.

    A row that is read out later sees the picture moved on: `pixel + readout (y / height) velocity`,
    with y from the center and `readout` in frames. In a turn whose speed changes this looks like
    parallax that grows down the picture.
    """
    plane = windows.pixel / found.turn.focal.reshape(-1, SAMPLES)[windows.window][:, :, None]
    focal = found.turn.focal.reshape(-1, SAMPLES)[windows.window]
    by_turn, _by_travel = _flow(plane / [1.0, found.turn.aspect], focal, found.turn.aspect)
    pull = windows.velocity * windows.pixel[:, :, 1:] / height
    weight = 1 / (1 + (found.residual**2).sum(axis=2) / sigma**2)
    own = _left_over(windows, pull, by_turn, weight)
    rest = _left_over(windows, found.residual, by_turn, weight)
    power = float((weight[:, :, None] * own * own).sum())
    readout = float((weight[:, :, None] * own * rest).sum()) / max(power, 1e-9)
    return replace(windows, pixel=windows.pixel - np.clip(readout, -1.0, 1.0) * pull)


def _left_over(windows: Windows, target: Array, by_turn: Array, weight: Array) -> Array:
    """What turns of the samples and the places of the tracks do not make of (t, s, 2)."""
    rest = target
    for _ in range(6):
        total = np.maximum(weight.sum(axis=1), 1e-9)[:, None]
        rest = rest - (np.einsum("ts,tsi->ti", weight, rest) / total)[:, None]
        turned, _none = _cameras(windows, rest, by_turn, by_turn, np.zeros(len(rest)), weight)
        rest = rest - np.einsum("tsij,tsj->tsi", by_turn, turned[windows.window])
    return rest
