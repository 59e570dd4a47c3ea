# SPDX-License-Identifier: GPL-3.0-or-later
"""`jobs`: what has run on this machine and what is running, in one table; cancel, log, clear."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import locations
from ..console import Console
from ..errors import FormatError
from ..host import Host
from ..jobs import Job, JobState, JobStore, Snapshot
from ..shot import Shot, read_json
from ..table import table

_HEAD = ("JOB", "SHOT", "STAGES", "STATE", "TIME", "FRAMES", "ERROR", "GRADE", "")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "jobs",
        help="list, follow up or cancel jobs",
        description="Without more words: the table of all jobs, oldest first.",
    )
    parser.add_argument("--json", action="store_true", help="print the jobs as JSON")
    parser.set_defaults(run=_list)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    for name, help_text, function in (
        ("cancel", "ask a running job to stop", _cancel),
        ("log", "print what a job's programs said", _log),
        ("clear", "forget all jobs that have ended; their results stay", _clear),
    ):
        action = actions.add_parser(name, help=help_text, description=help_text.capitalize() + ".")
        if function is not _clear:
            action.add_argument("id", help="a job's name in the table")
        action.set_defaults(run=function)


def _store(host: Host) -> JobStore:
    return JobStore(locations.jobs_folder(host.home))


def _list(arguments: argparse.Namespace, host: Host) -> int:
    snapshots = [_polled(job) for job in _store(host).jobs()]
    console = Console()
    if arguments.json:
        console.line(json.dumps([_record(snapshot) for snapshot in snapshots], indent=1))
    elif not snapshots:
        console.line("No jobs yet.")
    else:
        console.line(table(_HEAD, map(_row, snapshots)))
    return 0


def _polled(job: Job) -> Snapshot:
    job.poll()
    return job.snapshot


def _record(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as JSON; `seconds_left` is null where that cannot be told."""
    left = snapshot.rest.left(time.time()) if snapshot.state.active and snapshot.rest else None
    record = asdict(snapshot) | {"seconds_left": left}
    del record["rest"]
    return record


def _row(snapshot: Snapshot) -> tuple[str, ...]:
    end = time.time() if snapshot.state.active else snapshot.updated
    seconds = max(0, round(end - snapshot.started))
    return (
        snapshot.id,
        Path(snapshot.shot).name or "-",
        ",".join(snapshot.stages) or "environment",
        snapshot.state.value,
        f"{seconds // 60}:{seconds % 60:02d}",
        *solve_cells(snapshot),
        remark(snapshot),
    )


def solve_cells(snapshot: Snapshot) -> tuple[str, str, str]:
    """Frames solved, mean error and grade of the shot's solve; blank unless the job made it."""
    if snapshot.state is not JobState.FINISHED or "colmap" not in snapshot.stages:
        return "", "", ""
    try:
        solve = read_json(Shot(Path(snapshot.shot)).solve_file)
        frames = f"{len(solve['solved'])}/{len(solve['frames'])}"
        return frames, f"{solve['mean_error_px']:.2f} px", str(solve["quality"]["grade"])
    except (FormatError, KeyError, TypeError):
        return "", "", ""


def remark(snapshot: Snapshot) -> str:
    """The sentence that says most about a job: why it failed, else what it does, else a warning."""
    if snapshot.reason:
        return snapshot.reason
    if snapshot.state.active:
        share = f"{snapshot.status} {round(snapshot.fraction * 100)} %"
        return ", ".join(filter(None, (share, snapshot.time_left(time.time()))))
    return snapshot.warnings[0] if snapshot.warnings else ""


def _cancel(arguments: argparse.Namespace, host: Host) -> int:
    job = _store(host).get(arguments.id)
    job.poll()
    if not job.snapshot.state.active:
        Console().line(f"The job has ended already: {job.snapshot.state.value}.")
        return 0
    cancel_and_wait(job)
    Console().line(f"{job.snapshot.id}: {job.snapshot.state.value}")
    return 0


def cancel_and_wait(job: Job) -> None:
    """Stops a job for certain, politely first."""
    job.cancel()
    while job.snapshot.state.active:
        time.sleep(0.1)
        job.poll()
        job.press_cancel()


def _log(arguments: argparse.Namespace, host: Host) -> int:
    job = _store(host).get(arguments.id)
    Console().line("\n".join(job.log_tail(lines=10_000)))
    return 0


def _clear(_arguments: argparse.Namespace, host: Host) -> int:
    store = _store(host)
    ended = [job for job in store.jobs() if not _polled(job).state.active]
    for job in ended:
        store.remove(job)
    Console().line(f"{len(ended)} forgotten.")
    return 0
