# SPDX-License-Identifier: GPL-3.0-or-later
"""A solve against the true camera of its plate."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from backend.accuracy import Distort, Lens, best_similarity, load_truth, slip, turn_slip
from backend.camera import (
    Array,
    CameraTrack,
    Similarity,
    matrices_from_colmap,
    rotations_from_quaternions,
)
from backend.reconstruction import CameraModel, Reconstruction
from backend.shot import frame_number


def judge(truth: str, track: CameraTrack, lens: Lens = None) -> dict[str, float]:
    """Slip in px, jitter in px, focal error; rotation error in degrees where the truth only turns.

    Slip is infinite for a solve that has too little in common with the truth to be compared.
    """
    true, points = load_truth(Path(truth))
    still = bool(np.ptp(true.matrices[:, :3, 3], axis=0).max() < 1e-6)
    try:
        found = (turn_slip if still else slip)(true, track, points, lens)
    except (ValueError, np.linalg.LinAlgError):
        return dict.fromkeys(("slip", "worst", "jitter", "focal_error", "rotation"), np.inf)
    return {
        "slip": found.rms,
        "worst": found.max,
        "jitter": found.jitter,
        "focal_error": found.focal_error,
        "rotation": getattr(found, "rotation", np.inf),
    }


def camera_track(model: Reconstruction) -> CameraTrack:
    """The solved camera in the solver's own world, with the lens of each frame."""
    lenses = _lenses(model)
    rotations = rotations_from_quaternions(model.quaternions)
    world = Similarity.axes_only()
    return CameraTrack(
        frames=np.array([frame_number(name) for name in model.names], dtype=np.int64),
        matrices=matrices_from_colmap(rotations, model.translations, world),
        focal=np.array([lens.focal for lens in lenses]).reshape(-1, 2),
        center=np.array([lens.center for lens in lenses]).reshape(-1, 2),
        solved=np.ones(len(model.names), dtype=np.bool_),
        width=lenses[0].width,
        height=lenses[0].height,
        fps=Fraction(24),
    )


def solved_lens(model: Reconstruction) -> Lens:
    """How the solved lens bends what its pinhole shows, for the whole plate or frame by frame."""
    if all(lens.is_pinhole for lens in model.cameras.values()):
        return None
    if len(model.cameras) == 1:
        return _bend(next(iter(model.cameras.values())))
    return [_bend(lens) for lens in _lenses(model)]


def _lenses(model: Reconstruction) -> Sequence[CameraModel]:
    return [model.cameras[id_] for id_ in model.camera_ids.tolist()]


def _bend(lens: CameraModel) -> Distort:
    import pycolmap

    camera = pycolmap.Camera(
        model=lens.model, width=lens.width, height=lens.height, params=list(lens.params)
    )
    focal, center = np.array(lens.focal), np.array(lens.center)

    def bend(pixels: Array) -> Array:
        rays = np.concatenate([(pixels - center) / focal, np.ones((len(pixels), 1))], axis=1)
        return np.asarray(camera.img_from_cam(rays))

    return bend


def path_error(poses: dict[str, Any], track: CameraTrack) -> float:
    """RMS distance of camera places after the best similarity, in the unit of the known poses.

    `poses` are camera-to-world 4x4 matrices, by frame number as text.
    """
    known = [index for index, frame in enumerate(track.frames.tolist()) if str(frame) in poses]
    true = np.array([poses[str(track.frames[index])] for index in known])[:, :3, 3]
    solved = track.matrices[known, :3, 3]
    apart = best_similarity(solved, true).apply(solved) - true
    return float(np.sqrt((apart**2).sum(axis=1).mean()))
