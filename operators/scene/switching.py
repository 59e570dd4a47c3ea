# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches what stands behind the camera of an imported shot.

Call it from an operator that undoes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy

from ...backend.backgrounds import PLATE, Background, find_backgrounds
from ...backend.errors import UsageError
from ...backend.shot import Shot
from . import background, parts
from .background import AUTO


@dataclass(frozen=True)
class How:
    """`size` is that of the proxies; `follow`: the movie clip editors show the same."""

    size: str = AUTO
    follow: bool = False


def show(scene: bpy.types.Scene, shot: Shot, name: str, how: How) -> Background:
    """Shows a background of the shot by its name; "" reads the one that is shown again.

    Raises UsageError for one that is not there or a shot that is not in the scene, FormatError.
    """
    source = str(shot.path.resolve())
    camera = parts.find_object(scene, parts.Role.CAMERA, source)
    if camera is None or background.find_clip(source, PLATE) is None:
        raise UsageError("Import the camera first: its plate is not in this scene.")
    found = find_backgrounds(shot, shot.load_plate())
    if not name:
        background.refresh(source, shot.name, found)
        wanted = background.chosen(camera.data, found)
    else:
        wanted = _named(found, name)
        background.choose(camera.data, wanted)
    clip = background.show(camera, source, shot.name, wanted, how.size)
    straightened = background.is_straightened(wanted)
    background.show_in_editors(clip, source, straightened, how.size, how.follow)
    return wanted


def show_over(scene: bpy.types.Scene, shot: Shot, name: str, size: str = AUTO) -> None:
    """Shows masks such as "roto/actor" over the plate. Raises as `show`."""
    source = str(shot.path.resolve())
    camera = parts.find_object(scene, parts.Role.CAMERA, source)
    if camera is None:
        raise UsageError("Import the camera first: its plate is not in this scene.")
    masks = _named(find_backgrounds(shot, shot.load_plate()), name)
    background.show_over(camera, source, shot.name, masks, size)


def _named(found: Sequence[Background], name: str) -> Background:
    for each in found:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in found) or "nothing: its frames are missing"
    raise UsageError(f"The shot has no '{name}' to show behind the camera. It has {names}.")
