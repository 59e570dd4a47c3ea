# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a solved camera is from the true one, in what an artist sees: pixels of slip.

A solve has its own world, so every comparison first takes the one similarity (turn, shift, scale)
that suits the solve best; what is left is error that no placing of the scene can hide.
f frames, p points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from .camera import (
    Array,
    CameraTrack,
    Integers,
    Similarity,
    rotations_from_vectors,
    with_opencv_axes,
)
from .errors import FormatError
from .shot import read_json

Distort = Callable[[Array], Array]
"""Pinhole pixels (m, 2) to the pixels where the lens really shows them."""

Lens = Distort | Sequence[Distort] | None
"""The solved lens: one for the whole plate, or one for each frame of the solved camera."""

Move = Callable[[Similarity, Array, Array], Similarity]
"""A similarity moved by a small step (k,), given the points that it is judged by."""

_STEPS = 25
_STILL = 1e-5
"""How far a camera that only turns may travel, over its mean distance to the points."""
_IDENTITY: Array = np.eye(3)


@dataclass(frozen=True, eq=False)
class Slip:
    """`rms` and `max` in px over every point and frame; `per_frame` (f,) RMS px of `frames`.

    `focal_error` is the solved focal length over the true one, less 1, averaged over frames.
    """

    rms: float
    max: float
    frames: Integers
    per_frame: Array
    focal_error: float
    jitter: float


@dataclass(frozen=True, eq=False)
class TurnSlip(Slip):
    """`rotation` is the RMS angle in degrees between true and solved cameras, once the one turn
    that suits all of them best is taken out."""

    rotation: float


def load_truth(path: Path) -> tuple[CameraTrack, Array]:
    """The true camera and scene points (p, 3) of a rendered plate. Raises FormatError.

    The file has fps, width, height, fx, fy, cx, cy in px (fx and fy may be lists, one number a
    frame, for a zoom), frames, camera_to_world (Blender axes, 4x4 row-major, one a frame) and
    points, in the rendered scene's own world (Z up).
    """
    data = read_json(path)
    try:
        frames = np.array(data["frames"], dtype=np.int64)
        count = len(frames)
        matrices = np.array(data["camera_to_world"], dtype=np.float64).reshape(count, 4, 4)
        points = np.array(data["points"], dtype=np.float64).reshape(-1, 3)
        track = CameraTrack(
            frames=frames,
            matrices=matrices,
            focal=np.stack([_each_frame(data[name], count) for name in ("fx", "fy")], axis=1),
            center=np.tile([float(data["cx"]), float(data["cy"])], (count, 1)),
            solved=np.ones(count, dtype=np.bool_),
            width=int(data["width"]),
            height=int(data["height"]),
            fps=Fraction(str(data["fps"])),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise FormatError(f"{path} does not hold a true camera: {error!r}.") from error
    return track, points


def _each_frame(value: object, count: int) -> Array:
    """One number, or a list of one a frame, as (count,). Raises TypeError, ValueError."""
    numbers: Array = np.array(value, dtype=np.float64)
    if numbers.shape not in ((), (count,)):
        raise ValueError(f"{numbers.size} focal lengths for {count} frames")
    return np.broadcast_to(numbers, (count,))


def best_similarity(source: Array, target: Array) -> Similarity:
    """The similarity that takes source (m, 3) nearest to target (m, 3) in least squares.

    Umeyama, IEEE PAMI 13 (1991) 376. m >= 3 points that do not lie on one line.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - source_mean, target - target_mean
    u, singular, vt = np.linalg.svd(b.T @ a)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
    rotation = (u * signs) @ vt
    scale = float((singular * signs).sum() / max(float((a * a).sum()), 1e-300))
    return Similarity(scale, rotation, target_mean - scale * rotation @ source_mean)


def slip(true: CameraTrack, solved: CameraTrack, points: Array, distort: Lens = None) -> Slip:
    """Judges `solved` by fixed scene points (p, 3) of the true world, on the frames of both.

    Only points that the true camera sees inside its frame count. `distort` is the solved lens,
    for a plate that shows it; without it the solved camera is the pinhole alone.
    Raises ValueError when the two have too little in common.
    """
    views = _Views.of(true, solved, points, distort)
    world = _refined(views, _start(views, points), points, _moved, 7)
    return _judged(views, views.residuals(world, points), len(points))


def turn_slip(
    true: CameraTrack, solved: CameraTrack, points: Array, distort: Lens = None
) -> TurnSlip:
    """Judges a camera that only turns: scene points stand for their true directions.

    As `slip`, but places and scale mean nothing here, so that one rotation is all that is fitted.
    Raises ValueError when the true camera travels, or the two have too little in common.
    """
    place = true.matrices[:, :3, 3].mean(axis=0)
    rays = points - place
    travel = np.linalg.norm(true.matrices[:, :3, 3] - place, axis=1).max()
    if travel > _STILL * np.linalg.norm(rays, axis=1).mean():
        raise ValueError("the true camera does not stand still")
    views = _Views.of(_at_origin(true), _at_origin(solved), rays, distort)
    turns = np.einsum("nji,njk->nik", views.rotations, views.true_rotations)
    start = Similarity(1.0, _mean_rotation(turns), np.zeros(3))
    world = _refined(views, start, rays, _spun, 3)
    found = _judged(views, views.residuals(world, rays), len(points))
    apart = np.einsum("ji,njk->nik", start.rotation, turns)
    cosines = (np.trace(apart, axis1=1, axis2=2) - 1) / 2
    skew = np.stack([apart[:, i, j] - apart[:, j, i] for i, j in ((2, 1), (0, 2), (1, 0))], axis=1)
    angles = np.arctan2(np.linalg.norm(skew, axis=1) / 2, cosines)
    return TurnSlip(**vars(found), rotation=float(np.degrees(np.sqrt((angles**2).mean()))))


def _at_origin(track: CameraTrack) -> CameraTrack:
    matrices = track.matrices.copy()
    matrices[:, :3, 3] = 0
    return replace(track, matrices=matrices)


def _mean_rotation(rotations: Array) -> Array:
    """The rotation nearest to all of (n, 3, 3) in the chordal metric."""
    u, _singular, vt = np.linalg.svd(rotations.sum(axis=0))
    mean: Array = (u * [1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    return mean


def _judged(views: _Views, residuals: Array, points: int) -> Slip:
    squares = (residuals**2).sum(axis=1)
    counts = np.bincount(views.frame, minlength=len(views.frames))
    per_frame = np.sqrt(np.bincount(views.frame, squares, len(views.frames)) / counts.clip(1))
    return Slip(
        rms=float(np.sqrt(squares.mean())),
        max=float(np.sqrt(squares.max())),
        frames=views.frames,
        per_frame=per_frame,
        focal_error=float((views.solved_focal / views.true_focal).mean() - 1),
        jitter=_jitter(views, residuals, points),
    )


@dataclass(frozen=True, eq=False)
class _Views:
    """What the true camera sees, beside the solved camera: m sightings of points in frames.

    `rotations` and `true_rotations` (f, 3, 3) are world to camera. `lenses` has one lens for all
    frames, one each, or none.
    """

    frames: Integers
    frame: Integers
    point: Integers
    pixel: Array
    rotations: Array
    true_rotations: Array
    center: Array
    focal: Array
    principal: Array
    solved_focal: Array
    true_focal: Array
    lenses: tuple[Distort, ...]

    @classmethod
    def of(cls, true: CameraTrack, solved: CameraTrack, points: Array, distort: Lens) -> _Views:
        frames, i, j = np.intersect1d(true.frames, solved.frames, return_indices=True)
        seen = [_inside(true, int(index), points) for index in i]
        counts = [len(ids) for ids, _pixel in seen]
        if sum(counts) < 7:
            raise ValueError("the two cameras have no frames with points in common")
        local = with_opencv_axes(solved.matrices[j])
        true_local = with_opencv_axes(true.matrices[i])
        return cls(
            frames=frames,
            frame=np.repeat(np.arange(len(seen), dtype=np.int64), counts),
            point=np.concatenate([ids for ids, _ in seen]),
            pixel=np.concatenate([pixel for _, pixel in seen]),
            rotations=np.swapaxes(local[:, :3, :3], 1, 2),
            true_rotations=np.swapaxes(true_local[:, :3, :3], 1, 2),
            center=local[:, :3, 3],
            focal=solved.focal[j],
            principal=solved.center[j],
            solved_focal=solved.focal[j, 0],
            true_focal=true.focal[i, 0],
            lenses=_lenses(distort, j),
        )

    def local(self, world: Similarity, points: Array) -> Array:
        """The sightings' points (m, 3) in the axes of the solved camera."""
        moved = world.apply(points)[self.point] - self.center[self.frame]
        local: Array = np.einsum("mij,mj->mi", self.rotations[self.frame], moved)
        return local

    def residuals(self, world: Similarity, points: Array) -> Array:
        """Solved less true pixels (m, 2). A point behind the camera is far off, not lost."""
        local = self.local(world, points)
        depth = np.maximum(local[:, 2:], 1e-6 * np.abs(local).max())
        pixels = local[:, :2] / depth * self.focal[self.frame] + self.principal[self.frame]
        residuals: Array = self._shown(pixels) - self.pixel
        return residuals

    def _shown(self, pixels: Array) -> Array:
        """Pinhole pixels (m, 2) as the solved lens shows them."""
        if len(self.lenses) < 2:
            return self.lenses[0](pixels) if self.lenses else pixels
        shown = np.empty_like(pixels)
        for index, lens in enumerate(self.lenses):
            mine = self.frame == index
            shown[mine] = lens(pixels[mine])
        return shown


def _lenses(distort: Lens, chosen: Integers) -> tuple[Distort, ...]:
    """None, the one lens, or those of the chosen frames of the solved camera."""
    if distort is None:
        return ()
    return (distort,) if callable(distort) else tuple(distort[int(index)] for index in chosen)


def _inside(track: CameraTrack, index: int, points: Array) -> tuple[Integers, Array]:
    pixels = track.project(points, index)
    with np.errstate(invalid="ignore"):
        inside = (pixels >= 0).all(axis=1) & (pixels < [track.width, track.height]).all(axis=1)
    ids = np.flatnonzero(inside).astype(np.int64)
    return ids, pixels[ids]


def _start(views: _Views, points: Array) -> Similarity:
    """The true points met again in the solved world: where the solved rays to them cross."""
    rays = np.concatenate(
        [
            (views.pixel - views.principal[views.frame]) / views.focal[views.frame],
            np.ones((len(views.pixel), 1)),
        ],
        axis=1,
    )
    rays = np.einsum("mji,mj->mi", views.rotations[views.frame], rays)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    across = _IDENTITY - rays[:, :, None] * rays[:, None, :]
    matrix = np.zeros((len(points), 3, 3))
    right = np.zeros((len(points), 3))
    np.add.at(matrix, views.point, across)
    np.add.at(right, views.point, np.einsum("mij,mj->mi", across, views.center[views.frame]))
    # Points seen from one direction only have no crossing: the weakest are left out.
    weakest = np.linalg.eigvalsh(matrix)[:, 0]
    good = np.flatnonzero(weakest > max(1e-9, 0.2 * float(np.median(weakest[weakest > 0]))))
    if len(good) < 4:
        raise ValueError("the solved camera does not move enough to be compared")
    met = np.linalg.solve(matrix[good], right[good][:, :, None])[:, :, 0]
    return best_similarity(points[good], met)


def _refined(views: _Views, world: Similarity, points: Array, move: Move, size: int) -> Similarity:
    """Levenberg-Marquardt on the `size` numbers of a move, least squares in pixels."""
    residuals = views.residuals(world, points).ravel()
    cost, damping = float(residuals @ residuals), 1e-4
    for _ in range(_STEPS):
        jacobian = _jacobian(views, world, points, move, size)
        normal, gradient = jacobian.T @ jacobian, jacobian.T @ residuals
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-12), -gradient)
        trial = move(world, step, points)
        trial_residuals = views.residuals(trial, points).ravel()
        trial_cost = float(trial_residuals @ trial_residuals)
        if trial_cost >= cost:
            damping *= 10
            continue
        gain = cost - trial_cost
        world, residuals, cost = trial, trial_residuals, trial_cost
        damping /= 10
        if gain < 1e-10 * cost:
            break
    return world


def _jacobian(views: _Views, world: Similarity, points: Array, move: Move, size: int) -> Array:
    """d residuals / d step, by central differences."""
    columns = []
    for step in 1e-6 * np.eye(size):
        ahead = views.residuals(move(world, step, points), points)
        behind = views.residuals(move(world, -step, points), points)
        columns.append((ahead - behind).ravel() / 2e-6)
    return np.stack(columns, axis=1)


def _moved(world: Similarity, step: Array, points: Array) -> Similarity:
    """The similarity turned, shifted and scaled a little about the middle of the points.

    `step` has the turn (3), the shift (3) and the logarithm of the scale. The shift is in units of
    the points' spread, so that all seven numbers are of one size.
    """
    moved = world.apply(points)
    middle = moved.mean(axis=0)
    spread = float(np.sqrt(((moved - middle) ** 2).sum(axis=1).mean()))
    turn, factor = rotations_from_vectors(step[None, :3])[0], float(np.exp(step[6]))
    rotation = turn @ world.rotation
    translation = factor * turn @ (world.translation - middle) + middle + spread * step[3:6]
    return Similarity(world.scale * factor, rotation, translation)


def _spun(world: Similarity, step: Array, _points: Array) -> Similarity:
    """The similarity turned a little about the origin."""
    return replace(world, rotation=rotations_from_vectors(step[None])[0] @ world.rotation)


def _jitter(views: _Views, residuals: Array, points: int) -> float:
    """RMS px of what the eye reads as shaking: each point's error less the mean of the error one
    frame before and one after, over sqrt(3/2) so that white noise keeps its own size."""
    table = np.full((len(views.frames), points, 2), np.nan)
    table[views.frame, views.point] = residuals
    follows = (np.diff(views.frames, 2) == 0) & (np.diff(views.frames)[:-1] == 1)
    shakes = table[1:-1] - (table[:-2] + table[2:]) / 2
    squares = (shakes[follows] ** 2).sum(axis=-1)
    known = squares[np.isfinite(squares)]
    return float(np.sqrt(known.mean() / 1.5)) if known.size else 0.0
