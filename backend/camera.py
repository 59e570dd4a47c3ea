# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera records and THE axis conversion, used by importers, exporters and tests alike.

Three sets of axes meet here:

    COLMAP   x right, y down, z forward; world as the solver left it; poses world-to-camera
    shot     Z up, as Blender; cameras look along their -Z with +Y up; poses camera-to-world
    Y up     for files of other programs: (x, y, z) of the shot becomes (x, z, -y)

A pixel position has (0, 0) at the corner of the first pixel, y down, so the center of the first
pixel is (0.5, 0.5). All arrays are float64; n is the number of frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

SHOT_FROM_COLMAP: Array = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""COLMAP's world (y down) turned so that Z is up: (x, y, z) -> (x, z, -y)."""

Y_UP_FROM_SHOT: Array = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""The shot's world (Z up) turned so that Y is up: (x, y, z) -> (x, z, -y)."""

_LOOK: Array = np.diag([1.0, -1.0, -1.0])
"""Camera axes of COLMAP (y down, z forward) to Blender's (y up, z back) and the other way."""

DEFAULT_SENSOR_WIDTH = 36.0
"""Millimeters; used where a solve knows pixels only."""

_STANDING = 1e-6
"""Units of the shot's world, about a micrometer."""

PLATE = "plate"
UNDISTORTED_PLATE = "undistorted plate"
DISTORTED_PLATE = "distorted plate"
"""What a pinhole camera fits: a plate whose lens does not bend, one with the lens taken out, or the
plate as it was shot once the lens is put onto what the pinhole shows."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """`x_shot = scale * rotation @ x_colmap + translation`; rotation (3, 3), translation (3,)."""

    scale: float
    rotation: Array
    translation: Array

    @classmethod
    def axes_only(cls) -> Similarity:
        return cls(1.0, SHOT_FROM_COLMAP.copy(), np.zeros(3))

    def apply(self, points: Array) -> Array:
        """Points (m, 3) of COLMAP's world in the shot's."""
        return self.scale * points @ self.rotation.T + self.translation

    def matrix(self) -> Array:
        """The same as (4, 4)."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.scale * self.rotation
        matrix[:3, 3] = self.translation
        return matrix

    def to_json(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "rotation": self.rotation.tolist(),
            "translation": self.translation.tolist(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Similarity:
        rotation = np.array(data["rotation"], dtype=np.float64).reshape(3, 3)
        translation = np.array(data["translation"], dtype=np.float64).reshape(3)
        return cls(float(data["scale"]), rotation, translation)


@dataclass(frozen=True)
class BlenderLens:
    """A pinhole in Blender's terms, with sensor_fit HORIZONTAL.

    `lens` and `sensor_width` in mm, shifts as a share of the image width, pixel aspects >= 1.
    """

    lens: float
    sensor_width: float
    shift_x: float
    shift_y: float
    aspect_x: float
    aspect_y: float


@dataclass(frozen=True, eq=False)
class CameraTrack:
    """One animated pinhole camera in the shot's world: what importers make, exporters write.

    frames    (n,) int, ascending
    matrices  (n, 4, 4) camera-to-world, no scale
    focal     (n, 2) fx, fy in pixels
    center    (n, 2) principal point in pixels
    solved    (n,) bool; False where a pose was interpolated
    fits      PLATE, UNDISTORTED_PLATE or DISTORTED_PLATE
    """

    frames: Integers
    matrices: Array
    focal: Array
    center: Array
    solved: NDArray[np.bool_]
    width: int
    height: int
    fps: Fraction
    sensor_width: float = DEFAULT_SENSOR_WIDTH
    name: str = "camera"
    fits: str = PLATE

    @property
    def travels(self) -> bool:
        """Whether the camera changes its place, by more than rounding does."""
        places = self.matrices[:, :3, 3]
        return bool(np.ptp(places, axis=0).max(initial=0.0) > _STANDING)

    def lens_mm(self) -> Array:
        """(n,) focal length in mm on `sensor_width`."""
        return self.focal[:, 0] * self.sensor_width / self.width

    def lens_at(self, index: int) -> BlenderLens:
        """Blender's lens at one frame. Source: facts measured against COLMAP's projection."""
        fx, fy = self.focal[index]
        cx, cy = self.center[index]
        ratio = fx / fy
        return BlenderLens(
            lens=float(fx * self.sensor_width / self.width),
            sensor_width=self.sensor_width,
            shift_x=float((self.width / 2 - cx) / self.width),
            shift_y=float((cy - self.height / 2) * ratio / self.width),
            aspect_x=float(max(1.0, 1.0 / ratio)),
            aspect_y=float(max(1.0, ratio)),
        )

    def only(self, indices: Integers) -> CameraTrack:
        """The same camera in some of its frames, given by ascending indices (m,)."""
        return replace(
            self,
            frames=self.frames[indices],
            matrices=self.matrices[indices],
            focal=self.focal[indices],
            center=self.center[indices],
            solved=self.solved[indices],
        )

    def resized(self, width: int, height: int) -> CameraTrack:
        """The same camera for images of another size."""
        scale = np.array([width / self.width, height / self.height])
        return replace(
            self, width=width, height=height, focal=self.focal * scale, center=self.center * scale
        )

    def project(self, points: Array, index: int) -> Array:
        """Pixels (m, 2) of shot-world points (m, 3) at one frame; NaN behind the camera."""
        matrix = self.matrices[index]
        local = (points - matrix[:3, 3]) @ matrix[:3, :3] @ _LOOK
        depth = np.where(local[:, 2] > 0, local[:, 2], np.nan)[:, None]
        pixels: Array = local[:, :2] / depth * self.focal[index] + self.center[index]
        return pixels


def rotations_from_quaternions(quaternions: Array) -> Array:
    """Rotation matrices (n, 3, 3) of quaternions (n, 4) in w, x, y, z order, any length."""
    w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def quaternions_from_rotations(rotations: Array) -> Array:
    """Unit quaternions (n, 4), w, x, y, z, each on the side of the one before it.

    Shepperd's method, J. Guidance and Control 1 (1978) 223: the largest of the four squares is
    taken as divisor.
    """
    m = rotations
    trace = np.trace(m, axis1=1, axis2=2)
    diagonal = np.einsum("nii->ni", m)
    squares = np.concatenate([trace[:, None], 2 * diagonal - trace[:, None]], axis=1) + 1
    best = np.argmax(squares, axis=1)
    w = np.stack([m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]], 1)
    full = np.empty((len(m), 4, 4))
    full[:, 0, 0], full[:, 0, 1:], full[:, 1:, 0] = squares[:, 0], w, w
    full[:, 1:, 1:] = m + np.swapaxes(m, 1, 2)
    full[:, [1, 2, 3], [1, 2, 3]] = squares[:, 1:]
    quaternions = full[np.arange(len(m)), best]
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    return same_side(quaternions)


def rotations_from_vectors(vectors: Array) -> Array:
    """Rotation matrices (n, 3, 3) of rotation vectors (n, 3) in radians. Rodrigues' formula."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    rotations: Array = (
        np.eye(3)
        + np.sinc(angle / np.pi) * cross
        + 0.5 * np.sinc(angle / (2 * np.pi)) ** 2 * (cross @ cross)
    )
    return rotations


def vectors_from_rotations(rotations: Array) -> Array:
    """The inverse of `rotations_from_vectors` for turns well under 180 degrees."""
    skew = rotations - np.swapaxes(rotations, 1, 2)
    axis = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1) / 2
    sine = np.linalg.norm(axis, axis=1)
    cosine = (np.trace(rotations, axis1=1, axis2=2) - 1) / 2
    angle = np.arctan2(sine, cosine)
    vectors: Array = axis * np.where(sine > 1e-9, angle / np.maximum(sine, 1e-12), 1.0)[:, None]
    return vectors


def same_side(quaternions: Array) -> Array:
    """Signs chosen so that neighbors never lie on opposite sides (q and -q are one rotation)."""
    dots = np.einsum("ni,ni->n", quaternions[1:], quaternions[:-1])
    signs = np.cumprod(np.where(dots < 0, -1.0, 1.0))
    return np.concatenate([quaternions[:1], quaternions[1:] * signs[:, None]])


def matrices_from_colmap(rotations: Array, translations: Array, world: Similarity) -> Array:
    """Shot-world camera-to-world matrices (n, 4, 4) of COLMAP's world-to-camera poses.

    rotations (n, 3, 3) and translations (n, 3) take COLMAP's world into its camera. This is
    `S G inv(W2C) diag(1, -1, -1, 1)` with `S G` the world similarity, its scale kept out of the
    matrix.
    """
    camera_to_world = np.swapaxes(rotations, 1, 2)
    centers = -np.einsum("nij,nj->ni", camera_to_world, translations)
    matrices = np.zeros((len(rotations), 4, 4))
    matrices[:, :3, :3] = world.rotation @ camera_to_world @ _LOOK
    matrices[:, :3, 3] = world.apply(centers)
    matrices[:, 3, 3] = 1
    return matrices


def with_opencv_axes(matrices: Array) -> Array:
    """Camera-to-world with the camera's own axes turned to x right, y down, z forward."""
    turned = matrices.copy()
    turned[:, :3, :3] = matrices[:, :3, :3] @ _LOOK
    return turned


with_blender_axes = with_opencv_axes
"""The same turn undoes itself."""


def y_up(matrices: Array) -> Array:
    """Camera-to-world matrices (n, 4, 4) in a world with Y up; the camera looks along its -Z."""
    turned = matrices.copy()
    turned[:, :3, :] = Y_UP_FROM_SHOT @ matrices[:, :3, :]
    return turned


def z_up(matrices: Array) -> Array:
    """The other way: camera-to-world matrices (n, 4, 4) of a world with Y up, in the shot's."""
    turned = matrices.copy()
    turned[:, :3, :] = Y_UP_FROM_SHOT.T @ matrices[:, :3, :]
    return turned


_AXES = {"X": 0, "Y": 1, "Z": 2}


def rotations_from_euler(degrees: Array, order: str) -> Array:
    """Rotation matrices (n, 3, 3) of angles (n, 3) about X, Y, Z; `order` as in `euler_degrees`."""
    rotations: Array = np.tile(np.eye(3), (len(degrees), 1, 1))
    for axis in order:
        rotations = _turns(np.radians(degrees[:, _AXES[axis]]), _AXES[axis]) @ rotations
    return rotations


def _turns(radians: Array, axis: int) -> Array:
    """Rotation matrices (n, 3, 3) about one axis."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turns = np.tile(np.eye(3), (len(radians), 1, 1))
    turns[:, i, i] = turns[:, j, j] = np.cos(radians)
    turns[:, j, i] = np.sin(radians)
    turns[:, i, j] = -turns[:, j, i]
    return turns


def euler_degrees(rotations: Array, order: str) -> Array:
    """Angles (n, 3) in degrees about X, Y, Z; neighbors never jump.

    `order` names the axes as they are applied, first to last, as Blender does: 'XYZ' is
    `Rz Ry Rx`, 'ZXY' is `Ry Rx Rz`. Of the two solutions and all turns of each, the one next to
    the frame before is taken; in gimbal lock the first angle stays where it was.
    """
    i, j, k = (_AXES[axis] for axis in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    cosine = np.hypot(rotations[:, i, i], rotations[:, j, i])
    middle = np.arctan2(-sign * rotations[:, k, i], cosine)
    first = np.arctan2(sign * rotations[:, k, j], rotations[:, k, k])
    angles = np.empty((len(rotations), 3))
    before = (0.0, 0.0, 0.0)
    # Plain numbers: arrays of three would cost ten times as long, frame after frame.
    for index, found in enumerate(zip(first.tolist(), middle.tolist(), strict=True)):
        locked = cosine[index] < _LOCKED
        start = before[0] if locked else found[0]
        last = _last_angle(rotations[index], start, (i, j, k), sign)
        same = (start, found[1], last)
        other = same if locked else (start + math.pi, math.pi - found[1], last + math.pi)
        before = _nearest(before, same, other)
        angles[index] = before
    out = np.empty_like(angles)
    out[:, [i, j, k]] = angles
    return np.degrees(out)


_LOCKED = 1e-7
"""Cosine of the middle angle below which the other two turn about one axis."""

_Angles = tuple[float, float, float]


def _last_angle(rotation: Array, first: float, axes: tuple[int, int, int], sign: float) -> float:
    """What is left about the last axis once the first is given: right near gimbal lock too."""
    i, j, k = axes
    cosine, sine = math.cos(first), sign * math.sin(first)
    across = cosine * rotation[i, j] - sine * rotation[i, k]
    along = cosine * rotation[j, j] - sine * rotation[j, k]
    return math.atan2(-sign * across, along)


def _nearest(before: _Angles, same: _Angles, other: _Angles) -> _Angles:
    """Of two solutions and all their turns, the one with the least way to go."""
    near, far = _turned_to(before, same), _turned_to(before, other)
    return near if _way(before, near) <= _way(before, far) + 1e-9 else far


def _turned_to(before: _Angles, angles: _Angles) -> _Angles:
    first, middle, last = (
        angle - math.tau * round((angle - was) / math.tau)
        for angle, was in zip(angles, before, strict=True)
    )
    return first, middle, last


def _way(one: _Angles, other: _Angles) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def filled_gaps(track: CameraTrack, frames: Integers) -> CameraTrack:
    """The track on every one of `frames` between its first and last, gaps interpolated.

    Positions, focal and center linearly, rotations along the shortest arc at an even speed.
    Frames outside the solved range get nothing. Interpolated frames have `solved` False.
    """
    wanted = frames[(frames >= track.frames[0]) & (frames <= track.frames[-1])]
    quaternions = quaternions_from_rotations(track.matrices[:, :3, :3])
    matrices = np.tile(np.eye(4), (len(wanted), 1, 1))
    matrices[:, :3, :3] = rotations_from_quaternions(_slerp(wanted, track.frames, quaternions))
    matrices[:, :3, 3] = _columns(wanted, track.frames, track.matrices[:, :3, 3])
    # Solved frames keep their exact matrices: a quaternion round trip costs the last digits.
    solved = np.isin(wanted, track.frames)
    matrices[solved] = track.matrices[np.isin(track.frames, wanted)]
    return replace(
        track,
        frames=wanted,
        matrices=matrices,
        focal=_columns(wanted, track.frames, track.focal),
        center=_columns(wanted, track.frames, track.center),
        solved=solved & _columns_bool(wanted, track),
    )


def _columns(wanted: Integers, frames: Integers, values: Array) -> Array:
    return np.stack([np.interp(wanted, frames, column) for column in values.T], axis=1)


def _slerp(wanted: Integers, frames: Integers, quaternions: Array) -> Array:
    """Quaternions at `wanted`, along the great circle between neighbors.

    Source: Shoemake, Animating rotation with quaternion curves, SIGGRAPH 1985. `wanted` lies
    within `frames`; neighbors lie on one side.
    """
    after = np.searchsorted(frames, wanted).clip(min=min(1, len(frames) - 1))
    before = (after - 1).clip(min=0)
    one, other = quaternions[before], quaternions[after]
    share = (wanted - frames[before]) / np.maximum(frames[after] - frames[before], 1)
    angle = np.arccos(np.einsum("ni,ni->n", one, other).clip(-1, 1))
    # sin(x angle) / sin(angle) by sinc, which is right where neighbors are the same.
    whole = np.sinc(angle / np.pi)
    weights = (part * np.sinc(part * angle / np.pi) / whole for part in (1 - share, share))
    first, second = (weight[:, None] for weight in weights)
    between: Array = first * one + second * other
    return between


def _columns_bool(wanted: Integers, track: CameraTrack) -> NDArray[np.bool_]:
    index = np.searchsorted(track.frames, wanted).clip(max=len(track.frames) - 1)
    solved: NDArray[np.bool_] = track.solved[index]
    return solved
