# SPDX-License-Identifier: GPL-3.0-or-later
"""How the parts of an imported shot are found again: by custom properties, never by name.

An artist may rename, move and parent what was imported; the next import of the same shot still
finds it and updates it in place.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import TypeVar

import bpy

from ...backend.errors import BlenderError

Block = TypeVar("Block", bound=bpy.types.ID)

ROLE = "shot_gopher_role"
SOURCE = "shot_gopher_source"


class Role(str, Enum):
    """What a data-block is in the shot it came with."""

    TRACK = "track"
    CAMERA = "camera"
    POINTS = "points"
    FRUSTA = "frusta"
    PLATE = "plate"
    BACKGROUND = "background"
    POINT_MATERIAL = "point material"
    DENSE = "dense"
    CLOUD = "cloud"
    MESH = "mesh"
    BLOCKOUT = "blockout"
    TEXTURE = "texture"
    SEQUENCE = "sequence"
    PROJECTOR = "projector"
    MATERIAL = "material"
    DEPTH = "depth"
    CARD = "card"
    CARD_MATERIAL = "card material"
    DEPTH_POINTS = "depth points"
    LENS_MAP = "lens map"
    COMPOSITING = "compositing"
    BODIES = "bodies"
    PERSON = "person"
    ARMATURE = "armature"
    BODY = "body"


def tag(block: bpy.types.ID, role: Role, source: str) -> None:
    """Marks a data-block as that part of the shot (or COLMAP folder) at `source`."""
    block[ROLE] = role.value
    block[SOURCE] = source


def find(blocks: Iterable[Block], role: Role, source: str) -> Block | None:
    """The part among `blocks`, None when it was never made or has been deleted.

    An artist's copy carries the same properties: the first by name is the original, as Blender
    numbers copies.
    """
    found = [
        block
        for block in blocks
        if block.library is None
        and block.get(ROLE) == role.value
        and same_source(block.get(SOURCE), source)
    ]
    return min(found, key=lambda block: block.name, default=None)


def same_source(stored: object, source: str) -> bool:
    """True also for a shot that has moved: another path, the same name, nothing at the old one."""
    if not isinstance(stored, str):
        return False
    return stored == source or (
        Path(stored).name == Path(source).name and not Path(stored).exists()
    )


def find_object(scene: bpy.types.Scene, role: Role, source: str) -> bpy.types.Object | None:
    """The object of that part that is still in the scene."""
    return find(scene.objects, role, source)


def find_objects(scene: bpy.types.Scene, role: Role, source: str) -> list[bpy.types.Object]:
    """All objects of the scene that are that part, where a shot may have several."""
    return [each for each in scene.objects if find((each,), role, source) is not None]


def check_editable(objects: Iterable[bpy.types.Object | None]) -> None:
    """Raises BlenderError when one of them is in Edit Mode, in which its data cannot be changed."""
    for part in objects:
        if part is not None and part.mode == "EDIT":
            raise BlenderError(f"Leave Edit Mode of {part.name} first, then import again.")
