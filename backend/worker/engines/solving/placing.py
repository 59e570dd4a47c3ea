# SPDX-License-Identifier: GPL-3.0-or-later
"""One side held, the other found: points from poses (triangulation) and poses from points.

f frames, t tracks, m marks. All frames, or all points, are worked on at once.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ....camera import Array, Integers, rotations_from_vectors
from .linear import Freedom, Group, groups_of, inverse_roots, linearized, tangents
from .marks import Flags, Marks
from .scene import Scene, unit

_HELD = Freedom(focal=False)
_DAMPING = 1e-4
_POINT_STEPS = 4
_POSE_STEPS = 6
_STILL = 3e-6
"""Radians that a camera which has found its pose turns by at most."""

_LEAST_MARKS = 2
_IN_FRONT = 0.5


def triangulated(marks: Marks, scene: Scene, wanted: Flags, loss: float) -> Scene:
    """The scene with points for the tracks `wanted` (t,) that placed frames see twice or more."""
    chosen = scene.placed[marks.frame] & wanted[marks.track]
    counts = np.bincount(marks.track[chosen], minlength=marks.tracks)
    index = np.flatnonzero(chosen & (counts[marks.track] >= _LEAST_MARKS))
    if not len(index):
        return scene
    points, known = scene.points.copy(), scene.known & ~wanted
    for group in groups_of(marks, index):
        points[group.tracks] = _crossings(group, marks, scene)
    scene = replace(scene, points=points)
    scene = moved_points(marks, scene, index, loss)
    front = scene.local(marks.frame[index], marks.track[index])[:, 2] > 0
    share = np.bincount(marks.track[index], front, marks.tracks) / np.maximum(counts, 1)
    known[np.unique(marks.track[index])] = True
    return replace(scene, known=known & (~wanted | (share > _IN_FRONT)))


def _crossings(group: Group, marks: Marks, scene: Scene) -> Array:
    """Where the rays of each track cross, (t, 4): the linear solution."""
    frame = group.frames[group.frame]
    rays = scene.lens.rays(marks.pixel[group.marks], scene.lens.focal[frame])
    pose = scene.poses[frame]
    length = np.linalg.norm(rays, axis=1)[:, None, None]
    rows = (rays[:, :2, None] * pose[:, 2:] - pose[:, :2]) / length
    squares = (np.swapaxes(rows, 1, 2) @ rows).reshape(-1, 16)
    sums = np.add.reduceat(squares, group.starts, axis=0).reshape(-1, 4, 4)
    points = np.linalg.eigh(sums)[1][:, :, 0]
    # Of X and -X the one before the camera.
    depth = (pose[group.starts, 2] * points).sum(axis=1)
    before: Array = points * np.where(depth < 0, -1.0, 1.0)[:, None]
    return before


def moved_points(marks: Marks, scene: Scene, chosen: Integers, loss: float) -> Scene:
    """The scene with the points of the chosen marks refined, poses and lens held."""
    groups = groups_of(marks, chosen)
    for _ in range(_POINT_STEPS):
        points, costs = scene.points.copy(), np.zeros(marks.tracks)
        poses = scene.poses
        for group in groups:
            linear = linearized(group, marks, scene, poses, _HELD, loss)
            costs[group.tracks] = np.add.reduceat(linear.costs, group.starts)
            products = np.swapaxes(linear.inner, 1, 2) @ np.concatenate(
                [linear.inner, linear.rows[:, :, -1:]], axis=2
            )
            sums = np.add.reduceat(products.reshape(-1, 12), group.starts, axis=0)
            sums = sums.reshape(-1, 3, 4)
            root = inverse_roots(_damped(sums[:, :, :3]))
            step = -(np.swapaxes(root, 1, 2) @ (root @ sums[:, :, 3:]))[:, :, 0]
            mine = points[group.tracks]
            points[group.tracks] = unit(mine + np.einsum("tij,tj->ti", tangents(mine), step))
        trial = replace(scene, points=points)
        better = _track_costs(marks, trial, chosen, loss) < costs
        scene = replace(scene, points=np.where(better[:, None], points, scene.points))
    return scene


def _damped(matrix: Array) -> Array:
    squares = np.einsum("nii->ni", matrix)
    count = matrix.shape[1]
    extra = _DAMPING * squares + 1e-9 * squares.sum(axis=1, keepdims=True) + 1e-12
    damped = matrix.copy()
    damped[:, range(count), range(count)] += extra
    return damped


def _mark_costs(marks: Marks, scene: Scene, chosen: Integers, loss: float) -> Array:
    part = marks.take(chosen)
    errors = part.weight * np.minimum(scene.errors(part), 1e4)
    costs: Array = loss**2 * np.log1p((errors / loss) ** 2)
    return costs


def _track_costs(marks: Marks, scene: Scene, chosen: Integers, loss: float) -> Array:
    costs = _mark_costs(marks, scene, chosen, loss)
    sums: Array = np.bincount(marks.track[chosen], costs, marks.tracks).astype(np.float64)
    return sums


def moved_poses(marks: Marks, scene: Scene, frames: Flags, losses: tuple[float, ...]) -> Scene:
    """The scene with the poses of `frames` (f,) refined on the known points.

    The loss goes through `losses` (px), wide first, so that a pose some way off is caught.
    """
    chosen = np.flatnonzero(frames[marks.frame] & scene.known[marks.track])
    every = groups_of(marks, chosen)
    for loss in losses:
        groups, count = every, int(frames.sum())
        for _ in range(_POSE_STEPS):
            scene, moved = _pose_step(marks, scene, groups, loss)
            rest = moved > _STILL
            if not rest.any():
                break
            if rest.sum() < count / 2:
                # Most frames stand: only the others go on.
                groups = groups_of(marks, chosen[rest[marks.frame[chosen]]])
                count = int(rest.sum())
    return scene


def _pose_step(marks: Marks, scene: Scene, groups: list[Group], loss: float) -> tuple[Scene, Array]:
    """The scene after a step, and the radians (f,) that each camera turned by."""
    matrix = np.zeros((marks.frames, 7, 7))
    poses = scene.poses
    for group in groups:
        rows = linearized(group, marks, scene, poses, _HELD, loss).rows[group.by_frame]
        for index, frame in enumerate(group.frames):
            part = rows[group.bounds[index] : group.bounds[index + 1]].reshape(-1, 7)
            matrix[frame] += part.T @ part
    busy = np.flatnonzero(matrix[:, 0, 0] > 0)
    if not len(busy):
        return scene, np.zeros(marks.frames)
    step = -np.linalg.solve(_damped(matrix[busy, :6, :6]), matrix[busy, :6, 6:])[:, :, 0]
    turn = rotations_from_vectors(np.clip(step[:, :3], -0.3, 0.3))
    rotation, translation = scene.rotation.copy(), scene.translation.copy()
    rotation[busy] = turn @ rotation[busy]
    translation[busy] = np.einsum("fij,fj->fi", turn, translation[busy]) + step[:, 3:]
    moved = np.zeros(marks.frames)
    moved[busy] = np.abs(step[:, :3]).max(axis=1)
    return replace(scene, rotation=rotation, translation=translation), moved


def resected(marks: Marks, scene: Scene, frame: int, error: float, seed: int) -> Scene:
    """The scene with one frame placed from its points alone, against any share of outliers under
    a half or so; the scene as it was when that fails."""
    index = np.flatnonzero((marks.frame == frame) & scene.known[marks.track])
    points = scene.points[marks.track[index]]
    near = points[:, 3] > 1e-3 * np.linalg.norm(points[:, :3], axis=1)
    index, points = index[near], points[near]
    if len(index) < 8:
        return scene
    focal = scene.lens.focal[frame]
    rays = scene.lens.rays(marks.pixel[index], np.full(len(index), focal))
    cv2.setRNGSeed(seed)
    found, turn, shift, inliers = cv2.solvePnPRansac(
        points[:, :3] / points[:, 3:],
        rays[:, :2],
        np.eye(3),
        np.zeros(4),
        iterationsCount=300,
        reprojectionError=error / focal,
        flags=cv2.SOLVEPNP_EPNP,
    )
    if not found or inliers is None or len(inliers) < 8:
        return scene
    rotation, translation = scene.rotation.copy(), scene.translation.copy()
    rotation[frame] = rotations_from_vectors(turn.astype(np.float64).reshape(1, 3))[0]
    translation[frame] = shift.ravel()
    return replace(scene, rotation=rotation, translation=translation)


def inlier_shares(marks: Marks, scene: Scene, error: float) -> tuple[Array, Integers]:
    """For each frame the share (f,) of its known points within `error` px, and how many it sees."""
    part = marks.only(scene.known[marks.track])
    counts = np.bincount(part.frame, minlength=marks.frames)
    good = np.bincount(part.frame, scene.errors(part) < error, marks.frames)
    return good / np.maximum(counts, 1), counts.astype(np.int64)
