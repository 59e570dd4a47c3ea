# SPDX-License-Identifier: GPL-3.0-or-later
"""Interactive roto: objects by name, clicks and boxes on the plate, the masks drawn live.

An artist points at things in the movie clip or image editor. Every click is one step of Blender's
undo; scene/picks_file.py writes what is picked, so that it can be tracked without a window.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import bpy
from bpy.app.handlers import persistent

from ..backend.backgrounds import PLATE, find_backgrounds
from ..backend.errors import FormatError, ShotGopherError
from ..backend.pictures import find_pictures
from ..backend.shot import Shot, by_frame, folder_name
from . import addon
from .mask_preview import Question, preview
from .monitor import monitor
from .scene import background, pick_view, picks, picks_file

EDITORS = {"CLIP_EDITOR": bpy.types.SpaceClipEditor, "IMAGE_EDITOR": bpy.types.SpaceImageEditor}
_DRAG = 6
"""Pixels of the screen from which a click is a box."""
_HINT = "Click: part of it     Ctrl Click: not part of it     Drag: a box     Esc: done"
_SAVE_AFTER = 0.4
_handles: dict[str, Any] = {}
_dragged: list[tuple[float, float]] = []
"""Where a drag that is under way began and is now, in the plate's pixels."""


class Shown(NamedTuple):
    """The plate in an editor: the shot, its size and the frame that is shown."""

    shot: Shot
    size: tuple[int, int]
    frame: int


def shot_of(scene: bpy.types.Scene) -> Shot:
    return Shot(Path(addon.absolute(scene.shot_gopher.shot)))


def shown_plate(context: bpy.types.Context, space: bpy.types.Space) -> Shown | None:
    """What an editor shows of the scene's shot; None when that is something else."""
    if space is None or space.type not in EDITORS or not context.scene.shot_gopher.shot:
        return None
    shot = shot_of(context.scene)
    size = picks.plate_of(space, shot.frames)
    return None if size is None else Shown(shot, size, context.scene.frame_current)


class _PicksOperator:
    """What all of these have in common: a shot with frames."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not context.scene.shot_gopher.shot or not monitor.view(context.scene).backgrounds:
            cls.poll_message_set("Set up the shot first")
            return False
        return True


class SHOTGOPHER_OT_object_add(_PicksOperator, bpy.types.Operator):
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


class SHOTGOPHER_OT_pick(_PicksOperator, bpy.types.Operator):
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


class SHOTGOPHER_OT_picking(_PicksOperator, bpy.types.Operator):
    """Point at the object on the plate: click, Ctrl Click for what is not part of it, drag a box.
    Esc ends it; frames can be changed and the view moved meanwhile"""

    bl_idname = "shot_gopher.picking"
    bl_label = "Pick on Plate"
    bl_options = {"REGISTER"}

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        area = _editor(context)
        if area is None:
            self.report({"ERROR"}, "Open the plate in a movie clip or image editor first")
            return {"CANCELLED"}
        self._area = area.as_pointer()
        self._begin: tuple[int, int] | None = None
        context.workspace.status_text_set(_HINT)
        context.window.cursor_modal_set("CROSSHAIR")
        context.window_manager.modal_handler_add(self)
        state.picking = True
        redraw()
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type in {"ESC", "RET", "NUMPAD_ENTER"} or not state.picking:
            self._end(context)
            return {"FINISHED"}
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            return self._press(context, event)
        if self._begin is not None and event.type == "MOUSEMOVE":
            self._drag(context, event)
            return {"RUNNING_MODAL"}
        if self._begin is not None and event.type == "LEFTMOUSE" and event.value == "RELEASE":
            self._release(context, event)
            return {"RUNNING_MODAL"}
        return {"PASS_THROUGH"}

    def cancel(self, context: bpy.types.Context) -> None:
        self._end(context)

    def _end(self, context: bpy.types.Context) -> None:
        state.picking = False
        _dragged.clear()
        context.workspace.status_text_set(None)
        context.window.cursor_modal_restore()
        redraw()

    def _press(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self._at(context, event.mouse_x, event.mouse_y) is None:
            return {"PASS_THROUGH"}
        self._begin = (event.mouse_x, event.mouse_y)
        return {"RUNNING_MODAL"}

    def _drag(self, context: bpy.types.Context, event: bpy.types.Event) -> None:
        ends = [self._at(context, *place, True) for place in (self._begin, _mouse(event))]
        _dragged[:] = ends if all(ends) and self._is_drag(event) else []
        redraw()

    def _is_drag(self, event: bpy.types.Event) -> bool:
        x, y = self._begin
        return max(abs(event.mouse_x - x), abs(event.mouse_y - y)) > _DRAG

    def _release(self, context: bpy.types.Context, event: bpy.types.Event) -> None:
        first = self._at(context, *self._begin, True)
        second = self._at(context, *_mouse(event), True)
        box, self._begin = self._is_drag(event), None
        _dragged.clear()
        if first is None or second is None:
            return
        frame = context.scene.frame_current
        if box:
            bpy.ops.shot_gopher.pick(
                "EXEC_DEFAULT", True, kind=picks.BOX, corner=first, other=second, frame=frame
            )
        else:
            inside = not (event.ctrl or event.alt)
            bpy.ops.shot_gopher.pick("EXEC_DEFAULT", True, corner=first, inside=inside, frame=frame)

    def _at(
        self, context: bpy.types.Context, x: int, y: int, outside: bool = False
    ) -> tuple[float, float] | None:
        """The plate's pixel under the mouse; None where that is not over the plate."""
        area = next((a for a in context.screen.areas if a.as_pointer() == self._area), None)
        shown = shown_plate(context, area.spaces.active) if area else None
        region = _window_region(area, x, y, outside) if area else None
        if shown is None or region is None:
            return None
        pixel = pick_view.pixel_at(region, shown.size, (x - region.x, y - region.y))
        width, height = shown.size
        within = 0 <= pixel[0] < width and 0 <= pixel[1] < height
        if not within and not outside:
            return None
        return min(max(pixel[0], 0.0), width - 0.001), min(max(pixel[1], 0.0), height - 0.001)


def _mouse(event: bpy.types.Event) -> tuple[int, int]:
    return event.mouse_x, event.mouse_y


def _window_region(area: bpy.types.Area, x: int, y: int, outside: bool) -> bpy.types.Region | None:
    """The region with the picture, where no sidebar lies over it."""
    window = next((each for each in area.regions if each.type == "WINDOW"), None)
    if window is None or outside:
        return window
    over = [each for each in area.regions if _is_over(each, x, y)]
    return window if over == [window] else None


def _is_over(region: bpy.types.Region, x: int, y: int) -> bool:
    inside = region.x <= x < region.x + region.width and region.y <= y < region.y + region.height
    return inside and region.width > 1 and region.height > 1


def _editor(context: bpy.types.Context) -> bpy.types.Area | None:
    """The editor that the artist is in, else the first that shows the plate."""
    mine = [context.area] if context.area else []
    for area in (*mine, *context.screen.areas):
        if shown_plate(context, area.spaces.active) is not None:
            return area
    return None


class SHOTGOPHER_OT_pick_mask(_PicksOperator, bpy.types.Operator):
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


class SHOTGOPHER_OT_plate_edit(_PicksOperator, bpy.types.Operator):
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


class SHOTGOPHER_OT_picks_load(_PicksOperator, bpy.types.Operator):
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


class State:
    """Whether an artist is picking. `trouble` is why picks cannot be read or written, or ""."""

    def __init__(self) -> None:
        self.picking = False
        self.trouble = ""


state = State()


def changed() -> None:
    """What is picked is drawn, asked the model for and written down."""
    redraw()
    if not bpy.app.timers.is_registered(_save_and_preview):
        bpy.app.timers.register(_save_and_preview, first_interval=_SAVE_AFTER)


def _save_and_preview() -> None:
    scene = bpy.context.scene
    settings = scene.shot_gopher
    if not settings.shot or not monitor.view(scene).backgrounds:
        return
    save_picks(scene)
    if settings.picks_preview:
        prompts, model = picks.prompts_of(settings), settings.options.interactive.model
        preview.want(Question.of(shot_of(scene), model, scene.frame_current, prompts), redraw)


def save_picks(scene: bpy.types.Scene) -> None:
    """Writes what is picked into the shot folder, if it has changed."""
    if not scene.shot_gopher.shot:
        return
    with _told():
        picks_file.save(scene.shot_gopher, shot_of(scene))


def follow_shot(scene: bpy.types.Scene, again: bool = False) -> None:
    """Shows what is picked in the scene's shot; `again`: as it is on disk now."""
    with _told():
        settings = scene.shot_gopher
        picks_file.follow(settings, shot_of(scene) if settings.shot else None, again)


@contextmanager
def _told() -> Iterator[None]:
    """Keeps why picks cannot be read or written, for the panel."""
    try:
        yield
        state.trouble = ""
    except (ShotGopherError, OSError) as error:
        state.trouble = getattr(error, "reason", str(error))


def _previews(settings: Any, frame: int) -> Iterator[pick_view.Preview]:
    for each in settings.picked:
        texture = preview.texture(each.name, frame)
        if texture is not None:
            yield pick_view.Preview(tuple(each.color), texture)


def _draw() -> None:
    context = bpy.context
    shown = shown_plate(context, context.space_data)
    settings = context.scene.shot_gopher
    if shown is None or not settings.picked:
        return
    masks = list(_previews(settings, shown.frame)) if settings.picks_preview else []
    pick_view.draw(context, shown.size, settings.picked, masks, shown.frame)
    if len(_dragged) == 2:
        places = [pick_view.place_of(context.region, shown.size, end) for end in _dragged]
        pick_view.draw_box(*places, (1.0, 1.0, 1.0, 1.0), context.preferences.system.ui_scale)


def redraw() -> None:
    """Draws every editor that may show the plate again, and the panels."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in (*EDITORS, "VIEW_3D"):
                area.tag_redraw()


@persistent
def _undone(*_arguments: Any) -> None:
    changed()


@persistent
def _frame_changed(scene: bpy.types.Scene, *_arguments: Any) -> None:
    if state.picking and scene.shot_gopher.picked:
        changed()


@persistent
def _loaded(*_arguments: Any) -> None:
    state.picking = False
    preview.stop()
    for scene in bpy.data.scenes:
        follow_shot(scene, again=True)


_HANDLERS = {"undo_post": _undone, "redo_post": _undone, "load_post": _loaded,
             "frame_change_post": _frame_changed}  # fmt: skip

_register_classes, _unregister_classes = bpy.utils.register_classes_factory(
    (
        SHOTGOPHER_OT_object_add,
        SHOTGOPHER_OT_object_remove,
        SHOTGOPHER_OT_picks_clear,
        SHOTGOPHER_OT_pick,
        SHOTGOPHER_OT_picking,
        SHOTGOPHER_OT_pick_mask,
        SHOTGOPHER_OT_plate_edit,
        SHOTGOPHER_OT_picks_load,
    )
)


def register() -> None:
    _register_classes()
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)
    for editor, space in EDITORS.items():
        _handles[editor] = space.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")


def unregister() -> None:
    preview.stop()
    if bpy.app.timers.is_registered(_save_and_preview):
        bpy.app.timers.unregister(_save_and_preview)
    for editor, handle in _handles.items():
        EDITORS[editor].draw_handler_remove(handle, "WINDOW")
    _handles.clear()
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
    _unregister_classes()
