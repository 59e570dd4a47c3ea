# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of an ingest at 4K: of the worker and of all its children at one time."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from tests.bench.figure import at_most
from tests.bench.ingest_ratio import make, run_stage

SIZE, FRAMES, GOAL = (3840, 2160), 24, 600.0
_ROOT = Path(__file__).resolve().parents[2]
_PAUSE = 0.01


def memory_figures(folder: Path) -> list[dict[str, Any]]:
    """Peaks in MB, on an 8-bit and a 10-bit movie and on OpenEXR images made in `folder`."""
    plates = {
        "8-bit H.264": _movie(folder / "8.mp4", "libx264", "yuv420p"),
        "10-bit ProRes": _movie(folder / "10.mov", "prores_ks", "yuv422p10le"),
        "half-float OpenEXR": _images(folder / "exr"),
    }
    return [_figure(name, plate, folder / "shot") for name, plate in plates.items()]


def _figure(name: str, plate: Path, shot: Path) -> dict[str, Any]:
    command = [sys.executable, "-B", "-m", "tests.bench.ingest_memory", str(plate), str(shot)]
    with subprocess.Popen(command, cwd=_ROOT, stdout=sys.stderr) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(resident, family(process.pid))))
            time.sleep(_PAUSE)
    if process.returncode:
        raise AssertionError(f"the ingest of {plate.name} failed")
    how = (
        f"{FRAMES} frames {SIZE[0]}x{SIZE[1]}, {name}: resident memory of the worker and ffmpeg "
        "together, looked at every 10 ms"
    )
    return at_most(f"peak memory at 4K, {name}", peak / 1e6, "MB", GOAL, how)


def family(process: int) -> list[int]:
    """A process and all below it."""
    found = [process]
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            found += family(int(child))
    return found


def resident(process: int) -> int:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * 4096


def _movie(path: Path, codec: str, pixels: str) -> Path:
    width, height = SIZE
    source = f"testsrc2=s={width}x{height}:r=24,noise=alls=8:allf=t,trim=end_frame={FRAMES}"
    fast = ("-preset", "ultrafast") if codec == "libx264" else ()
    make("-f", "lavfi", "-i", source, "-pix_fmt", pixels, "-c:v", codec, *fast, path)
    return path


def _images(folder: Path) -> Path:
    folder.mkdir()
    width, height = SIZE
    image = np.random.default_rng(1).random((height, width, 3), np.float32)
    spec = oiio.ImageSpec(width, height, 3, "half")
    for number in range(FRAMES // 2):
        out = oiio.ImageOutput.create(str(folder / f"a.{number:04d}.exr"))
        out.open(str(folder / f"a.{number:04d}.exr"), spec)
        out.write_image(image)
        out.close()
    return folder


if __name__ == "__main__":
    run_stage(Path(sys.argv[1]), Path(sys.argv[2]))
