# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons that bring a shot's depth into the scene: as a card, as points, in compositing."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..backend.errors import ShotGopherError
from ..backend.shot import Shot
from . import addon
from .scene.card import FACES, build_card
from .scene.depth import SeenDepth, read_depth
from .scene.depth_compositing import build_compositing
from .scene.depth_points import POINTS, build_points, frames_of


class _DepthOperator(addon.ShotOperator):
    """What all of them have in common: they read the depth of the scene's shot."""

    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        shot = Shot(Path(addon.absolute(context.scene.shot_gopher.shot)))
        try:
            told = self.act(context, read_depth(context.scene, shot))
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        self.report({"INFO"}, told)
        return {"FINISHED"}


class SHOTGOPHER_OT_depth_card(_DepthOperator, bpy.types.Operator):
    """Hang a card on the camera that shows the plate as deep as it is in each frame. Things can
    stand before and behind it. What is there from an earlier press is updated in place"""

    bl_idname = "shot_gopher.depth_card"
    bl_label = "Depth Card"

    faces: bpy.props.IntProperty(
        name="Faces",
        description="Faces that the card has about, at most one for each pixel of the plate",
        default=FACES,
        min=100,
        soft_max=2_000_000,
        max=50_000_000,
    )

    def act(self, context: bpy.types.Context, depth: SeenDepth) -> str:
        card = build_card(context.scene, depth, self.faces)
        return f"{card.name} hangs on {depth.camera.name}"


class SHOTGOPHER_OT_depth_points(_DepthOperator, bpy.types.Operator):
    """Bring the pixels of the current frame, or of every so many, into the scene as colored points,
    to measure and to snap to. Points from an earlier press are replaced"""

    bl_idname = "shot_gopher.depth_points"
    bl_label = "Depth Points"

    every: bpy.props.IntProperty(
        name="Every",
        description="Take each of so many frames of the shot; 0 takes the current frame alone",
        default=0,
        min=0,
        soft_max=100,
    )
    most: bpy.props.IntProperty(
        name="Points",
        description="Points of all frames together at most",
        default=POINTS,
        min=100,
        soft_max=5_000_000,
        max=50_000_000,
    )

    def act(self, context: bpy.types.Context, depth: SeenDepth) -> str:
        frames = frames_of(depth, context.scene.frame_current, self.every)
        points = build_points(context.scene, depth, frames, self.most)
        what = f"frame {frames[0]}" if len(frames) == 1 else f"{len(frames)} frames"
        return f"{len(points.data.vertices):,} points of {what}"


class SHOTGOPHER_OT_depth_compositing(_DepthOperator, bpy.types.Operator):
    """Make compositing nodes that put what is rendered into the plate by depth: it is hidden by
    what was shot nearer to the camera. Your own nodes stay as they are"""

    bl_idname = "shot_gopher.depth_compositing"
    bl_label = "Depth Compositing"

    def act(self, context: bpy.types.Context, depth: SeenDepth) -> str:
        made = build_compositing(context, depth)
        for warning in made.warnings:
            self.report({"WARNING"}, warning)
        if made.connected:
            return "The render is put into the plate by depth"
        return f"{made.group.name} is ready: connect it in your own compositing nodes"


register, unregister = bpy.utils.register_classes_factory(
    (SHOTGOPHER_OT_depth_card, SHOTGOPHER_OT_depth_points, SHOTGOPHER_OT_depth_compositing)
)
