# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: each is a folder, and its state is derived from what lies in it.

    request.json    what was asked, never changed
    events.jsonl    what the worker has told (events.py)
    log.txt         what the worker and its programs printed
    worker.lock     locked by the operating system as long as the worker lives
    cancel          exists once the user asked to stop

State: a terminal event decides; else a held lock means running; else a job that was never heard of
is starting for a short while, and after that the worker was killed: lost (or canceled, when that
was asked for).

The folder is on a local disk (see locations.py), because locks on network drives cannot be trusted;
results are written under the shot alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from . import locations, outputs, processes, stages
from .engines import groups_apart, groups_of, helpful_groups
from .errors import FormatError, JobError, Remedy
from .events import GO_ON, Event, EventReader, Record
from .groups import BASE, MODELS_GROUP
from .models import ModelStore
from .pace import Pace, Rest, time_left
from .shot import Shot, folder_name, read_json, write_json
from .stages import Stage

WORKER = Path(__file__).resolve().parent / "worker" / "__main__.py"
TERMINATE_AFTER = 5.0
KILL_AFTER = 10.0
"""Seconds after the request to cancel at which the worker is told harder."""
START_GRACE = 20.0
"""Seconds that a worker may take to be heard of."""


class JobState(str, Enum):
    STARTING = "starting"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELED = "canceled"
    FAILED = "failed"
    LOST = "lost"

    @property
    def active(self) -> bool:
        return self in (JobState.STARTING, JobState.RUNNING)


_TERMINAL_STATES = {
    Event.FINISHED: JobState.FINISHED,
    Event.CANCELED: JobState.CANCELED,
    Event.FAILED: JobState.FAILED,
}


@dataclass(frozen=True)
class StageRequest:
    """One stage with its options as plain values.

    `optional`: a failure is a warning. `prerequisite`: run only because another stage needs it.
    """

    name: str
    options: dict[str, Any]
    optional: bool = False
    prerequisite: bool = False


@dataclass(frozen=True)
class Request:
    """What a job shall do; JSON in request.json.

    `plate` is "" for a shot that has its frames. `force` runs stages that are up to date;
    `skip_existing` keeps any output that is there. `online` allows the worker to install its
    environment. `attended`: somebody is there to press a button that a stage waits for. `blender`
    names the Blender program for the scene, "" finds one. `install` names
    environment groups to install though no stage asks for them, `models` those to download; with
    these alone `shot` is "".
    """

    shot: str
    plate: str
    stages: tuple[StageRequest, ...]
    force: bool = False
    skip_existing: bool = False
    gpu_profile: bool = False
    auto_movie: bool = False
    online: bool = True
    blender: str = ""
    install: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    attended: bool = False

    def stage_groups(self) -> tuple[str, ...]:
        """The environment groups that the stages and downloads cannot do without."""
        store = ModelStore(locations.home())
        found = {
            group
            for asked in self.stages
            for group in groups_of(stages.get(asked.name), asked.options, store)
        }
        return tuple(sorted(found | ({BASE, MODELS_GROUP} if self.models else set())))

    def groups(self) -> tuple[str, ...]:
        """All environment groups that the job would have."""
        found = self._of_each(helpful_groups)
        return tuple(sorted({*self.stage_groups(), *self.install, *found}))

    def groups_apart(self) -> tuple[str, ...]:
        """The groups that the stages need in environments of their own."""
        return tuple(sorted(self._of_each(groups_apart)))

    def _of_each(self, tell: Callable[[Stage, Mapping[str, Any]], tuple[str, ...]]) -> set[str]:
        found = (tell(stages.get(asked.name), asked.options) for asked in self.stages)
        return {group for each in found for group in each}

    @classmethod
    def load(cls, path: Path) -> Request:
        """Raises FormatError."""
        data = read_json(path)
        try:
            asked = tuple(StageRequest(**entry) for entry in data.pop("stages"))
            data.pop("versions")
            return cls(stages=asked, **data)
        except (KeyError, TypeError) as error:
            raise FormatError(f"{path} is damaged: {error}.") from error


def plan(shot: Shot, asked: Sequence[StageRequest]) -> tuple[StageRequest, ...]:
    """The asked stages in order, with those before them that the shot does not have yet."""
    by_name = {stage.name: stage for stage in asked}
    for stage in stages.in_order(by_name):
        for needed in stages.prerequisites(stage):
            if needed.name not in by_name and not outputs.exists(shot, needed):
                by_name[needed.name] = StageRequest(needed.name, {}, prerequisite=True)
    return tuple(by_name[stage.name] for stage in stages.in_order(by_name))


@dataclass(frozen=True)
class Waiting:
    """What a job waits for: the user does `text` at `link`, then presses `button`."""

    text: str
    button: str
    link: str


@dataclass(frozen=True)
class Snapshot:
    """What is known of a job at one moment; panels and verbs show nothing else."""

    id: str
    shot: str
    stages: tuple[str, ...]
    state: JobState = JobState.STARTING
    stage: str = ""
    status: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    rest: Rest | None = None
    waiting: Waiting | None = None
    warnings: tuple[str, ...] = ()
    results: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    remedy: Remedy | None = None
    started: float = 0.0
    updated: float = 0.0

    @property
    def fraction(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0

    def time_left(self, now: float) -> str:
        """For what is being counted: "0:12 left", "about 3 min left"; "" while nobody can tell."""
        return time_left(self.rest, now)


class Job:
    """One job folder. `poll()` brings `snapshot` up to date; it is cheap when nothing happened."""

    def __init__(self, folder: Path) -> None:
        """Raises FormatError when request.json is missing or damaged."""
        self.folder = folder
        self.request = Request.load(folder / "request.json")
        self._reader = EventReader(folder / "events.jsonl")
        self._lock = folder / "worker.lock"
        self._cancel = folder / "cancel"
        self._created = (folder / "request.json").stat().st_mtime
        self._pid = 0
        self._pace = Pace()
        names = tuple(stage.name for stage in self.request.stages)
        self.snapshot = Snapshot(folder.name, self.request.shot, names, started=self._created)

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def poll(self) -> list[Record]:
        """Reads the new events, updates `snapshot` and returns them."""
        if not self.snapshot.state.active:
            return []
        # The lock first: an event written between the two looks must not be taken for a death.
        alive = processes.is_locked(self._lock)
        records = self._reader.poll()
        for record in records:
            self._take(record)
        if self.snapshot.state.active:
            self._take_liveness(alive)
        return records

    def _take(self, record: Record) -> None:
        event = Event(record["event"])
        now = replace(self.snapshot, stage=record.get("stage", ""), updated=record.get("time", 0.0))
        if event is Event.STARTED:
            self._pid = int(record["pid"])
        elif event is Event.STATUS:
            self._pace = Pace()
            now = replace(now, status=record["text"], done=0, total=0, unit="", rest=None)
            now = replace(now, waiting=None)
        elif event is Event.WAITING:
            waiting = Waiting(record["text"], record["button"], record["link"])
            now = replace(now, waiting=waiting)
        elif event is Event.PROGRESS:
            rest = self._pace.count(record["done"], record["total"], now.updated)
            count = {name: record[name] for name in ("done", "total", "unit")}
            now = replace(now, **count, rest=rest)
        elif event is Event.WARNING:
            now = replace(now, warnings=(*now.warnings, record["text"]))
        elif event is Event.RESULT:
            now = replace(now, results=(*now.results, (record["path"], record["kind"])))
        else:
            remedy = Remedy(record["remedy"]) if record.get("remedy") else None
            end = {"state": _TERMINAL_STATES[event], "reason": record.get("reason", "")}
            now = replace(now, **end, remedy=remedy, rest=None, waiting=None)
        self.snapshot = now

    def _take_liveness(self, alive: bool) -> None:
        if alive:
            if self.snapshot.state is JobState.STARTING:
                self.snapshot = replace(self.snapshot, state=JobState.RUNNING)
        elif self._cancel.exists():
            self.snapshot = replace(self.snapshot, state=JobState.CANCELED)
        elif self._pid or time.time() - self._created > START_GRACE:
            reason = "The worker was stopped from outside before it was done."
            self.snapshot = replace(
                self.snapshot, state=JobState.LOST, reason=reason, remedy=Remedy.RUN_AGAIN
            )

    def go_on(self) -> None:
        """Says that the user has done what the job waits for."""
        (self.folder / GO_ON).touch()

    def cancel(self) -> None:
        """Asks the worker to stop at its next safe point; returns at once."""
        self._cancel.touch()
        if self._pid and processes.is_locked(self._lock):
            processes.interrupt_group(self._pid)

    def press_cancel(self) -> None:
        """Call now and then after `cancel()`: a worker that does not stop is stopped harder."""
        if not (self._pid and self._cancel.exists() and processes.is_locked(self._lock)):
            return
        waited = time.time() - self._cancel.stat().st_mtime
        if waited > TERMINATE_AFTER:
            processes.terminate_group(self._pid, force=waited > KILL_AFTER)

    def log_tail(self, lines: int = 20) -> list[str]:
        """The last lines that the worker printed."""
        try:
            data = self.log.read_bytes()[-20_000:]
        except FileNotFoundError:
            return []
        return data.decode("utf-8", "replace").splitlines()[-lines:]


class JobStore:
    """The folder of all jobs on this machine."""

    def __init__(self, folder: Path, worker: Path = WORKER) -> None:
        self.folder = folder
        self._worker = worker

    def submit(self, request: Request, python: Path) -> Job:
        """Writes the job folder and starts its worker with that Python, detached from this process.

        Raises JobError.
        """
        about = request.shot or ("models" if request.models else "environment")
        folder = self.folder / _new_id(Shot(Path(about)))
        try:
            folder.mkdir(parents=True)
            write_json(folder / "request.json", asdict(request) | {"versions": _versions()})
            command = [str(python), "-I", "-B", "-u", str(self._worker), str(folder)]
            processes.start_detached(command, folder / "log.txt")
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise JobError(f"The worker cannot be started: {error}.") from error
        return Job(folder)

    def jobs(self) -> list[Job]:
        """Every readable job, oldest first. Folders that are no job are passed over."""
        found = []
        for folder in self._folders():
            try:
                found.append(Job(folder))
            except (FormatError, OSError):
                continue
        return found

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(Path(entry.path) for entry in os.scandir(self.folder) if entry.is_dir())

    def get(self, job_id: str) -> Job:
        """Raises JobError when there is no such job."""
        folder = self.folder / job_id
        if not re.fullmatch(r"[\w-]+", job_id) or not (folder / "request.json").is_file():
            raise JobError(f"There is no job '{job_id}'.")
        return Job(folder)

    def remove(self, job: Job) -> None:
        """Deletes the record of an ended job; results in the shot stay."""
        job.poll()
        if job.snapshot.state.active:
            raise JobError("The job is still running; cancel it first.")
        shutil.rmtree(job.folder)


def _new_id(shot: Shot) -> str:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    # A counter from the clock keeps the order of jobs that start within one second.
    tick = f"{time.time_ns() // 1_000_000 % 1000:03d}"
    return f"{stamp}-{tick}-{folder_name(shot.name)[:40]}-{secrets.token_hex(2)}"


def _versions() -> dict[str, str]:
    return {"python": sys.version.split()[0], "platform": sys.platform}


def shot_lock_name(shot: Shot) -> str:
    """The name of the lock that keeps two jobs from one shot."""
    return f"shot-{hashlib.sha256(os.fsencode(shot.path.resolve())).hexdigest()[:16]}.lock"
