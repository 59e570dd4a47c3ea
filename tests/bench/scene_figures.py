# SPDX-License-Identifier: GPL-3.0-or-later
"""How long imports, keys and exports take in Blender, and the memory an import needs.

Runs in a Python that has bpy; each import in a process of its own, so that memory is that import's.

    python -m tests.bench.scene_figures FOLDER        one JSON line a figure
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.figure import at_most

ROOT = Path(__file__).resolve().parents[2]
CAMERAS = 500
ROUNDS = 5
SMALL, LARGE = 200_000, 2_000_000
MEGABYTE = 1024 * 1024


def scene_figures(folder: Path) -> list[dict[str, Any]]:
    """Figures of import, keys and export; models are made up in `folder` and left there."""
    small = _ask("import", str(_model(folder / "small", SMALL)))
    large = _ask("import", str(_model(folder / "large", LARGE)))
    keys = _ask("keys", str(folder))
    how = "CPU time of import_model, parsing and one evaluation of the scene included, median of 3"
    return [
        at_most(f"import {CAMERAS} cameras, 200 k points", small["seconds"], "s", 0.25, how),
        at_most(f"import {CAMERAS} cameras, 2 M points", large["seconds"], "s", 2.0, how),
        at_most("memory of that import", large["megabytes"], "MB", 700,
                "highest resident size during the first import less that before it"),
        at_most("camera keys, 1000 frames", keys["keys"] * 1000, "ms", 10,
                f"CPU time of location and rotation, median of {ROUNDS}"),
        *(at_most(f"export .{name} from the scene, 1000 frames", keys[name], "s", 0.1,
                  f"CPU time of sampling the evaluated camera and writing, median of {ROUNDS}")
          for name in ("chan", "clip", "csv", "jsx", "nk")),
    ]  # fmt: skip


def _ask(what: str, where: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.scene_figures", "--measure", what, where]
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def _model(folder: Path, count: int) -> Path:
    """A COLMAP model of 500 images on a circle whose points are seen four times each."""
    from backend.camera import quaternions_from_rotations
    from backend.formats.colmap import write_model
    from backend.reconstruction import CameraModel, Observations, Points, Reconstruction

    if (folder / "points3D.bin").is_file():
        return folder
    rng = np.random.default_rng(1)
    angles = np.linspace(0, 2 * np.pi, CAMERAS, endpoint=False)
    c, s, zero, one = np.cos(angles), np.sin(angles), np.zeros(CAMERAS), np.ones(CAMERAS)
    rotations = np.array([[c, zero, -s], [zero, one, zero], [s, zero, c]]).transpose(2, 0, 1)
    points = Points(
        ids=np.arange(1, count + 1, dtype=np.uint64),
        positions=rng.normal(0, 2, (count, 3)),
        colors=rng.integers(0, 256, (count, 3)).astype(np.uint8),
        errors=rng.uniform(0.1, 1, count),
        tracks=np.full(count, 4),
    )
    seen = Observations(
        image=((np.arange(count)[:, None] + np.arange(4) * 7) % CAMERAS).ravel(),
        point=np.repeat(np.arange(count), 4),
        pixel=np.zeros((count * 4, 2)),
    )
    write_model(
        Reconstruction(
            cameras={1: CameraModel("SIMPLE_PINHOLE", 1920, 1080, (1500, 960, 540))},
            names=tuple(f"frame_{number:04d}.png" for number in range(1, CAMERAS + 1)),
            camera_ids=np.ones(CAMERAS, dtype=np.int64),
            quaternions=quaternions_from_rotations(rotations),
            translations=np.tile([0.0, 0.0, 10.0], (CAMERAS, 1)),
            points=points,
            observations=seen,
        ),
        folder,
    )
    return folder


def _measured_import(folder: Path) -> dict[str, float]:
    import bpy
    from shot_gopher.operators.scene.shot import import_model

    def once() -> float:
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        began = time.process_time()
        import_model(bpy.context, folder, folder)
        bpy.context.view_layer.update()
        return time.process_time() - began

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    before = _memory("VmRSS")
    seconds = [once()]
    highest = _memory("VmHWM")
    seconds += [once(), once()]
    return {
        "seconds": statistics.median(seconds),
        "megabytes": (highest - before) / MEGABYTE,
    }


def _memory(field: str) -> float:
    """VmRSS, the bytes this process holds now, or VmHWM, the most it has held (Linux).

    Not getrusage: its peak counts the program that this one was started from.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(value) * 1024


def _measured_keys(folder: Path) -> dict[str, float]:
    import bpy
    from shot_gopher.operators.scene.animation import key_channels
    from shot_gopher.operators.scene.exports import export

    from tests.bench.exports import long_track

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    track = long_track()
    angles = np.linspace(0, 3, len(track.frames))
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    bpy.context.scene.collection.objects.link(camera)
    channels = {("location", index): track.matrices[:, index, 3] for index in range(3)}
    channels |= {("rotation_euler", index): angles * (index + 1) for index in range(3)}
    figures = {"keys": _median(lambda: key_channels(camera, channels, track.frames))}
    frames = track.frames.tolist()
    for name in ("chan", "clip", "csv", "jsx", "nk"):
        figures[name] = _median(lambda: export(bpy.context, camera, folder, [name], frames))  # noqa: B023
    return figures


def _median(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def _measure(what: str, where: str) -> None:
    import importlib.util
    import os

    headless = ROOT / "operators" / "headless.py"
    spec = importlib.util.spec_from_file_location("headless", headless)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.load_package()
    measured = {"import": _measured_import, "keys": _measured_keys}[what](Path(where))
    print(json.dumps(measured))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "--measure":
        _measure(*sys.argv[2:])
    for figure in scene_figures(Path(sys.argv[1])):
        print(json.dumps(figure))
