# SPDX-License-Identifier: GPL-3.0-or-later
"""The models in the add-on's preferences: state, size, license, and what can be done."""

from __future__ import annotations

import bpy

from ..backend.models import ModelState
from ..operators.models_view import ModelsView, ModelView
from . import pieces


def draw_models(layout: bpy.types.UILayout, context: bpy.types.Context, now: ModelsView) -> None:
    row = layout.row()
    row.label(text="Models", icon="OUTLINER_OB_POINTCLOUD")
    row.operator("shot_gopher.model_server", text="Server...", icon="URL")
    if not now.known:
        layout.label(text="Looking for models...")
        return
    for view in now.models:
        _draw_model(layout.column(align=True), context, view)
    pieces.facts(layout, [f"From {now.server}" + (", with your token" if now.has_token else "")])


def _draw_model(layout: bpy.types.UILayout, context: bpy.types.Context, view: ModelView) -> None:
    row = layout.row()
    begun = "   not complete" if view.state is ModelState.PARTIAL and not view.getting else ""
    icon = "CHECKMARK" if view.ready else "DOT"
    row.label(text=f"{view.title}   {view.size}{begun}", icon=icon)
    if view.getting:
        pieces.progress(layout, view)
        return
    _draw_buttons(row.row(align=True), view)
    pieces.facts(layout, [view.purpose, view.where])
    if view.reason:
        layout.alert = True
        pieces.sentence(layout, context, view.reason, "ERROR")
        layout.alert = False
    if view.ask:
        pieces.sentence(layout, context, view.ask, "INFO")
    if not view.accepted and (view.installs or not view.ready):
        _draw_licence(layout, context, view)


def _draw_buttons(row: bpy.types.UILayout, view: ModelView) -> None:
    if not view.ready and not view.ask:
        get = row.row(align=True)
        get.enabled = view.accepted
        get.operator("shot_gopher.model_get", icon="IMPORT").model = view.name
    row.operator("shot_gopher.model_choose", text="", icon="FILE_FOLDER").model = view.name
    if view.ready or view.own:
        row.operator("shot_gopher.model_remove", text="", icon="TRASH").model = view.name


def _draw_licence(layout: bpy.types.UILayout, context: bpy.types.Context, view: ModelView) -> None:
    """Its name and where to read it, before anything can be downloaded."""
    pieces.sentence(layout, context, f"{view.licence}: {view.limits}", "INFO")
    row = layout.row(align=True)
    row.operator("wm.url_open", text="Read License", icon="URL").url = view.address
    if view.page:
        text = "Register" if view.ask else "Ask for Access"
        row.operator("wm.url_open", text=text, icon="URL").url = view.page
    if not view.ask:
        row.operator("shot_gopher.model_accept", icon="CHECKMARK").model = view.name
