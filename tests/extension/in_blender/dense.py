# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER SHOT: makes a dense mesh from the panel, and looks at it in each material and use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import window
from installed import scene, view
from looking import Looking, without_panels
from quiet_draw import DrawWatch
from window import Player, Step, area, in_window, open_sidebar, press

folder, shot = map(Path, sys.argv[sys.argv.index("--") + 1 :])
watch = DrawWatch()
told: dict[str, Any] = {}
look = Looking(folder, told)


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
    yield from look.colored()
    yield from look.take("dense_as_shot")
    for name in ("LIT", "PROJECTED"):
        press("dense_look", look=name)
        yield from look.take(f"dense_{name.lower()}", 4.0)
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
    yield from look.take("dense_top")
    # They fill the sidebar, and the panel of the mesh is far below them.
    without_panels("shot", "stages", "masks", "roto")
    yield from look.take("dense_panel")


window.PATIENCE = 600.0
Player(scenario(), folder / "report.json", told).start()
