# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons that edit masks. The work runs in the worker's Python, in a thread that waits for it, so
that Blender stays free; in a script it is waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from ..backend.errors import JobError, ShotGopherError
from ..backend.mask_edits import (
    COMBINATIONS,
    MaskJob,
    combine_job,
    edit_job,
    import_job,
    restore_job,
)
from ..backend.shot import Shot
from ..backend.verbs.masks import mask_command
from ..backend.verbs.programs import follow_program
from . import addon
from .job import can_start, waits
from .monitor import Reading, let_threads_end, monitor, redraw_panels
from .scene import background, switching

POLL_INTERVAL = 0.1


class Editing:
    """The one piece of work on masks that is under way. `trouble` and `notes` are of the last."""

    def __init__(self) -> None:
        self.fraction = 0.0
        self.count = ""
        self.target = ""
        self.trouble = ""
        self.notes: tuple[str, ...] = ()
        self._folder = ""
        self._reading: Reading | None = None
        self._stop = threading.Event()

    @property
    def busy(self) -> bool:
        return self._reading is not None

    @property
    def canceling(self) -> bool:
        return self._stop.is_set()

    def start(self, job: MaskJob) -> None:
        """Does the job in a thread. Raises JobError without an environment."""
        work = self._work(job)
        self._reading = Reading(work)
        bpy.app.timers.register(self._look, first_interval=POLL_INTERVAL, persistent=True)

    def run(self, job: MaskJob) -> None:
        """Does the job and waits for it. Raises JobError."""
        self._work(job)()
        monitor.refresh_soon()

    def cancel(self) -> None:
        self._stop.set()

    def _work(self, job: MaskJob) -> Callable[[], None]:
        command = mask_command(job, addon.host())
        self.fraction, self.count, self.target = 0.0, "", job.target
        self._folder = str(job.shot)
        self.trouble, self.notes = "", ()
        self._stop.clear()

        def work() -> None:
            status = follow_program(command, self._hear)
            if status:
                raise JobError("The masks were not changed: the program was stopped.")

        return work

    def _hear(self, record: dict[str, Any]) -> None:
        """What the program says; in the thread."""
        if self._stop.is_set():
            raise JobError("Canceled: the masks are as they were.")
        if "error" in record:
            raise JobError(record["error"])
        if "note" in record:
            self.notes = (*self.notes, str(record["note"]))
        else:
            self.fraction = record["done"] / record["total"]
            self.count = f"{record['done']}/{record['total']} frames"

    def _look(self) -> float | None:
        reading = self._reading
        if reading is not None and not reading.done:
            redraw_panels()
            return POLL_INTERVAL
        self._reading = None
        if reading is not None and reading.error is not None:
            known = isinstance(reading.error, ShotGopherError)
            self.trouble = reading.error.reason if known else f"It failed: {reading.error}."
        monitor.show_again(self._folder)
        redraw_panels()
        return None

    def forget(self) -> None:
        """The add-on goes away: nothing may call back."""
        self._stop.set()
        if bpy.app.timers.is_registered(self._look):
            bpy.app.timers.unregister(self._look)


editing = Editing()


class _MaskOperator:
    """What all of them have in common."""

    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if editing.busy:
            cls.poll_message_set("Masks are being edited")
            return False
        return can_start(cls, context.scene)

    def _do(self, context: bpy.types.Context, make: Callable[[Shot], MaskJob]) -> set[str]:
        """Returns what `execute` returns."""
        shot = Shot(Path(addon.absolute(context.scene.shot_gopher.shot)))
        try:
            if not waits(self):
                editing.start(make(shot))
                return {"FINISHED"}
            editing.run(make(shot))
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        for note in editing.notes:
            self.report({"WARNING"}, note)
        if background.shown_name(context.scene):
            let_threads_end()
            bpy.ops.shot_gopher.background_refresh()
        return {"FINISHED"}


class SHOTGOPHER_OT_masks_edit(_MaskOperator, bpy.types.Operator):
    """Change the chosen masks as it is set here. What they were before is kept"""

    bl_idname = "shot_gopher.masks_edit"
    bl_label = "Apply to Masks"

    label: bpy.props.StringProperty(name="Masks", options={"SKIP_SAVE"})
    into: bpy.props.StringProperty(
        name="Into", description="Masks to write to; empty for the same", options={"SKIP_SAVE"}
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.shot_gopher
        how = addon.mask_options(context.scene)
        label = self.label or settings.mask_label
        return self._do(context, lambda shot: edit_job(shot, label, self.into, how))


class SHOTGOPHER_OT_masks_restore(_MaskOperator, bpy.types.Operator):
    """Put back what the masks were before the last change. Pressed again, it takes that back"""

    bl_idname = "shot_gopher.masks_restore"
    bl_label = "Restore Previous"

    label: bpy.props.StringProperty(name="Masks", options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        label = self.label or context.scene.shot_gopher.mask_label
        return self._do(context, lambda shot: restore_job(shot, label))


class SHOTGOPHER_OT_masks_combine(_MaskOperator, bpy.types.Operator):
    """Make new masks of the chosen ones and others"""

    bl_idname = "shot_gopher.masks_combine"
    bl_label = "Combine Masks"

    how: bpy.props.EnumProperty(
        name="How",
        items=[(each.value, each.value.capitalize(), each.help) for each in COMBINATIONS],
    )
    labels: bpy.props.StringProperty(
        name="With", description="Names of masks, with commas between them", options={"SKIP_SAVE"}
    )
    into: bpy.props.StringProperty(name="Into", options={"SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self)

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = context.scene.shot_gopher.mask_label
        others = [name.strip() for name in self.labels.split(",")]
        names = [name for name in (chosen, *others) if name]
        return self._do(context, lambda shot: combine_job(shot, self.how, names, self.into))


class SHOTGOPHER_OT_masks_import(_MaskOperator, bpy.types.Operator):
    """Take in masks that another program wrote: choose one of the images"""

    bl_idname = "shot_gopher.masks_import"
    bl_label = "Import Masks"

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_image: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    into: bpy.props.StringProperty(
        name="Into", description="What the masks are called", default="imported"
    )
    offset: bpy.props.IntProperty(
        name="Offset", description="Frames to add to the images' numbers to get the plate's"
    )
    black: bpy.props.BoolProperty(
        name="Black Is Selected", description="The images are black where something is selected"
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        how = {"offset": self.offset, "black": self.black}
        images = Path(addon.absolute(self.filepath))
        return self._do(context, lambda shot: import_job(shot, images, self.into, how))


class SHOTGOPHER_OT_masks_choose(bpy.types.Operator):
    """Work on these masks"""

    bl_idname = "shot_gopher.masks_choose"
    bl_label = "Choose Masks"
    bl_options = {"INTERNAL"}

    label: bpy.props.StringProperty(options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.scene.shot_gopher.mask_label = self.label
        return {"FINISHED"}


class SHOTGOPHER_OT_masks_cancel(bpy.types.Operator):
    """Stop. The masks stay as they were"""

    bl_idname = "shot_gopher.masks_cancel"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        editing.cancel()
        return {"FINISHED"}


class SHOTGOPHER_OT_masks_over_plate(bpy.types.Operator):
    """Show the chosen masks over what stands behind the camera, half transparent; again to hide
    them"""

    bl_idname = "shot_gopher.masks_over_plate"
    bl_label = "Over Plate"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not background.shown_name(context.scene):
            cls.poll_message_set("Import the camera first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings, scene = context.scene.shot_gopher, context.scene
        if background.over_name(scene) == settings.mask_label:
            background.hide_over(scene)
            return {"FINISHED"}
        shot = Shot(Path(addon.absolute(settings.shot)))
        try:
            switching.show_over(scene, shot, settings.mask_label, settings.proxy_size)
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        return {"FINISHED"}


_register_classes, _unregister_classes = bpy.utils.register_classes_factory(
    (
        SHOTGOPHER_OT_masks_edit,
        SHOTGOPHER_OT_masks_restore,
        SHOTGOPHER_OT_masks_combine,
        SHOTGOPHER_OT_masks_import,
        SHOTGOPHER_OT_masks_choose,
        SHOTGOPHER_OT_masks_cancel,
        SHOTGOPHER_OT_masks_over_plate,
    )
)


def register() -> None:
    _register_classes()


def unregister() -> None:
    editing.forget()
    _unregister_classes()
