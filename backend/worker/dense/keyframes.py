# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames stereo looks at: those between which the camera has moved enough to tell depth."""

from __future__ import annotations

import numpy as np

from ...camera import Array, CameraTrack, Integers

ANGLE = 2.5
"""Degrees between the rays from two keyframes that follow each other to what both see."""
CLOSE = 0.15
"""The share of points, the nearest ones, that this is asked of. What is near a camera that moves
ahead looks another soon, however little the rest has moved."""
FEWEST = 8
"""A camera that travels less gets keyframes that are closer to each other."""
_GROWTH = 1.25
_LEAST_ANGLE = 0.2


def choose_keyframes(track: CameraTrack, points: Array, most: int) -> Integers:
    """Indices of the track's frames, ascending, the first and the last included.

    A frame becomes one when `CLOSE` of the points (p, 3) in the shot's world that it shares with
    the keyframe before are seen from there under `ANGLE` or more. Where that gives more than
    `most`, the angle is widened; where it gives fewer than `FEWEST`, it is narrowed.
    """
    seen = _seen(track, points)
    angle = np.radians(ANGLE)
    chosen = _chosen(track, points, seen, angle)
    while len(chosen) < min(FEWEST, most) and angle > np.radians(_LEAST_ANGLE):
        angle /= _GROWTH
        chosen = _chosen(track, points, seen, angle)
    while len(chosen) > max(2, most):
        angle *= _GROWTH
        chosen = _chosen(track, points, seen, angle)
    return chosen


def widest_angle(track: CameraTrack, points: Array) -> float:
    """Degrees between the rays from the first frame, and from the one that is furthest round, to
    half of what both see."""
    seen = _seen(track, points)
    others = range(1, len(track.frames))
    angles = [_parallax(track, points, seen, 0, other, 0.5) for other in others]
    return float(np.degrees(max((one for one in angles if one < np.pi), default=0.0)))


def _seen(track: CameraTrack, points: Array) -> Array:
    """(n, p) bool: the points inside of each frame."""
    inside = np.zeros((len(track.frames), len(points)), bool)
    for index in range(len(track.frames)):
        with np.errstate(invalid="ignore"):
            pixels = track.project(points, index)
            inside[index] = ((pixels > 0) & (pixels < (track.width, track.height))).all(axis=1)
    return inside


def _chosen(track: CameraTrack, points: Array, seen: Array, angle: float) -> Integers:
    chosen = [0]
    for index in range(1, len(track.frames)):
        if _parallax(track, points, seen, chosen[-1], index, CLOSE) >= angle:
            chosen.append(index)
    last = len(track.frames) - 1
    if chosen[-1] != last:
        chosen.append(last)
    return np.array(chosen)


def _parallax(
    track: CameraTrack, points: Array, seen: Array, one: int, other: int, share: float
) -> float:
    """The angle between two frames' rays that a share of what both see has at least; none in common
    is a lot."""
    shared = points[seen[one] & seen[other]]
    if not len(shared):
        return float(np.pi)
    rays = [shared - track.matrices[index, :3, 3] for index in (one, other)]
    first, second = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in rays)
    return float(np.quantile(np.arccos(np.clip((first * second).sum(axis=1), -1, 1)), 1 - share))
