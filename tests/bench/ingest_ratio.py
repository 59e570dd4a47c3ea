# SPDX-License-Identifier: GPL-3.0-or-later
"""The ingest stage against the bare ffmpeg command that writes the same PNGs."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np

from backend import outputs
from backend.events import EventWriter
from backend.shot import Shot
from backend.stages import STAGES, IngestOptions
from backend.worker.frame_files import read_frame
from backend.worker.report import Context, Report
from backend.worker.stages import ingest
from backend.worker.threads import thread_count
from tests.bench.figure import at_most

FRAMES, RUNS = 96, 5
GOALS = {"PNGs alone": 1.1, "with proxies": 1.35}
_COLOR = (
    "scale=flags=bicubic+accurate_rnd+full_chroma_int:in_color_matrix=bt709:in_range=limited:"
    "out_range=full,format=rgb24"
)


def ratio_figures(folder: Path) -> list[dict[str, Any]]:
    """Time of the stage over that of bare ffmpeg, on a 1080p clip made in `folder`.

    All run RUNS times in turn; a figure is the median of the ratios of neighboring runs, so that
    what else the machine does falls on both. Seconds are (wall, processor).
    """
    clip = _clip(folder)
    runs = {
        "bare": lambda: _bare(clip, folder / "bare"),
        "PNGs alone": lambda: run_stage(clip, folder / "shot", proxies=False),
        "with proxies": lambda: run_stage(clip, folder / "shot"),
    }
    seconds = [{name: _timed(run) for name, run in runs.items()} for _ in range(RUNS)]
    same = _equal(folder / "bare", Shot(folder / "shot").frames)
    if same < FRAMES:
        raise AssertionError(f"only {same} of {FRAMES} frames equal those of bare ffmpeg")
    return [_ratio(name, kind, seconds) for name in GOALS for kind in ("wall time", "CPU time")]


def _ratio(name: str, kind: str, seconds: list[dict[str, tuple[float, float]]]) -> dict[str, Any]:
    place = ("wall time", "CPU time").index(kind)
    ratios = [run[name][place] / run["bare"][place] for run in seconds]
    how = (
        f"{FRAMES} frames 1920x1080 H.264 (test pattern and noise), {RUNS} runs, median of ratios "
        f"({', '.join(f'{ratio:.2f}' for ratio in ratios)}), {thread_count()} threads and PNG "
        f"level 1 in both, the pixels of all {FRAMES} frames identical; ours with libpng's UP "
        "filter and zlib's RLE, frame map and commit, proxies of 100, 50 and 25 %"
    )
    what = f"ingest over bare ffmpeg, {name}, {kind}"
    return at_most(what, statistics.median(ratios), "x", GOALS[name], how)


def _equal(bare: Path, frames: Path) -> int:
    """Frames that have the same pixels in both folders."""
    names = [f"frame_{number:04d}.png" for number in range(1, FRAMES + 1)]
    return sum(np.array_equal(read_frame(bare / name), read_frame(frames / name)) for name in names)


def _clip(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    clip = folder / "clip.mp4"
    source = f"testsrc2=s=1920x1080:r=24000/1001,noise=alls=12:allf=t,trim=end_frame={FRAMES}"
    tags = "setparams=colorspace=bt709:range=tv"
    make("-f", "lavfi", "-i", f"{source},format=yuv420p,{tags}", "-c:v", "libx264",
            "-preset", "veryfast", "-crf", "16", clip)  # fmt: skip
    return clip


def make(*arguments: str | Path) -> None:
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
    make("-i", clip, "-vf", _COLOR, "-fps_mode", "passthrough", "-threads", str(thread_count()),
            "-compression_level", "1", folder / "frame_%04d.png")  # fmt: skip


def run_stage(plate: Path, folder: Path, **options: Any) -> Shot:
    """Runs the ingest stage as the worker does, over what the folder held before."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shot, stage, chosen = Shot(folder), STAGES["ingest"], IngestOptions(**options)
    (folder.parent / "events.jsonl").unlink(missing_ok=True)
    report = Report(EventWriter(folder.parent / "events.jsonl"), folder / "cancel")
    inputs = outputs.inputs_of(shot, stage, str(plate))
    with outputs.writing(shot, stage, chosen, inputs) as (part, record):
        ingest.run(Context(shot, chosen, str(plate), "", part, report, record))
    return shot
