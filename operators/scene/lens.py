# SPDX-License-Identifier: GPL-3.0-or-later
"""The solved lens in a movie clip, so that Blender undistorts as COLMAP does."""

from __future__ import annotations

from collections.abc import Mapping

import bpy

from ...backend.camera import DEFAULT_SENSOR_WIDTH
from ...backend.reconstruction import CameraModel
from .footage import Footage

_PARAMETERS = (
    *("k1", "k2", "k3"),
    *(f"brown_{name}" for name in ("k1", "k2", "k3", "k4", "p1", "p2")),
)
"""Of the two models of distortion that are COLMAP's as well."""


def set_lens(clip: bpy.types.MovieClip, footage: Footage) -> None:
    """Gives the clip the solved lens, so that Blender undistorts as COLMAP does.

    Blender counts the principal point from the lower left corner, and its tangential terms are
    COLMAP's with x and y exchanged and one sign turned; both were measured against COLMAP.
    """
    camera = clip.tracking.camera
    fx, fy = footage.track.focal[footage.main]
    cx, cy = footage.track.center[footage.main]
    camera.units = "PIXELS"
    camera.sensor_width = DEFAULT_SENSOR_WIDTH
    camera.pixel_aspect = fy / fx
    model, values = blender_distortion(footage.lens) or ("POLYNOMIAL", {})
    camera.distortion_model = model
    for name in _PARAMETERS:
        setattr(camera, name, values.get(name, 0.0))
    camera.focal_length_pixels = fx
    camera.principal_point_pixels = (cx, footage.track.height - cy)


def copy_lens(plate: bpy.types.MovieClip, clip: bpy.types.MovieClip) -> None:
    """Gives a clip the lens and the shape of pixels that the plate's has, at its own size."""
    mine, other = clip.tracking.camera, plate.tracking.camera
    mine.units = "PIXELS"
    for name in ("sensor_width", "pixel_aspect", "distortion_model", *_PARAMETERS):
        setattr(mine, name, getattr(other, name))
    mine.focal_length_pixels = other.focal_length_pixels * clip.size[0] / max(1, plate.size[0])
    mine.principal_point = other.principal_point
    clip.display_aspect = plate.display_aspect


def blender_distortion(lens: CameraModel) -> tuple[str, dict[str, float]] | None:
    """Blender's distortion model and its parameters; None when it has none that is the same.

    Its division model is not COLMAP's: with equal parameters it bends the other way.
    """
    values = lens.distortion()
    match lens.model:
        case "SIMPLE_PINHOLE" | "PINHOLE":
            return "POLYNOMIAL", {}
        case "SIMPLE_RADIAL":
            return "POLYNOMIAL", {"k1": values["k"]}
        case "RADIAL":
            return "POLYNOMIAL", {"k1": values["k1"], "k2": values["k2"]}
        case "OPENCV":
            return "BROWN", _brown(values)
        case "FULL_OPENCV" if values["k4"] == values["k5"] == values["k6"] == 0:
            return "BROWN", _brown(values) | {"brown_k3": values["k3"]}
    return None


def _brown(values: Mapping[str, float]) -> dict[str, float]:
    return {
        "brown_k1": values["k1"],
        "brown_k2": values["k2"],
        "brown_p1": values["p2"],
        "brown_p2": -values["p1"],
    }
