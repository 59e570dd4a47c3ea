# SPDX-License-Identifier: GPL-3.0-or-later
"""The button Check Track: the solved points over the plate in the camera view, as one scrubs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ..backend import survey
from ..backend.camera import Array, Similarity
from ..backend.errors import SolveError
from ..backend.track_check import TrackCheck, read_check
from .monitor import monitor
from .plate_overlay import PlateOverlay, Wanted, shows_undistorted
from .scene import check_view, parts

_ANOTHER_SOLVE = "The scene shows another solve than the shot folder has: import the camera again."


@dataclass(frozen=True, eq=False)
class Loaded:
    """A check, and the way (4, 4) from its world to the one that the scene shows."""

    check: TrackCheck
    world: Array

    @classmethod
    def read(cls, wanted: Wanted) -> Loaded:
        """Raises ShotGopherError."""
        shot = wanted.shot()
        check = read_check(shot)
        if not wanted.world:
            return cls(check, np.eye(4))
        if not survey.is_of_this_solve(shot, wanted.world):
            raise SolveError(_ANOTHER_SOLVE)
        shown = Similarity.from_json(json.loads(wanted.world)["world"])
        return cls(check, shown.matrix() @ np.linalg.inv(check.solve.world.matrix()))


class Checker(PlateOverlay[Loaded]):
    """The check of a track."""

    what = "track"

    def __init__(self) -> None:
        super().__init__()
        self._cloud = ""

    def read(self, wanted: Wanted) -> Loaded:
        return Loaded.read(wanted)

    def prepare(self, wanted: Wanted) -> None:
        """Looks for the shot's points once: a scene may have very many objects."""
        clouds = (each for each in bpy.context.scene.objects if _is_cloud_of(each, wanted))
        self._cloud = min((each.name for each in clouds), default="")

    def draw(
        self, context: bpy.types.Context, camera: bpy.types.Object, wanted: Wanted, content: Loaded
    ) -> None:
        scene, settings = context.scene, context.scene.shot_gopher
        seen = content.check.at(scene.frame_current, settings.check_points)
        if seen is not None:
            undistorted = shows_undistorted(camera)
            world = self._placed(scene, wanted) @ content.world
            look = check_view.Look(content.check, seen, world, undistorted, settings.check_factor)
            check_view.draw(context, camera, look)

    def _placed(self, scene: bpy.types.Scene, wanted: Wanted) -> Array:
        """(4, 4) where the artist has put the shot's world: the axes of its cloud of points."""
        cloud = scene.objects.get(self._cloud) if self._cloud else None
        if cloud is None or not _is_cloud_of(cloud, wanted):
            return np.eye(4)
        return np.array(cloud.matrix_world)


def _is_cloud_of(each: bpy.types.Object, wanted: Wanted) -> bool:
    role, source = each.get(parts.ROLE), each.get(parts.SOURCE)
    return role == parts.Role.POINTS.value and source == wanted.source


checker = Checker()


class SHOTGOPHER_OT_check_track(bpy.types.Operator):
    """Draw the strongest solved points over the plate in the camera view, colored by how far they
    are from where the plate has them, and lines that show their slip"""

    bl_idname = "shot_gopher.check_track"
    bl_label = "Check Track"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not checker.on and not monitor.view(context.scene).solved:
            cls.poll_message_set("Track the camera first")
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        checker.toggle()
        return {"FINISHED"}


@persistent
def _file_loaded(*_arguments: Any) -> None:
    checker.forget()


_register_classes, _unregister_classes = bpy.utils.register_classes_factory(
    (SHOTGOPHER_OT_check_track,)
)


def register() -> None:
    _register_classes()
    bpy.app.handlers.load_post.append(_file_loaded)


def unregister() -> None:
    checker.stop()
    bpy.app.handlers.load_post.remove(_file_loaded)
    _unregister_classes()
