# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth and clean plate among the results: what can be made of them in the scene."""

from __future__ import annotations

import bpy

from ..backend.stages import STAGES
from ..operators.dense import mesh_of
from ..operators.monitor import monitor
from ..operators.scene.background import shown_name
from ..operators.scene.dense_look import Look, look_of
from ..operators.view import ShotView
from . import pieces


class _Pictures(pieces.ShotGopherPanel):
    """Results that are images of their own, which can stand behind the camera.

    `stage` made them into the folder `name` of the shot.
    """

    bl_parent_id = "SHOTGOPHER_PT_results"
    stage = name = ""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        view = monitor.view(context.scene)
        return bool(view.stages[cls.stage].facts) or cls.is_there(view)

    @classmethod
    def is_there(cls, view: ShotView) -> bool:
        return any(each.name == cls.name for each in view.backgrounds)

    def draw_behind(self, layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
        view, now = monitor.view(context.scene), shown_name(context.scene)
        if self.is_there(view) and now:
            layout.operator(
                "shot_gopher.background_show",
                text="Behind Camera",
                icon="IMAGE_BACKGROUND",
                depress=now == self.name,
            ).source = self.name
        pieces.facts(layout, view.stages[self.stage].facts)


class SHOTGOPHER_PT_depth(_Pictures, bpy.types.Panel):
    bl_label = "Depth"
    stage = name = "depth"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        column = layout.column(align=True)
        column.operator("shot_gopher.depth_card", text="Card", icon="MESH_GRID")
        column.operator("shot_gopher.depth_points", text="Points", icon="OUTLINER_OB_POINTCLOUD")
        column.operator(
            "shot_gopher.depth_compositing", text="Compositing", icon="NODE_COMPOSITING"
        )
        self.draw_behind(layout, context)


class SHOTGOPHER_PT_clean_plate(_Pictures, bpy.types.Panel):
    bl_label = STAGES["cleanplate"].title
    stage = name = "cleanplate"

    def draw(self, context: bpy.types.Context) -> None:
        layout, mesh = self.layout, mesh_of(context.scene)
        if mesh is not None and self.is_there(monitor.view(context.scene)):
            layout.operator(
                "shot_gopher.dense_look",
                text="Project on Mesh",
                icon="MOD_UVPROJECT",
                depress=look_of(mesh) is Look.CLEAN,
            ).look = Look.CLEAN.name
        self.draw_behind(layout, context)


register, unregister = bpy.utils.register_classes_factory(
    (SHOTGOPHER_PT_depth, SHOTGOPHER_PT_clean_plate)
)
