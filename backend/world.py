# SPDX-License-Identifier: GPL-3.0-or-later
"""A first guess at the shot's world: which way is up, where the floor is, how large things are.

A solver's world is turned, placed and scaled by chance. The guess makes Z point up, puts the floor
at Z = 0 and the origin on it in front of the camera, so that what an artist adds stands there.
n cameras, p points. COLMAP's axes: x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .camera import SHOT_FROM_COLMAP, Array, Similarity

CAMERA_HEIGHT = 1.6
"""Meters over the floor that the mean camera is taken to be at: the eyes of who stands there."""

POINT_DISTANCE = 5.0
"""Meters from the camera that the median point is taken to be at when no floor is found."""

_SEED = 7
_TRIALS = 600
_MOST_POINTS = 6000
_MAX_TILT = 35.0
_LEVEL_CERTAINTY = 0.001
_MIN_SHARE = 0.05
_MIN_SUPPORT = 30
_MAX_BELOW = 0.12
_ORIGIN_BELOW_CENTER = 9.0
_STANDING = 1e-5
"""Travel over the distance to the points below which a camera counts as one on a tripod."""


@dataclass(frozen=True, eq=False)
class _Plane:
    """normal . x = offset, normal (3,) of length 1 pointing up, found from `support` points."""

    normal: Array
    offset: float
    support: int

    def heights(self, points: Array) -> Array:
        heights: Array = points @ self.normal - self.offset
        return heights


def guess_world(centers: Array, rotations: Array, points: Array) -> tuple[Similarity, str]:
    """The similarity from the solver's world to the shot's, and in plain words how it was found.

    centers (n, 3) are the cameras' positions, rotations (n, 3, 3) world-to-camera, points (p, 3),
    all in the solver's world. The same input gives the same answer.

    A camera that only turns knows directions and no distances: there is no floor to find, and the
    one that is 1.6 m below it is made up.
    """
    up = _up(rotations)
    if _stands(centers, points):
        return _on_a_tripod(centers, rotations, points, up)
    floor = _floor(centers, points, up)
    if floor is not None:
        up = floor.normal
        height = float(np.mean(floor.heights(centers)))
        scale = CAMERA_HEIGHT / height
        note = f"floor found from {floor.support} points; camera height set to {CAMERA_HEIGHT} m"
    else:
        scale = POINT_DISTANCE / _median_distance(centers, points)
        note = f"no floor found; median point distance set to {POINT_DISTANCE:g} m"
    rotation = _level(up, rotations)
    origin = _origin(centers, rotations, points, up, floor)
    return Similarity(scale, rotation, -scale * rotation @ origin), note


def _stands(centers: Array, points: Array) -> bool:
    travel = float(np.ptp(centers, axis=0).max())
    return travel <= _STANDING * _median_distance(centers, points)


def _on_a_tripod(
    centers: Array, rotations: Array, points: Array, up: Array
) -> tuple[Similarity, str]:
    scale = POINT_DISTANCE / _median_distance(centers, points)
    ground = float(centers.mean(axis=0) @ up) - CAMERA_HEIGHT / scale
    rotation = _level(up, rotations)
    origin = _origin(centers, rotations, points, up, _Plane(up, ground, support=0))
    note = (
        f"the camera only turns, so distances are not known; it stands {CAMERA_HEIGHT} m high, and "
        f"the points are put {POINT_DISTANCE:g} m from it"
    )
    return Similarity(scale, rotation, -scale * rotation @ origin), note


def _up(rotations: Array) -> Array:
    """The direction most square to every camera's right axis, and near the cameras' mean up.

    Cameras are held level far more often than they look straight ahead, so their right axes tell
    the horizon even where all look down. Right axes that hardly differ leave it open; there the
    mean up decides.
    """
    right, up = rotations[:, 0], -rotations[:, 1]
    mean_up = _unit(up.mean(axis=0), fallback=-rotations[0, 1])
    spread = right.T @ right / len(right)
    pull = _LEVEL_CERTAINTY * (np.eye(3) - np.outer(mean_up, mean_up))
    _values, vectors = np.linalg.eigh(spread + pull)
    found: Array = vectors[:, 0]
    return found if found @ mean_up >= 0 else -found


def _unit(vector: Array, fallback: Array) -> Array:
    length = float(np.linalg.norm(vector))
    if length < 1e-9:
        return fallback
    unit: Array = vector / length
    return unit


def _median_distance(centers: Array, points: Array) -> float:
    if len(points) == 0:
        return 1.0
    distance = float(np.median(np.linalg.norm(points - np.median(centers, axis=0), axis=1)))
    return distance if np.isfinite(distance) and distance > 0 else 1.0


def _floor(centers: Array, points: Array, up: Array) -> _Plane | None:
    """The plane that most points under the camera lie on, with next to nothing below it.

    RANSAC (Fischler and Bolles, CACM 24 (1981) 381) with a fixed seed, then least squares.
    """
    near = _near(centers, points)
    middle = centers.mean(axis=0)
    below = near[(near - middle) @ up < 0]
    if len(below) < _MIN_SUPPORT:
        return None
    distance = _median_distance(centers, near)
    best = _ransac(below, near, up, 0.012 * distance)
    if best is None:
        return None
    plane = _fitted(best, near, up, 0.02 * distance)
    return plane if plane is not None and _is_floor(plane, centers, near, up, distance) else None


def _near(centers: Array, points: Array) -> Array:
    """Points without the far ones, which are uncertain, and no more than are needed."""
    distance = np.linalg.norm(points - np.median(centers, axis=0), axis=1)
    limit = 4 * np.median(distance) if len(points) else 0.0
    near = points[np.isfinite(distance) & (distance <= limit)]
    step = -(-len(near) // _MOST_POINTS) if len(near) else 1
    thinned: Array = near[::step]
    return thinned


def _ransac(below: Array, near: Array, up: Array, tolerance: float) -> _Plane | None:
    rng = np.random.default_rng(_SEED)
    samples = below[rng.integers(0, len(below), (_TRIALS, 3))]
    normals = np.cross(samples[:, 1] - samples[:, 0], samples[:, 2] - samples[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    usable = lengths > 1e-12
    normals = normals[usable] / lengths[usable, None]
    normals *= np.where(normals @ up < 0, -1.0, 1.0)[:, None]
    offsets = np.einsum("ni,ni->n", normals, samples[usable, 0])
    tilted = normals @ up < np.cos(np.radians(_MAX_TILT))
    best, best_score = None, 0.0
    for normal, offset in zip(normals[~tilted], offsets[~tilted], strict=True):
        heights = near @ normal - offset
        on = int(np.count_nonzero(np.abs(heights) < tolerance))
        under = int(np.count_nonzero(heights < -3 * tolerance))
        # A table top has a floor under it: what lies below counts against a plane.
        score = on - 2.0 * under
        if score > best_score:
            best, best_score = _Plane(normal, float(offset), on), score
    return best


def _fitted(plane: _Plane, near: Array, up: Array, tolerance: float) -> _Plane | None:
    """The plane through the points near it in least squares; None when it falls apart.

    What stands on a floor pulls the plane up on one side, so the points have to come nearer from
    round to round, down to what their own spread allows.
    """
    least = tolerance / 8
    for _ in range(6):
        heights = np.abs(plane.heights(near))
        on = near[heights < tolerance]
        if len(on) < _MIN_SUPPORT:
            return None
        middle = on.mean(axis=0)
        normal: Array = np.linalg.svd(on - middle, full_matrices=False)[2][2]
        normal = normal if normal @ up > 0 else -normal
        plane = _Plane(normal, float(normal @ middle), len(on))
        spread = 3.0 * float(np.median(np.abs(plane.heights(on))))
        tolerance = float(np.clip(spread, least, tolerance))
    return plane


def _is_floor(plane: _Plane, centers: Array, near: Array, up: Array, distance: float) -> bool:
    heights = plane.heights(near)
    under = float(np.mean(heights < -0.04 * distance))
    camera = plane.heights(centers)
    return bool(
        plane.support >= max(_MIN_SUPPORT, _MIN_SHARE * len(near))
        and plane.normal @ up > np.cos(np.radians(_MAX_TILT))
        and under < _MAX_BELOW
        and camera.min() > 0
        and camera.mean() > 0.08 * distance
    )


def _level(up: Array, rotations: Array) -> Array:
    """The turn (3, 3) that takes `up` to Z and the middle camera's view to +Y."""
    forward = rotations[len(rotations) // 2, 2]
    ahead = forward - (forward @ up) * up
    if np.linalg.norm(ahead) < 1e-6:
        # Straight down or up: the top of the picture is ahead.
        top = -rotations[len(rotations) // 2, 1]
        ahead = top - (top @ up) * up
    y = _unit(ahead, fallback=SHOT_FROM_COLMAP[1])
    return np.stack([np.cross(y, up), y, up])


def _origin(
    centers: Array, rotations: Array, points: Array, up: Array, floor: _Plane | None
) -> Array:
    """The solver-world point that becomes the origin: seen by the middle camera, on the floor.

    It lies where that camera's view meets the floor, or below the median distance of what it
    sees when the view goes on over the floor, but never so near as to leave the picture.
    """
    index = len(rotations) // 2
    center, forward = centers[index], rotations[index, 2]
    depths = (points - center) @ forward
    seen = depths[depths > 0]
    reach = float(np.median(seen)) if len(seen) else 1.0
    if floor is None:
        ahead_of_it: Array = center + reach * forward
        return ahead_of_it
    height = float(floor.heights(center[None])[0])
    ahead = _unit(forward - (forward @ up) * up, fallback=-rotations[index, 1])
    falling = float(np.arcsin(np.clip(-forward @ up, -1, 1)))
    lowest = falling + np.radians(_ORIGIN_BELOW_CENTER)
    if lowest >= np.pi / 2:
        distance = 0.0
    else:
        distance = min(height / np.tan(falling), reach) if falling > 0.01 else reach
        nearest = height / np.tan(lowest) if lowest > 0.05 else 4 * reach
        distance = max(distance, nearest)
    origin: Array = center - height * floor.normal + distance * ahead
    return origin
