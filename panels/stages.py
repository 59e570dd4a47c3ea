# SPDX-License-Identifier: GPL-3.0-or-later
"""The second panel: every stage after set-up with its state, its button and its options."""

import bpy

from ..backend.stages import STAGES
from ..operators.monitor import monitor
from ..operators.view import ShotView, StageState
from . import pieces
from .stage import draw_stage

ELSEWHERE = {
    "ingest",  # is the shot panel's button
    "interactive",  # is drawn with the objects that it tracks
    "scene",  # is for machines without an open Blender: the results panel does here what it does
}


class SHOTGOPHER_PT_stages(pieces.ShotGopherPanel, bpy.types.Panel):
    bl_label = "Stages"
    bl_order = 1

    def draw(self, context: bpy.types.Context) -> None:
        view = monitor.view(context.scene)
        for stage in STAGES.values():
            if stage.name not in ELSEWHERE and not _has_nothing_to_do(stage.name, view):
                now = view.stages[stage.name]
                icons = monitor.previews.icons(now.preview)
                draw_stage(self.layout.box(), context, stage, now, icons)
        for warning in view.warnings:
            pieces.sentence(self.layout, context, warning, "ERROR")


def _has_nothing_to_do(stage: str, view: ShotView) -> bool:
    """The plate comes with its proxies: before there is anything else, none are to be written."""
    return (
        stage == "proxies"
        and view.stages[stage].state is StageState.MISSING
        and all(each.sizes for each in view.backgrounds)
    )


register, unregister = bpy.utils.register_classes_factory((SHOTGOPHER_PT_stages,))
