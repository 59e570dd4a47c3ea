# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracked shot with marks that are off by known distances, on plain frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from backend.camera import (
    PLATE,
    UNDISTORTED_PLATE,
    CameraTrack,
    Similarity,
    matrices_from_colmap,
    quaternions_from_rotations,
    rotations_from_vectors,
)
from backend.formats.colmap import write_model
from backend.reconstruction import CameraModel, Observations, Points, Reconstruction
from backend.shot import FRAME_PATTERN, Plate, Shot, write_json
from backend.solve import FrameSolve, FrameState, Grade, Motion, Quality, Solve
from backend.tracks import Tracks
from backend.worker.projection import colmap_camera, project_observations

FIRST, COUNT = 1001, 8
FPS = Fraction(24000, 1001)
WORLD = Similarity(1.7, Similarity.axes_only().rotation, np.array([0.3, -0.2, 0.9]))
BARREL = CameraModel("OPENCV", 480, 270, (400, 404, 236, 138, -0.12, 0.03, 0.004, -0.003))
FORWARD = np.array([0.05, 0.02, 0.25])
"""What the camera travels from frame to frame: along its view, mostly."""


@dataclass(frozen=True)
class Made:
    """`off` (p,) is how many px the marks of each point are away from it, to the right."""

    shot: Shot
    solve: Solve
    model: Reconstruction
    off: np.ndarray


def make_shot(
    path: Path,
    lens: CameraModel = BARREL,
    points: int = 120,
    off: np.ndarray | None = None,
    interpolated: tuple[int, ...] = (),
    unsolved: tuple[int, ...] = (),
    zoom: np.ndarray | None = None,
    travel: np.ndarray = FORWARD,
    images: bool = False,
    lengths: np.ndarray | None = None,
) -> Made:
    """`interpolated` and `unsolved` are indices of frames; `zoom` is each frame's focal length over
    the lens's, `lengths` (p,) how many of the solved frames see each point, from the first on."""
    shot = Shot(path)
    off = np.linspace(0, 3, points) if off is None else off
    rotations = rotations_from_vectors(np.outer(np.arange(COUNT), [0.004, -0.003, 0.002]))
    translations = -np.einsum("nij,nj->ni", rotations, np.outer(np.arange(COUNT), travel))
    lenses = [
        lens.with_focal(*(np.array(lens.focal) * share))
        for share in (np.ones(COUNT) if zoom is None else zoom)
    ]
    places = _points(lens, points)
    pixels = _pixels(lenses, rotations, translations, places)
    pixels[..., 0] += off[:, None]
    kept = [index for index in range(COUNT) if index not in (*interpolated, *unsolved)]
    lengths = np.full(points, COUNT) if lengths is None else lengths
    model = _model(lenses, rotations, translations, places, pixels, kept, lengths)
    solve = _solve(model, lenses, rotations, translations, kept, unsolved)
    _save(shot, solve, model)
    _save_tracks(shot, pixels)
    if images:
        _write_frames(shot, lens.width, lens.height)
    return Made(shot, solve, model, off)


def _points(lens: CameraModel, count: int) -> np.ndarray:
    """Ahead of all cameras, inside the picture of each."""
    rng = np.random.default_rng(3)
    size = np.array([lens.width, lens.height])
    pixels = rng.uniform(0.25 * size, 0.75 * size, (count, 2))
    depth = rng.uniform(8, 16, (count, 1))
    return np.hstack([(pixels - lens.center) / lens.focal, np.ones((count, 1))]) * depth


def _pixels(
    lenses: list[CameraModel], rotations: np.ndarray, translations: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """(p, n, 2) by COLMAP itself."""
    local = np.einsum("nij,pj->npi", rotations, places) + translations[:, None]
    shown = [
        colmap_camera(lens).img_from_cam(each) for lens, each in zip(lenses, local, strict=True)
    ]
    return np.stack(shown, axis=1)


def _model(
    lenses: list[CameraModel],
    rotations: np.ndarray,
    translations: np.ndarray,
    places: np.ndarray,
    pixels: np.ndarray,
    kept: list[int],
    lengths: np.ndarray,
) -> Reconstruction:
    count = len(places)
    point, image = np.nonzero(np.arange(len(kept)) < lengths[:, None])
    return Reconstruction(
        cameras={index + 1: lenses[index] for index in kept},
        names=tuple(f"{FRAME_PATTERN.format(FIRST + index)}.png" for index in kept),
        camera_ids=np.array(kept) + 1,
        quaternions=quaternions_from_rotations(rotations[kept]),
        translations=translations[kept],
        points=Points(
            ids=np.arange(1, count + 1, dtype=np.uint64),
            positions=places,
            colors=np.full((count, 3), 128, np.uint8),
            errors=np.full(count, 0.3),
            tracks=np.bincount(point),
        ),
        observations=Observations(image, point, pixels[point, np.array(kept)[image]]),
    )


def _solve(
    model: Reconstruction,
    lenses: list[CameraModel],
    rotations: np.ndarray,
    translations: np.ndarray,
    kept: list[int],
    unsolved: tuple[int, ...],
) -> Solve:
    """With the errors of the frames as the solving stage finds them."""
    error = project_observations(model, model.observations).error
    errors = [error[model.observations.image == place].mean() for place in range(len(kept))]
    there = [index for index in range(COUNT) if index not in unsolved]
    lens = lenses[0]
    frames = []
    for index in range(COUNT):
        frame = FrameSolve(FIRST + index, FrameState.UNSOLVED)
        if index in kept:
            state = FrameState.SOLVED
            frame = replace(frame, state=state, error=float(errors[kept.index(index)]))
        elif index in there:
            frame = replace(frame, state=FrameState.INTERPOLATED)
        frames.append(frame)
    track = CameraTrack(
        frames=FIRST + np.array(there),
        matrices=matrices_from_colmap(rotations[there], translations[there], WORLD),
        focal=np.array([lenses[index].focal for index in there]),
        center=np.tile(lens.center, (len(there), 1)),
        solved=np.isin(there, kept),
        width=lens.width,
        height=lens.height,
        fps=FPS,
        fits=PLATE if lens.is_pinhole else UNDISTORTED_PLATE,
    )
    quality = Quality(Motion.MOVING, "The camera travels.", Grade.GOOD)
    return Solve("tracks", lens, WORLD, "made up", track, tuple(frames), len(model.points.ids),
                 float(error.mean()), float(max(errors)), quality)  # fmt: skip


def _save(shot: Shot, solve: Solve, model: Reconstruction) -> None:
    shot.sparse.mkdir(parents=True)
    write_model(model, shot.sparse)
    shot.camera.mkdir()
    solve.save(shot.camera)
    numbers = tuple(range(FIRST, FIRST + COUNT))
    times = tuple(float(index / FPS) for index in range(COUNT))
    plate = Plate(
        "a.mov", "movie", solve.camera.width, solve.camera.height, FPS, numbers, numbers, times
    )
    shot.frames.mkdir(parents=True)
    write_json(shot.plate_file, plate.to_json())


def _save_tracks(shot: Shot, pixels: np.ndarray) -> None:
    track, frame = (grid.ravel() for grid in np.mgrid[: len(pixels), :COUNT])
    Tracks(
        ids=np.arange(len(pixels)),
        manual=np.zeros(len(pixels), np.bool_),
        errors=np.full(len(pixels), 0.3),
        track=track,
        frame=FIRST + frame,
        pixel=pixels[track, frame],
        sigma=np.full(len(track), 0.1, np.float32),
    ).save(shot.tracks)


def _write_frames(shot: Shot, width: int, height: int) -> None:
    """Gray, so that whatever has color was drawn; each a little lighter than the one before."""
    for index in range(COUNT):
        gray = np.full((height, width, 3), 60 + 12 * index, np.uint8)
        assert cv2.imwrite(str(shot.frame_file(FIRST + index)), gray)
