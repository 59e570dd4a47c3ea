# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracked shot whose points are seen where its camera sees them, with the 2-D tracks of that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from shot_gopher.backend.formats.colmap import read_model, write_model
from shot_gopher.backend.reconstruction import CameraModel, Observations
from shot_gopher.backend.shot import Shot
from shot_gopher.backend.tracks import UNUSED, Tracks

from .shots import arc, cloud, make_shot

LENS = CameraModel("PINHOLE", 640, 360, (420.0, 420.0, 320.0, 180.0))
FIRST, COUNT = 1001, 12


def true_pixels(points: int, lens: CameraModel = LENS, count: int = COUNT) -> np.ndarray:
    """(points, frames, 2), NaN outside the picture."""
    poses = arc(count)
    local = np.einsum("fij,pj->pfi", poses.rotations, cloud(points).positions)
    local += poses.translations
    pixels = local[..., :2] / local[..., 2:] * lens.focal + lens.center
    outside = (pixels < 0) | (pixels > [lens.width, lens.height])
    pixels[outside.any(axis=2)] = np.nan
    return pixels


def tracked_shot(
    folder: Path, points: int = 60, first_id: int = 1, shift: float = 0.0, images: bool = True
) -> Shot:
    """Track `first_id + i` is point i, seen up to `shift` px away in x; the last has no point."""
    shot = make_shot(folder, lens=LENS, first=FIRST, count=COUNT, points=points, images=images)
    pixels = true_pixels(points) + np.array([shift, 0])
    track, frame = np.nonzero(np.isfinite(pixels[..., 0]))
    model = read_model(shot.sparse)
    seen = Observations(frame, track, pixels[track, frame])
    write_model(replace(model, observations=seen), shot.sparse)
    errors = np.linspace(0.05, 1.0, points)
    errors[-1] = UNUSED
    tracks_of(first_id + np.arange(points), errors, track, frame, pixels[track, frame]).save(
        shot.tracks
    )
    return shot


def tracks_of(
    ids: np.ndarray, errors: np.ndarray, track: np.ndarray, frame: np.ndarray, pixel: np.ndarray
) -> Tracks:
    return Tracks(
        ids=ids,
        manual=np.zeros(len(ids), dtype=np.bool_),
        errors=errors,
        track=track,
        frame=FIRST + frame,
        pixel=pixel,
        sigma=np.full(len(track), 0.1, dtype=np.float32),
    )
