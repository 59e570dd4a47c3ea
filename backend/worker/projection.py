# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a reconstruction's points fall in its images, by COLMAP's own lens models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pycolmap

from ..camera import Array, rotations_from_quaternions
from ..reconstruction import CameraModel, Observations, Reconstruction


@dataclass(frozen=True, eq=False)
class Projections:
    """For each of the m observations: the point's pixel (m, 2), its depth in front of the camera
    in the solver's units (m,) and its distance in px from where it was observed (m,).
    """

    pixel: Array
    depth: Array
    error: Array


def project_observations(solve: Reconstruction, seen: Observations) -> Projections:
    """Projects every observed point into the image that observes it, lens distortion included."""
    rotations = rotations_from_quaternions(solve.quaternions)[seen.image]
    local = np.einsum("mij,mj->mi", rotations, solve.points.positions[seen.point])
    local += solve.translations[seen.image]
    pixel = np.zeros((len(local), 2))
    camera_ids = solve.camera_ids[seen.image]
    for id_, model in solve.cameras.items():
        chosen = camera_ids == id_
        if chosen.any():
            pixel[chosen] = colmap_camera(model).img_from_cam(local[chosen])
    error = np.linalg.norm(pixel - seen.pixel, axis=1)
    return Projections(pixel, local[:, 2], np.nan_to_num(error, nan=np.inf))


def colmap_camera(model: CameraModel) -> pycolmap.Camera:
    """The lens as COLMAP's own object, which projects."""
    return pycolmap.Camera(
        model=model.model, width=model.width, height=model.height, params=list(model.params)
    )
