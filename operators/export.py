# SPDX-License-Identifier: GPL-3.0-or-later
"""File > Export > Tracked Camera: the scene's camera for other programs, as it is animated now."""

from pathlib import Path

import bpy

from ..backend.errors import ShotGopherError
from . import addon
from .monitor import let_threads_end
from .scene import exports

FORMATS = (
    ("chan", ".chan", "Nuke and others: position, rotation and field of view for each frame"),
    ("nk", ".nk", "Nuke script with a camera node"),
    ("csv", ".csv", "Table with one line for each frame"),
    ("jsx", ".jsx", "After Effects script that makes the camera"),
    ("clip", ".clip", "Houdini channels"),
    ("abc", ".abc", "Alembic"),
    ("usd", ".usd", "Universal Scene Description"),
)


class SHOTGOPHER_OT_camera_export(bpy.types.Operator):
    """Write the scene's camera for other programs. Your own edits to it are included"""

    bl_idname = "shot_gopher.camera_export"
    bl_label = "Export Camera"
    bl_options = {"REGISTER"}

    directory: bpy.props.StringProperty(
        name="Folder", description="Folder that the files are written to", subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )  # fmt: skip
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    formats: bpy.props.EnumProperty(
        name="Formats",
        description="Files to write; hold Shift for several",
        items=FORMATS,
        options={"ENUM_FLAG"},
        default={"chan", "nk"},
    )
    every_plate: bpy.props.BoolProperty(
        name="Both Plates",
        description="Write a tracked camera also as camera_plate, for the plate as shot, and as "
        "camera_undistorted, for the undistorted plate",
        default=False,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.scene.camera is None:
            cls.poll_message_set("The scene has no camera")
            return False
        return True

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        folder = Path(addon.absolute(self.directory))
        frames = range(scene.frame_start, scene.frame_end + 1)
        chosen = [name for name, _label, _help in FORMATS if name in self.formats]
        let_threads_end()
        try:
            files = exports.export(context, scene.camera, folder, chosen, frames, self.every_plate)
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        self.report({"INFO"}, f"Wrote {', '.join(file.name for file in files)}")
        return {"FINISHED"}


def _menu_entry(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    menu.layout.operator("shot_gopher.camera_export", text="Tracked Camera (.chan, .nk, .abc, ...)")


_register_classes, _unregister_classes = bpy.utils.register_classes_factory(
    (SHOTGOPHER_OT_camera_export,)
)


def register() -> None:
    _register_classes()
    bpy.types.TOPBAR_MT_file_export.append(_menu_entry)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_export.remove(_menu_entry)
    _unregister_classes()
