# SPDX-License-Identifier: GPL-3.0-or-later
"""The button Check Track: the solved points over the plate in the camera view, as one scrubs.

What is drawn is read once, in a thread, when a view through a shot's camera is first drawn; after
that a redraw only looks it up. No Blender data is kept, so that undo and deleting are harmless.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ..backend import survey
from ..backend.camera import Array, Similarity
from ..backend.errors import ShotGopherError, SolveError
from ..backend.shot import Shot
from ..backend.track_check import TrackCheck, read_check
from . import addon
from .monitor import Reading, monitor
from .scene import check_view, parts, stamp

READ_INTERVAL = 0.05
_ANOTHER_SOLVE = "The scene shows another solve than the shot folder has: import the camera again."

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """Which solve a camera shows: `source` is the folder it was imported from, `folder` the scene's
    shot, which is the same one after it was moved; `world` the snapshot of its world.
    """

    source: str
    folder: str
    world: str

    @classmethod
    def of(cls, scene: bpy.types.Scene, camera: bpy.types.Object) -> Wanted | None:
        """None for a camera that was not imported with a shot."""
        source = str(camera.get(parts.SOURCE))
        shown = stamp.all_in(scene).get(source)
        if shown is None or not shown.camera:
            return None
        return cls(source, addon.absolute(scene.shot_gopher.shot), shown.world)

    def shot(self) -> Shot:
        """Looks at the disk. Raises SolveError when the shot is gone."""
        folders = [Path(folder) for folder in (self.source, self.folder) if folder]
        for folder in (folder.resolve() for folder in folders if folder.is_dir()):
            if parts.same_source(self.source, str(folder)):
                return Shot(folder)
        raise SolveError(f"The shot folder {self.source} is gone.")


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


class Checker:
    """Draws while it is on. `trouble` is a sentence for the panel, "" when all is well."""

    def __init__(self) -> None:
        self.trouble = ""
        self._handle: Any = None
        self._wanted: Wanted | None = None
        self._loaded: Loaded | None = None
        self._reading: Reading | None = None
        self._cloud = ""

    @property
    def on(self) -> bool:
        return self._handle is not None

    def start(self) -> None:
        self._handle = bpy.types.SpaceView3D.draw_handler_add(
            self._draw, (), "WINDOW", "POST_PIXEL"
        )
        redraw()

    def stop(self) -> None:
        if self._handle is not None:
            bpy.types.SpaceView3D.draw_handler_remove(self._handle, "WINDOW")
            self._handle = None
        self.forget()

    def forget(self) -> None:
        """What was read is void; it is read again where it is wanted."""
        self.trouble, self._wanted, self._loaded, self._reading = "", None, None, None
        if bpy.app.timers.is_registered(self._look_for_reading):
            bpy.app.timers.unregister(self._look_for_reading)
        redraw()

    def _draw(self) -> None:
        try:
            self._draw_view(bpy.context)
        except Exception as error:
            # Once: what failed would fail at every redraw.
            _log.exception("The track could not be drawn")
            self._loaded = None
            self._tell(f"The track cannot be drawn: {error}.")

    def _draw_view(self, context: bpy.types.Context) -> None:
        space, scene = context.space_data, context.scene
        camera = shots_camera(context)
        if camera is None or not space.overlay.show_overlays:
            return
        wanted = Wanted.of(scene, camera)
        loaded = self._loaded_for(wanted) if wanted else None
        if wanted is None or loaded is None:
            return
        settings = scene.shot_gopher
        seen = loaded.check.at(scene.frame_current, settings.check_points)
        if seen is not None:
            undistorted = _shows_undistorted(camera)
            world = self._placed(scene, wanted) @ loaded.world
            look = check_view.Look(loaded.check, seen, world, undistorted, settings.check_factor)
            check_view.draw(context, camera, look)

    def _loaded_for(self, wanted: Wanted) -> Loaded | None:
        """What was read of it; None while it is being read and when it could not be."""
        if wanted != self._wanted and self._reading is None:
            self._wanted, self._loaded = wanted, None
            # Looked for once: a scene may have very many objects.
            clouds = (each for each in bpy.context.scene.objects if _is_cloud_of(each, wanted))
            self._cloud = min((each.name for each in clouds), default="")
            self._reading = Reading(lambda: Loaded.read(wanted))
            bpy.app.timers.register(self._look_for_reading, first_interval=READ_INTERVAL)
        return self._loaded if wanted == self._wanted else None

    def _placed(self, scene: bpy.types.Scene, wanted: Wanted) -> Array:
        """(4, 4) where the artist has put the shot's world: the axes of its cloud of points."""
        cloud = scene.objects.get(self._cloud) if self._cloud else None
        if cloud is None or not _is_cloud_of(cloud, wanted):
            return np.eye(4)
        return np.array(cloud.matrix_world)

    def _look_for_reading(self) -> float | None:
        reading = self._reading
        if reading is None:
            return None
        if not reading.done:
            return READ_INTERVAL
        self._reading, self._loaded = None, reading.result
        if isinstance(reading.error, ShotGopherError):
            self._tell(reading.error.reason)
        elif reading.error is not None:
            _log.error("The track could not be read", exc_info=reading.error)
            self._tell(f"The track cannot be read: {reading.error}.")
        else:
            self._tell("")
        return None

    def _tell(self, trouble: str) -> None:
        self.trouble = trouble
        redraw()


def shots_camera(context: bpy.types.Context) -> bpy.types.Object | None:
    """The imported camera that a 3D view looks through; None when it does not."""
    space = context.space_data
    if space.region_3d.view_perspective != "CAMERA":
        return None
    camera = space.camera if space.use_local_camera else context.scene.camera
    imported = camera is not None and camera.get(parts.ROLE) == parts.Role.CAMERA.value
    return camera if imported else None


def _is_cloud_of(each: bpy.types.Object, wanted: Wanted) -> bool:
    role, source = each.get(parts.ROLE), each.get(parts.SOURCE)
    return role == parts.Role.POINTS.value and source == wanted.source


def _shows_undistorted(camera: bpy.types.Object) -> bool:
    """Whether the plate behind the camera has its lens distortion taken out."""
    shown = (each for each in camera.data.background_images if each.source == "MOVIE_CLIP")
    return any(each.clip_user.use_render_undistorted for each in shown)


def redraw() -> None:
    """Draws every 3D view again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


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
        if checker.on:
            checker.stop()
        else:
            checker.start()
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
