# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of the median at 4K: of a real worker and all its children at one time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from backend.shot import Plate, Shot, write_json
from backend.worker.image_files import write_png
from backend.worker.mask_files import write_mask
from tests.bench.figure import at_most
from tests.bench.ingest_memory import family, resident

SIZE, FRAMES, GOAL = (3840, 2160), 300, 700.0
_ROOT = Path(__file__).resolve().parents[2]
_PAUSE = 0.02


def memory_figures(folder: Path) -> list[dict[str, Any]]:
    """The peak in MB of a run over a plate made in a folder that is removed afterwards."""
    shot = _plate(folder / "shot")
    peak, seconds = _measured(shot, folder)
    record = json.loads((shot.clean_plate / "stage.json").read_text(encoding="utf-8"))
    written = sum(file.stat().st_size for file in shot.clean_plate.rglob("*.png"))
    shutil.rmtree(shot.path)
    width, height = SIZE
    how = (
        f"{FRAMES} frames {width}x{height} in 8 bits, {record['replaced_pixels'] / FRAMES:.0f} "
        f"pixels of each replaced, {record['seen']:.2%} of them seen: resident memory of the "
        f"stage's process and its children, looked at every {1000 * _PAUSE:.0f} ms; "
        f"{seconds:.0f} s for {written / 1e9:.1f} GB of PNGs ({record['timing']})"
    )
    return [at_most(f"peak memory of the median, {FRAMES} frames of 4K", peak, "MB", GOAL, how)]


def _measured(shot: Shot, folder: Path) -> tuple[float, float]:
    options = json.dumps({"method": "median", "unseen": "around"})
    module = "tests.bench.cleanplate_stage"
    command = [sys.executable, "-B", "-m", module, str(shot.path), str(folder), options]
    began = time.monotonic()
    with subprocess.Popen(command, cwd=_ROOT, stdout=sys.stderr) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(resident, family(process.pid))))
            time.sleep(_PAUSE)
    if process.returncode:
        raise AssertionError("the clean plate failed")
    return peak / 1e6, time.monotonic() - began


def _plate(path: Path) -> Shot:
    """Smooth waves with a little grain in bands, which PNGs of are written quickly, and a box that
    crosses them; a smaller one stays, so that some of the background is never seen."""
    shot, numbers = Shot(path), tuple(range(1, FRAMES + 1))
    shot.frames.mkdir(parents=True)
    (shot.roto / "actor").mkdir(parents=True)
    times = tuple(index / 24 for index in range(FRAMES))
    plate = Plate("a.mov", "movie", *SIZE, Fraction(24), numbers, tuple(range(FRAMES)), times)
    write_json(shot.plate_file, plate.to_json())
    random, still = np.random.default_rng(0), _waves()
    for index, number in enumerate(numbers):
        picture, mask = still.copy(), np.zeros(still.shape[:2], np.uint8)
        picture[800:1000] += random.integers(0, 5, (200, *still.shape[1:])).astype(np.uint8)
        for box in (_crossing(index), (slice(300, 420), slice(3000, 3200))):
            picture[box], mask[box] = (30, 160, 40), 255
        write_png(shot.frame_file(number), picture)
        write_mask(shot.roto / "actor" / shot.frame_file(number).name, mask)
    return shot


def _crossing(index: int) -> tuple[slice, slice]:
    left = round(200 + 2600 * index / (FRAMES - 1))
    return slice(500, 2000), slice(left, left + 700)


def _waves() -> np.ndarray:
    width, height = SIZE
    rows, across = np.mgrid[:height:8, :width:8].astype(np.float32)
    waves = [110 + 60 * np.sin(across / 90 + shift) * np.cos(rows / 70) for shift in (0, 1, 2)]
    found: np.ndarray = cv2.resize(np.stack(waves, axis=2).astype(np.uint8), SIZE,
                                   interpolation=cv2.INTER_NEAREST)  # fmt: skip
    return found
