# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a real clip in as the project does, as a child of the camera bench."""

from __future__ import annotations

from pathlib import Path

from backend import outputs
from backend.events import EventWriter
from backend.shot import Shot
from backend.stages import STAGES, IngestOptions
from backend.worker.report import Context, Report
from backend.worker.stages import ingest
from tests.bench.camera_child import Answer, Job, answer


def take_in(job: Job, folder: Path) -> Answer:
    """Makes the shot's source folder from the plate."""
    shot, plate = Shot(Path(job["shot"])), job["plate"]
    stage, options = STAGES["ingest"], IngestOptions()
    report = Report(EventWriter(folder / "events.jsonl"), folder / "cancel")
    inputs = outputs.inputs_of(shot, stage, plate)
    with outputs.writing(shot, stage, options, inputs) as (part, record):
        ingest.run(Context(shot, options, plate, "", part, report, record))
    return {"taken": plate}


if __name__ == "__main__":
    answer(take_in)
