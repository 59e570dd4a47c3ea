# SPDX-License-Identifier: GPL-3.0-or-later
"""The first panel: which plate, which folder, set up."""

import bpy

from ..backend.stages import STAGES
from ..operators.monitor import monitor
from . import pieces
from .preferences import draw_not_installed
from .stage import draw_stage


class SHOTGOPHER_PT_shot(pieces.ShotGopherPanel, bpy.types.Panel):
    bl_label = "Shot"
    bl_order = 0

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        self.layout.operator("shot_gopher.refresh", text="", icon="FILE_REFRESH", emboss=False)

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
        column.prop(settings, "plate", text="")
        column.separator()
        column.label(text="Shot Folder")
        column.prop(settings, "shot", text="")
        if view.plate_trouble:
            alert = layout.column()
            alert.alert = True
            pieces.sentence(alert, context, view.plate_trouble, "ERROR")
        draw_stage(layout.box(), context, STAGES["ingest"], view.stages["ingest"])


def _draw_environment(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    now = monitor.environment
    if not now.installing:
        draw_not_installed(layout.box(), context)
        return
    column = layout.box().column()
    column.label(text="Installing the environment", icon="IMPORT")
    pieces.progress(column, now)


register, unregister = bpy.utils.register_classes_factory((SHOTGOPHER_PT_shot,))
