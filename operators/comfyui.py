# SPDX-License-Identifier: GPL-3.0-or-later
"""The button that asks the ComfyUI server what it has, in a thread: a server may be slow."""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from ..backend import comfyui
from ..backend.comfyui import ComfySettings
from ..backend.errors import ShotGopherError
from . import addon
from .job import waits
from .monitor import Reading, redraw_panels

_LOOK = 0.2


@dataclass(frozen=True)
class ServerView:
    """What the preferences draw: `server` is "" until one has answered, `stages` are pairs of a
    stage's title and whether the server can do it, `missing` says what to do about the others."""

    server: str = ""
    stages: tuple[tuple[str, bool], ...] = ()
    missing: tuple[str, ...] = ()
    trouble: str = ""


class Checking:
    """The last answer, and the question that is under way."""

    def __init__(self) -> None:
        self.view = ServerView()
        self._reading: Reading | None = None

    @property
    def busy(self) -> bool:
        return self._reading is not None

    def start(self) -> None:
        if self._reading is None:
            home = addon.host().home
            self._reading = Reading(lambda: look(ComfySettings.load(home).url))
            bpy.app.timers.register(self._look, first_interval=_LOOK)

    def run(self) -> None:
        """Asks and waits."""
        self.view = look(ComfySettings.load(addon.host().home).url)

    def forget(self) -> None:
        """What was said is void: another server was chosen, or the add-on goes away."""
        self.view, self._reading = ServerView(), None
        if bpy.app.timers.is_registered(self._look):
            bpy.app.timers.unregister(self._look)

    def _look(self) -> float | None:
        reading = self._reading
        if reading is not None and not reading.done:
            return _LOOK
        if reading is not None:
            self.view = reading.result or ServerView(trouble=str(reading.error))
        self._reading = None
        redraw_panels()
        return None


def look(url: str) -> ServerView:
    """What the server at an address says."""
    try:
        answer = comfyui.survey(url)
    except ShotGopherError as error:
        return ServerView(trouble=error.reason)
    stages = tuple((title, not lacking) for title, lacking in answer.stages.items())
    missing = tuple(dict.fromkeys(each for found in answer.stages.values() for each in found))
    return ServerView(str(answer.server), stages, missing)


checking = Checking()


class SHOTGOPHER_OT_comfyui_check(bpy.types.Operator):
    """Ask the ComfyUI server what it has, and say what is missing and where to get it"""

    bl_idname = "shot_gopher.comfyui_check"
    bl_label = "Check Server"
    bl_options = {"REGISTER"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        if not waits(self):
            checking.start()
            return {"FINISHED"}
        checking.run()
        for sentence in (checking.view.trouble, *checking.view.missing):
            if sentence:
                self.report({"WARNING"}, sentence)
        return {"CANCELLED" if checking.view.trouble else "FINISHED"}


_register_classes, _unregister_classes = bpy.utils.register_classes_factory(
    (SHOTGOPHER_OT_comfyui_check,)
)


def register() -> None:
    _register_classes()


def unregister() -> None:
    checking.forget()
    _unregister_classes()
