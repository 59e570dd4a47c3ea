# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER SHOT: makes masks on a ComfyUI server's page, and takes them when they are good.

FOLDER/pressed says that somebody has pressed Run on the page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
from installed import monitor, scene
from window import Player, Step, area, in_window, open_plate_editor, picture

KIND = "CLIP_EDITOR"
folder, shot = map(Path, sys.argv[sys.argv.index("--") + 1 :])
told: dict[str, Any] = {"pictures": {}}


def stage() -> Any:
    return monitor().view(scene()).stages["interactive"]


def ready() -> bool:
    return bool(monitor().view(scene()).backgrounds)


def waiting() -> bool:
    return stage().waiting is not None or stage().state.name == "FAILED"


def pressed() -> bool:
    return (folder / "pressed").exists()


def over() -> bool:
    return stage().state.name in ("DONE", "FAILED")


def press(name: str, **properties: Any) -> None:
    with in_window("UI", KIND):
        assert getattr(bpy.ops.shot_gopher, name)("INVOKE_DEFAULT", **properties) == {"FINISHED"}


def scenario() -> Iterator[Step]:
    yield 1.0
    settings = scene().shot_gopher
    settings.shot = str(shot)
    yield ready
    yield from open_plate_editor()
    settings.options.interactive.engine = "comfyui"
    settings.options.interactive.objects = "car"
    press("stage_run", stage="interactive")
    yield waiting
    assert stage().waiting is not None, stage().reason
    told["waiting"] = stage().waiting.text
    yield 0.5
    picture(folder / "comfy_page.png")
    editor, high = area(KIND), bpy.context.window_manager.windows[0].height
    told["pictures"]["comfy_page"] = [
        editor.x, high - editor.y - editor.height, editor.width, editor.height
    ]  # fmt: skip
    yield pressed
    assert stage().state.name == "RUNNING", "the masks were taken unasked"
    press("job_go_on", job=stage().job)
    yield over
    assert stage().state.name == "DONE", stage().reason
    told["trouble"] = monitor().trouble


Player(scenario(), folder / "report.json", told).start()
