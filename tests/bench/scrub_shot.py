# SPDX-License-Identifier: GPL-3.0-or-later
"""A solved shot to scrub: a noisy plate with a lens that bends, its proxies, and a large cloud."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from backend.camera import (
    UNDISTORTED_PLATE,
    CameraTrack,
    Similarity,
    matrices_from_colmap,
    quaternions_from_rotations,
)
from backend.events import EventWriter
from backend.formats.colmap import write_model
from backend.proxies import PROXY_FOLDER
from backend.reconstruction import CameraModel, Observations, Points, Reconstruction
from backend.shot import FRAME_PATTERN, Plate, Shot, write_json
from backend.solve import FrameSolve, FrameState, Grade, Motion, Quality, Solve
from backend.worker.proxies import Job, write_files
from backend.worker.report import Report
from backend.worker.undistorted import write_undistorted_proxies

FIRST = 1001
_DIFFERENT = 24
"""Images; the frames show them in turn. Blender tells frames apart by their names."""


def scrub_shot(
    path: Path, width: int = 1920, height: int = 1080, frames: int = 300, points: int = 200_000
) -> Shot:
    shot = Shot(path)
    lens = CameraModel("SIMPLE_RADIAL", width, height, (0.9 * width, width / 2, height / 2, -0.08))
    _write_plate(shot, lens, frames)
    _write_solve(shot, lens, frames, points)
    write_undistorted_proxies(
        lambda _place: lens, shot.proxies, shot.undistorted_proxies, _report(shot)
    )
    return shot


def noisy(width: int, height: int, index: int) -> np.ndarray:
    """What a camera gives: soft shapes of all sizes and some grain."""
    rng = np.random.default_rng(index)
    image = np.zeros((height, width, 3), np.float32)
    for cells in (4, 16, 64, 256):
        small = rng.normal(0, 40 / np.sqrt(cells / 4), (cells * height // width + 1, cells, 3))
        image += cv2.resize(
            small.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
    image += rng.normal(110, 3, image.shape)
    return image.clip(0, 255).astype(np.uint8)


def _report(shot: Shot) -> Report:
    return Report(EventWriter(shot.path / "events.jsonl"), shot.path / "cancel")


def _write_plate(shot: Shot, lens: CameraModel, frames: int) -> None:
    shot.frames.mkdir(parents=True)
    numbers = range(FIRST, FIRST + frames)
    for number in numbers:
        file = shot.frame_file(number)
        if number - FIRST < _DIFFERENT:
            image = noisy(lens.width, lens.height, number)
            cv2.imwrite(str(file), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        else:
            os.link(shot.frame_file(FIRST + (number - FIRST) % _DIFFERENT), file)
    plate = Plate(
        "made up", "movie", lens.width, lens.height, Fraction(24), tuple(numbers),
        tuple(range(frames)), tuple(index / 24 for index in range(frames)),
    )  # fmt: skip
    write_json(shot.plate_file, plate.to_json())
    files = {number: shot.frame_file(number) for number in numbers}
    write_files(Job(files, shot.frames / PROXY_FOLDER), _report(shot))


def _write_solve(shot: Shot, lens: CameraModel, frames: int, points: int) -> None:
    """A camera that moves sideways past a box of points."""
    rotations = np.tile(np.eye(3), (frames, 1, 1))
    translations = np.zeros((frames, 3))
    translations[:, 0] = np.linspace(-1, 1, frames)
    world = Similarity.axes_only()
    numbers = np.arange(FIRST, FIRST + frames)
    track = CameraTrack(
        frames=numbers,
        matrices=matrices_from_colmap(rotations, translations, world),
        focal=np.tile(lens.focal, (frames, 1)),
        center=np.tile(lens.center, (frames, 1)),
        solved=np.ones(frames, dtype=np.bool_),
        width=lens.width,
        height=lens.height,
        fps=Fraction(24),
        fits=UNDISTORTED_PLATE,
    )
    shot.camera.mkdir()
    Solve(
        engine="made up",
        camera=lens,
        world=world,
        world_note="made up",
        track=track,
        frames=tuple(FrameSolve(int(number), FrameState.SOLVED) for number in numbers),
        point_count=points,
        mean_error=0.0,
        max_error=0.0,
        quality=Quality(Motion.MOVING, "", Grade.GOOD),
    ).save(shot.camera)
    shot.sparse.mkdir(parents=True)
    write_model(_model(lens, numbers, rotations, translations, points), shot.sparse)


def _model(lens: CameraModel, numbers: Any, rotations: Any, translations: Any, count: int) -> Any:
    rng = np.random.default_rng(3)
    return Reconstruction(
        cameras={1: lens},
        names=tuple(f"{FRAME_PATTERN.format(number)}.png" for number in numbers.tolist()),
        camera_ids=np.ones(len(numbers), dtype=np.int64),
        quaternions=quaternions_from_rotations(rotations),
        translations=translations,
        points=Points(
            ids=np.arange(1, count + 1, dtype=np.uint64),
            positions=rng.uniform([-3, -2, 3], [3, 2, 8], (count, 3)),
            colors=rng.integers(0, 256, (count, 3)).astype(np.uint8),
            errors=rng.uniform(0.1, 1, count),
            tracks=np.full(count, 2),
        ),
        observations=Observations(
            image=np.tile([0, 1], count), point=np.repeat(np.arange(count), 2),
            pixel=np.zeros((2 * count, 2)),
        ),
    )  # fmt: skip
