# SPDX-License-Identifier: GPL-3.0-or-later
"""Interactive roto: objects by name, what is picked of them, the editor in which that is done.

Every pick is one step of Blender's undo.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy

from ..backend.backgrounds import PLATE, find_backgrounds
from ..backend.errors import FormatError, ShotGopherError
from ..backend.pictures import find_pictures
from ..backend.shot import Shot, by_frame, folder_name
from .monitor import monitor
from .picks_view import changed, follow_shot, shot_of, state
from .scene import background, picks


class NeedsPlate:
    """What all of these have in common: a shot with frames."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not context.scene.shot_gopher.shot or not monitor.view(context.scene).backgrounds:
            cls.poll_message_set("Set up the shot first")
            return False
        return True


class SHOTGOPHER_OT_object_add(NeedsPlate, bpy.types.Operator):
    """Add something to cut out of the plate: name it, then click on it"""

    bl_idname = "shot_gopher.object_add"
    bl_label = "Add Object"
    bl_options = {"REGISTER", "UNDO"}

    name: bpy.props.StringProperty(name="Name", description="Also the name of its folder")

    def execute(self, context: bpy.types.Context) -> set[str]:
        picks.add_object(context.scene.shot_gopher, self.name)
        changed()
        return {"FINISHED"}


class SHOTGOPHER_OT_object_remove(bpy.types.Operator):
    """Forget this object and what was clicked of it. Masks that were tracked stay"""

    bl_idname = "shot_gopher.object_remove"
    bl_label = "Remove Object"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return picks.active(context.scene.shot_gopher) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.shot_gopher
        settings.picked.remove(settings.picked_index)
        settings.picked_index = max(0, min(settings.picked_index, len(settings.picked) - 1))
        changed()
        return {"FINISHED"}


class SHOTGOPHER_OT_picks_clear(bpy.types.Operator):
    """Forget what was clicked of this object in this frame"""

    bl_idname = "shot_gopher.picks_clear"
    bl_label = "Clear Frame"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return picks.active(context.scene.shot_gopher) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        each = picks.active(context.scene.shot_gopher)
        if not picks.remove(each, context.scene.frame_current):
            self.report({"INFO"}, "Nothing of it is picked in this frame")
            return {"CANCELLED"}
        changed()
        return {"FINISHED"}


class SHOTGOPHER_OT_pick(NeedsPlate, bpy.types.Operator):
    """Click on the plate to say what belongs to the object, and what does not"""

    bl_idname = "shot_gopher.pick"
    bl_label = "Pick on Plate"
    bl_options = {"UNDO", "INTERNAL"}

    kind: bpy.props.EnumProperty(
        name="Kind",
        items=(
            (picks.POINT, "Point", "A pixel that belongs to the object, or does not"),
            (picks.BOX, "Box", "A box around the object"),
        ),
        options={"SKIP_SAVE"},
    )
    corner: bpy.props.FloatVectorProperty(name="Pixel", size=2, options={"SKIP_SAVE"})
    other: bpy.props.FloatVectorProperty(name="Other Corner", size=2, options={"SKIP_SAVE"})
    inside: bpy.props.BoolProperty(name="Inside", default=True, options={"SKIP_SAVE"})
    frame: bpy.props.IntProperty(name="Frame", options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.shot_gopher
        each = picks.active(settings) or picks.add_object(settings)
        is_set = self.properties.is_property_set("frame")
        frame = self.frame if is_set else context.scene.frame_current
        if self.kind == picks.BOX:
            picks.set_box(each, frame, tuple(self.corner), tuple(self.other))
        else:
            picks.add_point(each, frame, tuple(self.corner), self.inside)
        changed()
        return {"FINISHED"}


class SHOTGOPHER_OT_pick_mask(NeedsPlate, bpy.types.Operator):
    """Take a mask of this frame as it is for the object, and track it from here"""

    bl_idname = "shot_gopher.pick_mask"
    bl_label = "Use Mask"
    bl_options = {"REGISTER", "UNDO"}

    source: bpy.props.StringProperty(
        name="Mask", description="A folder of masks in the shot", options={"SKIP_SAVE"}
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings, frame = context.scene.shot_gopher, context.scene.frame_current
        each = picks.active(settings) or picks.add_object(settings)
        try:
            mask = keep_mask(shot_of(context.scene), self.source, frame, each.name)
        except (ShotGopherError, OSError) as error:
            self.report({"ERROR"}, getattr(error, "reason", str(error)))
            return {"CANCELLED"}
        picks.set_mask(each, frame, mask)
        changed()
        return {"FINISHED"}


def keep_mask(shot: Shot, source: str, frame: int, name: str) -> str:
    """Copies the mask of a frame to where no stage replaces it; its path within the shot.

    Raises FormatError when the folder has none of that frame, OSError.
    """
    file = by_frame(find_masks(shot, source)).get(frame)
    if file is None:
        raise FormatError(f"{source} has no mask of frame {frame}.")
    kept = shot.prompt_mask(folder_name(name), frame)
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, kept)
    return kept.relative_to(shot.path).as_posix()


def find_masks(shot: Shot, source: str) -> list[Path]:
    """The images of a folder of masks, which is named as backgrounds are."""
    found = (pictures for pictures in find_pictures(shot) if pictures.name == source)
    return [file for pictures in found for file in pictures.files.values()]


class SHOTGOPHER_OT_plate_edit(NeedsPlate, bpy.types.Operator):
    """Show the plate in a movie clip editor, in a window of its own where there is none yet"""

    bl_idname = "shot_gopher.plate_edit"
    bl_label = "Open Plate"
    bl_options = {"REGISTER"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            clip = plate_clip(shot_of(context.scene))
        except ShotGopherError as error:
            self.report({"ERROR"}, error.reason)
            return {"CANCELLED"}
        area = _clip_area(context)
        area.spaces.active.clip = clip
        area.spaces.active.clip_user.use_render_undistorted = False
        area.tag_redraw()
        return {"FINISHED"}


def plate_clip(shot: Shot) -> bpy.types.MovieClip:
    """The plate's own clip, made if the scene has none. Raises FormatError."""
    source = str(shot.path.resolve())
    clip = background.find_clip(source, PLATE)
    if clip is not None:
        return clip
    found = find_backgrounds(shot, shot.load_plate())
    if not found:
        raise FormatError("The plate's frames are missing: set up the shot.")
    return background.clip_of(source, shot.name, found[0])


def _clip_area(context: bpy.types.Context) -> bpy.types.Area:
    """A movie clip editor: the one that is there, else a new window."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "CLIP_EDITOR":
                return area
    bpy.ops.wm.window_new()
    area = context.window_manager.windows[-1].screen.areas[0]
    area.type = "CLIP_EDITOR"
    return area


class SHOTGOPHER_OT_picks_load(NeedsPlate, bpy.types.Operator):
    """Read what is picked from the shot folder again, after something else has changed it"""

    bl_idname = "shot_gopher.picks_load"
    bl_label = "Load Picks"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        follow_shot(context.scene, again=True)
        if state.trouble:
            self.report({"ERROR"}, state.trouble)
            return {"CANCELLED"}
        changed()
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (
        SHOTGOPHER_OT_object_add,
        SHOTGOPHER_OT_object_remove,
        SHOTGOPHER_OT_picks_clear,
        SHOTGOPHER_OT_pick,
        SHOTGOPHER_OT_pick_mask,
        SHOTGOPHER_OT_plate_edit,
        SHOTGOPHER_OT_picks_load,
    )
)
