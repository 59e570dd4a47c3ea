# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the median takes, against a loop over pixels in Python and against the files alone."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backend.atomic import write_bytes
from backend.events import EventWriter
from backend.worker.cleanplate.clean_folder import CleanFolder
from backend.worker.cleanplate.mask_output import Masks, black_png
from backend.worker.cleanplate.median import Median, MedianSettings
from backend.worker.cleanplate.plate_frames import PlateFrames
from backend.worker.frame_files import read_frame
from backend.worker.image_files import write_png
from backend.worker.mask_files import read_mask
from backend.worker.report import Report
from backend.worker.threads import FEW, thread_count, threads
from tests.bench.cleanplate_shots import LABEL, Rendered, rendered_shot
from tests.bench.cleanplate_stage import run_clean_plate
from tests.bench.figure import at_least, at_most

RUNS, SAMPLE = 5, 400
LOOP_GOAL, FILES_GOAL = 60.0, 1.3

Seconds = tuple[float, float]
"""By the clock, and of processor time."""


def time_figures(folder: Path) -> list[dict[str, Any]]:
    """The stage, masks included, and the files alone run in turn, so that what else the machine
    does falls on both."""
    rendered = rendered_shot("static", folder / "shot", solved=False)
    options = {"method": "median", "labels": LABEL, "unseen": "around"}
    runs: Mapping[str, Callable[[], object]] = {
        "files": lambda: _files_alone(rendered, folder / "files"),
        "stage": lambda: run_clean_plate(rendered.shot, folder, **options),
    }
    for run in runs.values():
        run()
    taken = [{name: _timed(run) for name, run in runs.items()} for _ in range(RUNS)]
    return [_loop_figure(rendered, folder), *_ratios(rendered, taken)]


def _ratios(rendered: Rendered, taken: Sequence[Mapping[str, Seconds]]) -> list[dict[str, Any]]:
    figures = []
    for place, kind in enumerate(("wall time", "CPU time")):
        ratios = [run["stage"][place] / run["files"][place] for run in taken]
        alone = statistics.median(run["files"][place] for run in taken)
        ratio_text = ", ".join(f"{one:.2f}" for one in ratios)
        how = (
            f"{_shot_text(rendered)}, frames and masks in, frames, masks and holes out; the files "
            f"alone take {alone:.2f} s with the same reader, writer and "
            f"{min(FEW, thread_count())} threads; median of {RUNS} ratios of neighboring runs "
            f"({ratio_text})"
        )
        what = f"median over reading and writing the same PNGs, {kind}"
        figures.append(at_most(what, statistics.median(ratios), "x", FILES_GOAL, how))
    return figures


def _loop_figure(rendered: Rendered, folder: Path) -> dict[str, Any]:
    """Both begin with the frames decoded and end with the background's colors."""
    values, each = _loop_seconds(rendered)
    ours = statistics.median(_median_seconds(rendered, folder) for _ in range(RUNS))
    how = (
        f"{_shot_text(rendered)}, decoded frames in memory: np.median of the unmasked values of "
        f"each pixel and channel that a mask covers, {values} of them, one after the other, timed "
        f"on {SAMPLE} pixels and scaled up to {values * each:.0f} s; ours, gains and grain "
        f"measured too, {ours:.2f} s"
    )
    return at_least("median over a loop in Python", values * each / ours, "x", LOOP_GOAL, how)


def _median_seconds(rendered: Rendered, folder: Path) -> float:
    """Of what the stage has to do for the background, without its reading and writing."""
    shot, plate = rendered.shot, rendered.shot.load_plate()
    files = {number: shot.frame_file(number) for number in plate.frames}
    frames = PlateFrames(files, rendered.size, most=10**12)
    for number in plate.frames:
        frames.read(number)
    masks = Masks(CleanFolder(shot.clean_plate, rendered.size))
    for number in plate.frames:
        masks.add(number, read_mask(shot.clean_plate / "mask" / files[number].name, rendered.size))
    report = Report(EventWriter(folder / "events.jsonl"), folder / "cancel")
    began = time.perf_counter()
    median = Median(frames, masks, MedianSettings(), folder, report)
    seconds = time.perf_counter() - began
    median.close()
    return seconds


def _loop_seconds(rendered: Rendered) -> tuple[int, float]:
    """Values that any mask covers, and seconds for each of some of them."""
    masks = np.stack([_mask(rendered, number) for number in rendered.spec.shot.frames])
    rows, columns = np.nonzero(masks.any(axis=0))
    chosen = np.random.default_rng(0).choice(len(rows), SAMPLE, replace=False)
    chosen.sort()
    values = np.stack(
        [rendered.frame(n)[rows[chosen], columns[chosen]] for n in rendered.spec.shot.frames]
    )
    known = ~masks[:, rows[chosen], columns[chosen]]
    began = time.perf_counter()
    for pixel, channel in np.ndindex(SAMPLE, 3):
        shown = values[known[:, pixel], pixel, channel]
        if len(shown):
            np.median(shown)
    return 3 * len(rows), (time.perf_counter() - began) / (3 * SAMPLE)


def _mask(rendered: Rendered, number: int) -> np.ndarray:
    """Where the stage's mask replaces something."""
    name = rendered.shot.frame_file(number).name
    found: np.ndarray = read_mask(rendered.shot.clean_plate / "mask" / name, rendered.size) > 0
    return found


def _files_alone(rendered: Rendered, folder: Path) -> None:
    """Reads all PNGs that the stage reads, the plate's and the masks, and writes as many as it
    writes: frames, masks, and what no frame shows."""
    shutil.rmtree(folder, ignore_errors=True)
    out = CleanFolder(folder, rendered.size)
    out.make()
    black = black_png(out)

    def work(number: int) -> None:
        write_png(out.frame(number), read_frame(rendered.shot.frame_file(number)))
        mask = rendered.shot.roto / LABEL / rendered.shot.frame_file(number).name
        write_png(out.mask(number), read_mask(mask, rendered.size))
        write_bytes(out.holes(number), black)

    with threads(work, rendered.spec.shot.frames) as finished:
        for _ in finished:
            pass


def _timed(action: Callable[[], object]) -> Seconds:
    before, began = os.times(), time.perf_counter()
    action()
    after, wall = os.times(), time.perf_counter() - began
    return wall, sum(after[:4]) - sum(before[:4])


def _shot_text(rendered: Rendered) -> str:
    width, height = rendered.size
    return f"{rendered.spec.shot.count} frames {width}x{height}"
