# SPDX-License-Identifier: GPL-3.0-or-later
"""Something that is drawn over the plate in views through a shot's camera, while it is on.

What is drawn is read once, in a thread, when a view through a shot's camera is first drawn; after
that a redraw only looks it up. No Blender data is kept, so that undo and deleting are harmless.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import bpy

from ..backend.errors import ShotGopherError, SolveError
from ..backend.shot import Shot
from . import addon
from .monitor import Reading
from .scene import parts, stamp

READ_INTERVAL = 0.05

_log = logging.getLogger(__name__)

Content = TypeVar("Content")


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


class PlateOverlay(Generic[Content]):
    """Draws while it is on. `trouble` is a sentence for the panel, "" when all is well.

    `what` is what cannot be drawn or read then.
    """

    what = ""

    def __init__(self) -> None:
        self.trouble = ""
        self._handle: Any = None
        self._wanted: Wanted | None = None
        self._loaded: Content | None = None
        self._reading: Reading | None = None

    def read(self, wanted: Wanted) -> Content:
        """Called in a thread. Raises ShotGopherError."""
        raise NotImplementedError

    def prepare(self, wanted: Wanted) -> None:
        """Called once before that, to look for what is slow to find in a scene."""

    def draw(
        self, context: bpy.types.Context, camera: bpy.types.Object, wanted: Wanted, content: Content
    ) -> None:
        """Draws into the region of a view through that camera."""
        raise NotImplementedError

    @property
    def on(self) -> bool:
        return self._handle is not None

    def toggle(self) -> None:
        if self.on:
            self.stop()
        else:
            self.start()

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
            _log.exception("The %s could not be drawn", self.what)
            self._loaded = None
            self._tell(f"The {self.what} cannot be drawn: {error}.")

    def _draw_view(self, context: bpy.types.Context) -> None:
        camera = shots_camera(context)
        if camera is None or not context.space_data.overlay.show_overlays:
            return
        wanted = Wanted.of(context.scene, camera)
        loaded = self._loaded_for(wanted) if wanted else None
        if wanted is not None and loaded is not None:
            self.draw(context, camera, wanted, loaded)

    def _loaded_for(self, wanted: Wanted) -> Content | None:
        """What was read of it; None while it is being read and when it could not be."""
        if wanted != self._wanted and self._reading is None:
            self._wanted, self._loaded = wanted, None
            self.prepare(wanted)
            self._reading = Reading(lambda: self.read(wanted))
            bpy.app.timers.register(self._look_for_reading, first_interval=READ_INTERVAL)
        return self._loaded if wanted == self._wanted else None

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
            _log.error("The %s could not be read", self.what, exc_info=reading.error)
            self._tell(f"The {self.what} cannot be read: {reading.error}.")
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


def shows_undistorted(camera: bpy.types.Object) -> bool:
    """Whether the plate behind the camera has its lens distortion taken out."""
    shown = (each for each in camera.data.background_images if each.source == "MOVIE_CLIP")
    return any(each.clip_user.use_render_undistorted for each in shown)


def redraw() -> None:
    """Draws every 3D view again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
