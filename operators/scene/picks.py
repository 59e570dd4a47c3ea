# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist points at things with, as properties of the scene, so that undo knows it.

backend/prompts.py is the same on disk. A pick is a click, a dragged box or a drawn mask in one
frame of one object.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy

from ...backend.prompts import Point, Prompt, PromptedObject, Prompts
from ...backend.shot import folder_key

POINT, BOX, MASK = "POINT", "BOX", "MASK"

COLORS = (
    (0.15, 0.65, 1.0),
    (1.0, 0.45, 0.1),
    (0.3, 0.9, 0.3),
    (0.95, 0.3, 0.75),
    (1.0, 0.85, 0.2),
    (0.6, 0.45, 1.0),
)
"""Of objects, one after the other."""


def prompts_of(settings: bpy.types.PropertyGroup) -> Prompts:
    """What is picked in the scene."""
    return Prompts(tuple(_object(each) for each in settings.picked))


def _object(each: bpy.types.PropertyGroup) -> PromptedObject:
    frames = sorted({pick.frame for pick in each.picks})
    return PromptedObject(
        each.name,
        {frame: _prompt([p for p in each.picks if p.frame == frame]) for frame in frames},
    )


def _prompt(picks: Sequence[bpy.types.PropertyGroup]) -> Prompt:
    points = tuple(Point(p.x, p.y, p.inside) for p in picks if p.kind == POINT)
    box = next(((p.x, p.y, p.right, p.bottom) for p in picks if p.kind == BOX), None)
    mask = next((p.mask for p in picks if p.kind == MASK), "")
    return Prompt(points, box, mask)


def show(settings: bpy.types.PropertyGroup, prompts: Prompts) -> None:
    """Makes the scene's picks those."""
    settings.picked.clear()
    for one in prompts.objects:
        shown = add_object(settings, one.name)
        for frame, prompt in one.frames.items():
            _show_prompt(shown, frame, prompt)
    settings.picked_index = 0


def _show_prompt(shown: bpy.types.PropertyGroup, frame: int, prompt: Prompt) -> None:
    for point in prompt.points:
        add_point(shown, frame, (point.x, point.y), point.inside)
    if prompt.box is not None:
        left, top, right, bottom = prompt.box
        set_box(shown, frame, (left, top), (right, bottom))
    if prompt.mask:
        set_mask(shown, frame, prompt.mask)


def add_object(settings: bpy.types.PropertyGroup, name: str = "") -> bpy.types.PropertyGroup:
    """A new object, which becomes the active one."""
    taken = {each.name for each in settings.picked}
    numbers = (f"object_{number}" for number in range(1, len(taken) + 2))
    used = [tuple(each.color) for each in settings.picked]
    added = settings.picked.add()
    added.name = name or next(each for each in numbers if each not in taken)
    added.color = min(COLORS, key=lambda color: sum(_near(color, other) for other in used))
    settings.picked_index = len(settings.picked) - 1
    return added


def _near(color: Sequence[float], other: Sequence[float]) -> bool:
    return max(abs(a - b) for a, b in zip(color, other, strict=True)) < 0.01


def active(settings: bpy.types.PropertyGroup) -> bpy.types.PropertyGroup | None:
    there = 0 <= settings.picked_index < len(settings.picked)
    return settings.picked[settings.picked_index] if there else None


def add_point(
    each: bpy.types.PropertyGroup, frame: int, pixel: tuple[float, float], inside: bool
) -> None:
    pick = _add(each, frame, POINT)
    pick.x, pick.y = pixel
    pick.inside = inside


def set_box(
    each: bpy.types.PropertyGroup,
    frame: int,
    corner: tuple[float, float],
    other: tuple[float, float],
) -> None:
    """There is one box of an object in a frame."""
    remove(each, frame, BOX)
    pick = _add(each, frame, BOX)
    pick.x, pick.right = sorted((corner[0], other[0]))
    pick.y, pick.bottom = sorted((corner[1], other[1]))


def set_mask(each: bpy.types.PropertyGroup, frame: int, mask: str) -> None:
    """There is one mask of an object in a frame; `mask` is relative to the shot."""
    remove(each, frame, MASK)
    _add(each, frame, MASK).mask = mask


def _add(each: bpy.types.PropertyGroup, frame: int, kind: str) -> Any:
    pick = each.picks.add()
    pick.frame, pick.kind = frame, kind
    return pick


def remove(each: bpy.types.PropertyGroup, frame: int, kind: str = "") -> int:
    """Removes the picks of a frame, of one kind if that is named; how many there were."""
    found = [
        place
        for place, pick in enumerate(each.picks)
        if pick.frame == frame and kind in ("", pick.kind)
    ]
    for place in reversed(found):
        each.picks.remove(place)
    return len(found)


def plate_of(space: bpy.types.Space, frames: Path) -> tuple[int, int] | None:
    """Width and height of the plate that an editor shows, whose images lie in `frames`.

    None when it shows something else.
    """
    shown = space.clip if space.type == "CLIP_EDITOR" else space.image
    if shown is None or not shown.filepath:
        return None
    folder = os.path.dirname(bpy.path.abspath(shown.filepath))
    if folder_key(folder) != folder_key(str(frames)) or not all(shown.size):
        return None
    return int(shown.size[0]), int(shown.size[1])
