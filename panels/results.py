# SPDX-License-Identifier: GPL-3.0-or-later
"""The third panel: how good the camera is, what there is to bring into the scene and out of it."""

import bpy

from ..backend.solve import Grade
from ..backend.stages import STAGES
from ..operators.check import checker
from ..operators.monitor import monitor
from ..operators.plate_overlay import shots_camera
from ..operators.scene.background import shown_name
from ..operators.view import SceneState, ShotView, SolveView
from . import pieces

_GRADE_ICONS = {
    Grade.GOOD.value: "CHECKMARK",
    Grade.FAIR.value: "INFO",
    Grade.POOR.value: "ERROR",
}
_SCENE_TEXTS = {
    SceneState.MISSING: "The camera is solved: import it.",
    SceneState.OLDER: "The shot has been solved since: import the new camera.",
    SceneState.MOVED: "The scene shows another world than the shot folder has.",
}


class SHOTGOPHER_PT_results(pieces.ShotGopherPanel, bpy.types.Panel):
    bl_label = "Results"
    bl_order = 3

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        view = monitor.view(context.scene)
        if view.solve.grade:
            _draw_quality(layout.box(), context, view.solve)
        layout.prop(context.scene.shot_gopher, "import_when_done")
        if view.trouble:
            alert = layout.column()
            alert.alert = True
            pieces.sentence(alert, context, view.trouble, "ERROR")
        _draw_import(layout, context, view)
        _draw_check(layout, context)
        _draw_background(layout, context, view)
        column = layout.column(align=True)
        column.operator("shot_gopher.camera_export", icon="EXPORT")
        column.operator("shot_gopher.colmap_import", icon="IMPORT")
        _draw_files(layout.column(align=True), view)


def _draw_quality(layout: bpy.types.UILayout, context: bpy.types.Context, solve: SolveView) -> None:
    layout.label(text=f"{solve.grade.capitalize()} solve", icon=_GRADE_ICONS[solve.grade])
    pieces.sentence(layout, context, solve.reason)
    for text in solve.advice:
        pieces.sentence(layout, context, text, "LIGHT")
    for line in solve.lines:
        pieces.sentence(layout, context, line, quiet=True)


def _draw_import(layout: bpy.types.UILayout, context: bpy.types.Context, view: ShotView) -> None:
    if monitor.import_waits:
        text = "The camera is imported as soon as you are back in Object Mode."
        pieces.sentence(layout, context, text, "TIME")
    elif view.scene is not SceneState.CURRENT and not view.busy:
        pieces.sentence(layout, context, _SCENE_TEXTS[view.scene], "INFO")
    column = layout.column(align=True)
    row = column.row()
    row.scale_y = 1.4
    row.enabled = view.solved
    row.operator("shot_gopher.camera_import", icon="CAMERA_DATA")
    if view.scene is SceneState.MOVED:
        column.operator("shot_gopher.survey_keep", icon="LOOP_BACK")


def _draw_check(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    column = layout.column(align=True)
    column.operator("shot_gopher.check_track", icon="ZOOM_ALL", depress=checker.on)
    if not checker.on:
        return
    row = column.row(align=True)
    row.prop(context.scene.shot_gopher, "check_factor")
    row.prop(context.scene.shot_gopher, "check_points")
    if checker.trouble:
        alert = layout.column()
        alert.alert = True
        pieces.sentence(alert, context, checker.trouble, "ERROR")
    elif shots_camera(context) is None:
        text = "The points are drawn when you look through the shot's camera."
        pieces.sentence(layout, context, text, "INFO")
        layout.operator("view3d.view_camera", icon="CAMERA_DATA")


def _draw_background(
    layout: bpy.types.UILayout, context: bpy.types.Context, view: ShotView
) -> None:
    """What stands behind the camera; nothing as long as the shot is not in the scene."""
    name = shown_name(context.scene)
    shown = next((each for each in view.backgrounds if each.name == name), None)
    if shown is None:
        return
    column = layout.column(align=True)
    column.label(text="Behind Camera")
    column.menu(SHOTGOPHER_MT_background.__name__, text=shown.label, icon="IMAGE_BACKGROUND")
    row = column.row(align=True)
    row.prop(context.scene.shot_gopher, "proxy_size", text="")
    row.prop(context.scene.shot_gopher, "editor_follows", toggle=True)
    if not shown.sizes:
        text = "There are no proxies of it yet: images of full size are shown, which scrub slowly."
        pieces.sentence(layout, context, text, "INFO")
    if not all(each.sizes for each in view.backgrounds) and not view.busy:
        stage = STAGES["proxies"]
        layout.operator(
            "shot_gopher.stage_run", text=stage.title, icon="RENDERLAYERS"
        ).stage = stage.name


class SHOTGOPHER_MT_background(bpy.types.Menu):
    bl_label = "Behind Camera"
    bl_description = "What is shown behind the camera"

    def draw(self, context: bpy.types.Context) -> None:
        now = shown_name(context.scene)
        for each in monitor.view(context.scene).backgrounds:
            icon = "RADIOBUT_ON" if each.name == now else "RADIOBUT_OFF"
            self.layout.operator(
                "shot_gopher.background_show", text=each.label, icon=icon
            ).source = each.name


def _draw_files(column: bpy.types.UILayout, view: ShotView) -> None:
    if view.solve.plot:
        pieces.open_path(column, "Solve Plot", view.solve.plot, "GRAPH")
    if view.contact_sheet:
        pieces.open_path(column, "Contact Sheet", view.contact_sheet, "IMAGE_DATA")


register, unregister = bpy.utils.register_classes_factory(
    (SHOTGOPHER_MT_background, SHOTGOPHER_PT_results)
)
