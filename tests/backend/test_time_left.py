# SPDX-License-Identifier: GPL-3.0-or-later
"""The time that a job has left, as the panel, the console and the table of jobs tell it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backend import locations
from backend.console import Console
from backend.events import Event, EventWriter
from backend.jobs import Job
from backend.processes import FileLock
from backend.verbs.run import follow
from backend.worker.report import Report

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def running(home: Path, *events: dict[str, Any]) -> Iterator[Path]:
    """A job whose worker lives and has told these events; `ago` is how long ago, in seconds."""
    folder = locations.jobs_folder(home) / "20261123-101500-000-sh010-abcd"
    folder.mkdir(parents=True)
    stages = [{"name": "ingest", "options": {}}]
    request = {"shot": str(home / "sh010"), "plate": "", "stages": stages, "versions": {}}
    (folder / "request.json").write_text(json.dumps(request))
    lines = [
        {"seq": number, "stage": "ingest", **event, "time": time.time() - event["ago"]}
        for number, event in enumerate(events, 1)
    ]
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    worker = FileLock(folder / "worker.lock")
    assert worker.acquire()
    try:
        yield folder
    finally:
        worker.release()


def progress(ago: float, done: int) -> dict[str, Any]:
    return {"event": "progress", "ago": ago, "done": done, "total": 1000, "unit": "frames"}


STARTED = {"event": "started", "ago": 21, "pid": 1, "versions": {}}
STATUS = {"event": "status", "ago": 20.5, "text": "Extracting frames"}
RESUMED = (
    STARTED,
    STATUS,
    progress(20, 600),
    *(progress(20 - n, 600 + 5 * n) for n in range(1, 21)),
)
"""600 of 1000 were there, 100 were made in 20 s: 60 s are left."""


def test_a_program_that_comes_later_knows_it_at_once(tmp_path: Path) -> None:
    with running(tmp_path, *RESUMED) as folder:
        job = Job(folder)
        job.poll()
        rest = job.snapshot.rest
        assert rest is not None
        assert rest.left(time.time()) == pytest.approx(60, abs=0.5)
        assert job.snapshot.time_left(time.time()) == "1:00 left"


def test_the_next_step_of_a_job_begins_anew(tmp_path: Path) -> None:
    with running(tmp_path, *RESUMED, STATUS | {"ago": 0}, progress(0, 700)) as folder:
        job = Job(folder)
        job.poll()
        assert (job.snapshot.done, job.snapshot.rest) == (700, None)


def test_the_table_of_jobs_tells_it(tmp_path: Path) -> None:
    def jobs(*words: str) -> str:
        return subprocess.run(
            [sys.executable, "-B", "-m", "backend", "jobs", *words],
            cwd=ROOT, env=os.environ | {"SHOT_GOPHER_HOME": str(tmp_path)},
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    with running(tmp_path, *RESUMED):
        assert "Extracting frames 70 %, 1:00 left" in jobs()
        (told,) = json.loads(jobs("--json"))
        assert told["seconds_left"] == pytest.approx(60, abs=1.5)
    (told,) = json.loads(jobs("--json"))
    assert (told["state"], told["seconds_left"]) == ("lost", None)


def test_the_console_tells_it(tmp_path: Path) -> None:
    with running(tmp_path, *RESUMED) as folder:
        out = io.StringIO()
        shown = threading.Thread(target=follow, args=(Job(folder), Console(out=out)))
        shown.start()
        time.sleep(0.4)
        EventWriter(folder / "events.jsonl").write(Event.FINISHED)
        shown.join(timeout=5)
        assert "700/1000 frames  1:00 left\n" in out.getvalue()


def test_where_a_count_begins_is_always_told(tmp_path: Path) -> None:
    """Also right after another count has ended: what was there must not look like work."""
    report = Report(EventWriter(tmp_path / "events.jsonl"), tmp_path / "cancel")
    for kept in (0, 600):
        report.status("Extracting frames")
        report.progress(kept, 1000, "frames")
        report.progress(1000, 1000, "frames")
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line).get("done") for line in lines] == [None, 0, 1000, None, 600, 1000]
