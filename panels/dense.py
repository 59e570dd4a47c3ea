# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense mesh: importing it, what it looks like, what it is for when the scene renders."""

from __future__ import annotations

import bpy

from ..backend.stages import STAGES
from ..operators.dense import mesh_of
from ..operators.monitor import monitor
from ..operators.scene.dense_look import Look, held_frame, look_of
from ..operators.scene.dense_mesh import Use, use_of
from ..operators.view import ShotView
from . import pieces


class SHOTGOPHER_PT_dense(pieces.ShotGopherPanel, bpy.types.Panel):
    bl_label = STAGES["dense"].title
    bl_parent_id = "SHOTGOPHER_PT_results"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(monitor.view(context.scene).dense)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        _draw_import(layout, context, monitor.view(context.scene))
        mesh = mesh_of(context.scene)
        if mesh is None:
            return
        _draw_material(layout.column(align=True), context.scene, mesh)
        column = layout.column(align=True)
        column.label(text="Renders As")
        grid = column.grid_flow(columns=2, row_major=True, even_columns=True, align=True)
        for use in Use:
            grid.operator(
                "shot_gopher.dense_use", text=use.value[0], depress=use is use_of(mesh)
            ).use = use.name


def _draw_material(
    column: bpy.types.UILayout, scene: bpy.types.Scene, mesh: bpy.types.Object
) -> None:
    column.label(text="Material")
    now, held = look_of(mesh), held_frame(mesh)
    row = column.row(align=True)
    for look in Look:
        place, shown = column if look.is_projected else row, look is now
        place.operator("shot_gopher.dense_look", text=look.value[0], depress=shown).look = look.name
    if now is not None and now.is_projected:
        number = held or scene.frame_current
        text = f"Frame {number} is Held" if held else f"Hold Frame {number}"
        button = column.operator(
            "shot_gopher.dense_look", text=text, icon="PINNED", depress=bool(held)
        )
        button.look, button.hold = now.name, not held


def _draw_import(layout: bpy.types.UILayout, context: bpy.types.Context, view: ShotView) -> None:
    there = view.dense
    text, icon = "Import Dense Mesh", "MESH_DATA"
    if there.blockout and not there.cloud:
        text = "Import Blockout Mesh"
        sentence = (
            "A rough mesh over the solved points, to place things by. Run Dense Mesh for more."
        )
        pieces.sentence(layout, context, sentence, "INFO")
    elif not there.mesh:
        text, icon = "Import Dense Points", "OUTLINER_OB_POINTCLOUD"
    row = layout.row()
    row.scale_y = 1.4
    row.operator("shot_gopher.dense_import", text=text, icon=icon)
    pieces.facts(layout, there.facts)


register, unregister = bpy.utils.register_classes_factory((SHOTGOPHER_PT_dense,))
