# SPDX-License-Identifier: GPL-3.0-or-later
"""Picks as an artist sees them: drawn over the plate with their masks, saved, followed.

What changes them calls `changed`; the rest follows from undo, frames, files and jobs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import bpy
from bpy.app.handlers import persistent

from ..backend.errors import ShotGopherError
from ..backend.jobs import Job
from ..backend.shot import Shot
from . import addon
from .mask_preview import Question, preview
from .monitor import monitor
from .scene import pick_view, picks, picks_file
from .tracked_masks import tracked

EDITORS = {"CLIP_EDITOR": bpy.types.SpaceClipEditor, "IMAGE_EDITOR": bpy.types.SpaceImageEditor}
_SAVE_AFTER = 0.4
_handles: dict[str, Any] = {}


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


class State:
    """Whether an artist is picking, and whether masks are to be asked for.

    `dragged` is where a drag that is under way began and is now, in the plate's pixels; `trouble`
    is why picks cannot be read or written, "" when all is well.
    """

    def __init__(self) -> None:
        self.picking = False
        self.asks = False
        self.dragged: tuple[pick_view.Place, ...] = ()
        self.trouble = ""


state = State()


def changed(ask: bool = True) -> None:
    """What is picked is drawn and written down. `ask`: the model for masks too, which is loaded for
    that; one that is loaded already is asked always."""
    state.asks |= ask
    redraw()
    if not bpy.app.timers.is_registered(_save_and_preview):
        bpy.app.timers.register(_save_and_preview, first_interval=_SAVE_AFTER)


def _save_and_preview() -> None:
    scene = bpy.context.scene
    settings = scene.shot_gopher
    if not settings.shot or not monitor.view(scene).backgrounds:
        return
    save_picks(scene)
    _look_at_tracked(scene)
    asks, state.asks = state.asks or preview.running, False
    if settings.picks_preview and asks:
        prompts, model = picks.prompts_of(settings), settings.options.interactive.model
        preview.want(Question.of(shot_of(scene), model, scene.frame_current, prompts), redraw)


def _look_at_tracked(scene: bpy.types.Scene) -> None:
    settings = scene.shot_gopher
    names = [each.name for each in settings.picked] if settings.picks_preview else []
    tracked.look(shot_of(scene) if settings.shot else None, names, scene.frame_current)
    redraw()


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
    """What is picked in a frame is drawn by that alone, everything else as it was tracked."""
    for each in settings.picked:
        live = any(pick.frame == frame for pick in each.picks)
        texture = preview.texture(each.name, frame) if live else None
        texture = texture or tracked.texture(each.name, frame)
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
    if state.dragged:
        places = [pick_view.place_of(context.region, shown.size, end) for end in state.dragged]
        pick_view.draw_box(*places, (1.0, 1.0, 1.0, 1.0), context.preferences.system.ui_scale)


def redraw() -> None:
    """Draws every editor that may show the plate again, and the panels."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in (*EDITORS, "VIEW_3D"):
                area.tag_redraw()


@persistent
def _undone(*_arguments: Any) -> None:
    changed(ask=False)


@persistent
def _frame_changed(scene: bpy.types.Scene, *_arguments: Any) -> None:
    if not scene.shot_gopher.picked or not _is_seen():
        return
    _look_at_tracked(scene)
    if state.picking:
        changed()


def _is_seen() -> bool:
    """Whether an editor is open in which masks are drawn, and no animation plays."""
    screens = [window.screen for window in bpy.context.window_manager.windows]
    seen = any(area.type in EDITORS for screen in screens for area in screen.areas)
    return seen and not any(screen.is_animation_playing for screen in screens)


@persistent
def _played(scene: bpy.types.Scene, *_arguments: Any) -> None:
    if scene.shot_gopher.picked:
        changed(ask=False)


def _job_ended(job: Job) -> None:
    """What was tracked is shown."""
    scene = bpy.context.scene
    if scene.shot_gopher.picked and job.request.shot == str(shot_of(scene).path):
        changed(ask=False)


@persistent
def _loaded(*_arguments: Any) -> None:
    state.picking = False
    preview.stop()
    for scene in bpy.data.scenes:
        follow_shot(scene, again=True)


_HANDLERS = {"undo_post": _undone, "redo_post": _undone, "load_post": _loaded,
             "frame_change_post": _frame_changed, "animation_playback_post": _played}  # fmt: skip


def register() -> None:
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)
    monitor.when_ended.append(_job_ended)
    for editor, space in EDITORS.items():
        _handles[editor] = space.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")


def unregister() -> None:
    preview.stop()
    monitor.when_ended.remove(_job_ended)
    if bpy.app.timers.is_registered(_save_and_preview):
        bpy.app.timers.unregister(_save_and_preview)
    for editor, handle in _handles.items():
        EDITORS[editor].draw_handler_remove(handle, "WINDOW")
    _handles.clear()
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
