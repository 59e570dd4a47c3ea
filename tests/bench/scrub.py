# SPDX-License-Identifier: GPL-3.0-or-later
"""What a frame costs while an artist scrubs the tracked camera, in a real Blender with a window.

    python -m tests.bench.scrub FOLDER        one JSON line a figure

Frames are seen for the first time. Processor time of Blender's main thread, which decodes and
evaluates: this machine draws without a GPU, and others work on it.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.figure import at_most, less_than
from tests.bench.scrub_shot import FIRST, scrub_shot
from tests.extension.real_blender import VERSIONS, RealBlender

STEPPED = 100
_PATIENCE = 300
_HOW = (
    "plate of 300 frames at 1080p, undistorted, 200 k points, tracked camera: stepping through 100 "
    "frames in the camera view, each for the first time; processor time of redrawing with the "
    "plate less that without it, and of scene.frame_set"
)


def scrub_figures(folder: Path) -> list[dict[str, Any]]:
    """Figures of scrubbing in every real Blender; the shot is made up in `folder`."""
    shot = scrub_shot(folder / "scrub").path
    figures = []
    for version in VERSIONS:
        quick = stepped(version, shot, folder / f"{version}_proxies", "AUTO", STEPPED)
        slow = stepped(version, shot, folder / f"{version}_images", "FULL", STEPPED)
        figures += _figures(f"Blender {version}", costs(quick), costs(slow))
    return figures


def _figures(blender: str, quick: np.ndarray, slow: np.ndarray) -> list[dict[str, Any]]:
    median, most = statistics.median(quick), float(quick.max())
    without = statistics.median(slow)
    worst = f"{_HOW}; the slowest frame took {most:.1f} ms"
    return [
        at_most(f"scrub a frame, {blender}", median, "ms", 10, worst),
        less_than(f"scrub a frame against PNGs without proxies, {blender}", median, "ms", without,
                  f"{_HOW}; compared with the same without proxies"),
    ]  # fmt: skip


def costs(told: dict[str, Any]) -> np.ndarray:
    """(frames,) ms that decoding and evaluating each frame took."""
    seen, hidden, evaluated = (np.array(told[name]) for name in ("cold", "hidden", "evaluation"))
    return 1000 * (seen - hidden + evaluated)


def stepped(version: str, shot: Path, folder: Path, size: str, count: int) -> dict[str, Any]:
    """Steps through so many frames in a Blender with a clean profile; what it measured."""
    for name in ("profile", "home"):
        (folder / name).mkdir(parents=True)
    blender = RealBlender(version, folder / "profile", folder / "home")
    prepared = blender.script("prepare.py")
    assert prepared.returncode == 0, prepared.stdout
    words = (shot, size, str(FIRST + 1), str(count))
    told = blender.play("scrub.py", folder, *words, seconds=_PATIENCE)
    assert told["ok"], told.get("error", "") + told["log"][-3000:]
    return told


if __name__ == "__main__":
    for figure in scrub_figures(Path(sys.argv[1])):
        print(json.dumps(figure))
