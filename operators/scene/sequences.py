# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot's frames as image sequences for nodes of materials, geometry and compositing.

A sequence shows the file whose number is frame - frame_start + 1 + frame_offset; geometry nodes
take the number itself.
"""

from __future__ import annotations

from pathlib import Path

import bpy

from ...backend.shot import Plate, Shot
from . import parts
from .color_space import mark_as_color, mark_as_data
from .parts import Role

_FOLDER = "shot_gopher_folder"
"""Custom property of an image: the folder in the shot that its frames lie in."""
_BEFORE_ALL = -(2**20) + 1
"""A start from which on every frame of a scene is the last of a sequence of one."""


def sequence(shot: Shot, first: Path, title: str, data: bool = False) -> bpy.types.Image:
    """The image whose first file is given, as it is on disk; `data` where it has no colors."""
    source, path = str(shot.path.resolve()), str(first.resolve())
    folder = first.parent.relative_to(shot.path).as_posix()
    in_folder = (image for image in bpy.data.images if image.get(_FOLDER) == folder)
    image = parts.find(in_folder, Role.SEQUENCE, source)
    if image is None:
        image = bpy.data.images.load(path)
        image.name = f"{shot.name} {title}"
        (mark_as_data if data else mark_as_color)(image)
        image.source = "SEQUENCE"
    elif bpy.path.abspath(image.filepath) != path:
        image.filepath = path
    else:
        image.reload()
    parts.tag(image, Role.SEQUENCE, source)
    image[_FOLDER] = folder
    return image


def read_again(shot: Shot) -> None:
    """Drops what Blender remembers of the files of a shot's sequences."""
    source = str(shot.path.resolve())
    for image in bpy.data.images:
        if parts.find((image,), Role.SEQUENCE, source) is not None:
            image.reload()


def play(user: bpy.types.ImageUser, plate: Plate) -> None:
    """Shows each frame's own file."""
    user.frame_start, user.frame_offset = plate.first_frame, plate.first_frame - 1
    user.frame_duration = plate.last_frame - plate.first_frame + 1
    user.use_auto_refresh = True


def hold(user: bpy.types.ImageUser, number: int) -> None:
    """Shows the file of one frame in all frames."""
    user.frame_start, user.frame_offset, user.frame_duration = _BEFORE_ALL, number - 1, 1
    user.use_auto_refresh = True
