# SPDX-License-Identifier: GPL-3.0-or-later
"""The third panel: what there is to bring into the scene, and the camera's way out of it."""

import bpy

from ..operators.monitor import monitor
from . import pieces


class SHOTGOPHER_PT_results(pieces.ShotGopherPanel, bpy.types.Panel):
    bl_label = "Results"
    bl_order = 2

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        view = monitor.view(context.scene)
        layout.prop(context.scene.shot_gopher, "import_when_done")
        if view.trouble:
            alert = layout.column()
            alert.alert = True
            pieces.sentence(alert, context, view.trouble, "ERROR")
        if monitor.import_waits:
            text = "The camera is imported as soon as you are back in Object Mode."
            pieces.sentence(layout, context, text, "TIME")
        row = layout.row()
        row.scale_y = 1.4
        row.enabled = view.solved
        row.operator("shot_gopher.camera_import", icon="CAMERA_DATA")
        column = layout.column(align=True)
        column.operator("shot_gopher.camera_export", icon="EXPORT")
        column.operator("shot_gopher.colmap_import", icon="IMPORT")
        column = layout.column(align=True)
        if view.contact_sheet:
            pieces.open_path(column, "Contact Sheet", view.contact_sheet, "IMAGE_DATA")
        if view.exists:
            pieces.open_path(column, "Shot Folder", view.folder, "FILE_FOLDER")


register, unregister = bpy.utils.register_classes_factory((SHOTGOPHER_PT_results,))
