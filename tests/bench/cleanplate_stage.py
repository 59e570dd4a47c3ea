# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the clean plate stage as the worker does.

python -m tests.bench.cleanplate_stage SHOT FOLDER OPTIONS      options in JSON
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from backend import outputs
from backend.events import EventWriter
from backend.shot import Shot
from backend.stages import STAGES, CleanPlateOptions
from backend.worker.report import Context, Report
from backend.worker.stages import cleanplate

STAGE = STAGES["cleanplate"]


def run_clean_plate(shot: Shot, folder: Path, **options: Any) -> dict[str, Any]:
    """What the stage records. Events go to `folder`."""
    (folder / "events.jsonl").unlink(missing_ok=True)
    report = Report(EventWriter(folder / "events.jsonl"), folder / "cancel")
    chosen = CleanPlateOptions(**options)
    inputs = outputs.inputs_of(shot, STAGE, "")
    with outputs.writing(shot, STAGE, chosen, inputs) as (part, record):
        cleanplate.run(Context(shot, chosen, "", "", part, report, record))
    return record


if __name__ == "__main__":
    record = run_clean_plate(Shot(Path(sys.argv[1])), Path(sys.argv[2]), **json.loads(sys.argv[3]))
    print(json.dumps(record))
