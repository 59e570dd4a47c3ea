# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER SHOT: makes a dense mesh from the panel, and looks at it in each material and use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import numpy as np
import window
from quiet_draw import DrawWatch
from window import Player, Step, area, in_window, open_sidebar, picture, press, region, sidebar_box

NAME = "bl_ext.user_default.shot_gopher"
folder, shot = map(Path, sys.argv[sys.argv.index("--") + 1 :])
watch = DrawWatch()
told: dict[str, Any] = {"pictures": {}}


def monitor() -> Any:
    return sys.modules[f"{NAME}.operators.monitor"].monitor


def scene() -> Any:
    return bpy.context.window_manager.windows[0].scene


def view() -> Any:
    return monitor().view(scene())


def solved() -> bool:
    return bool(view().solved)


def has_mesh() -> bool:
    return "sh070 Mesh" in bpy.data.objects or reason() != ""


def reason() -> str:
    """Why the stage failed."""
    return str(view().stages["dense"].reason)


def open_panel() -> None:
    """As if the artist had opened it: its heading cannot be pressed by a script."""
    panel = bpy.types.SHOTGOPHER_PT_dense
    bpy.utils.unregister_class(panel)
    panel.bl_options = set()
    bpy.utils.register_class(panel)


def take(name: str, wait: float = 2.0) -> Iterator[Step]:
    yield wait
    picture(folder / f"{name}.png")
    pane, window = region("WINDOW", area()), bpy.context.window_manager.windows[0]
    told["pictures"][name] = sidebar_box()
    told["middle"] = [
        pane.x + pane.width // 2, window.height - pane.y - pane.height // 2
    ]  # fmt: skip


def colored() -> Iterator[Step]:
    """Waits until the middle of the view is: shaders take their time to compile, and longer on a
    busy machine."""
    for _ in range(40):
        yield from take("wait", 3.0)
        image = bpy.data.images.load(str(folder / "wait.png"))
        x, y = told["middle"]
        pixels = np.array(image.pixels[:]).reshape(image.size[1], image.size[0], -1)[::-1]
        bpy.data.images.remove(image)
        patch = pixels[y - 60 : y + 60, x - 60 : x + 60, :3]
        if (np.ptp(patch, axis=2) > 0.2).mean() > 0.3:
            break
    del told["pictures"]["wait"]


def scenario() -> Iterator[Step]:
    watch.start()
    open_panel()
    bpy.context.preferences.system.use_online_access = True
    yield from open_sidebar()
    scene().shot_gopher.shot = str(shot)
    yield solved
    press("camera_import")
    options = scene().shot_gopher.options.dense
    options.quality, options.max_frames, options.faces = "preview", 8, 20000
    options.texture_size = 1024
    press("stage_run", stage="dense")
    yield has_mesh
    told["reason"] = reason()
    assert not told["reason"], told["reason"]
    area().spaces.active.region_3d.view_perspective = "CAMERA"
    area().spaces.active.shading.type = "MATERIAL"
    area().spaces.active.overlay.show_overlays = False
    mesh = bpy.data.objects["sh070 Mesh"]
    told["faces"], told["uvs"] = len(mesh.data.polygons), len(mesh.data.uv_layers)
    yield from colored()
    yield from take("dense_as_shot")
    for look in ("LIT", "PROJECTED"):
        press("dense_look", look=look)
        yield from take(f"dense_{look.lower()}", 4.0)
    press("dense_look", look="PLATE")
    for use in ("CATCHER", "HOLDOUT", "RENDERED"):
        press("dense_use", use=use)
        told[use.lower()] = [mesh.is_shadow_catcher, mesh.is_holdout]
    again = bpy.data.objects["sh070 Mesh"].as_pointer()
    press("dense_import")
    told["in_place"] = bpy.data.objects["sh070 Mesh"].as_pointer() == again
    yield 1.0
    told["draws"], told["touched"] = watch.draws, watch.touched
    with in_window("WINDOW"):
        bpy.ops.view3d.view_axis(type="TOP")
    yield from take("dense_top")


window.PATIENCE = 600.0
Player(scenario(), folder / "report.json", told).start()
