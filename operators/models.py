# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons for models: accept a license, get, remove, take from a folder, set the server."""

from pathlib import Path

import bpy

from ..backend.errors import ShotGopherError
from ..backend.jobs import Request
from ..backend.model_table import MODELS
from ..backend.models import ModelStore
from . import addon
from .job import run_or_follow
from .monitor import monitor


def _store() -> ModelStore:
    return ModelStore(addon.host().home)


class _ModelOperator:
    """What is done with one model, by its name in the table."""

    bl_options = {"REGISTER"}

    model: bpy.props.EnumProperty(
        name="Model",
        items=[(model.name, model.title, model.purpose) for model in MODELS.values()],
        options={"SKIP_SAVE"},
    )

    def _try(self, change, *arguments: object) -> set[str]:
        """Changes the store. Returns what `execute` returns; a failure is reported."""
        try:
            change(*arguments)
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        monitor.refresh_soon()
        return {"FINISHED"}


class SHOTGOPHER_OT_model_accept(_ModelOperator, bpy.types.Operator):
    """I have read this model's license and accept it"""

    bl_idname = "shot_gopher.model_accept"
    bl_label = "Accept License"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        return self._try(_store().accept, self.model)


class SHOTGOPHER_OT_model_get(_ModelOperator, bpy.types.Operator):
    """Download this model in the background, going on where it was stopped"""

    bl_idname = "shot_gopher.model_get"
    bl_label = "Get"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        if not bpy.app.online_access:
            self.report({"ERROR"}, "Blender's online access is off, so nothing can be downloaded")
            return {"CANCELLED"}
        return run_or_follow(self, Request(shot="", plate="", stages=(), models=(self.model,)))


class SHOTGOPHER_OT_model_remove(_ModelOperator, bpy.types.Operator):
    """Delete what was downloaded of this model. A folder of your own stays and is forgotten"""

    bl_idname = "shot_gopher.model_remove"
    bl_label = "Remove Model"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        return self._try(_store().remove, self.model)


class SHOTGOPHER_OT_model_choose(_ModelOperator, bpy.types.Operator):
    """Take this model from a folder of your own, which stays where it is"""

    bl_idname = "shot_gopher.model_choose"
    bl_label = "Choose Folder"

    directory: bpy.props.StringProperty(
        name="Folder", description="The folder with config.json", subtype="DIR_PATH"
    )
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        folder = addon.absolute(self.directory)
        return self._try(_store().choose, self.model, Path(folder) if folder else None)


class SHOTGOPHER_OT_model_server(_ModelOperator, bpy.types.Operator):
    """Set the server that models come from, and the access token that tells it who you are"""

    bl_idname = "shot_gopher.model_server"
    bl_label = "Model Server"

    endpoint: bpy.props.StringProperty(
        name="Server", description="A mirror of the Hub, such as your studio's; empty for the Hub"
    )
    token: bpy.props.StringProperty(
        name="Access Token",
        description="For models that are given out on request: from your account's settings there. "
        "It is kept in the worker folder, where only you can read it. Empty for none",
        subtype="PASSWORD",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        settings = _store().settings()
        self.endpoint, self.token = settings.endpoint, settings.token
        return context.window_manager.invoke_props_dialog(self, width=420)

    def draw(self, _context: bpy.types.Context) -> None:
        self.layout.use_property_split = True
        self.layout.prop(self, "endpoint")
        self.layout.prop(self, "token")

    def execute(self, _context: bpy.types.Context) -> set[str]:
        return self._try(_store().use_server, self.endpoint, self.token)


class SHOTGOPHER_OT_models_show(bpy.types.Operator):
    """Open the preferences where models are downloaded"""

    bl_idname = "shot_gopher.models_show"
    bl_label = "Get Models..."
    bl_options = {"REGISTER"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        monitor.refresh_soon()
        return bpy.ops.preferences.addon_show(module=addon.PACKAGE)


register, unregister = bpy.utils.register_classes_factory(
    (
        SHOTGOPHER_OT_model_accept,
        SHOTGOPHER_OT_model_get,
        SHOTGOPHER_OT_model_remove,
        SHOTGOPHER_OT_model_choose,
        SHOTGOPHER_OT_model_server,
        SHOTGOPHER_OT_models_show,
    )
)
