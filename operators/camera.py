# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons that bring a solved camera into the scene."""

from collections.abc import Callable
from pathlib import Path

import bpy

from ..backend import survey
from ..backend.errors import ShotGopherError
from ..backend.shot import Shot
from . import addon
from .monitor import monitor
from .scene import depth_refresh
from .scene import shot as scene_shot


def _import(operator: bpy.types.Operator, build: Callable[[], scene_shot.ImportResult]) -> set[str]:
    """Builds, and reports what came of it. Returns what `execute` returns."""
    try:
        result = build()
    except ShotGopherError as error:
        operator.report({"ERROR"}, error.reason)
        return {"CANCELLED"}
    for warning in result.warnings:
        operator.report({"WARNING"}, warning)
    operator.report({"INFO"}, f"Imported camera {result.camera.name}")
    return {"FINISHED"}


def _import_shot(context: bpy.types.Context, shot: Shot) -> scene_shot.ImportResult:
    settings = context.scene.shot_gopher
    result = scene_shot.import_shot(context, shot, settings.most_tracks, settings.proxy_size)
    # The job that has solved the camera may have made depth and a clean plate as well.
    depth_refresh.refresh(context.scene, shot)
    return result


class SHOTGOPHER_OT_camera_import(addon.ShotOperator, bpy.types.Operator):
    """Bring the tracked camera, the plate behind it and the solved points into this scene. What is
    there from an earlier import is updated in place"""

    bl_idname = "shot_gopher.camera_import"
    bl_label = "Import Camera"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        shot = Shot(Path(addon.absolute(context.scene.shot_gopher.shot)))
        survey.recover(shot)
        result = _import(self, lambda: _import_shot(context, shot))
        monitor.refresh_soon()
        return result


class SHOTGOPHER_OT_colmap_import(bpy.types.Operator):
    """Import cameras and points of a COLMAP model, also one that another program made"""

    bl_idname = "shot_gopher.colmap_import"
    bl_label = "Import COLMAP Folder"
    bl_options = {"REGISTER", "UNDO"}

    directory: bpy.props.StringProperty(
        name="Folder", description="Folder with the model's cameras, images and points",
        subtype="DIR_PATH", options={"SKIP_SAVE"},
    )  # fmt: skip
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    images: bpy.props.StringProperty(
        name="Images",
        description="Folder with the images that were solved; left empty, it is looked for beside "
        "the model",
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = Path(addon.absolute(self.directory))
        images = Path(addon.absolute(self.images)) if self.images else None
        return _import(self, lambda: scene_shot.import_model(context, folder, images))


register, unregister = bpy.utils.register_classes_factory(
    (SHOTGOPHER_OT_camera_import, SHOTGOPHER_OT_colmap_import)
)
