# SPDX-License-Identifier: GPL-3.0-or-later
"""Interactive roto: the objects, what can be clicked, the button that tracks them.

The same panel is in the 3D view, the movie clip editor and the image editor.
"""

from typing import Any

import bpy

from ..backend.stages import STAGES
from ..operators.mask_preview import preview
from ..operators.monitor import monitor
from ..operators.picks_view import EDITORS, shown_plate, state
from ..operators.scene import picks
from . import pieces
from .stage import draw_stage

_ROWS = 3


class SHOTGOPHER_UL_objects(bpy.types.UIList):
    """Objects with their color, name and in how many frames they were clicked on."""

    def draw_item(
        self,
        _context: Any,
        layout: Any,
        _data: Any,
        item: Any,
        _icon: Any,
        _active: Any,
        _active_property: Any,
    ) -> None:
        row = layout.row(align=True)
        swatch = row.row()
        swatch.ui_units_x = 0.8
        swatch.prop(item, "color", text="")
        row.prop(item, "name", text="", emboss=False)
        count = len({pick.frame for pick in item.picks})
        facts = row.row()
        facts.alignment = "RIGHT"
        facts.active = False
        facts.label(text=f"{count} frames" if count != 1 else "1 frame")


class SHOTGOPHER_MT_pick_masks(bpy.types.Menu):
    """The masks that an object can be tracked from"""

    bl_label = "Use Mask"

    def draw(self, context: bpy.types.Context) -> None:
        masks = [
            each
            for each in monitor.view(context.scene).backgrounds
            if each.name.startswith(("roto/", "matte/"))
        ]
        for each in masks:
            self.layout.operator("shot_gopher.pick_mask", text=each.label).source = each.name
        if not masks:
            self.layout.label(text="There are no masks yet")


class _RotoPanel:
    bl_label = "Interactive Roto"
    bl_region_type = "UI"
    bl_category = pieces.CATEGORY

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.shot_gopher
        _draw_objects(layout, settings)
        _draw_pick(layout, context)
        view = monitor.view(context.scene)
        stage = STAGES["interactive"]
        now = view.stages[stage.name]
        draw_stage(layout.box(), context, stage, now, monitor.previews.icons(now.preview))


def _draw_objects(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    row = layout.row()
    row.template_list(
        "SHOTGOPHER_UL_objects", "", settings, "picked", settings, "picked_index", rows=_ROWS
    )
    column = row.column(align=True)
    column.operator("shot_gopher.object_add", text="", icon="ADD")
    column.operator("shot_gopher.object_remove", text="", icon="REMOVE")
    if not settings.picked:
        layout.operator("shot_gopher.picks_load", icon="FILE_REFRESH")


def _draw_pick(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    settings = context.scene.shot_gopher
    column = layout.column(align=True)
    if context.space_data.type not in EDITORS or shown_plate(context, context.space_data) is None:
        column.operator("shot_gopher.plate_edit", icon="TRACKER")
    else:
        column.operator("shot_gopher.picking", icon="RESTRICT_SELECT_OFF", depress=state.picking)
    row = column.row(align=True)
    row.operator("shot_gopher.picks_clear", icon="X")
    row.prop(settings, "picks_preview", toggle=True, icon="MOD_MASK")
    column.menu(SHOTGOPHER_MT_pick_masks.__name__, icon="IMAGE_ALPHA")
    if state.picking:
        pieces.facts(layout, ["Click: part of it", "Ctrl Click: not part of it", "Drag: a box"])
    for trouble in filter(None, (state.trouble, preview.trouble if settings.picks_preview else "")):
        pieces.sentence(layout, context, trouble, "INFO")
    each = picks.active(settings)
    here = [p for p in each.picks if p.frame == context.scene.frame_current] if each else []
    if each and here:
        pieces.facts(layout, [f"{each.name} in this frame: {_counts(here)}"])


def _counts(here: list[Any]) -> str:
    words = {picks.POINT: "point", picks.BOX: "box", picks.MASK: "mask"}
    counts = {word: sum(pick.kind == kind for pick in here) for kind, word in words.items()}
    plural = {"point": "points", "box": "boxes", "mask": "masks"}
    said = [f"{n} {word if n == 1 else plural[word]}" for word, n in counts.items() if n]
    return ", ".join(said)


class SHOTGOPHER_PT_roto(_RotoPanel, bpy.types.Panel):
    bl_space_type = "VIEW_3D"
    bl_order = 2
    bl_options = {"DEFAULT_CLOSED"}


class SHOTGOPHER_PT_roto_clip(_RotoPanel, bpy.types.Panel):
    bl_space_type = "CLIP_EDITOR"


class SHOTGOPHER_PT_roto_image(_RotoPanel, bpy.types.Panel):
    bl_space_type = "IMAGE_EDITOR"


register, unregister = bpy.utils.register_classes_factory(
    (
        SHOTGOPHER_UL_objects,
        SHOTGOPHER_MT_pick_masks,
        SHOTGOPHER_PT_roto,
        SHOTGOPHER_PT_roto_clip,
        SHOTGOPHER_PT_roto_image,
    )
)
