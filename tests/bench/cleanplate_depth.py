# SPDX-License-Identifier: GPL-3.0-or-later
"""How well the depth stage fits what a model guesses to a solve, where the truth is known.

The room of the tests in closed form, with its true camera and the points of a solve. What stands in
for the model says the true depth, with a scale and a shift by chance for every frame, errors of 2 %
that are smooth over a sixth of the picture, and of 1 % from pixel to pixel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from backend import outputs
from backend.depth import DepthRecord
from backend.events import EventWriter
from backend.shot import Shot
from backend.stages import STAGES, DepthOptions
from backend.worker.dense.map_files import read_map
from backend.worker.report import Context, Report
from backend.worker.stages import depth as stage
from tests.backend.guessed_depth import RoomModel, truth
from tests.bench.figure import at_most, less_than
from tests.extension.solved_shot import WORLD, solved_shot

FRAMES, SIZE, GUESSED_AT = 48, (480, 270), (240, 135)
NOISE = 0.02
MOST_ERROR, MOST_FLICKER = 1.0, 0.5
"""Percent."""


def depth_figures(folder: Path) -> list[dict[str, Any]]:
    """For guesses of depth and of 1 / depth."""
    figures = []
    for law, name in (("depth", "depth"), ("inverse", "1 / depth")):
        shot = solved_shot(folder / law, FRAMES)
        record = _run(shot, RoomModel(truth(FRAMES, *GUESSED_AT), law=law, noise=NOISE))
        how = (
            f"{FRAMES} frames, guesses of {name} with a scale and a shift by chance for each frame "
            f"and {NOISE:.0%} of smooth errors, {NOISE / 2:.0%} from pixel to pixel; true poses"
        )
        flicker = np.inf if record.flicker is None else record.flicker
        figures += [
            at_most(f"depth, median error ({name})", 100 * _error(shot), "%", MOST_ERROR, how),
            less_than(f"depth, flicker ({name})", 100 * flicker, "%", MOST_FLICKER, how),
        ]
    return figures


def _run(shot: Shot, model: RoomModel) -> DepthRecord:
    options, kind = DepthOptions(), STAGES["depth"]
    report = Report(EventWriter(shot.path / "events.jsonl"), shot.path / "cancel")
    inputs = outputs.inputs_of(shot, kind, "")
    with (
        mock.patch.object(stage.choice, "depth_engine", return_value=model),
        outputs.writing(shot, kind, options, inputs) as (part, record),
    ):
        stage.run(Context(shot, options, "", "", part, report, record))
    return DepthRecord.load(shot.depth.record)


def _error(shot: Shot) -> float:
    """The median over all frames' pixels of what depth is off by, as a share."""
    off = [
        np.abs(read_map(shot.depth.map(number)) / (WORLD.scale * depth) - 1)[::3, ::3]
        for number, depth in truth(FRAMES, *SIZE).items()
    ]
    return float(np.median(off))
