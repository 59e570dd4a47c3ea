# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER SHOT: clicks on the plate, sees the mask come from the worker, and tracks it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import numpy as np
from installed import module, scene, view
from window import Player, Step, area, in_window, open_plate_editor, picture, place

KIND = "CLIP_EDITOR"
folder, shot = map(Path, sys.argv[sys.argv.index("--") + 1 :])
told: dict[str, Any] = {"pictures": {}}


def ready() -> bool:
    return bool(view().backgrounds)


def answered() -> bool:
    """A mask has come, or a sentence on why there is none."""
    preview = module("operators.mask_preview").preview
    return bool(preview.trouble) or (preview._now is not None and preview._now.answer is not None)


def tracked() -> bool:
    return view().stages["interactive"].state.name in ("DONE", "FAILED")


def open_plate() -> Iterator[Step]:
    scene().shot_gopher.shot = str(shot)
    yield ready
    yield from open_plate_editor()


def point_at_something() -> Iterator[Step]:
    width, height = area(KIND).spaces.active.clip.size
    with in_window("WINDOW", KIND):
        bpy.ops.shot_gopher.object_add("EXEC_DEFAULT", True, name="car")
        bpy.ops.shot_gopher.pick("EXEC_DEFAULT", True, corner=(width * 0.25, height * 0.25))
    yield answered
    preview = module("operators.mask_preview").preview
    assert not preview.trouble, preview.trouble
    (mask,) = preview._now.answer.masks.values()
    np.save(folder / "mask.npy", mask)
    yield 0.5
    keep("live")
    corners = [place(*corner, KIND) for corner in ((0, 0), (1, 1))]
    high = bpy.context.window_manager.windows[0].height
    told["plate"] = [[x, high - y] for x, y in corners]
    told["color"] = list(scene().shot_gopher.picked[0].color)
    scene().shot_gopher.picks_preview = False
    yield 0.5
    picture(folder / "off.png")


def keep(name: str) -> None:
    picture(folder / f"{name}.png")
    editor, high = area(KIND), bpy.context.window_manager.windows[0].height
    told["pictures"][name] = [
        editor.x, high - editor.y - editor.height, editor.width, editor.height
    ]  # fmt: skip


def track() -> Iterator[Step]:
    with in_window("UI", KIND):
        bpy.ops.shot_gopher.stage_run("INVOKE_DEFAULT", stage="interactive")
    yield tracked
    now = view().stages["interactive"]
    assert now.state.name == "DONE", now.reason
    scene().shot_gopher.picks_preview = True
    scene().frame_set(scene().frame_current + 2)
    yield 1.5
    keep("tracked")
    told["frame"] = scene().frame_current
    scene().shot_gopher.picks_preview = False
    yield 0.5
    picture(folder / "bare.png")


def scenario() -> Iterator[Step]:
    yield 1.0
    scene().frame_set(min(int(f.stem[6:]) for f in (shot / "source/frames").glob("*.png")))
    yield from open_plate()
    yield from point_at_something()
    yield from track()
    told["trouble"] = module("operators.monitor").monitor.trouble


Player(scenario(), folder / "report.json", told).start()
