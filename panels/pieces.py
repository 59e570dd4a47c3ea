# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces that several panels draw: wrapped text, remedy buttons, the progress bar."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import bpy

from ..backend.errors import Remedy
from ..operators.environment_view import EnvironmentView
from ..operators.models_view import ModelView
from ..operators.view import StageView

CATEGORY = "Shot Gopher"
_LETTER_WIDTH = 6.4
"""Mean width of a letter of the interface font, in pixels at scale 1."""
_MARGIN = 55
_UNIT = 20
"""Pixels at scale 1 that a button is high."""
_PICTURE_MARGIN = 3.5
"""Heights of a button that are left and right of a picture in a box."""
_SHOWN_LINES = 14


class ShotGopherPanel:
    """What every panel of the sidebar tab has in common."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = CATEGORY


def sentence(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    text: str,
    icon: str = "NONE",
    quiet: bool = False,
) -> None:
    """A text as wide as the sidebar, with the icon before its first line."""
    scale = context.preferences.system.ui_scale
    letters = int((context.region.width / scale - _MARGIN) / _LETTER_WIDTH)
    column = layout.column(align=True)
    column.scale_y = 0.8
    column.active = not quiet
    lines = textwrap.wrap(text, max(20, letters))[:_SHOWN_LINES]
    for number, line in enumerate(lines):
        shown = icon if number == 0 else "BLANK1"
        column.label(text=line, icon=shown if icon != "NONE" else "NONE")


def facts(layout: bpy.types.UILayout, lines: Sequence[str]) -> None:
    """Short lines of information, quieter than what can be pressed."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    column.active = False
    for line in lines:
        column.label(text=line)


def picture(layout: bpy.types.UILayout, context: bpy.types.Context, icons: Sequence[int]) -> None:
    """A picture as wide as the sidebar, of icons side by side."""
    unit = _UNIT * context.preferences.system.ui_scale
    width = max(4.0, context.region.width / unit - _PICTURE_MARGIN)
    row = layout.row(align=True)
    for icon in icons:
        row.template_icon(icon_value=icon, scale=width / len(icons))


def progress(layout: bpy.types.UILayout, now: StageView | EnvironmentView | ModelView) -> None:
    """The bar of a running job with its cancel button, and what it does."""
    column = layout.column(align=True)
    row = column.row(align=True)
    row.progress(factor=now.fraction, text=now.count or " ")
    button = row.row(align=True)
    button.enabled = not now.canceling
    button.operator("shot_gopher.job_cancel", text="", icon="X").job = now.job
    facts(column, [now.text])


def running(layout: bpy.types.UILayout, context: bpy.types.Context, now: StageView) -> None:
    """How far a stage is, or what it waits for from the artist, with the buttons for it."""
    if now.waiting is None:
        progress(layout, now)
        return
    sentence(layout, context, now.waiting.text, "INFO")
    layout.operator("wm.url_open", text="Open Page", icon="URL").url = now.waiting.link
    row = layout.row(align=True)
    row.enabled = not now.canceling
    row.operator("shot_gopher.job_go_on", text=now.waiting.button, icon="CHECKMARK").job = now.job
    row.operator("shot_gopher.job_cancel", text="", icon="X").job = now.job


def open_path(layout: bpy.types.UILayout, text: str, path: str, icon: str) -> None:
    layout.operator("wm.path_open", text=text, icon=icon).filepath = path


def remedy_button(layout: bpy.types.UILayout, remedy: Remedy | None, stage: str, log: str) -> None:
    """The button that gets the artist on after a failure of `stage`, and the log beside it."""
    column = layout.column(align=True)
    if remedy is Remedy.INSTALL_ENVIRONMENT:
        column.operator("shot_gopher.environment_install", icon="IMPORT")
    elif remedy is Remedy.ALLOW_ONLINE:
        column.operator("shot_gopher.allow_online", icon="INTERNET")
    elif remedy is Remedy.GET_MODEL:
        column.operator("shot_gopher.models_show", icon="IMPORT")
    elif remedy is Remedy.SET_UP_SHOT:
        column.operator("shot_gopher.set_up", text="Set Up", icon="FILE_REFRESH")
    elif remedy is Remedy.TRACK_CAMERA:
        column.operator("shot_gopher.stage_run", text="Track Camera").stage = "colmap"
    elif stage:
        column.operator(
            "shot_gopher.stage_run", text="Run Again", icon="FILE_REFRESH"
        ).stage = stage
    if log:
        open_path(column, "Open Log", log, "TEXT")
