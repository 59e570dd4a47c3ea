# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws one stage: what it is, how it stands, what can be pressed, its options."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import bpy

from ..backend.options import OptionSpec, setting_specs
from ..backend.previews import Preview
from ..backend.stages import Stage
from ..operators.view import StageState, StageView
from . import pieces

_ICONS = {
    StageState.MISSING: "DOT",
    StageState.WAITING: "TIME",
    StageState.RUNNING: "PLAY",
    StageState.DONE: "CHECKMARK",
    StageState.STALE: "FILE_REFRESH",
    StageState.FAILED: "ERROR",
}


def draw_stage(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    stage: Stage,
    now: StageView,
    icons: Sequence[int] = (),
) -> None:
    """`icons` are those of its preview."""
    column = layout.column()
    _draw_head(column.row(), stage, now)
    prominent = [spec for spec in setting_specs(stage.options) if spec.prominent]
    if prominent:
        _draw_specs(column, context, stage, prominent)
    if now.state in (StageState.MISSING, StageState.STALE):
        row = column.row()
        row.scale_y = 1.3
        row.operator("shot_gopher.stage_run", text=stage.title).stage = stage.name
    if now.state is StageState.RUNNING:
        pieces.running(column, context, now)
    elif now.state is StageState.FAILED:
        _draw_failure(column, context, stage, now)
    elif now.text:
        pieces.facts(column, [now.text])
    if now.state in (StageState.DONE, StageState.STALE):
        pieces.facts(column, now.facts)
        if now.preview is not None and icons:
            _draw_preview(column, context, stage, now.preview, icons)
    if len(prominent) < len(setting_specs(stage.options)):
        _draw_options(column, context, stage)


def _draw_head(row: bpy.types.UILayout, stage: Stage, now: StageView) -> None:
    """Title on the left; on the right the state, or a button to do it again."""
    row.label(text=stage.title, icon=_ICONS[now.state])
    right = row.row()
    right.alignment = "RIGHT"
    if now.state is StageState.DONE:
        button = right.operator("shot_gopher.stage_run", text="Run Again")
        button.stage = stage.name
        button.force = True
    else:
        right.active = False
        right.label(text=now.state.value)


def _draw_failure(
    column: bpy.types.UILayout, context: bpy.types.Context, stage: Stage, now: StageView
) -> None:
    alert = column.column()
    alert.alert = True
    pieces.sentence(alert, context, now.reason)
    pieces.remedy_button(column, now.remedy, stage.name, now.log)


def _draw_preview(
    column: bpy.types.UILayout,
    context: bpy.types.Context,
    stage: Stage,
    preview: Preview,
    icons: Sequence[int],
) -> None:
    header, body = column.panel(f"shot_gopher_preview_{stage.name}", default_closed=True)
    header.label(text="Preview")
    if body is not None:
        pieces.picture(body, context, icons)
        pieces.open_path(body, "Open", preview.path, "IMAGE_DATA")


def _draw_options(column: bpy.types.UILayout, context: bpy.types.Context, stage: Stage) -> None:
    header, body = column.panel(f"shot_gopher_options_{stage.name}", default_closed=True)
    header.label(text="Options")
    if body is None:
        return
    options = [spec for spec in setting_specs(stage.options) if not spec.prominent]
    _draw_specs(body, context, stage, [spec for spec in options if not spec.advanced])
    advanced = [spec for spec in options if spec.advanced]
    if advanced:
        header, body = body.panel(f"shot_gopher_advanced_{stage.name}", default_closed=True)
        header.label(text="Advanced")
        if body is not None:
            _draw_specs(body, context, stage, advanced)


def _draw_specs(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    stage: Stage,
    specs: Sequence[OptionSpec],
) -> None:
    """Options one below the other; those of a group stick together under its name."""
    values = getattr(context.scene.shot_gopher.options, stage.name)
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    for group, members in groupby(specs, lambda spec: spec.group):
        together = column.column(align=bool(group))
        if group:
            together.label(text=group)
        for spec in members:
            row = together.row()
            row.active = not spec.needs or bool(getattr(values, spec.needs))
            row.prop(values, spec.name)
        if group:
            column.separator(factor=0.5)
