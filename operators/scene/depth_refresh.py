# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings what shows a shot's frames and depth up to date after another run of a stage."""

from __future__ import annotations

import bpy

from ...backend.errors import ShotGopherError
from ...backend.shot import Shot
from . import parts, placed
from .depth import read_depth
from .parts import Role
from .sequences import read_again


def refresh(scene: bpy.types.Scene, shot: Shot) -> None:
    """Reads the files of the shot's sequences again. New maps may stand in another world than those
    before; what does not fit stays as it is."""
    read_again(shot)
    source = str(shot.path.resolve())
    card = parts.find_object(scene, Role.CARD, source)
    nodes = parts.find(bpy.data.node_groups, Role.COMPOSITING, source)
    shown = [each for each in (card, nodes) if each is not None]
    if not shown:
        return
    if card is not None:
        # Its nodes are not told that a file has changed.
        card.update_tag()
    try:
        depth = read_depth(scene, shot)
    except ShotGopherError:
        return
    for each in shown if depth.place is not None else ():
        placed.set_size(each, depth.scale)
        placed.note(each, depth.place)
