# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER BLEND PLATE: starts a job and dies, or, when BLEND is there, comes back to its result."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
from installed import view
from window import Player, Step, open_sidebar, press

folder, blend, plate = map(Path, sys.argv[sys.argv.index("--") + 1 :])
told: dict[str, Any] = {}


def stage(name: str) -> Any:
    return view().stages[name]


def evening() -> Iterator[Step]:
    bpy.context.preferences.system.use_online_access = True
    yield from open_sidebar()
    shot = bpy.context.scene.shot_gopher
    shot.plate, shot.shot = str(plate), str(blend.parent / "sh030")
    yield 1.0
    press("stage_run", stage="colmap")
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    yield lambda: stage("ingest").state.name == "RUNNING"
    told["job"] = stage("ingest").job


def morning() -> Iterator[Step]:
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    yield 1.0
    yield from open_sidebar()
    yield lambda: stage("colmap").state.name in ("RUNNING", "DONE", "FAILED")
    told["job"] = stage("colmap").job
    yield lambda: stage("colmap").state.name == "DONE"
    press("camera_import")
    told["camera"] = bpy.context.window_manager.windows[0].scene.camera.name


Player(morning() if blend.exists() else evening(), folder / "report.json", told).start()
