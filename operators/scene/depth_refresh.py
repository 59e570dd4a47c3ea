# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings what shows a shot's depth up to date after another run of the stage."""

from __future__ import annotations

import bpy

from ...backend.errors import ShotGopherError
from ...backend.shot import Shot
from . import parts, placed
from .depth import read_depth
from .parts import Role


def refresh(scene: bpy.types.Scene, shot: Shot) -> None:
    """New maps may stand in another world than those before. What does not fit stays as it is."""
    source = str(shot.path.resolve())
    card = parts.find_object(scene, Role.CARD, source)
    nodes = parts.find(bpy.data.node_groups, Role.COMPOSITING, source)
    shown = [each for each in (card, nodes) if each is not None]
    if not shown:
        return
    try:
        depth = read_depth(scene, shot)
    except ShotGopherError:
        return
    for each in shown if depth.place is not None else ():
        placed.set_size(each, depth.scale)
        placed.note(each, depth.place)
