# SPDX-License-Identifier: GPL-3.0-or-later
"""The ingest stage against the bare ffmpeg command that writes the same PNGs."""

from __future__ import annotations

import filecmp
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from backend import outputs
from backend.events import EventWriter
from backend.shot import Shot
from backend.stages import STAGES, IngestOptions
from backend.worker.extraction import thread_count
from backend.worker.report import Context, Report
from backend.worker.stages import ingest
from tests.bench.figure import at_most

FRAMES, RUNS, GOAL = 48, 5, 1.15
_COLOR = (
    "scale=flags=bicubic+accurate_rnd+full_chroma_int:in_color_matrix=bt709:in_range=limited:"
    "out_range=full,format=rgb24"
)


def ingest_ratio(folder: Path) -> list[dict[str, Any]]:
    """Time of the stage over that of bare ffmpeg, on a 1080p clip made in `folder`.

    Both run RUNS times in turn; the figure is the median of the ratios of neighboring runs, so that
    what else the machine does falls on both. Seconds are (wall, processor).
    """
    clip = _clip(folder)
    pairs = [
        (_timed(lambda: _ours(clip, folder / "shot")), _timed(lambda: _bare(clip, folder / "bare")))
        for _ in range(RUNS)
    ]
    same = _identical(folder / "bare", Shot(folder / "shot").frames)
    wall, cpu = (statistics.median(ours[i] / bare[i] for ours, bare in pairs) for i in (0, 1))
    how = (
        f"{FRAMES} frames 1920x1080 H.264 (test pattern and noise), {RUNS} pairs of runs, median "
        f"of ratios (wall {', '.join(f'{ours[0] / bare[0]:.2f}' for ours, bare in pairs)}), "
        f"{thread_count()} threads and PNG level 1 in both, all {FRAMES} files identical; "
        "ours with proxies, frame map and commit"
    )
    if same < FRAMES:
        raise AssertionError(f"only {same} of {FRAMES} frames equal those of bare ffmpeg")
    return [
        at_most("ingest over bare ffmpeg, wall time", wall, "x", GOAL, how),
        at_most("ingest over bare ffmpeg, CPU time", cpu, "x", GOAL, how),
    ]


def _identical(bare: Path, frames: Path) -> int:
    names = [f"frame_{number:04d}.png" for number in range(1, FRAMES + 1)]
    return len(filecmp.cmpfiles(bare, frames, names, shallow=False)[0])


def _clip(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    clip = folder / "clip.mp4"
    source = f"testsrc2=s=1920x1080:r=24000/1001,noise=alls=12:allf=t,trim=end_frame={FRAMES}"
    tags = "setparams=colorspace=bt709:range=tv"
    _ffmpeg("-f", "lavfi", "-i", f"{source},format=yuv420p,{tags}", "-c:v", "libx264",
            "-preset", "veryfast", "-crf", "16", clip)  # fmt: skip
    return clip


def _ffmpeg(*arguments: str | Path) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]
    subprocess.run([*command, *map(str, arguments)], check=True)


def _timed(action: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and of processor time with that of child processes."""
    before, started = os.times(), time.perf_counter()
    action()
    after, wall = os.times(), time.perf_counter() - started
    return wall, sum(after[:4]) - sum(before[:4])


def _bare(clip: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _ffmpeg("-i", clip, "-vf", _COLOR, "-fps_mode", "passthrough", "-threads", str(thread_count()),
            "-compression_level", "1", folder / "frame_%04d.png")  # fmt: skip


def _ours(clip: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shot, stage, options = Shot(folder), STAGES["ingest"], IngestOptions()
    (folder.parent / "events.jsonl").unlink(missing_ok=True)
    report = Report(EventWriter(folder.parent / "events.jsonl"), folder / "cancel")
    inputs = outputs.inputs_of(shot, stage, str(clip))
    with outputs.writing(shot, stage, options, inputs) as (part, record):
        ingest.run(Context(shot, options, str(clip), "", part, report, record))
