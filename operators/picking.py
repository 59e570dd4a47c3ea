# SPDX-License-Identifier: GPL-3.0-or-later
"""Pointing at things with the mouse in the movie clip and image editors."""

from __future__ import annotations

import bpy

from .picks import NeedsPlate
from .picks_view import redraw, shown_plate, state
from .scene import pick_view, picks

_DRAG = 6
"""Pixels of the screen from which a click is a box."""
_HINT = "Click: part of it     Ctrl Click: not part of it     Drag: a box     Esc: done"


class SHOTGOPHER_OT_picking(NeedsPlate, bpy.types.Operator):
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
        state.dragged = ()
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
        state.dragged = tuple(ends) if all(ends) and self._is_drag(event) else ()
        redraw()

    def _is_drag(self, event: bpy.types.Event) -> bool:
        x, y = self._begin
        return max(abs(event.mouse_x - x), abs(event.mouse_y - y)) > _DRAG

    def _release(self, context: bpy.types.Context, event: bpy.types.Event) -> None:
        first = self._at(context, *self._begin, True)
        second = self._at(context, *_mouse(event), True)
        box, self._begin = self._is_drag(event), None
        state.dragged = ()
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


register, unregister = bpy.utils.register_classes_factory((SHOTGOPHER_OT_picking,))
