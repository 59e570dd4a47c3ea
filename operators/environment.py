# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons for the worker's environment: install, remove, allow the network."""

import bpy

from ..backend import environment
from ..backend.errors import ShotGopherError
from ..backend.jobs import Request
from . import addon
from .environment_view import NEEDED
from .job import run_or_follow
from .monitor import monitor


class SHOTGOPHER_OT_environment_install(bpy.types.Operator):
    """Download and install the programs that read plates and solve cameras, in the background"""

    bl_idname = "shot_gopher.environment_install"
    bl_label = "Install Environment"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if monitor.environment.installing:
            cls.poll_message_set("It is being installed")
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        if not bpy.app.online_access:
            self.report({"ERROR"}, "Blender's online access is off, so nothing can be downloaded")
            return {"CANCELLED"}
        request = Request(shot="", plate="", stages=(), install=NEEDED)
        return run_or_follow(self, request)


class SHOTGOPHER_OT_environment_remove(bpy.types.Operator):
    """Delete the installed programs. Shots and results stay"""

    bl_idname = "shot_gopher.environment_remove"
    bl_label = "Remove Environment"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if monitor.active_jobs:
            cls.poll_message_set("A job is running; cancel it first")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        try:
            left = environment.remove(addon.host().home)
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        monitor.refresh_soon()
        if left:
            self.report({"WARNING"}, "Something still runs in it; remove it again afterwards")
        return {"FINISHED"}


class SHOTGOPHER_OT_allow_online(bpy.types.Operator):
    """Open Blender's system preferences, where "Allow Online Access" is"""

    bl_idname = "shot_gopher.allow_online"
    bl_label = "Allow Online Access..."
    bl_options = {"REGISTER"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        return bpy.ops.screen.userpref_show("INVOKE_DEFAULT", section="SYSTEM")


register, unregister = bpy.utils.register_classes_factory(
    (
        SHOTGOPHER_OT_environment_install,
        SHOTGOPHER_OT_environment_remove,
        SHOTGOPHER_OT_allow_online,
    )
)
