# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera moves of the bench's plates, beside the hand-held walk of camera_path.

Poses are camera-to-world (n, 4, 4), meters, Z up; the camera looks along its -Z with +Y up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .camera_path import Array, Walk, hand_noise, handheld, looking_at, rotations_from_vectors

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Orbit:
    """A part of a circle around `middle`, `angles` in degrees from straight before it."""

    middle: Triple = (0.2, 4.7, 0.75)
    radius: float = 3.2
    height: float = 1.4
    angles: tuple[float, float] = (-38.0, 38.0)
    sway: float = 0.003
    shake: float = 0.08
    seed: int = 21

    def poses(self, count: int, fps: float) -> Array:
        rng = np.random.default_rng(self.seed)
        angle = np.radians(np.linspace(*self.angles, count))
        x, y, _ = self.middle
        path = [x + self.radius * np.sin(angle), y - self.radius * np.cos(angle)]
        positions = np.stack([*path, np.full(count, self.height)], axis=1)
        positions += self.sway * hand_noise(count, fps, (0.3, 3.5), rng)
        poses = looking_at(positions, np.tile(self.middle, (count, 1)))
        return shaken(poses, self.shake, fps, rng)


@dataclass(frozen=True)
class Pan:
    """A tripod head: turns about the optical center alone, from pan to pan (degrees)."""

    place: Triple = (0.2, 0.3, 1.5)
    pans: tuple[float, float] = (-24.0, 26.0)
    tilts: tuple[float, float] = (-9.0, -5.0)
    shake: float = 0.03
    seed: int = 31

    def poses(self, count: int, fps: float) -> Array:
        time = np.linspace(0, 1, count)
        eased = time * time * (3 - 2 * time)
        pan = np.radians(self.pans[0] + (self.pans[1] - self.pans[0]) * eased)
        tilt = np.radians(self.tilts[0] + (self.tilts[1] - self.tilts[0]) * eased)
        toward = np.stack(
            [np.sin(pan) * np.cos(tilt), np.cos(pan) * np.cos(tilt), np.sin(tilt)], axis=1
        )
        positions = np.tile(self.place, (count, 1)).astype(np.float64)
        poses = looking_at(positions, positions + toward)
        return shaken(poses, self.shake, fps, np.random.default_rng(self.seed))


@dataclass(frozen=True)
class Steady:
    """A hand-held walk, or with no sway and no shake a move on rails."""

    walk: Walk

    def poses(self, count: int, fps: float) -> Array:
        return handheld(self.walk, count, fps)


@dataclass(frozen=True)
class Swinging:
    """A hand-held walk whose camera swings left and right: `swing` degrees, `period` frames."""

    walk: Walk
    swing: float = 14.0
    period: float = 40.0

    def poses(self, count: int, fps: float) -> Array:
        poses = handheld(self.walk, count, fps)
        angle = np.radians(self.swing) * np.sin(2 * np.pi * np.arange(count) / self.period)
        turns = rotations_from_vectors(angle[:, None] * np.array([[0.0, 1.0, 0.0]]))
        poses[:, :3, :3] = poses[:, :3, :3] @ turns
        return poses


@dataclass(frozen=True)
class Locked:
    """A camera that stands still."""

    place: Triple = (0.3, 0.2, 1.45)
    target: Triple = (0.0, 5.5, 1.0)

    def poses(self, count: int, _fps: float) -> Array:
        place = np.tile(self.place, (count, 1)).astype(np.float64)
        return looking_at(place, np.tile(self.target, (count, 1)).astype(np.float64))


Move = Orbit | Pan | Steady | Swinging | Locked


def shaken(poses: Array, degrees: float, fps: float, rng: np.random.Generator) -> Array:
    """The poses turned by a hand's tremble of that rms."""
    turns = np.radians(degrees) * hand_noise(len(poses), fps, (0.3, 3.5), rng)
    poses = poses.copy()
    poses[:, :3, :3] = poses[:, :3, :3] @ rotations_from_vectors(turns)
    return poses


DOLLY = Steady(
    Walk(
        start=(0.45, -0.45, 1.5),
        end=(-0.2, 2.3, 1.35),
        target_start=(0.0, 6.6, 1.0),
        target_end=(0.1, 6.6, 0.95),
        sway=0.006,
        shake=0.18,
        seed=12,
    )
)
SLOW = Steady(
    Walk(
        start=(0.25, 0.1, 1.5),
        end=(-0.12, 0.3, 1.47),
        target_start=(0.05, 5.6, 0.95),
        target_end=(0.0, 5.6, 0.95),
        sway=0.0015,
        shake=0.06,
        seed=13,
    )
)
WALK = Steady(
    Walk(
        start=(0.7, -0.4, 1.5),
        end=(-0.35, 1.7, 1.45),
        target_start=(-0.1, 5.6, 1.0),
        target_end=(0.2, 5.8, 1.0),
        sway=0.012,
        shake=0.3,
        seed=14,
    )
)
SWINGS = Swinging(
    replace(
        WALK.walk,
        start=(-0.9, -0.2, 1.5),
        end=(0.9, 1.3, 1.4),
        sway=0.012,
        shake=0.45,
        seed=15,
    )
)
ZOOM = Steady(
    replace(DOLLY.walk, start=(-1.1, -0.4, 1.5), end=(0.9, 0.8, 1.35), sway=0.006, seed=16)
)
BARE = Steady(replace(DOLLY.walk, start=(0.8, 0.2, 1.5), end=(-0.6, 1.6, 1.4), seed=17))
