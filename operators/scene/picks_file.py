# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the scene's picks and the shot's roto/prompts.json alike.

The picks of a scene belong to one shot, whose folder they remember. The file is read when the scene
turns to another shot and when a .blend is opened, and written when picks have changed: what a
colleague or a script has written meanwhile goes with the first change here, and not before.
"""

from __future__ import annotations

import bpy

from ...backend.prompts import Prompts
from ...backend.shot import Shot, folder_key
from .picks import prompts_of, show

_alike: dict[str, Prompts] = {}
"""What scene and file had in common last, by the shot's folder."""


def follow(settings: bpy.types.PropertyGroup, shot: Shot | None, again: bool = False) -> None:
    """Shows what is picked in a shot, unless the scene shows that already; `again` reads it anew.

    Picks of another shot go; those of a shot that has lost its file stay. Raises FormatError.
    """
    here = _key(shot)
    other = settings.picks_shot != here
    if not other and not again:
        return
    settings.picks_shot = here
    _alike.pop(here, None)
    if other:
        settings.picked.clear()
    if shot is not None and shot.prompts.is_file():
        show(settings, Prompts.load(shot.prompts))
        _alike[here] = prompts_of(settings)


def save(settings: bpy.types.PropertyGroup, shot: Shot) -> None:
    """Writes the picks if they are the shot's and have changed. Raises OutputError, OSError."""
    here, prompts = _key(shot), prompts_of(settings)
    if settings.picks_shot != here or prompts == _alike.get(here):
        return
    if prompts.objects or shot.prompts.is_file():
        prompts.save(shot.prompts)
        _alike[here] = prompts


def _key(shot: Shot | None) -> str:
    return folder_key(str(shot.path)) if shot else ""
