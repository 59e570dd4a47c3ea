# SPDX-License-Identifier: GPL-3.0-or-later
"""Which solve a scene shows, and in which world: noted where it is undone and saved with the rest.

An undo, an older file or a job that ended elsewhere can make the scene differ from the shot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import bpy

from ...backend import survey
from ...backend.outputs import camera_digest
from ...backend.shot import Shot
from . import parts

_CAMERA = "shot_gopher_camera"
_WORLD = "shot_gopher_world"


@dataclass(frozen=True)
class Stamp:
    """`camera` is the digest of the imported camera, `world` the snapshot of its world."""

    camera: str
    world: str


def read(shot: Shot) -> Stamp:
    """What the shot has now. Raises ShotGopherError."""
    return Stamp(camera_digest(shot), survey.snapshot(shot))


def put(collection: bpy.types.Collection, stamp: Stamp) -> None:
    collection[_CAMERA], collection[_WORLD] = stamp.camera, stamp.world


def shown(scene: bpy.types.Scene, folder: str) -> Stamp | None:
    """What the scene shows of the shot in that folder; None where that was never imported."""
    return of_shot(all_in(scene), folder)


def all_in(scene: bpy.types.Scene) -> dict[str, Stamp]:
    """What the scene shows, by the folders it was imported from. Touches no disk."""
    return {
        str(collection.get(parts.SOURCE)): Stamp(
            str(collection.get(_CAMERA, "")), str(collection.get(_WORLD, ""))
        )
        for collection in scene.collection.children_recursive
        if collection.get(parts.ROLE) == parts.Role.TRACK.value
    }


def of_shot(stamps: Mapping[str, Stamp], folder: str) -> Stamp | None:
    """The one of the shot in that folder."""
    source = str(Path(folder).resolve())
    found = (stamp for stored, stamp in stamps.items() if parts.same_source(stored, source))
    return next(found, None)
