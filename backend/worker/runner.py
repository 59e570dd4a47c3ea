# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of one job in the worker: lock, events, signals, environment, stages."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from .. import environment, locations, outputs, stages
from ..engines import runs_models
from ..errors import (
    BlenderError,
    Canceled,
    InstallError,
    JobError,
    ModelError,
    OutputError,
    PlateError,
    Remedy,
    ShotGopherError,
    explain_os_error,
)
from ..events import Event, EventReader, EventWriter
from ..jobs import Request, StageRequest, shot_lock_name
from ..models import ModelState, ModelStore
from ..options import from_mapping, orders
from ..outputs import Freshness
from ..processes import INTERRUPT_SIGNALS, FileLock, run_same_output
from ..shot import Shot
from ..stages import Stage
from .gpu_profile import gpu_profile
from .report import Context, Report

INSIDE = "--inside"
"""Second argument of the process that a worker hands its job to."""
LOCK_PATIENCE = 5.0
"""Seconds; a reader that looks whether the lock is held holds it for an instant itself."""


def main(arguments: Sequence[str]) -> int:
    """Runs the job folder `arguments[0]`. Returns 0 when done, 1 when failed, 130 when canceled."""
    folder = Path(arguments[0])
    inside = INSIDE in arguments[1:]
    with contextlib.nullcontext() if inside else _job_lock(folder):
        events = EventWriter(folder / "events.jsonl")
        report = Report(events, folder / "cancel")
        for number in INTERRUPT_SIGNALS:
            signal.signal(number, _handler(report))
        return _run_to_the_end(folder, inside, events, report)


@contextlib.contextmanager
def _job_lock(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / "worker.lock")
    give_up = time.monotonic() + LOCK_PATIENCE

    def check() -> None:
        if time.monotonic() > give_up:
            raise SystemExit("Another worker runs this job.")

    with lock.wait(check, interval=0.02):
        yield


def _handler(report: Report) -> Callable[[int, FrameType | None], None]:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        report.interrupt()

    return interrupt


def _run_to_the_end(folder: Path, inside: bool, events: EventWriter, report: Report) -> int:
    """Runs the job and writes its one terminal event."""
    request: Request | None = None
    try:
        if not inside:
            versions = {"python": platform.python_version(), "platform": sys.platform}
            events.write(Event.STARTED, pid=os.getpid(), versions=versions)
        request = Request.load(folder / "request.json")
        report.attended = request.attended
        if _hand_over(folder, request, inside, report):
            return _after_hand_over(folder, report)
        with environment.in_use(Path(sys.executable)):
            _get_models(request, report)
            _run_stages(request, events, report)
    except Canceled:
        return _end(events, request, folder, Event.CANCELED, 130)
    except ShotGopherError as error:
        remedy = error.remedy.value if error.remedy else ""
        fields = {"reason": error.reason, "remedy": remedy}
        return _end(events, request, folder, Event.FAILED, 1, **fields)
    except Exception as error:
        traceback.print_exc()
        reason = f"Something unexpected went wrong ({type(error).__name__}: {error}). See the log."
        fields = {"reason": reason, "remedy": Remedy.OPEN_LOG.value}
        return _end(events, request, folder, Event.FAILED, 1, **fields)
    return _end(events, request, folder, Event.FINISHED, 0)


def _end(
    events: EventWriter,
    request: Request | None,
    folder: Path,
    event: Event,
    status: int,
    **fields: str,
) -> int:
    # A second signal must not cut the last words short.
    for number in INTERRUPT_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if request is not None and request.stages:
        _keep_log(folder, Shot(Path(request.shot)))
    events.write(event, **fields)
    return status


def _keep_log(folder: Path, shot: Shot) -> None:
    """Leaves the log with the shot where that can be: a read-only shot is no second failure."""
    sys.stdout.flush()
    if shot.path.is_dir():
        with contextlib.suppress(OSError):
            shot.logs.mkdir(exist_ok=True)
            shutil.copyfile(folder / "log.txt", shot.logs / f"{folder.name}.txt")


def _hand_over(folder: Path, request: Request, inside: bool, report: Report) -> bool:
    """Runs the job in the worker's environment when this is not it. True when that was done."""
    if inside or not request.groups():
        return False
    python = _environment(request, report)
    if python.samefile(sys.executable) and python.parent.samefile(Path(sys.executable).parent):
        return False
    command = [str(python), "-I", "-B", "-u", sys.argv[0], str(folder), INSIDE]
    # The child gets the same signals and ends by itself; this process only waits for that.
    with report.uninterrupted():
        run_same_output(command)
    return True


def _environment(request: Request, report: Report) -> Path:
    """The Python with the groups that the job would have, installed if need be.

    A group that no stage depends on (Blender's wheel) holds nothing up when it cannot be had.
    """
    home, host = locations.home(), Path(sys.executable)
    for group in request.groups_apart():
        environment.install(home, (group,), host, report, request.online)
    try:
        return environment.install(home, request.groups(), host, report, request.online)
    except InstallError as error:
        needed = request.stage_groups()
        if not needed or needed == request.groups():
            raise
        report.warning(error.reason)
        return environment.install(home, needed, host, report, request.online)


def _after_hand_over(folder: Path, report: Report) -> int:
    """The exit status of a job that another process ran. Raises when that left no last event."""
    last = [Event(record["event"]) for record in EventReader(folder / "events.jsonl").poll()][-1]
    statuses = {Event.FINISHED: 0, Event.FAILED: 1, Event.CANCELED: 130}
    if last in statuses:
        return statuses[last]
    if report.cancel_requested:
        raise Canceled
    raise JobError("The worker was killed before it was done.", Remedy.RUN_AGAIN)


def _get_models(request: Request, report: Report) -> None:
    if not request.models:
        return
    store = ModelStore(locations.home())
    missing = [name for name in request.models if store.state(name) is not ModelState.READY]
    if missing and not request.online:
        raise ModelError("The model is not here, and online access is off.", Remedy.ALLOW_ONLINE)
    # Only the environment that the job was handed to has what this needs.
    downloading = importlib.import_module(".downloading", __package__)
    for name in missing:
        downloading.get_model(store, name, report)


def _run_stages(request: Request, events: EventWriter, report: Report) -> None:
    if not request.stages:
        return
    shot = Shot(Path(request.shot))
    _make_folder(shot)
    lock = FileLock(locations.locks_folder(locations.home()) / shot_lock_name(shot))
    with lock.take_turns("Waiting for another job on this shot", report):
        for asked in request.stages:
            stage = stages.get(asked.name)
            events.stage = stage.name
            _run_unless_optional(request, asked, stage, shot, report)
        events.stage = ""


def _make_folder(shot: Shot) -> None:
    try:
        shot.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(explain_os_error(error)) from error


def _run_unless_optional(
    request: Request, asked: StageRequest, stage: Stage, shot: Shot, report: Report
) -> None:
    try:
        _run_stage(request, asked, stage, shot, report)
    except BlenderError as error:
        if not asked.optional:
            raise
        report.warning(error.reason)


def _run_stage(
    request: Request, asked: StageRequest, stage: Stage, shot: Shot, report: Report
) -> None:
    """Runs one stage unless its output may stay."""
    options: Any = from_mapping(stage.options, asked.options)
    plate = request.plate or str(outputs.recorded(shot, stage).get("inputs", {}).get("plate", ""))
    if not stage.needs and not plate:
        raise PlateError("No plate was named, and the shot has none yet.", Remedy.SET_UP_SHOT)
    outputs.recover(shot, stage)
    if _may_stay(request, asked, stage, shot, options, plate):
        report.status(f"{stage.title}: up to date")
        return
    report.status(stage.title)
    inputs = outputs.inputs_of(shot, stage, plate)
    with contextlib.ExitStack() as stack:
        if stage.uses_gpu:
            gpu = FileLock(locations.locks_folder(locations.home()) / "gpu.lock")
            stack.enter_context(gpu.take_turns("Waiting for the GPU", report))
        if request.gpu_profile:
            stack.enter_context(gpu_profile(shot, stage.name, report))
        part, record = stack.enter_context(
            outputs.writing(shot, stage, options, inputs, report.uninterrupted())
        )
        if runs_models(stage.name, asked.options, ModelStore(locations.home())):
            importlib.import_module(".weights", __package__).prepare()
        module = importlib.import_module(f".stages.{stage.name}", __package__)
        report.results.clear()
        module.run(Context(shot, options, plate, request.blender, part, report, record))
        record["results"] = list(report.results)
        previews = importlib.import_module(".previews", __package__)
        previews.write_previews(shot, stage, part, report, request.auto_movie)


def _may_stay(
    request: Request, asked: StageRequest, stage: Stage, shot: Shot, options: Any, plate: str
) -> bool:
    if request.force and not asked.prerequisite:
        return False
    if (request.skip_existing or asked.prerequisite) and outputs.exists(shot, stage):
        return True
    if orders(options):
        return False
    return outputs.freshness(shot, stage, options, plate) is Freshness.CURRENT
