# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracks of points that known cameras see: no pictures, but exact truth, noise and movers.

COLMAP's axes: world to camera, x right, y down, z forward. n frames, p points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.tracks import Tracks

WIDTH, HEIGHT = 1280, 720


@dataclass(frozen=True, eq=False)
class Cameras:
    """rotations (n, 3, 3) world to camera, centers (n, 3), focal (n,) px, distortion."""

    rotations: np.ndarray
    centers: np.ndarray
    focal: np.ndarray
    k1: float = 0.0
    k2: float = 0.0
    aspect: float = 1.0

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """(n, p, 2) of points (p, 3) or (n, p, 3); NaN behind the camera."""
        local = np.einsum("nij,npj->npi", self.rotations, points - self.centers[:, None])
        depth = np.where(local[..., 2:] > 0.1, local[..., 2:], np.nan)
        u = local[..., :2] / depth
        s = (u * u).sum(axis=2, keepdims=True)
        bent = u * (1 + self.k1 * s + self.k2 * s * s)
        scale = np.stack([self.focal, self.focal * self.aspect], axis=1)[:, None]
        return bent * scale + [WIDTH / 2, HEIGHT / 2]


def turns(pan: np.ndarray, tilt: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """World-to-camera rotations (n, 3, 3) of angles (n,) in degrees."""
    zero = np.zeros_like(pan)
    camera = _about(1, pan) @ _about(0, tilt) @ _about(2, roll + zero)
    return np.swapaxes(camera, 1, 2)


def _about(axis: int, degrees: np.ndarray) -> np.ndarray:
    i, j = (axis + 1) % 3, (axis + 2) % 3
    made = np.tile(np.eye(3), (len(degrees), 1, 1))
    angle = np.radians(degrees)
    made[:, i, i] = made[:, j, j] = np.cos(angle)
    made[:, j, i], made[:, i, j] = np.sin(angle), -np.sin(angle)
    return made


def panning(count: int, degrees: float = 28.0) -> np.ndarray:
    """A pan with a little tilt and roll."""
    share = np.linspace(0, 1, count)
    return turns(degrees * (share - 0.5), 2 * np.sin(5 * share), 0.5 * np.sin(9 * share))


def unsteady(count: int, degrees: float = 0.3) -> np.ndarray:
    """A handheld camera that looks ahead."""
    time = np.arange(count) / 24
    waves = [np.sin(time * rate + rate) for rate in (5.0, 7.3, 6.1)]
    return turns(*(degrees * wave for wave in waves))


def scattered(
    count: int, near: float, far: float, across: float = 60.0, down: float = 32.0, seed: int = 0
) -> np.ndarray:
    """Points (count, 3) in directions up to `across` and `down` degrees from ahead."""
    rng = np.random.default_rng(seed)
    pan, tilt = rng.uniform(-across, across, count), rng.uniform(-down, down, count)
    a, b = np.radians([pan, tilt])
    ahead = np.stack([np.cos(b) * np.sin(a), np.sin(b), np.cos(b) * np.cos(a)], axis=1)
    depth = 1 / rng.uniform(1 / far, 1 / near, count)
    return ahead * depth[:, None]


def tracks_of(
    pixels: np.ndarray, noise: float = 0.1, life: int = 10_000, seed: int = 0, first: int = 1
) -> Tracks:
    """Tracks of pixels (n, p, 2): points inside the picture, found anew after at most `life`."""
    rng = np.random.default_rng(seed)
    count = len(pixels)
    inside = np.isfinite(pixels).all(axis=2)
    inside &= ((pixels > 4) & (pixels < [WIDTH - 4, HEIGHT - 4])).all(axis=2)
    point, image = np.nonzero(inside.T)
    start = rng.integers(0, min(life, count), pixels.shape[1])
    part = (image + start[point]) // life
    fresh = np.ones(len(point), dtype=bool)
    fresh[1:] = (np.diff(point) != 0) | (np.diff(image) != 1) | (np.diff(part) != 0)
    track = np.cumsum(fresh) - 1
    keep = np.bincount(track)[track] >= 4
    ids, track = np.unique(track[keep], return_inverse=True)
    point, image = point[keep], image[keep]
    return Tracks(
        ids=np.arange(len(ids)),
        manual=np.zeros(len(ids), bool),
        errors=np.full(len(ids), -1.0),
        track=track.astype(np.int64),
        frame=image + first,
        pixel=pixels[image, point] + rng.normal(scale=noise, size=(len(point), 2)),
        sigma=np.full(len(point), noise, np.float32),
    )


def with_actor(pixels: np.ndarray, share: float, seed: int = 1) -> np.ndarray:
    """The pixels with a share of the points turned into limbs that walk through the picture."""
    rng = np.random.default_rng(seed)
    count, points = pixels.shape[:2]
    limbs = rng.permutation(points)[: round(share * points)]
    time = np.arange(count)[:, None, None] / 24
    place = rng.uniform([300, 150], [900, 650], (len(limbs), 2))
    swing = rng.uniform(5, 40, (len(limbs), 2)) * np.sin(
        2 * np.pi * (time * rng.uniform(0.7, 1.3, (len(limbs), 1)) + rng.random((len(limbs), 2)))
    )
    acted = pixels.copy()
    acted[:, limbs] = place + swing + time * [25.0, 0.0]
    return acted
