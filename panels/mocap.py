# SPDX-License-Identifier: GPL-3.0-or-later
"""People among the results: bringing them into the scene, checking them, writing them."""

from __future__ import annotations

import bpy

from ..operators.mocap import body_checker
from ..operators.monitor import monitor
from ..operators.plate_overlay import shots_camera
from . import pieces


class SHOTGOPHER_PT_bodies(pieces.ShotGopherPanel, bpy.types.Panel):
    bl_label = "Bodies"
    bl_parent_id = "SHOTGOPHER_PT_results"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(monitor.view(context.scene).bodies.people)

    def draw(self, context: bpy.types.Context) -> None:
        layout, bodies = self.layout, monitor.view(context.scene).bodies
        row = layout.row()
        row.scale_y = 1.4
        row.operator("shot_gopher.body_import", icon="OUTLINER_OB_ARMATURE")
        layout.prop(context.scene.shot_gopher, "body_how", text="")
        column = layout.column(align=True)
        for person in bodies.people:
            row = column.row(align=True)
            row.label(text=person, icon="USER")
            row.operator("shot_gopher.body_import", text="", icon="IMPORT").person = person
            row.operator("shot_gopher.body_export", text="", icon="EXPORT").person = person
        _draw_check(layout, context)
        if bodies.offers:
            layout.operator("shot_gopher.survey_body", icon="EMPTY_ARROWS")
        for fact in bodies.facts:
            pieces.sentence(layout, context, fact, quiet=True)


def _draw_check(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    layout.operator("shot_gopher.check_body", icon="ARMATURE_DATA", depress=body_checker.on)
    if not body_checker.on:
        return
    if body_checker.trouble:
        alert = layout.column()
        alert.alert = True
        pieces.sentence(alert, context, body_checker.trouble, "ERROR")
    elif shots_camera(context) is None:
        text = "People are drawn when you look through the shot's camera."
        pieces.sentence(layout, context, text, "INFO")
        layout.operator("view3d.view_camera", icon="CAMERA_DATA")


register, unregister = bpy.utils.register_classes_factory((SHOTGOPHER_PT_bodies,))
