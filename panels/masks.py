# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist does to masks: grow, feather, clean up, combine, import, put back."""

from __future__ import annotations

from itertools import groupby

import bpy

from ..backend.mask_edits import EditOptions
from ..backend.mask_folders import MaskFolder
from ..backend.options import specs
from ..operators.masks import editing
from ..operators.monitor import monitor
from ..operators.scene.background import over_name, shown_name
from . import pieces


class SHOTGOPHER_MT_masks(bpy.types.Menu):
    bl_label = "Masks"
    bl_description = "The masks that are edited"

    def draw(self, context: bpy.types.Context) -> None:
        now = context.scene.shot_gopher.mask_label
        for each in monitor.view(context.scene).masks:
            icon = "RADIOBUT_ON" if each.name == now else "RADIOBUT_OFF"
            self.layout.operator(
                "shot_gopher.masks_choose", text=each.name, icon=icon
            ).label = each.name


class SHOTGOPHER_PT_masks(pieces.ShotGopherPanel, bpy.types.Panel):
    bl_label = "Edit Masks"
    bl_order = 1
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return monitor.view(context.scene).exists

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.shot_gopher
        found = monitor.view(context.scene).masks
        chosen = next((each for each in found if each.name == settings.mask_label), None)
        if found:
            text = chosen.name if chosen else "Choose Masks"
            layout.menu(SHOTGOPHER_MT_masks.__name__, text=text, icon="MOD_MASK")
        if chosen is not None:
            _draw_chosen(layout, context, chosen)
        if editing.busy:
            _draw_progress(layout)
        elif editing.trouble:
            alert = layout.column()
            alert.alert = True
            pieces.sentence(alert, context, editing.trouble, "ERROR")
        for note in editing.notes:
            pieces.sentence(layout, context, note, "INFO")
        layout.operator("shot_gopher.masks_import", icon="IMPORT")


def _draw_chosen(
    layout: bpy.types.UILayout, context: bpy.types.Context, chosen: MaskFolder
) -> None:
    pieces.facts(layout, [f"{chosen.frames} frames, {chosen.first} to {chosen.last}"])
    if shown_name(context.scene):
        shown = over_name(context.scene) == chosen.name
        layout.operator("shot_gopher.masks_over_plate", icon="OVERLAY", depress=shown)
    _draw_options(layout, context)
    column = layout.column(align=True)
    row = column.row(align=True)
    row.scale_y = 1.3
    row.operator("shot_gopher.masks_edit", text="Apply", icon="CHECKMARK").label = chosen.name
    row = column.row(align=True)
    row.enabled = chosen.restorable
    row.operator("shot_gopher.masks_restore", icon="LOOP_BACK").label = chosen.name
    column.operator("shot_gopher.masks_combine", text="Combine...", icon="SELECT_EXTEND")


def _draw_options(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """In the order in which it is done; those of a group stick together under its name."""
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    for group, members in groupby(specs(EditOptions), lambda spec: spec.group):
        together = column.column(align=bool(group), heading=group)
        for spec in members:
            together.prop(context.scene.shot_gopher.mask_edit, spec.name)


def _draw_progress(layout: bpy.types.UILayout) -> None:
    row = layout.row(align=True)
    row.progress(factor=editing.fraction, text=editing.count or " ")
    button = row.row(align=True)
    button.enabled = not editing.canceling
    button.operator("shot_gopher.masks_cancel", text="", icon="X")


register, unregister = bpy.utils.register_classes_factory(
    (SHOTGOPHER_MT_masks, SHOTGOPHER_PT_masks)
)
