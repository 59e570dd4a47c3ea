# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the colmap stage on a shot as the worker does: `colmap_child.py SHOT ENGINE`.

Exits 0 when done, 1 when failed, 130 when canceled by SIGINT or by the file SHOT/cancel.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend import outputs, stages
from backend.errors import Canceled, ShotGopherError
from backend.events import EventWriter
from backend.shot import Shot
from backend.stages import ColmapOptions
from backend.worker.report import Context, Report
from backend.worker.stages import colmap


def solve(shot: Shot, options: ColmapOptions) -> dict:
    """Runs the stage; returns what stage.json records. Events go to SHOT/events.jsonl."""
    report = Report(EventWriter(shot.path / "events.jsonl"), shot.path / "cancel")
    signal.signal(signal.SIGINT, lambda *_: report.interrupt())
    stage = stages.get("colmap")
    inputs = outputs.inputs_of(shot, stage, "")
    with outputs.writing(shot, stage, options, inputs, report.uninterrupted()) as (part, record):
        colmap.run(Context(shot, options, "", "", part, report, record))
    return record


def main() -> int:
    try:
        solve(Shot(Path(sys.argv[1])), ColmapOptions(engine=sys.argv[2]))
    except Canceled:
        return 130
    except ShotGopherError as error:
        print(error.reason)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
