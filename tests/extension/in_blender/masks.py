# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER SHOT: grows the masks of an actor from the panel, shows them, and puts them back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
from installed import module, scene, view
from quiet_draw import DrawWatch
from window import Player, Step, area, open_sidebar, picture, press, sidebar_box

LABEL = "roto/actor"
folder, shot = map(Path, sys.argv[sys.argv.index("--") + 1 :])
watch = DrawWatch()
told: dict[str, Any] = {"pictures": {}}


def idle() -> bool:
    return (
        not module("operators.masks").editing.busy
        and not module("operators.monitor").monitor._to_show
    )


def restorable() -> bool:
    return idle() and any(each.restorable for each in view().masks)


def there() -> bool:
    return bool(view().masks) and view().solved


def open_panel() -> None:
    """As if the artist had opened it: its heading cannot be pressed by a script."""
    panel = bpy.types.SHOTGOPHER_PT_masks
    bpy.utils.unregister_class(panel)
    panel.bl_options = set()
    bpy.utils.register_class(panel)


def take(name: str) -> Iterator[Step]:
    yield 0.8
    picture(folder / f"{name}.png")
    told["pictures"][name] = sidebar_box()


def scenario() -> Iterator[Step]:
    watch.start()
    open_panel()
    yield from open_sidebar()
    scene().shot_gopher.shot = str(shot)
    yield there
    press("camera_import")
    yield lambda: view().scene.name == "CURRENT"
    area().spaces.active.region_3d.view_perspective = "CAMERA"
    press("masks_choose", label=LABEL)
    press("masks_over_plate")
    yield from take("masks")
    over = scene().camera.data.background_images[1]
    scene().shot_gopher.mask_edit.grow = 6.0
    press("masks_edit", label=LABEL)
    assert module("operators.masks").editing.busy
    yield restorable
    yield from take("masks_grown")
    assert over.clip is not None
    press("masks_restore", label=LABEL)
    yield idle
    yield from take("masks_restored")
    told["draws"], told["touched"] = watch.draws, watch.touched
    told["trouble"] = module("operators.masks").editing.trouble
    told["notes"] = list(module("operators.masks").editing.notes)


Player(scenario(), folder / "report.json", told).start()
