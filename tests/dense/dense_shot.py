# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense stage run over the solved room, small and quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backend import dense, outputs
from backend.dense_files import Cloud, read_cloud
from backend.events import EventReader, EventWriter
from backend.shot import Shot
from backend.stages import STAGES, DenseOptions
from backend.worker.report import Context, Report
from backend.worker.stages import dense as stage
from tests.dense.known_room import distances
from tests.extension.solved_shot import WORLD

FRAMES, SIDE = 12, 192
SMALL = dense.Settings(image_size=SIDE, faces=3000, texture_size=256)
"""What the quality "preview" stands for here."""


def run_dense(shot: Shot, report: Report | None = None, **options: Any) -> dict[str, Any]:
    """What the worker does for the stage. Returns what it records."""
    chosen = DenseOptions(**{"quality": "preview", "max_frames": 6, "engine": "cpu"} | options)
    inputs = outputs.inputs_of(shot, STAGES["dense"], "")
    report = report or report_in(shot.path.parent)
    with outputs.writing(shot, STAGES["dense"], chosen, inputs) as (part, record):
        stage.run(Context(shot, chosen, "", "", part, report, record))
        record["results"] = list(report.results)
    return record


def report_in(folder: Path) -> Report:
    (folder / "events.jsonl").unlink(missing_ok=True)
    return Report(EventWriter(folder / "events.jsonl"), folder / "cancel")


def told(shot: Shot) -> list[str]:
    """The statuses and warnings of the last run."""
    records = EventReader(shot.path.parent / "events.jsonl").poll()
    return [str(record["text"]) for record in records if "text" in record]


def in_room(positions: np.ndarray, world: Any = WORLD) -> np.ndarray:
    """Points of the shot's world in the room's."""
    back = (positions.astype(float) - world.translation) @ world.rotation / world.scale
    found: np.ndarray = back
    return found


def off_walls(shot: Shot, world: Any = WORLD) -> np.ndarray:
    """How far each point of the cloud is from the room's nearest wall, in the room's meters."""
    return distances(in_room(cloud_of(shot).positions, world))


def cloud_of(shot: Shot) -> Cloud:
    return read_cloud(shot.dense.cloud)
