# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays a scenario in a Blender with a window, step by step, while Blender's own loop goes on.

A scenario is a generator: it yields a number of seconds, or a function to wait for. How it ended
and what it told goes into a JSON report.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

PATIENCE = 180.0
Step = float | Callable[[], Any]


class Player:
    """Runs a scenario by a timer that survives file loads, then quits Blender."""

    def __init__(self, scenario: Iterator[Step], report: Path, told: dict[str, Any]) -> None:
        self._scenario = scenario
        self._report = report
        self._told = told
        self._until: Callable[[], Any] | None = None
        self._give_up = 0.0

    def start(self) -> None:
        bpy.app.timers.register(self._step, first_interval=1.0, persistent=True)

    def _step(self) -> float | None:
        try:
            return self._advance()
        except StopIteration:
            self._end({"ok": True})
        except BaseException:
            self._end({"ok": False, "error": traceback.format_exc()})
        return None

    def _advance(self) -> float:
        if self._until is not None:
            if not self._until():
                if time.monotonic() > self._give_up:
                    picture(self._report.with_name("in_vain.png"))
                    raise TimeoutError(f"waited for {self._until.__name__} in vain")
                return 0.1
            self._until = None
        step = next(self._scenario)
        if callable(step):
            self._until, self._give_up = step, time.monotonic() + PATIENCE
            return 0.1
        return step

    def _end(self, result: dict[str, Any]) -> None:
        part = self._report.with_suffix(".part")
        part.write_text(json.dumps(result | self._told), encoding="utf-8")
        part.rename(self._report)
        # Not quit_blender: it asks about unsaved work, and its clean-up is not under test.
        sys.stdout.flush()
        os._exit(0)


def area(kind: str = "VIEW_3D") -> bpy.types.Area:
    """The largest area of that type in the first window."""
    screen = bpy.context.window_manager.windows[0].screen
    found = [area for area in screen.areas if area.type == kind]
    return max(found, key=lambda area: area.width * area.height)


def region(kind: str, of: bpy.types.Area) -> bpy.types.Region:
    return next(region for region in of.regions if region.type == kind)


def place(u: float, v: float, kind: str) -> tuple[int, int]:
    """Where a share of the picture in an editor, from its upper left corner, is in the window."""
    pane = region("WINDOW", area(kind))
    x, y = pane.view2d.view_to_region(u, 1 - v, clip=False)
    return pane.x + round(x), pane.y + round(y)


def in_window(kind: str = "UI", area_type: str = "VIEW_3D") -> Any:
    """A context override as if the mouse were over that region."""
    place = area(area_type)
    return bpy.context.temp_override(
        window=bpy.context.window_manager.windows[0], area=place, region=region(kind, place)
    )


def open_sidebar() -> Iterator[Step]:
    """Shows the Shot Gopher tab."""
    place = area()
    place.spaces.active.show_region_ui = True
    yield 0.5
    # Tabs have names only once they have been drawn.
    region("UI", place).active_panel_category = "Shot Gopher"
    yield 0.5


def open_plate_editor() -> Iterator[Step]:
    """Turns the 3D view into a movie clip editor with the shot's plate and the Shot Gopher tab."""
    area().type = "CLIP_EDITOR"
    yield 0.5
    with in_window("WINDOW", "CLIP_EDITOR"):
        bpy.ops.shot_gopher.plate_edit()
        bpy.ops.clip.view_all()
    area("CLIP_EDITOR").spaces.active.show_region_ui = True
    yield 0.5
    region("UI", area("CLIP_EDITOR")).active_panel_category = "Shot Gopher"
    yield 0.5


def press(name: str, **properties: Any) -> set[str]:
    """Presses an operator's button of the sidebar."""
    with in_window():
        operator = getattr(bpy.ops.shot_gopher, name)
        assert operator.poll(), f"{name} cannot be pressed"
        return operator("INVOKE_DEFAULT", **properties)


def picture(path: Path) -> None:
    """Saves the whole screen, by ImageMagick: Blender's own screenshots come out black here."""
    subprocess.run(["import", "-window", "root", str(path)], check=True)


def sidebar_box() -> list[int]:
    """The sidebar in a picture of the window: left, top, width, height in pixels."""
    place = region("UI", area())
    window = bpy.context.window_manager.windows[0]
    return [place.x, window.height - place.y - place.height, place.width, place.height]
