# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera paths by numbers alone: a hand-held walk through the room.

Poses are camera-to-world (n, 4, 4), meters, Z up; the camera looks along its -Z with +Y up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Walk:
    """A walk from `start` to `end` that keeps looking at a slowly moving target.

    `sway` is the hand's movement (rms, meters), `shake` its turning (rms, degrees), both within
    `band` (Hz).
    """

    start: tuple[float, float, float] = (0.85, 0.45, 1.55)
    end: tuple[float, float, float] = (-0.55, 2.0, 1.45)
    target_start: tuple[float, float, float] = (-0.1, 5.4, 0.72)
    target_end: tuple[float, float, float] = (0.15, 5.8, 0.72)
    sway: float = 0.007
    shake: float = 0.22
    band: tuple[float, float] = (0.3, 3.5)
    seed: int = 11


def hand_noise(
    count: int, fps: float, band: tuple[float, float], rng: np.random.Generator
) -> Array:
    """Noise (count, 3) of rms 1 with no frequency outside `band`; slow parts are the stronger."""
    long = 4 * count
    frequency = np.fft.rfftfreq(long, 1 / fps)
    inside = (frequency >= band[0]) & (frequency <= band[1])
    strength = np.where(inside, 1 / np.maximum(frequency, band[0]), 0.0)
    spectrum = strength[:, None] * np.exp(2j * np.pi * rng.random((len(frequency), 3)))
    signal: Array = np.fft.irfft(spectrum, long, axis=0)
    noise: Array = (signal / np.sqrt(np.mean(signal**2, axis=0)))[:count]
    return noise


def looking_at(positions: Array, targets: Array) -> Array:
    """Poses (n, 4, 4) at `positions` that look at `targets` without roll."""
    back = positions - targets
    back /= np.linalg.norm(back, axis=1, keepdims=True)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    poses[:, :3, :3] = np.stack([right, np.cross(back, right), back], axis=2)
    poses[:, :3, 3] = positions
    return poses


def rotations_from_vectors(vectors: Array) -> Array:
    """Rotation matrices (n, 3, 3) of rotation vectors (n, 3) in radians (Rodrigues' formula)."""
    angle = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)[:, None, None]
    cross = np.zeros((len(vectors), 3, 3))
    cross[:, [2, 0, 1], [1, 2, 0]] = vectors
    cross[:, [1, 2, 0], [2, 0, 1]] = -vectors
    cross /= angle
    turned: Array = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return turned


def handheld(walk: Walk, count: int, fps: float) -> Array:
    """Poses (count, 4, 4) of the walk."""
    rng = np.random.default_rng(walk.seed)
    time = np.linspace(0, 1, count)[:, None]
    eased = 0.6 * time + 0.4 * time * time * (3 - 2 * time)
    positions = np.array(walk.start) * (1 - eased) + np.array(walk.end) * eased
    positions = positions + walk.sway * hand_noise(count, fps, walk.band, rng)
    targets = np.array(walk.target_start) * (1 - time) + np.array(walk.target_end) * time
    poses = looking_at(positions, targets)
    turns = np.radians(walk.shake) * hand_noise(count, fps, walk.band, rng)
    poses[:, :3, :3] = poses[:, :3, :3] @ rotations_from_vectors(turns)
    return poses
