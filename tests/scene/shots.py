# SPDX-License-Identifier: GPL-3.0-or-later
"""Shot folders made up for the tests: a known camera on an arc, points, and frames on disk."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from shot_gopher.backend.camera import (
    PLATE,
    UNDISTORTED_PLATE,
    CameraTrack,
    Similarity,
    matrices_from_colmap,
    quaternions_from_rotations,
)
from shot_gopher.backend.formats.colmap import write_model
from shot_gopher.backend.reconstruction import CameraModel, Observations, Points, Reconstruction
from shot_gopher.backend.shot import FRAME_PATTERN, Plate, Shot, write_json
from shot_gopher.backend.solve import FrameSolve, FrameState, Grade, Motion, Quality, Solve

PINHOLE = CameraModel("PINHOLE", 1920, 1080, (1500.0, 1500.0, 960.0, 540.0))


@dataclass(frozen=True)
class Poses:
    """World-to-camera in COLMAP's axes."""

    rotations: np.ndarray
    translations: np.ndarray


def arc(count: int, offset: tuple[float, float, float] = (0, 0, 0), roll: float = 0.0) -> Poses:
    """A camera going round points near `offset` and looking at them; `roll` in degrees."""
    angles = np.linspace(-0.4, 0.5, count)
    center = np.array(offset, dtype=np.float64)
    positions = center + np.stack(
        [6 * np.sin(angles), -1 - 0.3 * np.sin(5 * angles), -6 * np.cos(angles)], axis=1
    )
    rotations = np.stack([_looking(position, center, roll) for position in positions])
    return Poses(rotations, -np.einsum("nij,nj->ni", rotations, positions))


def _looking(position: np.ndarray, target: np.ndarray, roll: float) -> np.ndarray:
    """World-to-camera rotation: x right, y down, z to the target."""
    z = (target - position) / np.linalg.norm(target - position)
    x = np.cross([0, 1.0, 0], z)
    x /= np.linalg.norm(x)
    upright = np.stack([x, np.cross(z, x), z])
    c, s = np.cos(np.radians(roll)), np.sin(np.radians(roll))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ upright


def cloud(count: int, offset: tuple[float, float, float] = (0, 0, 0)) -> Points:
    rng = np.random.default_rng(7)
    return Points(
        ids=np.arange(1, count + 1, dtype=np.uint64),
        positions=rng.uniform(-1.5, 1.5, (count, 3)) + offset,
        colors=rng.integers(0, 256, (count, 3)).astype(np.uint8),
        errors=rng.uniform(0.1, 1.0, count),
        tracks=rng.integers(2, 40, count),
    )


def model_of(poses: Poses, lens: CameraModel, points: Points, names: list[str]) -> Reconstruction:
    """Each point is seen in two of the images, at a made-up place."""
    count = len(points.ids)
    seen = Observations(
        image=np.concatenate([np.arange(count) % len(names), np.arange(count) % len(names) - 1])
        % len(names),
        point=np.tile(np.arange(count), 2),
        pixel=np.zeros((2 * count, 2)),
    )
    return Reconstruction(
        cameras={1: lens},
        names=tuple(names),
        camera_ids=np.ones(len(names), dtype=np.int64),
        quaternions=quaternions_from_rotations(poses.rotations),
        translations=poses.translations,
        points=points,
        observations=seen,
    )


WORLD = Similarity(1.7, Similarity.axes_only().rotation, np.array([0.3, -0.2, 0.9]))


def make_shot(
    folder: Path,
    lens: CameraModel = PINHOLE,
    first: int = 1001,
    count: int = 12,
    poses: Poses | None = None,
    fps: Fraction = Fraction(24000, 1001),
    points: int = 300,
    interpolated: tuple[int, ...] = (),
    world: Similarity = WORLD,
    images: bool = False,
    zoom: np.ndarray | None = None,
) -> Shot:
    """A tracked shot. `interpolated` are indices of frames that were not solved; `zoom` has the
    focal length of each frame over that of the lens.
    """
    shot = Shot(folder)
    poses = poses or arc(count)
    count = len(poses.rotations)
    sparse = cloud(points)
    frames = np.arange(first, first + count)
    track = CameraTrack(
        frames=frames,
        matrices=matrices_from_colmap(poses.rotations, poses.translations, world),
        focal=np.outer(np.ones(count) if zoom is None else zoom, lens.focal),
        center=np.tile(lens.center, (count, 1)),
        solved=~np.isin(np.arange(count), interpolated),
        width=lens.width,
        height=lens.height,
        fps=fps,
        fits=PLATE if lens.is_pinhole else UNDISTORTED_PLATE,
    )
    _save(shot, lens, track, world, len(sparse.ids))
    names = [f"{FRAME_PATTERN.format(number)}.png" for number in frames]
    write_model(model_of(poses, lens, sparse, names), shot.sparse)
    if images:
        write_frames(shot, frames.tolist(), lens.width, lens.height)
    return shot


def _save(
    shot: Shot, lens: CameraModel, track: CameraTrack, world: Similarity, points: int
) -> None:
    shot.camera.mkdir(parents=True, exist_ok=True)
    shot.frames.mkdir(parents=True, exist_ok=True)
    numbers = tuple(track.frames.tolist())
    count = len(numbers)
    states = [FrameState.SOLVED if ok else FrameState.INTERPOLATED for ok in track.solved]
    Solve(
        engine="test",
        camera=lens,
        world=world,
        world_note="made up",
        track=track,
        frames=tuple(FrameSolve(n, s, 0.3, 50) for n, s in zip(numbers, states, strict=True)),
        point_count=points,
        mean_error=0.3,
        max_error=0.5,
        quality=Quality(Motion.MOVING, "The camera travels.", Grade.GOOD),
    ).save(shot.camera)
    plate = Plate(
        source="made up",
        kind="movie",
        width=lens.width,
        height=lens.height,
        fps=track.fps,
        frames=numbers,
        source_indices=tuple(range(count)),
        times=tuple(float(index / track.fps) for index in range(count)),
    )
    write_json(shot.plate_file, plate.to_json())


def write_frames(shot: Shot, numbers: list[int], width: int, height: int) -> None:
    """Frames of one color each: its red says which frame it is."""
    for index, number in enumerate(numbers):
        image = np.zeros((height, width, 3), dtype=np.uint8)
        image[...] = (10 * index % 256, 80, 120)
        write_png(shot.frame_file(number), image)


def write_png(path: Path, image: np.ndarray) -> None:
    """An 8-bit RGB image (h, w, 3), by the PNG specification."""
    height, width, _ = image.shape
    rows = np.zeros((height, 1 + width * 3), dtype=np.uint8)
    rows[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b"")]
    data = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


def resolved_with(shot: Shot, lens: CameraModel, poses: Poses) -> Shot:
    """The same shot solved anew."""
    old = Solve.load(shot.camera)
    track = replace(
        old.track,
        matrices=matrices_from_colmap(poses.rotations, poses.translations, old.world),
        focal=np.tile(lens.focal, (len(old.track.frames), 1)),
        center=np.tile(lens.center, (len(old.track.frames), 1)),
    )
    _save(shot, lens, track, old.world, old.point_count)
    return shot
