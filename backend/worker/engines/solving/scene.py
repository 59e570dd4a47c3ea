# SPDX-License-Identifier: GPL-3.0-or-later
"""What is solved: poses, points and lens of a plate, as arrays.

Points are homogeneous unit vectors (x, y, z, w), so that a point far away is as well behaved as a
near one; noise may take it beyond infinity, where w < 0. Poses take the world into the camera (x
right, y down, z forward).
f frames, t tracks, m marks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....camera import Array, Integers
from .lens import Lens
from .marks import Flags, Marks

_NEAR = 1e-9

_AT_ONCE = 1 << 16
"""Marks that are projected at once: each takes a pose of its own meanwhile."""


@dataclass(frozen=True, eq=False)
class Scene:
    """rotation (f, 3, 3), translation (f, 3), points (t, 4); `placed` (f,) and `known` (t,) say
    which frames have a pose and which tracks a point."""

    rotation: Array
    translation: Array
    points: Array
    lens: Lens
    placed: Flags
    known: Flags

    @classmethod
    def empty(cls, marks: Marks, lens: Lens) -> Scene:
        return cls(
            rotation=np.tile(np.eye(3), (marks.frames, 1, 1)),
            translation=np.zeros((marks.frames, 3)),
            points=np.tile([0.0, 0.0, 1.0, 0.0], (marks.tracks, 1)),
            lens=lens,
            placed=np.zeros(marks.frames, dtype=np.bool_),
            known=np.zeros(marks.tracks, dtype=np.bool_),
        )

    @property
    def poses(self) -> Array:
        """(f, 3, 4) [R | t]."""
        return np.concatenate([self.rotation, self.translation[:, :, None]], axis=2)

    @property
    def centers(self) -> Array:
        """(f, 3) where the cameras stand."""
        centers: Array = -np.einsum("fji,fj->fi", self.rotation, self.translation)
        return centers

    def local(self, frame: Integers, track: Integers) -> Array:
        """(m, 3) points in the axes of the cameras, up to their scale."""
        local, poses = np.empty((len(frame), 3)), self.poses
        for start in range(0, len(frame), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            points = self.points[track[part]][:, :, None]
            local[part] = (poses[frame[part]] @ points)[:, :, 0]
        return local

    def residuals(self, marks: Marks) -> Array:
        """(m, 2) px: projection less mark; infinite behind the camera."""
        return project(self.local(marks.frame, marks.track), self.lens, marks.frame) - marks.pixel

    def errors(self, marks: Marks) -> Array:
        """(m,) px."""
        error: Array = np.linalg.norm(self.residuals(marks), axis=1)
        return np.nan_to_num(error, nan=np.inf)

    def usable(self, marks: Marks) -> Flags:
        """(m,) marks whose frame has a pose and whose track has a point."""
        usable: Flags = self.placed[marks.frame] & self.known[marks.track]
        return usable

    def scaled(self, scale: float) -> Scene:
        """The same scene with all lengths times `scale`."""
        points = self.points * [scale, scale, scale, 1.0]
        return replace(self, translation=self.translation * scale, points=unit(points))


def project(local: Array, lens: Lens, frame: Integers) -> Array:
    """Pixels (m, 2) about the center of points (m, 3) in the camera's axes."""
    depth = local[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (local[:, :2] / np.where(depth > _NEAR, depth, np.nan)[:, None]).T
        square = x * x + y * y
        bend = lens.focal[frame] * (1 + square * (lens.k1 + square * lens.k2))
        pixel = np.stack([x * bend, y * bend * lens.ratio], axis=1)
    shown: Array = np.nan_to_num(pixel, nan=np.inf)
    return shown


def unit(points: Array) -> Array:
    """Homogeneous points (t, 4) as unit vectors."""
    scaled: Array = points / np.linalg.norm(points, axis=1, keepdims=True)
    return scaled
