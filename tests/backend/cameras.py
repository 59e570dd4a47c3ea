# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera tracks made up for the tests, with motion that finds mistakes in conventions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from backend.camera import CameraTrack, rotations_from_quaternions


def moving_track(
    frames: int = 60, first: int = 1001, width: int = 1920, height: int = 1080
) -> CameraTrack:
    """Turns 2.5 times about all axes together and moves; zooms; fx != fy; off-center."""
    t = np.linspace(0, 1, frames)
    axis = np.stack([np.sin(3 * t) + 0.2, np.cos(2 * t), np.sin(5 * t) * 0.6], axis=1)
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    half = 2.5 * np.pi * t[:, None]
    quaternions = np.hstack([np.cos(half), axis * np.sin(half)])
    matrices = np.tile(np.eye(4), (frames, 1, 1))
    matrices[:, :3, :3] = rotations_from_quaternions(quaternions)
    matrices[:, :3, 3] = np.stack([4 * np.sin(4 * t), 30 * t - 7, np.cos(3 * t) + 1.7], axis=1)
    focal = width * (0.9 + 0.4 * t)
    return CameraTrack(
        frames=np.arange(first, first + frames),
        matrices=matrices,
        focal=np.stack([focal, focal * (1.07 + 0.01 * t)], axis=1),
        center=np.stack([width * (0.46 + 0.01 * t), height * (0.55 - 0.02 * t)], axis=1),
        solved=np.arange(frames) % 7 != 3,
        width=width,
        height=height,
        fps=Fraction(24000, 1001),
    )


def square_and_centered(track: CameraTrack) -> CameraTrack:
    """The same with square pixels and the principal point in the middle."""
    return replace(
        track,
        focal=np.stack([track.focal[:, 0]] * 2, axis=1),
        center=np.tile([track.width / 2, track.height / 2], (len(track.frames), 1)),
    )


def with_gaps(track: CameraTrack) -> CameraTrack:
    """Without some of its frames: one alone, then several, then every other one."""
    count = len(track.frames)
    gone = {5, 20, 21, 22, *range(count - 11, count - 1, 2)}
    return track.only(np.array([index for index in range(count) if index not in gone]))


def points_ahead(track: CameraTrack, index: int, count: int = 40) -> np.ndarray:
    """World points (count, 3) that the camera sees at one frame, some at the picture's edge."""
    rng = np.random.default_rng(index)
    pixels = rng.uniform([0, 0], [track.width, track.height], (count, 2))
    depth = rng.uniform(0.5, 60, (count, 1))
    x, y = ((pixels - track.center[index]) / track.focal[index]).T
    local = np.stack([x, -y, -np.ones(count)], axis=1) * depth
    return local @ track.matrices[index, :3, :3].T + track.matrices[index, :3, 3]
