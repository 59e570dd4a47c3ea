# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks of picked objects as they were tracked, in the frame that is shown: where to correct them.

Blender reads the files, into an image for each object. That may not be done while drawing, and is
not while an animation plays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import gpu

from ..backend.prompts import label_folder
from ..backend.shot import Shot
from .scene.color_space import mark_as_data

_NAME = ".Shot Gopher mask {}"
"""Of the images; Blender does not list names that begin with a point."""


class TrackedMasks:
    """What is on disk of the objects in one frame."""

    def __init__(self) -> None:
        self._frame = 0
        self._files: dict[str, tuple[Path, int]] = {}

    def look(self, shot: Shot | None, names: list[str], frame: int) -> None:
        """Reads the masks of these objects in a frame, those that are known already left out."""
        found = {} if shot is None else {name: _file(shot, name, frame) for name in names}
        files = {name: file for name, file in found.items() if file is not None}
        for name, (path, changed) in files.items():
            image = bpy.data.images.get(_NAME.format(name))
            if image is None or self._files.get(name) != (path, changed):
                _read(image, name, path)
        self._frame, self._files = frame, files

    def texture(self, name: str, frame: int) -> gpu.types.GPUTexture | None:
        """The mask of an object in a frame, None where there is none. Call it while drawing."""
        image = bpy.data.images.get(_NAME.format(name))
        if frame != self._frame or name not in self._files or image is None or not all(image.size):
            return None
        return gpu.texture.from_image(image)


def _file(shot: Shot, name: str, frame: int) -> tuple[Path, int] | None:
    path = shot.roto / label_folder(name) / shot.frame_file(frame).name
    try:
        return path, path.stat().st_mtime_ns
    except OSError:
        return None


def _read(image: Any, name: str, path: Path) -> None:
    if image is None:
        image = bpy.data.images.new(_NAME.format(name), 1, 1)
        image.source = "FILE"
        mark_as_data(image)
    image.filepath = str(path)
    image.reload()


tracked = TrackedMasks()
