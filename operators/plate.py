# SPDX-License-Identifier: GPL-3.0-or-later
"""Gets a plate or a shot into the scene: dropped, from the recent ones, or chosen; and shows it.

Where other importers take a dropped file as well, Blender asks which one is meant: an image can
still be dropped as a reference.
"""

from __future__ import annotations

from pathlib import Path

import bpy

from ..backend.errors import ShotGopherError
from ..backend.intake import Intake, summary, take_in
from ..backend.plates import IMAGE_SUFFIXES, MOVIE_SUFFIXES
from ..backend.shot import Shot
from ..backend.stages import STAGES
from . import addon, choosing
from .job import run_stage
from .monitor import monitor

_THEN = {"TRACK": "colmap", "SET_UP": "ingest"}
_DIALOG_WIDTH = 440


class SHOTGOPHER_OT_plate_open(bpy.types.Operator):
    """Make a movie, an image sequence or a shot folder this scene's shot, and track its camera"""

    bl_idname = "shot_gopher.plate_open"
    bl_label = "Track with Shot Gopher"
    # Without REGISTER: a change in the redo panel would start another job.
    bl_options = {"UNDO"}

    filepath: bpy.props.StringProperty(
        name="Plate", description="A movie, one image of a sequence, or a folder",
        subtype="FILE_PATH", options={"SKIP_SAVE"},
    )  # fmt: skip
    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: bpy.props.CollectionProperty(
        type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"}
    )
    filter_movie: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_image: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    shot: bpy.props.StringProperty(
        name="Shot Folder",
        description="Where frames and results are kept. Empty for a new folder named after the "
        "plate",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )
    then: bpy.props.EnumProperty(
        name="Then",
        description="What to do with it at once",
        items=(
            ("TRACK", STAGES["colmap"].title, "Extract the frames and solve the camera"),
            ("SET_UP", STAGES["ingest"].title, "Extract the frames only"),
            ("NONE", "Just Open", "Do nothing yet"),
        ),
        default="NONE",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if not self._paths():
            context.window_manager.fileselect_add(self)
            return {"RUNNING_MODAL"}
        try:
            intake = take_in(self._paths())
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        if intake.source is None:
            return self.execute(context)
        return self._ask(context, intake)

    def _ask(self, context: bpy.types.Context, intake: Intake) -> set[str]:
        source = intake.source
        self._icon = "FILE_MOVIE" if source.kind == "movie" else "IMAGE_DATA"
        plate, jobs = str(source.path), monitor.active_jobs
        self.shot = choosing.folder_for(context.scene, plate, jobs)
        there = ("Its shot is there already",) if Shot(Path(self.shot)).has_plate() else ()
        self._lines = (*summary(source), str(source.path.parent), *there)
        if not self.properties.is_property_set("then"):
            self.then = "TRACK"
        return context.window_manager.invoke_props_dialog(
            self, width=_DIALOG_WIDTH, title=source.path.name, confirm_text="OK"
        )

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        column = layout.column(align=True)
        for number, line in enumerate(self._lines):
            column.label(text=line, icon=self._icon if number == 0 else "BLANK1")
        column = layout.column(align=True)
        column.label(text="Shot Folder")
        column.prop(self, "shot", text="")
        row = layout.row()
        row.scale_y = 1.2
        row.prop(self, "then", expand=True)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            intake = choosing.choose(context.scene, self._paths(), self.shot, monitor.active_jobs)
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        if intake.left_out:
            self.report({"WARNING"}, _left_out(intake))
        if intake.shot is not None:
            self.report({"INFO"}, f"Opened the shot {intake.shot.name}")
        if self.then == "NONE":
            return {"FINISHED"}
        return run_stage(self, context.scene, _THEN[self.then])

    def _paths(self) -> list[Path]:
        """What was dropped or chosen, in every form that Blender hands it over."""
        names = [file.name for file in self.files if file.name]
        folder = Path(addon.absolute(self.directory)) if self.directory else None
        if folder is not None and names:
            return [folder / name for name in names]
        if self.filepath:
            return [Path(addon.absolute(self.filepath))]
        return [folder] if folder is not None else []


def _left_out(intake: Intake) -> str:
    first, *more = intake.left_out
    names = f"{first} and {len(more)} more were" if more else f"{first} was"
    return f"One plate at a time: {names} left out"


class SHOTGOPHER_OT_shot_open(bpy.types.Operator):
    """Work on this shot in this scene"""

    bl_idname = "shot_gopher.shot_open"
    bl_label = "Open Shot"
    bl_options = {"REGISTER", "UNDO"}

    directory: bpy.props.StringProperty(
        name="Shot Folder", subtype="DIR_PATH", options={"SKIP_SAVE"}
    )
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.PropertyGroup) -> str:
        return properties.directory or "Choose a shot folder to work on in this scene"

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if self.directory:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            choosing.open_shot(context.scene, Shot(Path(addon.absolute(self.directory))))
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        return {"FINISHED"}


class SHOTGOPHER_OT_shot_folder_show(addon.ShotOperator, bpy.types.Operator):
    """Open the shot folder in the file manager"""

    bl_idname = "shot_gopher.shot_folder_show"
    bl_label = "Open Shot Folder"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not super().poll(context):
            return False
        if not monitor.view(context.scene).exists:
            cls.poll_message_set("The folder is not there yet: set up the shot")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        return _show(self, Path(addon.absolute(context.scene.shot_gopher.shot)))


class SHOTGOPHER_OT_plate_show(bpy.types.Operator):
    """Open the folder that the plate lies in, in the file manager"""

    bl_idname = "shot_gopher.plate_show"
    bl_label = "Reveal Plate"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not context.scene.shot_gopher.plate:
            cls.poll_message_set("Choose a plate first")
            return False
        trouble = monitor.view(context.scene).plate_trouble
        if trouble:
            cls.poll_message_set(trouble.removesuffix("."))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        plate = Path(addon.absolute(context.scene.shot_gopher.plate))
        return _show(self, plate if plate.is_dir() else plate.parent)


def _show(operator: bpy.types.Operator, folder: Path) -> set[str]:
    if not folder.is_dir():
        operator.report({"ERROR"}, f"{folder} was not found.")
        return {"CANCELLED"}
    return bpy.ops.wm.path_open(filepath=str(folder))


class SHOTGOPHER_FH_plate(bpy.types.FileHandler):
    """Movies and images that are dropped onto a 3D viewport or its sidebar."""

    bl_idname = "SHOTGOPHER_FH_plate"
    bl_label = SHOTGOPHER_OT_plate_open.bl_label
    bl_import_operator = SHOTGOPHER_OT_plate_open.bl_idname
    bl_file_extensions = ";".join(sorted(MOVIE_SUFFIXES | IMAGE_SUFFIXES))

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"


register, unregister = bpy.utils.register_classes_factory(
    (
        SHOTGOPHER_OT_plate_open,
        SHOTGOPHER_OT_shot_open,
        SHOTGOPHER_OT_shot_folder_show,
        SHOTGOPHER_OT_plate_show,
        SHOTGOPHER_FH_plate,
    )
)
