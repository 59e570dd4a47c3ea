# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on as its own parts see it: its settings, its worker's home, its scene properties."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import bpy

from ..backend import locations
from ..backend.comfyui import DEFAULT_URL, ComfySettings
from ..backend.errors import ShotGopherError, UsageError
from ..backend.host import Host
from ..backend.mask_edits import EditOptions
from ..backend.options import from_environment, setting_specs, specs
from ..backend.stages import STAGES

PACKAGE = __package__.rpartition(".")[0]
"""The extension's package, which is also its name among Blender's add-ons."""

_log = logging.getLogger(__name__)

_HOME_OUTSIDE = os.environ.get(locations.HOME_VARIABLE)


def preferences() -> Any | None:
    """The add-on's preferences; None while it is enabled for this session only."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon else None


def use_home(folder: str) -> None:
    """Makes `folder` the home of the workers that this Blender starts; "" the usual one.

    Workers look for it in the environment variable, as every other program of Shot Gopher does.
    """
    chosen = bpy.path.abspath(folder) if folder else _HOME_OUTSIDE
    if chosen:
        os.environ[locations.HOME_VARIABLE] = chosen
    else:
        os.environ.pop(locations.HOME_VARIABLE, None)


def use_comfyui(url: str, folder: str) -> None:
    """Keeps which ComfyUI the workers use; an address that is none is said on the console only,
    because a preference cannot refuse what is typed into it."""
    chosen = ComfySettings(url or DEFAULT_URL, bpy.path.abspath(folder) if folder else "")
    try:
        chosen.save(locations.home())
    except ShotGopherError as error:
        _log.warning("%s", error.reason)


def host() -> Host:
    """This Blender as the place that verbs run in."""
    settings = preferences()
    python = bpy.path.abspath(settings.python) if settings and settings.python else sys.executable
    return Host(
        python=Path(python),
        home=locations.home(),
        blender=bpy.app.binary_path,
        online=bpy.app.online_access,
        command="blender --command shot_gopher",
    )


def projects_folder() -> Path:
    """Where shots of a .blend that is not saved yet are suggested."""
    settings = preferences()
    chosen = bpy.path.abspath(settings.projects_folder) if settings else ""
    return Path(chosen) if chosen else Path.home() / "shots"


def absolute(path: str) -> str:
    """A path of a scene property as the worker needs it; "" stays ""."""
    return os.path.abspath(bpy.path.abspath(path)) if path else ""


def stage_options(scene: bpy.types.Scene, stage: str) -> dict[str, Any]:
    """The scene's options of one stage as plain values; those that were not touched may be set by
    environment variables."""
    group, known = getattr(scene.shot_gopher.options, stage), setting_specs(STAGES[stage].options)
    values = {spec.name: getattr(group, spec.name) for spec in known}
    untouched = {spec.name for spec in known if values[spec.name] == spec.default}
    outside: dict[str, Any] = {}
    with contextlib.suppress(UsageError):  # The job says it: make_request looks as well.
        outside = from_environment(STAGES[stage].options, os.environ)
    return values | {name: value for name, value in outside.items() if name in untouched}


def mask_options(scene: bpy.types.Scene) -> dict[str, Any]:
    """How the scene's masks are to be edited, as plain values."""
    group = scene.shot_gopher.mask_edit
    return {spec.name: getattr(group, spec.name) for spec in specs(EditOptions)}


def shots_parent() -> Path:
    """Where a new shot could be kept: beside the saved .blend, else with the projects."""
    blend = bpy.data.filepath
    return Path(blend).parent if blend else projects_folder()


def take_ctrl_c() -> None:
    """Gives Ctrl-C to Python, for a Blender without a window that waits for a job.

    Blender's own handler cannot be put back from Python; such a Blender has no more use for it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


class ShotOperator:
    """What operators have in common that work on the scene's shot."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not context.scene.shot_gopher.shot:
            cls.poll_message_set("Choose a plate or a shot folder first")
            return False
        return True
