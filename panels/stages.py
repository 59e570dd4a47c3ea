# SPDX-License-Identifier: GPL-3.0-or-later
"""The second panel: every stage after set-up with its state, its button and its options."""

import bpy

from ..backend.stages import STAGES
from ..operators.monitor import monitor
from . import pieces
from .stage import draw_stage

ELSEWHERE = {
    "ingest",  # is the shot panel's button
    "scene",  # is for machines without an open Blender: the results panel does here what it does
}


class SHOTGOPHER_PT_stages(pieces.ShotGopherPanel, bpy.types.Panel):
    bl_label = "Stages"
    bl_order = 1

    def draw(self, context: bpy.types.Context) -> None:
        view = monitor.view(context.scene)
        for stage in STAGES.values():
            if stage.name not in ELSEWHERE:
                draw_stage(self.layout.box(), context, stage, view.stages[stage.name])
        for warning in view.warnings:
            pieces.sentence(self.layout, context, warning, "ERROR")


register, unregister = bpy.utils.register_classes_factory((SHOTGOPHER_PT_stages,))
