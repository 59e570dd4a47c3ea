# SPDX-License-Identifier: GPL-3.0-or-later
"""The first panel: which plate, which folder, set up."""

import bpy

from ..backend.stages import STAGES
from ..operators.monitor import monitor
from ..operators.view import StageState
from . import pieces
from .preferences import draw_not_installed
from .stage import draw_stage


class SHOTGOPHER_MT_recent_shots(bpy.types.Menu):
    """The shots that were worked on lately"""

    bl_label = "Recent Shots"

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        for shot in monitor.recent:
            layout.operator("shot_gopher.shot_open", text=shot.text).directory = shot.folder
        if not monitor.recent:
            layout.label(text="No shots yet")
        layout.separator()
        layout.operator_context = "INVOKE_DEFAULT"
        layout.operator("shot_gopher.shot_open", text="Open Shot Folder...", icon="FILE_FOLDER")


class SHOTGOPHER_PT_shot(pieces.ShotGopherPanel, bpy.types.Panel):
    bl_label = "Shot"
    bl_order = 0

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        row = self.layout.row(align=True)
        row.emboss = "NONE"
        row.menu("SHOTGOPHER_MT_recent_shots", text="", icon="RECOVER_LAST")
        row.operator("shot_gopher.refresh", text="", icon="FILE_REFRESH")

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        settings = context.scene.shot_gopher
        view = monitor.view(context.scene)
        if monitor.trouble:
            pieces.sentence(layout, context, monitor.trouble, "ERROR")
        if monitor.environment.known and not monitor.environment.ready:
            _draw_environment(layout, context)
        column = layout.column(align=True)
        column.label(text="Plate")
        row = column.row(align=True)
        row.prop(settings, "plate", text="")
        row.operator("shot_gopher.plate_show", text="", icon="FOLDER_REDIRECT")
        if not settings.plate:
            pieces.facts(column, ["or drop a movie or image here"])
        elif view.stages["ingest"].state is not StageState.DONE:
            pieces.facts(column, view.plate_lines)
        column.separator()
        column.label(text="Shot Folder")
        row = column.row(align=True)
        row.prop(settings, "shot", text="")
        row.operator("shot_gopher.shot_folder_show", text="", icon="FOLDER_REDIRECT")
        trouble = view.plate_trouble or view.plate_fault
        if trouble:
            alert = layout.column()
            alert.alert = True
            pieces.sentence(alert, context, trouble, "ERROR")
        draw_stage(layout.box(), context, STAGES["ingest"], view.stages["ingest"])


def _draw_environment(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    now = monitor.environment
    if not now.installing:
        draw_not_installed(layout.box(), context)
        return
    column = layout.box().column()
    column.label(text="Installing the environment", icon="IMPORT")
    pieces.progress(column, now)


register, unregister = bpy.utils.register_classes_factory(
    (SHOTGOPHER_MT_recent_shots, SHOTGOPHER_PT_shot)
)
