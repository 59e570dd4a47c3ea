# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures that stages leave of what they made, as icons that panels can draw.

Blender's own loader would make them 256 pixels wide; contact sheets are to be seen in full.
"""

from __future__ import annotations

import logging
from collections.abc import Set

import bpy
import bpy.utils.previews
import numpy as np

from ..backend.previews import Preview

_log = logging.getLogger(__name__)


class Previews:
    """The icons of some pictures. Read from disk in `keep`, never while something is drawn."""

    def __init__(self) -> None:
        self._icons: bpy.utils.previews.ImagePreviewCollection | None = None

    def keep(self, wanted: Set[Preview]) -> None:
        """Reads those that are new and drops those that are not wanted any more."""
        if bpy.app.background or not (wanted or self._icons):
            return
        if self._icons is None:
            self._icons = bpy.utils.previews.new()
        names = {_name(preview): preview for preview in wanted}
        for name in [name for name in self._icons if name not in names]:
            del self._icons[name]
        for name, preview in names.items():
            if name not in self._icons:
                _read(preview, self._icons.new(name))

    def icon(self, preview: Preview) -> int:
        """The icon's number, 0 where there is none."""
        icon = (self._icons or {}).get(_name(preview))
        return icon.icon_id if icon is not None else 0

    def free(self) -> None:
        if self._icons is not None:
            bpy.utils.previews.remove(self._icons)
            self._icons = None


def _name(preview: Preview) -> str:
    return f"{preview.changed} {preview.path}"


def _read(preview: Preview, icon: bpy.types.ImagePreview) -> None:
    """Leaves the icon empty for a file that is no picture."""
    try:
        image = bpy.data.images.load(preview.path)
    except RuntimeError as error:
        _log.info("No preview: %s", error)
        return
    try:
        width, height = image.size
        pixels = np.empty(len(image.pixels), dtype=np.float32)
        image.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(image)
    if len(pixels) == 4 * width * height > 0:
        icon.image_size = (width, height)
        icon.image_pixels_float.foreach_set(pixels)
