# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: where things are kept, and the worker's environment."""

import bpy

from ..operators import addon
from ..operators.comfyui import checking
from ..operators.environment_view import MEGABYTES
from ..operators.monitor import monitor
from . import pieces
from .models import draw_models


def _home_changed(group: bpy.types.AddonPreferences, _context: bpy.types.Context) -> None:
    addon.use_home(group.worker_home)
    if group.comfyui_url or group.comfyui_folder:
        addon.use_comfyui(group.comfyui_url, group.comfyui_folder)
    monitor.refresh_soon()


def _comfyui_changed(group: bpy.types.AddonPreferences, _context: bpy.types.Context) -> None:
    addon.use_comfyui(group.comfyui_url, group.comfyui_folder)
    checking.forget()


class SHOTGOPHER_AP_preferences(bpy.types.AddonPreferences):
    bl_idname = addon.PACKAGE

    projects_folder: bpy.props.StringProperty(
        name="Projects Folder",
        description="Where shot folders are suggested while the .blend file is not saved yet; "
        'empty for "shots" in your home folder. Shots of a saved file are kept beside it',
        subtype="DIR_PATH",
    )
    worker_home: bpy.props.StringProperty(
        name="Worker Folder",
        description="Where the worker's environment and the records of jobs are kept, on a local "
        "disk. Empty for the usual place",
        subtype="DIR_PATH",
        update=_home_changed,
    )
    python: bpy.props.StringProperty(
        name="Python",
        description="Python 3.11 or newer that the environment is made from. Empty for the one "
        "that comes with Blender",
        subtype="FILE_PATH",
    )

    comfyui_url: bpy.props.StringProperty(
        name="ComfyUI Server",
        description="Address of the ComfyUI server that stages may use. Empty for "
        "http://127.0.0.1:8188",
        update=_comfyui_changed,
    )
    comfyui_folder: bpy.props.StringProperty(
        name="ComfyUI Folder",
        description="A ComfyUI on this machine that is started for a job when no server answers, "
        "and stopped after it: the folder with main.py. Empty to start none",
        subtype="DIR_PATH",
        update=_comfyui_changed,
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        _draw_environment(layout.box(), context)
        if not monitor.models.known:
            monitor.refresh_soon()
        draw_models(layout.box(), context, monitor.models)
        column = layout.column()
        column.prop(self, "projects_folder")
        column.prop(self, "worker_home")
        column.prop(self, "python")
        _draw_comfyui(layout.box(), context, self)


def _draw_comfyui(
    layout: bpy.types.UILayout, context: bpy.types.Context, settings: bpy.types.AddonPreferences
) -> None:
    row, now = layout.row(), checking.view
    row.label(text="ComfyUI", icon="NODETREE")
    asks = row.row()
    asks.enabled = not checking.busy
    text = "Asking..." if checking.busy else "Check Server"
    asks.operator("shot_gopher.comfyui_check", text=text, icon="URL")
    layout.prop(settings, "comfyui_url")
    layout.prop(settings, "comfyui_folder")
    if now.server:
        pieces.facts(layout, [now.server])
    for title, can in now.stages:
        layout.label(text=title, icon="CHECKMARK" if can else "X")
    for sentence in now.missing:
        pieces.sentence(layout, context, sentence, "INFO")
    if now.trouble:
        alert = layout.column()
        alert.alert = True
        pieces.sentence(alert, context, now.trouble, "ERROR")


def _draw_environment(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    now = monitor.environment
    if not now.known:
        monitor.refresh_soon()
        layout.label(text="Looking for the environment...")
    elif now.installing:
        layout.label(text="The worker's environment is being installed", icon="IMPORT")
        pieces.progress(layout, now)
    elif now.ready:
        row = layout.row()
        row.label(text="The worker's environment is installed", icon="CHECKMARK")
        row.operator("shot_gopher.environment_remove", text="Remove", icon="TRASH")
        pieces.facts(layout, [now.home])
    else:
        draw_not_installed(layout, context)


def draw_not_installed(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What to do about an environment that is not there yet."""
    now = monitor.environment
    if now.reason:
        layout.alert = True
        pieces.sentence(layout, context, now.reason, "ERROR")
        layout.alert = False
    if bpy.app.online_access:
        text = (
            "The worker's environment, which does the tracking, is not installed yet. It takes up "
            f"to {MEGABYTES} MB."
        )
        pieces.sentence(layout, context, text, "INFO")
        layout.operator("shot_gopher.environment_install", icon="IMPORT")
    else:
        text = (
            "The worker's environment, which does the tracking, is not installed yet. To download "
            "it, turn Blender's online access on."
        )
        pieces.sentence(layout, context, text, "INFO")
        layout.operator("shot_gopher.allow_online", icon="INTERNET")


_register_classes, _unregister_classes = bpy.utils.register_classes_factory(
    (SHOTGOPHER_AP_preferences,)
)


def register() -> None:
    _register_classes()
    settings = addon.preferences()
    if settings:
        addon.use_home(settings.worker_home)


def unregister() -> None:
    addon.use_home("")
    _unregister_classes()
