# SPDX-License-Identifier: GPL-3.0-or-later
"""The adjustment: poses, points and lens together, by damped Gauss-Newton with a robust loss.

Points are eliminated in groups of tracks that live at about the same time, so memory and time
grow linearly with the length of a shot, and each mark has a weight of its own. Source: Triggs et
al., Bundle Adjustment - A Modern Synthesis (2000).
f frames, t tracks, m marks, d unknowns a frame (3 turn, 3 shift, 1 focal length when the lens
zooms), g shared unknowns (lens).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ....camera import Array, Integers, rotations_from_vectors
from .lens import Lens
from .linear import Freedom, Group, costs_of, groups_of, inverse_roots, linearized, tangents
from .marks import Flags, Marks
from .normal import NormalEquations
from .scene import Scene, unit

Check = Callable[[], None]
"""Called between steps; raises to stop."""

_LEAST_DAMPING = 1e-8
_MOST_DAMPING = 1e6
_POINT_DAMPING = 1e-10
_GAUGE = 1e-9
"""Share of the mean diagonal that is added to it, which holds the scene's place and scale."""

_LOSS_FACTOR = 2.5
_WIDEST_LOSS = 1.5

_CREEP = 5
"""Steps like the last that a start is given to come below its rival."""

_NOISE = 0.2
"""Px; the noise that priors are weighed against."""

RADIAL_PRIOR = {"k1": 0.1, "k2": 0.1}
"""Standard deviations that the coefficients are expected to have: few plates bend more."""


@dataclass(frozen=True)
class Settings:
    """`loss` is where the Cauchy loss turns over (px), or further out where errors are larger
    unless `exact`; it stops when a step gains less than `tolerance` of the cost. `prior` is a guess
    of the focal length with its relative sigma. `damping` is that of the first step: less where
    the start is near. With a `rival`, the cost of another result, it stops as well once it is not
    going to come below that."""

    iterations: int
    loss: float = 0.5
    tolerance: float = 1e-5
    prior: tuple[float, float] | None = None
    damping: float = 1e-4
    exact: bool = False
    rival: float | None = None

    def ends(self, cost: float, gain: float) -> bool:
        """Whether a step to `cost` that gained a share `gain` of it was the last."""
        if gain < self.tolerance:
            return True
        return self.rival is not None and cost * (1 - _CREEP * gain) > self.rival


@dataclass(frozen=True, eq=False)
class Adjusted:
    """The scene with the robust `cost` over its `marks`, after so many accepted `steps`."""

    scene: Scene
    cost: float
    marks: int
    steps: int


@dataclass(frozen=True, eq=False)
class _Points:
    """Points of a group ready to be eliminated: t points, m marks.

    `root` (t, 3, 3) is the inverse of the lower Cholesky root of a point's matrix, `offset` (t, 3)
    its gradient, `across` (m, d, 3) and `shared` (t, g, 3) its ties to frames and lens under it.
    """

    root: Array
    offset: Array
    across: Array
    shared: Array


@dataclass(frozen=True, eq=False)
class _State:
    scene: Scene
    cost: float
    equations: NormalEquations
    points: list[_Points]


class Bundle:
    """One set of marks to be adjusted, on the frames and tracks that `scene` has.

    `held` (f,) are frames whose pose stays.
    """

    def __init__(
        self,
        marks: Marks,
        scene: Scene,
        freedom: Freedom,
        settings: Settings,
        held: Flags | None = None,
    ) -> None:
        self.marks, self.freedom, self.settings, self.held = marks, freedom, settings, held
        self.frames = np.flatnonzero(scene.placed)
        self._place = np.cumsum(scene.placed) - 1
        self._groups = groups_of(marks, np.flatnonzero(scene.usable(marks)))

    def run(self, scene: Scene, check: Check) -> Adjusted:
        """Steps until the cost settles."""
        damping, steps = self.settings.damping, 0
        state, last = self._state(scene, damping), self.settings.iterations - 1
        for index in range(self.settings.iterations):
            check()
            moved = self._stepped(state)
            state.points.clear()
            # After the last step only the cost is asked for.
            trial = self._state(moved, damping) if index < last else self._ended(moved)
            if trial.cost < state.cost:
                gain = (state.cost - trial.cost) / max(trial.cost, 1e-12)
                state, steps = trial, steps + 1
                damping = max(damping / 10, _LEAST_DAMPING)
                if self.settings.ends(trial.cost, gain):
                    break
            elif damping > _MOST_DAMPING or trial.cost < state.cost * (1 + 1e-7):
                break
            elif index < last:
                damping *= 100
                state = self._state(state.scene, damping)
        count = sum(len(group.marks) for group in self._groups)
        return Adjusted(state.scene, state.cost, count, steps)

    def shared_covariance(self, scene: Scene) -> Array:
        """(g, g) covariance of the lens (`Freedom.shared`) for independent noise of 1 px."""
        return self._state(scene, _LEAST_DAMPING).equations.shared_covariance()

    def _state(self, scene: Scene, damping: float) -> _State:
        """Normal equations of the frames and the lens at `scene`, points eliminated."""
        d = self.freedom.per_frame
        equations = self._equations()
        cost, points = 0.0, []
        poses = scene.poses
        for group in self._groups:
            linear = linearized(group, self.marks, scene, poses, self.freedom, self.settings.loss)
            cost += float(linear.costs.sum())
            if self.held is not None:
                linear.rows[self.held[group.frames][group.frame], :, :6] = 0
            eliminated = _eliminated(group, linear.rows, linear.inner, d, damping)
            points.append(eliminated)
            frames = self._place[group.frames]
            sums = _summed(group, linear.rows)
            equations.add_frames(
                frames, sums[:, :d, :d], sums[:, :d, d:-1], sums[:, d:-1, d:-1].sum(axis=0)
            )
            folded = _folded(group, eliminated)
            equations.add(frames, folded @ folded.T, -1.0)
            own = np.concatenate([sums[:, :d, -1].ravel(), sums[:, d:-1, -1].sum(axis=0)])
            equations.add_gradient(frames, own - folded @ eliminated.offset.ravel())
        cost += self._priors(equations, scene)
        equations.damp(damping, _GAUGE)
        return _State(scene, cost, equations, points)

    def _ended(self, scene: Scene) -> _State:
        """What the scene costs, without equations for a further step."""
        equations = self._equations()
        poses, loss = scene.poses, self.settings.loss
        parts = (costs_of(group, self.marks, scene, poses, loss) for group in self._groups)
        cost = sum(float(part.sum()) for part in parts) + self._priors(equations, scene)
        return _State(scene, cost, equations, [])

    def _equations(self) -> NormalEquations:
        freedom = self.freedom
        return NormalEquations(len(self.frames), freedom.per_frame, len(freedom.shared))

    def _stepped(self, state: _State) -> Scene:
        scene, freedom = state.scene, self.freedom
        steps, shared = _solved(state.equations)
        points = scene.points.copy()
        for group, found in zip(self._groups, state.points, strict=True):
            points[group.tracks] = _moved_points(
                points[group.tracks], group, found, steps[self._place[group.frames]], shared
            )
        turn = rotations_from_vectors(steps[:, :3])
        rotation, translation = scene.rotation.copy(), scene.translation.copy()
        rotation[self.frames] = turn @ rotation[self.frames]
        translation[self.frames] = (
            np.einsum("fij,fj->fi", turn, translation[self.frames]) + steps[:, 3:6]
        )
        lens = _moved_lens(scene.lens, freedom, self.frames, steps, shared)
        return replace(scene, rotation=rotation, translation=translation, points=points, lens=lens)

    def _priors(self, equations: NormalEquations, scene: Scene) -> float:
        cost = 0.0
        names = self.freedom.shared
        for index, name in enumerate(names):
            if name in RADIAL_PRIOR:
                value, sigma = getattr(scene.lens, name), RADIAL_PRIOR[name]
            elif name == "focal" and self.settings.prior is not None:
                guess, sigma = self.settings.prior
                value = float(np.log(scene.lens.focal[self.frames[0]] / guess))
            else:
                continue
            weight = (_NOISE / sigma) ** 2
            equations.corner[index, index] += weight
            equations.shared_gradient[index] += weight * value
            cost += weight * value**2
        if self.freedom.zoom and self.freedom.smooth:
            cost += self._smoothness(equations, scene)
        return cost

    def _smoothness(self, equations: NormalEquations, scene: Scene) -> float:
        """Ties each frame's focal length to the line through its neighbors'."""
        logs = np.log(scene.lens.focal[self.frames])
        weight = (_NOISE / self.freedom.smooth) ** 2
        d, g, cost = self.freedom.per_frame, len(self.freedom.shared), 0.0
        for index in range(len(logs) - 2):
            before, after = np.diff(self.frames[index : index + 3])
            line = np.array([1 / before, -1 / before - 1 / after, 1 / after])
            bend = float(line @ logs[index : index + 3])
            row = np.zeros(3 * d + g)
            row[d - 1 : 3 * d : d] = line
            three = np.arange(index, index + 3)
            equations.add(three, weight * np.outer(row, row))
            equations.add_gradient(three, weight * bend * row)
            cost += weight * bend**2
        return cost


def _solved(equations: NormalEquations) -> tuple[Array, Array]:
    try:
        return equations.solve()
    except np.linalg.LinAlgError:
        shape = equations.frames, equations.per_frame
        return np.zeros(shape), np.zeros(equations.shared)


def _eliminated(group: Group, rows: Array, inner: Array, d: int, damping: float) -> _Points:
    """rows (m, 2, d + g + 1) with the residual last, inner (m, 2, 3): derivatives of the marks."""
    turned = np.swapaxes(inner, 1, 2)
    products = turned @ np.concatenate([inner, rows[:, :, d:]], axis=2)
    sums = np.add.reduceat(products.reshape(len(rows), -1), group.starts, axis=0)
    sums = sums.reshape(len(group.starts), 3, -1)
    matrix = sums[:, :, :3]
    squares = np.einsum("tii->ti", matrix)
    eps = _POINT_DAMPING * squares.sum(axis=1, keepdims=True) + 1e-12
    matrix[:, [0, 1, 2], [0, 1, 2]] += damping * squares + eps
    root = inverse_roots(matrix)
    under = root @ sums[:, :, 3:]
    turned = inner @ np.swapaxes(root, 1, 2)[group.track]
    across = np.asarray(np.swapaxes(rows[:, :, :d], 1, 2) @ turned, dtype=np.float64)
    return _Points(root, under[:, :, -1], across, np.swapaxes(under[:, :, :-1], 1, 2))


def _summed(group: Group, rows: Array) -> Array:
    """(frames, d + g + 1, d + g + 1): each frame's products of rows, points held."""
    ordered = rows[group.by_frame]
    width = rows.shape[2]
    sums = np.empty((len(group.frames), width, width))
    for index, (start, end) in enumerate(pairwise(group.bounds)):
        part = ordered[start:end].reshape(-1, width)
        np.matmul(part.T, part, out=sums[index])
    return sums


def _folded(group: Group, points: _Points) -> Array:
    """(frames * d + g, 3 points): the ties of frames and lens to the points as one matrix."""
    count, tracks = len(group.frames), len(group.tracks)
    d, g = points.across.shape[1], points.shared.shape[1]
    folded = np.zeros((count * d + g, tracks * 3))
    folded[: count * d].reshape(count, d, tracks, 3)[group.frame, :, group.track] = points.across
    folded[count * d :] = points.shared.transpose(1, 0, 2).reshape(g, tracks * 3)
    return folded


def _moved_points(
    points: Array, group: Group, found: _Points, steps: Array, shared: Array
) -> Array:
    pull = (steps[group.frame][:, None, :] @ found.across)[:, 0]
    pull = np.add.reduceat(pull, group.starts, axis=0) + found.offset
    pull += np.einsum("tgi,g->ti", found.shared, shared)
    step = -np.einsum("tji,tj->ti", found.root, pull)
    return unit(points + np.einsum("tij,tj->ti", tangents(points), step))


def _moved_lens(
    lens: Lens, freedom: Freedom, frames: Integers, steps: Array, shared: Array
) -> Lens:
    change = dict(zip(freedom.shared, shared.tolist(), strict=True))
    focal = lens.focal
    if "focal" in change:
        focal = focal * np.exp(np.clip(change["focal"], -0.5, 0.5))
    if freedom.zoom:
        focal = focal.copy()
        focal[frames] *= np.exp(np.clip(steps[:, 6], -0.2, 0.2))
    return Lens(
        focal=focal,
        ratio=lens.ratio * float(np.exp(np.clip(change.get("ratio", 0.0), -0.2, 0.2))),
        k1=lens.k1 + change.get("k1", 0.0),
        k2=lens.k2 + change.get("k2", 0.0),
    )


def adjusted(
    marks: Marks,
    scene: Scene,
    freedom: Freedom,
    settings: Settings,
    check: Check,
    held: Flags | None = None,
) -> Adjusted:
    """The scene that suits the marks of its frames and tracks best."""
    if not settings.exact:
        settings = replace(settings, loss=usual_loss(marks, scene, settings.loss))
    return Bundle(marks, scene, freedom, settings, held).run(scene, check)


def usual_loss(marks: Marks, scene: Scene, least: float) -> float:
    """Where the loss should turn over, px: beyond the errors that are usual at `scene`.

    With a narrower one most marks would count as outliers, and the adjustment would creep.
    """
    usable = marks.only(scene.usable(marks))
    if not len(usable.track):
        return least
    usual = float(np.median(usable.weight * scene.errors(usable)))
    return float(np.clip(_LOSS_FACTOR * usual, least, _WIDEST_LOSS))
