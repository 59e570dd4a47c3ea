# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot of the textured room that counts as solved: the true camera, points and tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend import outputs
from backend.camera import (
    CameraTrack,
    Similarity,
    matrices_from_colmap,
    quaternions_from_rotations,
    with_opencv_axes,
)
from backend.formats.colmap import write_model
from backend.reconstruction import CameraModel, Observations, Points, Reconstruction
from backend.shot import FRAME_PATTERN, Shot, write_json
from backend.solve import FrameSolve, FrameState, Grade, Motion, Quality, Solve
from backend.stages import STAGES, ColmapOptions, IngestOptions
from backend.tracks import Tracks
from tests.backend.textured_room import room, room_shot, scene_points, sideways, track

WORLD = Similarity(1.3, np.eye(3), np.array([0.4, -0.3, 0.7]))
"""From the room, which stands in for the solver's world, to the shot's: the floor is off."""


def solved_shot(path: Path, frames: int = 24) -> Shot:
    camera = track(sideways, frames, 480, 270)
    shot = room_shot(path, camera)
    write_solved(shot, camera, scene_points(room()))
    return shot


def write_solved(shot: Shot, camera: CameraTrack, points: np.ndarray) -> None:
    """What a solve leaves that has found this camera and these points (n, 3) exactly; every frame
    sees all that are inside of it."""
    indices = range(len(camera.frames))
    pixels = np.stack([camera.project(points, index) for index in indices], axis=1)
    with np.errstate(invalid="ignore"):
        inside = ((pixels > 0) & (pixels < [camera.width, camera.height])).all(axis=2)
    _write_model(shot, camera, points, pixels, inside)
    _write_tracks(shot, camera, pixels, inside)
    _write_solve(shot, camera, len(points))
    _write_records(shot)


def _poses(camera: CameraTrack) -> tuple[np.ndarray, np.ndarray]:
    """World-to-camera rotations and translations."""
    local = with_opencv_axes(camera.matrices)
    rotations = np.swapaxes(local[:, :3, :3], 1, 2)
    return rotations, -np.einsum("nij,nj->ni", rotations, local[:, :3, 3])


def _lens(camera: CameraTrack) -> CameraModel:
    params = (*camera.focal[0].tolist(), *camera.center[0].tolist())
    return CameraModel("PINHOLE", camera.width, camera.height, params)


def _write_model(
    shot: Shot, camera: CameraTrack, points: np.ndarray, pixels: np.ndarray, inside: np.ndarray
) -> None:
    rotations, translations = _poses(camera)
    point, image = np.nonzero(inside)
    count = len(points)
    shot.sparse.mkdir(parents=True)
    model = Reconstruction(
        cameras={1: _lens(camera)},
        names=tuple(f"{FRAME_PATTERN.format(number)}.png" for number in camera.frames),
        camera_ids=np.ones(len(camera.frames), dtype=np.int64),
        quaternions=quaternions_from_rotations(rotations),
        translations=translations,
        points=Points(
            ids=np.arange(1, count + 1, dtype=np.uint64),
            positions=points,
            colors=np.full((count, 3), 160, dtype=np.uint8),
            errors=np.full(count, 0.1),
            tracks=inside.sum(axis=1),
        ),
        observations=Observations(image, point, pixels[point, image]),
    )
    write_model(model, shot.sparse)


def _write_tracks(shot: Shot, camera: CameraTrack, pixels: np.ndarray, inside: np.ndarray) -> None:
    point, image = np.nonzero(inside)
    count = len(pixels)
    Tracks(
        ids=np.arange(1, count + 1),
        manual=np.zeros(count, dtype=np.bool_),
        errors=np.linspace(0.05, 0.6, count),
        track=point,
        frame=camera.frames[image],
        pixel=pixels[point, image],
        sigma=np.full(len(point), 0.1, dtype=np.float32),
    ).save(shot.tracks)


def _write_solve(shot: Shot, camera: CameraTrack, points: int) -> None:
    rotations, translations = _poses(camera)
    moved = CameraTrack(
        **{**vars(camera), "matrices": matrices_from_colmap(rotations, translations, WORLD)}
    )
    shot.camera.mkdir()
    Solve(
        engine="true",
        camera=_lens(camera),
        world=WORLD,
        world_note="made up",
        track=moved,
        frames=tuple(
            FrameSolve(int(number), FrameState.SOLVED, 0.1, 50) for number in camera.frames
        ),
        point_count=points,
        mean_error=0.1,
        max_error=0.2,
        quality=Quality(
            Motion.MOVING, "The camera travels: a turn alone leaves 12 px.", Grade.FAIR,
            ("The focal length is uncertain: enter it if you know it.",), 0.012, 8.1, 0.62,
        ),
    ).save(shot.camera)  # fmt: skip


def _write_records(shot: Shot) -> None:
    """What the stages would have noted, so that nothing is out of date."""
    for name, options in (("ingest", IngestOptions()), ("colmap", ColmapOptions())):
        stage = STAGES[name]
        inputs = outputs.inputs_of(shot, stage, "")
        record = {
            "stage": name,
            "fingerprint": outputs.fingerprint(stage, options, inputs),
            "options": {},
            "inputs": inputs,
            "finished": 1.0,
            "results": [],
        }
        write_json(outputs.stage_file(shot, stage), record)
