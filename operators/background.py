# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons for what stands behind the camera."""

from pathlib import Path

import bpy

from ..backend.errors import ShotGopherError
from ..backend.shot import Shot
from . import addon
from .scene import depth_refresh, switching


class _BackgroundOperator(addon.ShotOperator):
    """What both of them have in common."""

    def _show(self, context: bpy.types.Context, name: str) -> set[str]:
        """Returns what `execute` returns."""
        settings = context.scene.shot_gopher
        shot = Shot(Path(addon.absolute(settings.shot)))
        how = switching.How(settings.proxy_size, settings.editor_follows)
        try:
            shown = switching.show(context.scene, shot, name, how)
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        self.report({"INFO"}, f"{shown.label} is shown behind the camera")
        return {"FINISHED"}


class SHOTGOPHER_OT_background_show(_BackgroundOperator, bpy.types.Operator):
    """Show this behind the camera instead of what is there. Opacity, depth and everything else that
    you set of the camera's background image stays"""

    bl_idname = "shot_gopher.background_show"
    bl_label = "Show Behind Camera"
    bl_options = {"REGISTER", "UNDO"}

    source: bpy.props.StringProperty(
        name="Source",
        description='What to show: "plate", "undistorted", or a folder of the shot such as '
        '"cleanplate", "roto/actor" or "camera/undistorted"',
        default="plate",
        options={"SKIP_SAVE"},
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        return self._show(context, self.source)


class SHOTGOPHER_OT_background_refresh(_BackgroundOperator, bpy.types.Operator):
    """Read what is shown behind the camera, on the mesh and on the card again from the disk, with
    the proxies that are there now"""

    bl_idname = "shot_gopher.background_refresh"
    bl_label = "Read Background Again"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        shot = Shot(Path(addon.absolute(context.scene.shot_gopher.shot)))
        depth_refresh.refresh(context.scene, shot)
        return self._show(context, "")


register, unregister = bpy.utils.register_classes_factory(
    (SHOTGOPHER_OT_background_show, SHOTGOPHER_OT_background_refresh)
)
