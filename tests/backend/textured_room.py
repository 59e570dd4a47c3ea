# SPDX-License-Identifier: GPL-3.0-or-later
"""A room of textured planes seen by a camera that is known exactly: a plate with its truth.

The world has Z up and its floor at Z = 0, in meters. Rays are cast through pixel centers, so a
projected point is where the picture shows it to within rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from backend.camera import CameraTrack
from backend.shot import FRAME_PATTERN, Plate, Shot, write_json

TEXTURE = 1024


@dataclass(frozen=True)
class Plane:
    """The parallelogram corner + a u + b v with a, b in 0..1."""

    corner: np.ndarray
    u: np.ndarray
    v: np.ndarray
    seed: int

    @property
    def texture(self) -> np.ndarray:
        return texture(self.seed)


@cache
def texture(seed: int, contrast: float = 1.0) -> np.ndarray:
    """A picture with detail at every scale and sharp corners, 8-bit RGB."""
    rng = np.random.default_rng(seed)
    image = np.zeros((TEXTURE, TEXTURE, 3), np.float32)
    for cells in (8, 32, 128, 512):
        noise = rng.normal(size=(cells, cells, 3)).astype(np.float32)
        image += cv2.resize(noise, (TEXTURE, TEXTURE), interpolation=cv2.INTER_CUBIC)
    image = image * 22 + rng.uniform(90, 160, 3).astype(np.float32)
    for _ in range(260):
        x, y = rng.integers(0, TEXTURE, 2)
        w, h = rng.integers(6, 90, 2)
        color = rng.uniform(20, 235, 3).tolist()
        cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), color, -1, cv2.LINE_AA)
    mean = image.mean(axis=(0, 1))
    return np.clip(mean + (image - mean) * contrast, 0, 255).astype(np.uint8)


def _plane(corner: list[float], u: list[float], v: list[float], seed: int) -> Plane:
    return Plane(np.array(corner), np.array(u), np.array(v), seed)


def _box(x: float, y: float, size: float, height: float, seed: int) -> list[Plane]:
    s = size
    return [
        _plane([x, y, height], [s, 0, 0], [0, s, 0], seed),
        _plane([x, y, 0], [s, 0, 0], [0, 0, height], seed + 1),
        _plane([x, y, 0], [0, s, 0], [0, 0, height], seed + 2),
        _plane([x + s, y, 0], [0, s, 0], [0, 0, height], seed + 3),
    ]


def room() -> list[Plane]:
    """8 m x 10 m, 3 m high, with two boxes on the floor."""
    return [
        _plane([-4, -3, 0], [8, 0, 0], [0, 10, 0], 1),
        _plane([-4, 7, 0], [8, 0, 0], [0, 0, 3], 2),
        _plane([-4, -3, 0], [0, 10, 0], [0, 0, 3], 3),
        _plane([4, -3, 0], [0, 10, 0], [0, 0, 3], 4),
        _plane([-4, -3, 3], [8, 0, 0], [0, 10, 0], 5),
        *_box(-1.8, 3.0, 0.9, 0.8, 10),
        *_box(0.8, 4.2, 1.1, 1.3, 20),
    ]


def looking(position: np.ndarray, pan: float, tilt: float, roll: float = 0.0) -> np.ndarray:
    """Camera-to-world 4x4, Blender axes: looks along +Y at pan 0 and tilt 0 (degrees)."""
    a, b, c = np.radians([pan, tilt, roll])
    turn_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, -np.sin(b), -np.cos(b)], [0, np.cos(b), -np.sin(b)]])
    turn_r = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn_z @ turn_x @ turn_r
    matrix[:3, 3] = position
    return matrix


Move = Callable[[float], np.ndarray]


def sideways(share: float) -> np.ndarray:
    """A handheld move to the side and forward; `share` runs from 0 to 1."""
    noise = 0.012 * np.sin(np.array([31.0, 43.0, 37.0]) * share + [0, 1, 2])
    position = np.array([-1.2 + 2.2 * share, -1.5 + 0.9 * share, 1.6]) + noise
    return looking(position, 10 - 18 * share, -9 + 20 * noise[0], 40 * noise[1])


def turning(share: float) -> np.ndarray:
    """A tripod pan: the camera turns about its own center."""
    return looking(np.array([0, -1.0, 1.6]), 14 - 28 * share, -8 + 2 * np.sin(5 * share))


def standing(_share: float) -> np.ndarray:
    return looking(np.array([0, -1.0, 1.6]), 5, -8)


def track(move: Move, count: int, width: int, height: int, first: int = 1) -> CameraTrack:
    """The true camera: 1.05 times the width as focal length, center in the middle."""
    shares = np.linspace(0, 1, count)
    return CameraTrack(
        frames=np.arange(first, first + count, dtype=np.int64),
        matrices=np.stack([move(float(share)) for share in shares]),
        focal=np.full((count, 2), 1.05 * width),
        center=np.tile([width / 2, height / 2], (count, 1)),
        solved=np.ones(count, bool),
        width=width,
        height=height,
        fps=Fraction(24),
    )


def picture(planes: list[Plane], camera: CameraTrack, index: int, noise: float = 1.5) -> np.ndarray:
    """The RGB frame that camera sees, with a little grain so that no two frames are alike."""
    finer = camera.resized(2 * camera.width, 2 * camera.height)
    rays = _rays(finer, index)
    nearest = np.full(rays.shape[1:], np.inf, np.float32)
    image = np.zeros((*rays.shape[1:], 3), np.uint8)
    for plane in planes:
        part = _covered(plane, finer, index)
        center = camera.matrices[index, :3, 3]
        _paint(plane, rays[:, *part], center, nearest[part], image[part])
    small = cv2.resize(image, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    grain = np.random.default_rng(index).normal(scale=noise, size=small.shape)
    return np.clip(small + grain, 0, 255).astype(np.uint8)


def depth(planes: list[Plane], camera: CameraTrack, index: int) -> np.ndarray:
    """(h, w) depth along that camera's view at the middle of each pixel, infinite past the room."""
    rays = _rays(camera, index)
    nearest = np.full(rays.shape[1:], np.inf, np.float32)
    image = np.zeros((*rays.shape[1:], 3), np.uint8)
    for plane in planes:
        _paint(plane, rays, camera.matrices[index, :3, 3], nearest, image)
    return nearest


def _rays(camera: CameraTrack, index: int) -> np.ndarray:
    x = (np.arange(camera.width) + 0.5 - camera.center[index, 0]) / camera.focal[index, 0]
    y = (np.arange(camera.height) + 0.5 - camera.center[index, 1]) / camera.focal[index, 1]
    local = np.stack(np.broadcast_arrays(x[None, :], -y[:, None], -1.0)).astype(np.float32)
    return np.einsum("ij,jhw->ihw", camera.matrices[index, :3, :3].astype(np.float32), local)


def _covered(plane: Plane, camera: CameraTrack, index: int) -> tuple[slice, slice]:
    """Rows and columns that can show the plane; all where it reaches behind the camera."""
    ends = [plane.corner + a * plane.u + b * plane.v for a in (0, 1) for b in (0, 1)]
    pixels = camera.project(np.array(ends), index)
    if np.isnan(pixels).any():
        return slice(None), slice(None)
    size = [camera.width, camera.height]
    low = np.clip(np.floor(pixels.min(axis=0)) - 1, 0, size).astype(int)
    high = np.clip(np.ceil(pixels.max(axis=0)) + 1, 0, size).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _paint(
    plane: Plane, rays: np.ndarray, center: np.ndarray, nearest: np.ndarray, image: np.ndarray
) -> None:
    if nearest.size == 0:
        return
    # center + t ray = corner + a u + b v, solved for (t, a, b) by one matrix for all rays.
    inverse = np.linalg.inv(np.column_stack([plane.u, plane.v, np.cross(plane.u, plane.v)]))
    turned = np.einsum("ij,jhw->ihw", inverse.astype(np.float32), rays)
    start = (inverse @ (center - plane.corner)).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = -start[2] / turned[2]
        a, b = start[0] + t * turned[0], start[1] + t * turned[1]
        hit = (t > 0) & (t < nearest) & (a >= 0) & (a <= 1) & (b >= 0) & (b <= 1)
    a, b = (np.where(hit, share, 0) * np.float32(TEXTURE) - np.float32(0.5) for share in (a, b))
    seen = cv2.remap(plane.texture, a, b, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    image[hit] = seen[hit]
    nearest[hit] = t[hit]


def scene_points(planes: list[Plane], per_plane: int = 30) -> np.ndarray:
    """Fixed points of the scene, on its planes."""
    rng = np.random.default_rng(5)
    shares = rng.uniform(0.05, 0.95, (len(planes), per_plane, 2))
    return np.concatenate(
        [p.corner + s[:, :1] * p.u + s[:, 1:] * p.v for p, s in zip(planes, shares, strict=True)]
    )


def write_frame(folder: Path, number: int, image: np.ndarray) -> None:
    cv2.imwrite(str(folder / f"{FRAME_PATTERN.format(number)}.png"), image[:, :, ::-1])


def make_shot(path: Path, camera: CameraTrack, frame: Callable[[int], np.ndarray]) -> Shot:
    """A shot as ingest leaves it; `frame` gives the RGB picture of an index."""
    shot = Shot(path)
    shot.frames.mkdir(parents=True)
    for index, number in enumerate(camera.frames.tolist()):
        write_frame(shot.frames, number, frame(index))
    numbers = tuple(camera.frames.tolist())
    plate = Plate(
        source="room.mov",
        kind="movie",
        width=camera.width,
        height=camera.height,
        fps=camera.fps,
        frames=numbers,
        source_indices=tuple(range(len(numbers))),
        times=tuple(float(i / camera.fps) for i in range(len(numbers))),
    )
    write_json(shot.plate_file, plate.to_json())
    return shot


def room_shot(path: Path, camera: CameraTrack) -> Shot:
    planes = room()
    return make_shot(path, camera, lambda index: picture(planes, camera, index))
