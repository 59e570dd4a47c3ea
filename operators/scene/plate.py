# SPDX-License-Identifier: GPL-3.0-or-later
"""The plate behind the camera: a movie clip with proxies and the solved lens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import bpy

from ...backend.camera import DEFAULT_SENSOR_WIDTH
from ...backend.errors import FormatError
from ...backend.reconstruction import CameraModel
from . import parts
from .camera import pixel_aspect
from .footage import Footage, PlateImages

PROXY_FOLDER = "BL_proxy"
"""Blender's own name, beside the frames."""
_HALF = "proxy_50"
_UNDISTORTED_HALF = "proxy_50_undistorted"


def image_size(file: Path) -> tuple[int, int]:
    """Width and height in pixels. Raises FormatError."""
    try:
        image = bpy.data.images.load(str(file))
    except RuntimeError as error:
        raise FormatError(f"The image {file} cannot be read.") from error
    try:
        width, height = image.size
    finally:
        bpy.data.images.remove(image)
    if not width or not height:
        raise FormatError(f"The image {file} cannot be read.")
    return width, height


def build_plate(
    footage: Footage, images: PlateImages, camera: bpy.types.Object
) -> bpy.types.MovieClip:
    """Shows the footage's images behind the camera, each at its frame; updates an earlier clip.

    Raises FormatError when Blender cannot read the images.
    """
    clip = _clip(footage, images)
    undistorted = undistorts(footage.lens, images)
    _set_proxies(clip, images, undistorted)
    set_lens(clip, footage)
    _show_behind(camera.data, clip, images, undistorted)
    return clip


def _clip(footage: Footage, images: PlateImages) -> bpy.types.MovieClip:
    clip = parts.find(bpy.data.movieclips, parts.Role.PLATE, footage.source)
    if clip is None:
        try:
            clip = bpy.data.movieclips.load(str(images.first))
        except RuntimeError as error:
            raise FormatError(f"The image {images.first} cannot be read.") from error
        clip.name = footage.name
        parts.tag(clip, parts.Role.PLATE, footage.source)
    else:
        # Also when it is the same: the files may have changed.
        clip.filepath = str(images.first)
    clip.frame_start = images.first_frame
    clip.display_aspect = pixel_aspect(footage.track, footage.main)
    return clip


def _set_proxies(clip: bpy.types.MovieClip, images: PlateImages, undistorted: bool) -> None:
    clip.use_proxy_custom_directory = images.proxies is not None
    clip.proxy.directory = str(images.proxies or "")
    clip.proxy.build_50 = True
    clip.proxy.build_undistorted_50 = undistorted
    clip.use_proxy = has_proxies(images, undistorted)


def has_proxies(images: PlateImages, undistorted: bool) -> bool:
    """Whether half-size proxies lie where the clip will look for them."""
    folder = images.proxies or images.first.parent / PROXY_FOLDER
    return (folder / images.first.name / (_UNDISTORTED_HALF if undistorted else _HALF)).is_dir()


def undistorts(lens: CameraModel, images: PlateImages | None) -> bool:
    """Whether Blender shows the plate with its distortion taken out, to fit the pinhole camera.

    It can where it has the same lens model, or where proxies were written that way.
    """
    if lens.is_pinhole:
        return False
    return blender_distortion(lens) is not None or (
        images is not None and has_proxies(images, undistorted=True)
    )


def _show_behind(
    data: bpy.types.Camera, clip: bpy.types.MovieClip, images: PlateImages, undistorted: bool
) -> None:
    """Adds the background, or updates the one that shows the clip and keeps its other settings."""
    background = next((each for each in data.background_images if each.clip == clip), None)
    if background is None:
        data.show_background_images = True
        background = data.background_images.new()
        background.source = "MOVIE_CLIP"
        background.clip = clip
        background.alpha = 1.0
        background.display_depth = "BACK"
        background.frame_method = "FIT"
    user = background.clip_user
    user.use_render_undistorted = undistorted
    # Without the proxy files Blender would show nothing at all.
    user.proxy_render_size = "PROXY_50" if has_proxies(images, undistorted) else "FULL"


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
    for name in ("k1", "k2", "k3"):
        setattr(camera, name, values.get(name, 0.0))
    for name in ("k1", "k2", "k3", "k4", "p1", "p2"):
        setattr(camera, f"brown_{name}", values.get(f"brown_{name}", 0.0))
    camera.focal_length_pixels = fx
    camera.principal_point_pixels = (cx, footage.track.height - cy)


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
