# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER SHOT: an artist points at things on the plate in the movie clip editor, with the mouse.

Clicks and drags go through Blender's own events; what they gave is compared with where the picture
was under the mouse.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import numpy as np
from installed import module, monitor
from quiet_draw import DrawWatch
from window import Player, Step, area, in_window, open_sidebar, picture, place, press, region

folder, shot = map(Path, sys.argv[sys.argv.index("--") + 1 :])
watch = DrawWatch()
told: dict[str, Any] = {}
PROMPTS = shot / "roto" / "prompts.json"


def window() -> Any:
    return bpy.context.window_manager.windows[0]


def settings() -> Any:
    return window().scene.shot_gopher


def ready() -> bool:
    return bool(monitor().view(window().scene).backgrounds)


def send(kind: str, value: str, at: tuple[int, int], **keys: bool) -> None:
    window().event_simulate(type=kind, value=value, x=at[0], y=at[1], **keys)


def click(at: tuple[int, int], **keys: bool) -> Iterator[Step]:
    send("MOUSEMOVE", "NOTHING", at)
    yield 0.1
    send("LEFTMOUSE", "PRESS", at, **keys)
    yield 0.1
    send("LEFTMOUSE", "RELEASE", at, **keys)
    yield 0.2


def drag(begin: tuple[int, int], end: tuple[int, int]) -> Iterator[Step]:
    send("MOUSEMOVE", "NOTHING", begin)
    yield 0.1
    send("LEFTMOUSE", "PRESS", begin)
    yield 0.1
    for share in (0.3, 0.6, 1.0):
        at = [round(a + (b - a) * share) for a, b in zip(begin, end, strict=True)]
        send("MOUSEMOVE", "NOTHING", (at[0], at[1]))
        yield 0.1
    picture(folder / "dragging.png")
    send("LEFTMOUSE", "RELEASE", end)
    yield 0.2


def picked() -> list[dict[str, Any]]:
    return [
        {"name": each.name, "picks": [
            (p.frame, p.kind, p.x, p.y, p.right, p.bottom, p.inside) for p in each.picks
        ]}
        for each in settings().picked
    ]  # fmt: skip


def saved() -> bool:
    if not PROMPTS.is_file():
        return False
    objects = json.loads(PROMPTS.read_text(encoding="utf-8"))["objects"]
    there = sum(len(f["points"]) for o in objects for f in o["frames"].values() if "points" in f)
    return there == sum(p[1] == "POINT" for each in picked() for p in each["picks"])


def undo_and_redo() -> Iterator[Step]:
    before = picked()
    with in_window("WINDOW", "CLIP_EDITOR"):
        bpy.ops.ed.undo()
    yield 0.3
    told["undone"] = picked()
    with in_window("WINDOW", "CLIP_EDITOR"):
        bpy.ops.ed.redo()
    yield 0.3
    assert picked() == before, (picked(), before)


def pick_in_the_clip_editor() -> Iterator[Step]:
    with in_window("WINDOW", "CLIP_EDITOR"):
        bpy.ops.shot_gopher.object_add("EXEC_DEFAULT", True, name="car")
        bpy.ops.shot_gopher.picking("INVOKE_DEFAULT")
    yield 0.5
    kind = "CLIP_EDITOR"
    yield from click(place(0.25, 0.25, kind))
    yield from click(place(0.5, 0.75, kind), ctrl=True)
    yield from drag(place(0.2, 0.2, kind), place(0.6, 0.5, kind))
    window().scene.frame_set(window().scene.frame_current + 3)
    yield 0.3
    yield from click(place(0.75, 0.5, kind))
    told["picked"] = picked()
    yield saved
    yield from undo_and_redo()
    yield saved
    picture(folder / "picking.png")
    send("ESC", "PRESS", place(0.5, 0.5, kind))
    yield 0.5
    state = module("operators.picks_view").state
    assert not state.picking
    told["after"] = len(picked()[0]["picks"])
    yield from click(place(0.4, 0.4, kind))
    assert len(picked()[0]["picks"]) == told["after"], "a click after Esc picked something"


def pick_in_the_image_editor() -> Iterator[Step]:
    frames = shot / "source" / "frames"
    first = min(frames.glob("frame_*.png"))
    area("CLIP_EDITOR").type = "IMAGE_EDITOR"
    yield 0.5
    space = area("IMAGE_EDITOR").spaces.active
    space.image = bpy.data.images.load(str(first))
    yield 0.5
    with in_window("WINDOW", "IMAGE_EDITOR"):
        bpy.ops.shot_gopher.picking("INVOKE_DEFAULT")
    yield 0.3
    yield from click(place(0.1, 0.9, "IMAGE_EDITOR"))
    told["image"] = picked()[0]["picks"][-1]
    picture(folder / "image_editor.png")
    send("ESC", "PRESS", place(0.5, 0.5, "IMAGE_EDITOR"))
    yield 0.3


def masks_over_the_plate() -> Iterator[Step]:
    """A mask that has come from the worker is drawn in its object's color."""
    preview = module("operators.mask_preview")
    width, height = told["size"]
    y, x = np.mgrid[:height, :width]
    disc = np.where((x - width * 0.25) ** 2 + (y - height * 0.4) ** 2 < (height / 6) ** 2, 255, 0)
    frame = window().scene.frame_current
    question = preview.Question(shot, "auto", frame, ())
    picture(folder / "without.png")
    preview.preview._now.answer = preview.Answer(question, {"car": disc.astype(np.uint8)})
    area("CLIP_EDITOR").tag_redraw()
    yield 0.5
    picture(folder / "with.png")
    places = {"in": place(0.25, 0.4, "CLIP_EDITOR"), "out": place(0.25, 0.75, "CLIP_EDITOR")}
    told["mask"] = {name: (x, window().height - y) for name, (x, y) in places.items()}
    told["color"] = list(settings().picked[0].color)
    settings().picks_preview = False
    yield 0.5
    picture(folder / "off.png")
    settings().picks_preview = True


def load_again() -> Iterator[Step]:
    before = json.loads(PROMPTS.read_text(encoding="utf-8"))
    settings().picked.clear()
    area("IMAGE_EDITOR").type = "VIEW_3D"
    yield 0.5
    press("picks_load")
    yield 0.8
    assert json.loads(PROMPTS.read_text(encoding="utf-8")) == before


def scenario() -> Iterator[Step]:
    watch.start()
    yield from open_sidebar()
    settings().shot = str(shot)
    yield ready
    window().scene.frame_set(min(int(f.stem[6:]) for f in (shot / "source/frames").glob("*.png")))
    area().type = "CLIP_EDITOR"
    yield 0.5
    with in_window("WINDOW", "CLIP_EDITOR"):
        assert bpy.ops.shot_gopher.plate_edit() == {"FINISHED"}
        bpy.ops.clip.view_all()
    area("CLIP_EDITOR").spaces.active.show_region_ui = True
    yield 0.5
    region("UI", area("CLIP_EDITOR")).active_panel_category = "Shot Gopher"
    yield 0.5
    told["size"] = list(area("CLIP_EDITOR").spaces.active.clip.size)
    yield from pick_in_the_clip_editor()
    yield from masks_over_the_plate()
    yield from pick_in_the_image_editor()
    yield from load_again()
    told["draws"], told["touched"] = watch.draws, watch.touched
    told["trouble"] = monitor().trouble


Player(scenario(), folder / "report.json", told).start()
