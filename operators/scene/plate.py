# SPDX-License-Identifier: GPL-3.0-or-later
"""The plate behind the camera: a movie clip with proxies and the solved lens."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...backend.errors import FormatError
from . import background
from .background import AUTO
from .camera import pixel_aspect
from .footage import Footage
from .lens import set_lens


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
    footage: Footage, camera: bpy.types.Object, size: str = AUTO
) -> bpy.types.MovieClip | None:
    """Shows the footage's images behind the camera, each at its frame; updates earlier clips.

    Returns the plate's own clip, None without images. `size` is that of the proxies. Raises
    FormatError when Blender cannot read the images.
    """
    if not footage.backgrounds:
        return None
    first = footage.backgrounds[0]
    plate = background.clip_of(footage.source, footage.name, first, read_again=True)
    plate.display_aspect = pixel_aspect(footage.track, footage.main)
    set_lens(plate, footage)
    background.refresh(footage.source, footage.name, footage.backgrounds[1:])
    chosen = background.chosen(camera.data, footage.backgrounds)
    background.show(camera, footage.source, footage.name, chosen, size)
    background.show_in_editors(plate, footage.source, False, size, follow=False)
    return plate
