# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist adds to a solve: edited tracks, and what is known of the scene.

Both panels stand in the 3D view's sidebar and in the clip editor's.
"""

from __future__ import annotations

import bpy

from ..operators.monitor import monitor
from . import pieces


class _Solved:
    """Shown only once there is a camera."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return monitor.view(context.scene).solved


class _InClipEditor:
    bl_space_type = "CLIP_EDITOR"
    bl_region_type = "UI"
    bl_category = pieces.CATEGORY


class _Refine(_Solved):
    bl_label = "Refine"
    bl_order = 4

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        view = monitor.view(context.scene)
        if not view.solve.tracks:
            pieces.sentence(layout, context, "This solve has no tracks to refine.", "INFO")
            return
        text = (
            "In the movie clip editor: delete bad tracks (pink ones first), move markers, or track "
            "points of your own."
        )
        pieces.sentence(layout, context, text, quiet=True)
        row = layout.row(align=True)
        row.operator("shot_gopher.tracks_show", icon="TRACKER")
        row.prop(context.scene.shot_gopher, "most_tracks", text="Most")
        row = layout.row()
        row.scale_y = 1.4
        row.operator("shot_gopher.refine", icon="FILE_REFRESH")


class SHOTGOPHER_PT_refine(_Refine, pieces.ShotGopherPanel, bpy.types.Panel):
    bl_options = {"DEFAULT_CLOSED"}


class SHOTGOPHER_PT_refine_clip(_Refine, _InClipEditor, bpy.types.Panel):
    def draw(self, context: bpy.types.Context) -> None:
        super().draw(context)
        text = "Show Tracks Not Seen at This Frame"
        self.layout.prop(context.space_data, "show_disabled", text=text)


class _Survey(_Solved):
    bl_label = "Scene"
    bl_order = 5

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        view = monitor.view(context.scene)
        pieces.sentence(layout, context, self.how, quiet=True)
        column = layout.column(align=True)
        row = column.row(align=True)
        row.operator("shot_gopher.survey_floor", icon="AXIS_TOP")
        row.operator("shot_gopher.survey_origin", icon="EMPTY_AXIS")
        row = column.row(align=True)
        row.operator("shot_gopher.survey_axis", text="Set X Axis").axis = "x"
        row.operator("shot_gopher.survey_axis", text="Set Y Axis").axis = "y"
        row = layout.row(align=True)
        settings = context.scene.shot_gopher
        row.prop(settings, "distance", text="")
        row.operator(
            "shot_gopher.survey_distance", icon="DRIVER_DISTANCE"
        ).meters = settings.distance
        pieces.sentence(layout, context, f"World: {view.solve.world}", quiet=True)
        if view.solve.surveyed:
            layout.operator("shot_gopher.survey_reset", icon="LOOP_BACK")


class SHOTGOPHER_PT_survey(_Survey, pieces.ShotGopherPanel, bpy.types.Panel):
    bl_options = {"DEFAULT_CLOSED"}
    how = "Select points of the cloud in Edit Mode, or empties, and say what they are."


class SHOTGOPHER_PT_survey_clip(_Survey, _InClipEditor, bpy.types.Panel):
    how = "Select tracks of the solve and say what they are."


register, unregister = bpy.utils.register_classes_factory(
    (
        SHOTGOPHER_PT_refine,
        SHOTGOPHER_PT_survey,
        SHOTGOPHER_PT_refine_clip,
        SHOTGOPHER_PT_survey_clip,
    )
)
