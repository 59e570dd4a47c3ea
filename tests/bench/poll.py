# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs to look at a job that has nothing new to say."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import Any

from backend.events import Event, EventWriter
from backend.jobs import JobState, JobStore
from backend.processes import FileLock
from tests.bench.figure import at_most

ROUNDS = 7
POLLS = 5000


def poll_figures(folder: Path) -> list[dict[str, Any]]:
    """Polls of a running job without news: the median of several rounds, wall time."""
    job_folder = folder / "jobs" / "idle"
    job_folder.mkdir(parents=True)
    (job_folder / "request.json").write_text(
        '{"shot": "shot", "plate": "", "stages": [], "versions": {}}', encoding="utf-8"
    )
    lock = FileLock(job_folder / "worker.lock")
    assert lock.acquire()
    EventWriter(job_folder / "events.jsonl").write(Event.STARTED, pid=os.getpid(), versions={})
    (job,) = JobStore(folder / "jobs").jobs()
    job.poll()
    assert job.snapshot.state is JobState.RUNNING
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(POLLS):
            job.poll()
        rounds.append((time.perf_counter() - began) / POLLS * 1e6)
    lock.release()
    how = f"median of {ROUNDS} rounds of {POLLS} polls of a running job, lock looked at each time"
    return [at_most("idle poll", statistics.median(rounds), "us", 20, how)]
