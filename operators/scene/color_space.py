# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image's values mean, also where a studio's OCIO configuration has names of its own."""

from __future__ import annotations

from collections.abc import Iterable

import bpy

_COLOR = (
    "sRGB",
    "sRGB Encoded Rec.709 (sRGB)",
    "sRGB - Texture",
    "Utility - sRGB - Texture",
    "Input - Generic - sRGB - Texture",
    "srgb_tx",
    "srgb_texture",
    "srgb_rec709_scene",
)
"""What configurations call pictures for a screen: Blender, ACES 2, 1.3 and 1.0, and short names."""

_DATA = ("Non-Color", "Raw", "Utility - Raw", "Non-Colour Data", "raw", "data")


def mark_as_color(image: bpy.types.Image) -> None:
    """Its values are sRGB. A configuration that knows nothing of the kind keeps what it takes
    8-bit images for."""
    _first_known(image, _COLOR)


def mark_as_data(image: bpy.types.Image) -> None:
    """Its values are no colors."""
    if not _first_known(image, _DATA):
        image.colorspace_settings.is_data = True


def _first_known(image: bpy.types.Image, names: Iterable[str]) -> bool:
    """Uses the first name that the configuration knows. Whether there was one."""
    for name in names:
        try:
            image.colorspace_settings.name = name
        except TypeError:  # That is how Blender says that there is no such name.
            continue
        return True
    return False
