# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a solved camera is from the true one, in what an artist sees: pixels of slip.

A solve has its own world, so every comparison first takes the one similarity (turn, shift, scale)
that suits the solve best; what is left is error that no placing of the scene can hide.
f frames, p points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from .camera import Array, CameraTrack, Integers, Similarity, with_opencv_axes
from .errors import FormatError
from .shot import read_json

Distort = Callable[[Array], Array]
"""Pinhole pixels (m, 2) to the pixels where the lens really shows them."""

_STEPS = 25
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


def load_truth(path: Path) -> tuple[CameraTrack, Array]:
    """The true camera and scene points (p, 3) of a rendered plate. Raises FormatError.

    The file has fps, width, height, fx, fy, cx, cy in px, frames, camera_to_world (Blender axes,
    4x4 row-major, one a frame) and points, in the rendered scene's own world (Z up).
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
            focal=np.tile([float(data["fx"]), float(data["fy"])], (count, 1)),
            center=np.tile([float(data["cx"]), float(data["cy"])], (count, 1)),
            solved=np.ones(count, dtype=np.bool_),
            width=int(data["width"]),
            height=int(data["height"]),
            fps=Fraction(str(data["fps"])),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise FormatError(f"{path} does not hold a true camera: {error!r}.") from error
    return track, points


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


def slip(
    true: CameraTrack, solved: CameraTrack, points: Array, distort: Distort | None = None
) -> Slip:
    """Judges `solved` by fixed scene points (p, 3) of the true world, on the frames of both.

    Only points that the true camera sees inside its frame count. `distort` is the solved lens,
    for a plate that shows it; without it the solved camera is the pinhole alone.
    Raises ValueError when the two have too little in common.
    """
    views = _Views.of(true, solved, points)
    world = _refined(views, _start(views, points), points, distort)
    residuals = views.residuals(world, points, distort)
    squares = (residuals**2).sum(axis=1)
    counts = np.bincount(views.frame, minlength=len(views.frames))
    per_frame = np.sqrt(np.bincount(views.frame, squares, len(views.frames)) / counts.clip(1))
    return Slip(
        rms=float(np.sqrt(squares.mean())),
        max=float(np.sqrt(squares.max())),
        frames=views.frames,
        per_frame=per_frame,
        focal_error=float((views.solved_focal / views.true_focal).mean() - 1),
        jitter=_jitter(views, residuals, len(points)),
    )


@dataclass(frozen=True, eq=False)
class _Views:
    """What the true camera sees, beside the solved camera: m sightings of points in frames."""

    frames: Integers
    frame: Integers
    point: Integers
    pixel: Array
    rotation: Array
    center: Array
    focal: Array
    principal: Array
    solved_focal: Array
    true_focal: Array

    @classmethod
    def of(cls, true: CameraTrack, solved: CameraTrack, points: Array) -> _Views:
        frames, i, j = np.intersect1d(true.frames, solved.frames, return_indices=True)
        seen = [_inside(true, int(index), points) for index in i]
        counts = [len(ids) for ids, _pixel in seen]
        if sum(counts) < 7:
            raise ValueError("the two cameras have no frames with points in common")
        local = with_opencv_axes(solved.matrices[j])
        return cls(
            frames=frames,
            frame=np.repeat(np.arange(len(seen), dtype=np.int64), counts),
            point=np.concatenate([ids for ids, _ in seen]),
            pixel=np.concatenate([pixel for _, pixel in seen]),
            rotation=np.swapaxes(local[:, :3, :3], 1, 2),
            center=local[:, :3, 3],
            focal=solved.focal[j],
            principal=solved.center[j],
            solved_focal=solved.focal[j, 0],
            true_focal=true.focal[i, 0],
        )

    def local(self, world: Similarity, points: Array) -> Array:
        """The sightings' points (m, 3) in the axes of the solved camera."""
        moved = world.apply(points)[self.point] - self.center[self.frame]
        local: Array = np.einsum("mij,mj->mi", self.rotation[self.frame], moved)
        return local

    def residuals(self, world: Similarity, points: Array, distort: Distort | None) -> Array:
        """Solved less true pixels (m, 2). A point behind the camera is far off, not lost."""
        local = self.local(world, points)
        depth = np.maximum(local[:, 2:], 1e-6 * np.abs(local).max())
        pixels = local[:, :2] / depth * self.focal[self.frame] + self.principal[self.frame]
        shown = distort(pixels) if distort else pixels
        residuals: Array = shown - self.pixel
        return residuals


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
    rays = np.einsum("mji,mj->mi", views.rotation[views.frame], rays)
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


def _refined(
    views: _Views, world: Similarity, points: Array, distort: Distort | None
) -> Similarity:
    """Levenberg-Marquardt on the similarity's seven parameters, least squares in pixels."""
    residuals = views.residuals(world, points, distort).ravel()
    cost, damping = float(residuals @ residuals), 1e-4
    for _ in range(_STEPS):
        jacobian = _jacobian(views, world, points, distort)
        normal, gradient = jacobian.T @ jacobian, jacobian.T @ residuals
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-12), -gradient)
        trial = _moved(world, step, points)
        trial_residuals = views.residuals(trial, points, distort).ravel()
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


def _jacobian(views: _Views, world: Similarity, points: Array, distort: Distort | None) -> Array:
    """d residuals / d (turn 3, shift 3, log scale), by central differences."""
    columns = []
    for index in range(7):
        step = np.zeros(7)
        step[index] = 1e-6
        ahead = views.residuals(_moved(world, step, points), points, distort)
        behind = views.residuals(_moved(world, -step, points), points, distort)
        columns.append((ahead - behind).ravel() / 2e-6)
    return np.stack(columns, axis=1)


def _moved(world: Similarity, step: Array, points: Array) -> Similarity:
    """The similarity turned, shifted and scaled a little about the middle of the points.

    The shift is in units of the points' spread, so that all seven numbers are of one size.
    """
    moved = world.apply(points)
    middle = moved.mean(axis=0)
    spread = float(np.sqrt(((moved - middle) ** 2).sum(axis=1).mean()))
    turn, factor = _turn(step[:3]), float(np.exp(step[6]))
    rotation = turn @ world.rotation
    translation = factor * turn @ (world.translation - middle) + middle + spread * step[3:6]
    return Similarity(world.scale * factor, rotation, translation)


def _turn(vector: Array) -> Array:
    """Rodrigues' formula: the rotation about `vector` by its length in radians."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    if angle < 1e-12:
        small: Array = _IDENTITY + cross
        return small
    unit = cross / angle
    turn: Array = _IDENTITY + np.sin(angle) * unit + (1 - np.cos(angle)) * unit @ unit
    return turn


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
