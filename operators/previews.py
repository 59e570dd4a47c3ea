# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures that stages leave of what they made, as icons that panels can draw.

Blender's own loader would make them 256 pixels wide; contact sheets are to be seen in full. An icon
is drawn in a square: a wide picture is cut into squares side by side.
"""

from __future__ import annotations

import logging
from collections.abc import Set

import bpy
import bpy.utils.previews
import numpy as np
from numpy.typing import NDArray

from ..backend.previews import Preview

_log = logging.getLogger(__name__)


class Previews:
    """The icons of some pictures. Read from disk in `keep`, never while something is drawn."""

    def __init__(self) -> None:
        self._icons: bpy.utils.previews.ImagePreviewCollection | None = None
        self._names: dict[Preview, tuple[str, ...]] = {}

    def keep(self, wanted: Set[Preview]) -> None:
        """Reads those that are new and drops those that are not wanted any more."""
        if bpy.app.background or not (wanted or self._icons):
            return
        if self._icons is None:
            self._icons = bpy.utils.previews.new()
        for preview in [each for each in self._names if each not in wanted]:
            for name in self._names.pop(preview):
                del self._icons[name]
        for preview in wanted:
            if preview not in self._names:
                self._names[preview] = _read(preview, self._icons)

    def icons(self, preview: Preview | None) -> tuple[int, ...]:
        """The numbers of the picture's icons from the left, () where there is none."""
        if preview is None:
            return ()
        return tuple(self._icons[name].icon_id for name in self._names.get(preview, ()))

    def free(self) -> None:
        if self._icons is not None:
            bpy.utils.previews.remove(self._icons)
            self._icons = None
            self._names.clear()


def _read(preview: Preview, icons: bpy.utils.previews.ImagePreviewCollection) -> tuple[str, ...]:
    """Makes the icons of a picture and returns their names; none of a file that is no picture."""
    pixels = _pixels(preview.path)
    names = []
    for number, square in enumerate(squares(pixels)) if pixels is not None else ():
        names.append(f"{preview.changed} {number} {preview.path}")
        icon = icons.new(names[-1])
        icon.image_size = (square.shape[1], square.shape[0])
        icon.image_pixels_float.foreach_set(np.ascontiguousarray(square).ravel())
    return tuple(names)


def _pixels(path: str) -> NDArray[np.float32] | None:
    """(h, w, 4) from the lowest row up."""
    try:
        image = bpy.data.images.load(path)
    except RuntimeError as error:
        _log.info("No preview: %s", error)
        return None
    try:
        width, height = image.size
        pixels = np.empty(len(image.pixels), dtype=np.float32)
        image.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4) if len(pixels) == 4 * width * height > 0 else None


def squares(pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """A picture (h, w, 4) as squares side by side, as small as they can be to show all of it."""
    height, width, _channels = pixels.shape
    count = max(1, width // height)
    side = max(height, -(-width // count))
    padded = np.zeros((side, side * count, 4), dtype=np.float32)
    top, left = (side - height) // 2, (side * count - width) // 2
    padded[top : top + height, left : left + width] = pixels
    return np.split(padded, count, axis=1)
