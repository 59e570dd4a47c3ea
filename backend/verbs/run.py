# SPDX-License-Identifier: GPL-3.0-or-later
"""`run`: stages on one or more plates, followed to their end."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import locations, stages
from ..blender import find_program
from ..console import Console
from ..errors import BlenderError, InstallError, ShotGopherError, UsageError
from ..events import Event, Record
from ..groups import usable_versions
from ..host import Host
from ..host_python import choose
from ..jobs import Job, JobState, JobStore, Request, StageRequest, plan
from ..options import add_arguments, from_environment, from_mapping, specs
from ..overlay import OverlayOptions, check_movie_name
from ..plates import resolve_plate, shot_title
from ..recent import RecentShots
from ..shot import Shot, folder_name
from ..stages import PLANNED, STAGES
from ..table import table
from .jobs import cancel_and_wait, remark, solve_cells
from .overlay import write_overlay
from .stages import list_stages

POLL_INTERVAL = 0.1
_HEAD = ("PLATE", "STATE", "FRAMES", "ERROR", "GRADE", "")
EXIT_STATUS = {JobState.FINISHED: 0, JobState.CANCELED: 130}

_EXAMPLES = """\
examples:
  {prog} plate.mp4 -s ingest,colmap --blend shot.blend
  {prog} "frames/sh010.1001.png" --shot shots/sh010 -s ingest,colmap -q high
  {prog} plate.mp4 -s ingest,colmap -m        with dense points and a textured mesh
  {prog} shots/sh010 -s colmap -q slow        run again in a shot that has its frames
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "run",
        help="run stages on a plate",
        description="Runs stages on a plate: a movie, a folder of images, one image of a sequence, "
        "or a shot folder that was set up before. Stages that are up to date do not run again.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.epilog = _EXAMPLES.format(prog=parser.prog)
    parser.add_argument("plate", nargs="*", help="plate or shot folder; several run one by one")
    parser.add_argument(
        "-s", "--stages", metavar="A,B", help="stages to run, separated by commas (see `stages`)"
    )
    parser.add_argument("--shot", metavar="DIR", help="shot folder (default: made from the name)")
    parser.add_argument("-n", "--name", help="name of the shot (default: the plate's name)")
    parser.add_argument(
        "-p", "--projects-dir", metavar="DIR", default=".", help="where shot folders are made"
    )
    parser.add_argument("--force", action="store_true", help="run stages that are up to date too")
    parser.add_argument(
        "-e",
        "--skip-existing",
        action="store_true",
        help="keep every output that is there, also when it is stale",
    )
    parser.add_argument("--list-stages", action="store_true", help="list the stages and stop")
    parser.add_argument(
        "--gpu-profile", action="store_true", help="log GPU memory to <shot>/gpu_profile.log"
    )
    parser.add_argument(
        "--auto-movie",
        action="store_true",
        help="write a movie of each stage's pictures to <shot>/preview/<stage>.mp4",
    )
    parser.add_argument(
        "--blender", metavar="PROGRAM", default="", help="the Blender for .blend, .abc and .usd"
    )
    parser.add_argument(
        "--overlay", metavar="MOVIE", help="write a review movie afterwards (see `overlay`)"
    )
    parser.add_argument("--json", action="store_true", help="print the events as JSON Lines")
    parser.add_argument(
        "-d", "--colmap-dense", action="store_true", help="make dense points as well"
    )
    parser.add_argument(
        "-m", "--colmap-mesh", action="store_true", help="make dense points and a mesh as well"
    )
    for stage in STAGES.values():
        add_arguments(
            parser.add_argument_group(f"{stage.name} options"), stage.options, f"{stage.name}."
        )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, host: Host) -> int:
    console = Console(arguments.json)
    if arguments.list_stages:
        list_stages(console)
        return 0
    asked = asked_stages(arguments)
    if not arguments.plate:
        raise UsageError("Name a plate or a shot folder.")
    if arguments.shot and len(arguments.plate) > 1:
        raise UsageError("--shot names one shot folder; use --projects-dir for several plates.")
    if arguments.overlay:
        check_movie_name(Path(arguments.overlay))
        if len(arguments.plate) > 1:
            raise UsageError("--overlay names one movie: run the plates one by one.")
    runs = [_run_plate(plate, asked, arguments, host, console) for plate in arguments.plate]
    if len(runs) > 1:
        console.line(table(_HEAD, (row for _, row in runs)))
    return max((status for status, _ in runs), key=lambda status: (status == 130, status))


def asked_stages(arguments: argparse.Namespace) -> list[StageRequest]:
    """The stages of `-s` with their options. Raises UsageError."""
    given = vars(arguments)
    named = [name.strip() for name in (arguments.stages or "").split(",") if name.strip()]
    names = named + _dense_by_flag(named, given)
    if not names:
        raise UsageError(f"Name stages with -s, such as -s ingest,colmap. Stages: {_known()}.")
    if "scene.blend" in given:
        given["scene.blend"] = os.path.abspath(given["scene.blend"])
    wanted = stages.in_order(names)
    asked = [StageRequest(stage.name, _options(stage.name, given)) for stage in wanted]
    return asked + _scene_after_solve(asked, given)


def _dense_by_flag(names: list[str], given: dict[str, Any]) -> list[str]:
    """The stage that -d and -m ask for; -d alone wants no mesh, where nothing else asks for one."""
    if given["colmap_mesh"]:
        given.setdefault("dense.mesh", True)
    elif given["colmap_dense"] and "dense" not in names:
        given.setdefault("dense.mesh", False)
    return ["dense"] if given["colmap_mesh"] or given["colmap_dense"] else []


def _known() -> str:
    return ", ".join(STAGES) + f" (planned: {', '.join(PLANNED)})"


def _options(stage: str, given: dict[str, Any]) -> dict[str, Any]:
    names = [spec.name for spec in specs(STAGES[stage].options)]
    options = from_environment(STAGES[stage].options, os.environ)
    options |= {name: given[key] for name in names if (key := f"{stage}.{name}") in given}
    from_mapping(STAGES[stage].options, options)
    return options


def _scene_after_solve(asked: list[StageRequest], given: dict[str, Any]) -> list[StageRequest]:
    """The scene is built after every solve, since .abc and .usd come from it, and after every mesh.

    A missing Blender is then a warning, unless a .blend file was asked for.
    """
    names = {stage.name for stage in asked}
    into_blend = "scene.blend" in given
    if "scene" in names or not (names & {"colmap", "dense"} or into_blend):
        return []
    return [StageRequest("scene", _options("scene", given), optional=not into_blend)]


def _run_plate(
    plate: str,
    asked: Sequence[StageRequest],
    arguments: argparse.Namespace,
    host: Host,
    console: Console,
) -> tuple[int, tuple[str, ...]]:
    """Runs one plate to its end. Returns the exit status and a row for the table of many."""
    name = Path(plate).name
    try:
        request = make_request(plate, asked, arguments, host)
    except ShotGopherError as error:
        console.error(error.reason)
        return error.exit_code, (name, "failed", "", "", "", error.reason)
    console.line(f"{name} -> {request.shot}")
    job = start(request, host)
    follow(job, console)
    console.line(summary(job))
    status = EXIT_STATUS.get(job.snapshot.state, 1)
    ended = job.snapshot
    if status == 0 and arguments.overlay:
        movie = Path(arguments.overlay).absolute()
        write_overlay(Shot(Path(request.shot)), movie, OverlayOptions(), host, console)
    return status, (name, ended.state.value, *solve_cells(ended), remark(ended))


def make_request(
    plate: str, asked: Sequence[StageRequest], arguments: argparse.Namespace, host: Host
) -> Request:
    """The job for one plate or shot folder. Raises UsageError or PlateError."""
    existing = Shot(Path(plate).absolute())
    if existing.has_plate():
        shot, source = existing, ""
    else:
        source = str(resolve_plate(plate).path.absolute())
        shot = Shot(_shot_folder(Path(source), arguments))
    blender = arguments.blender or host.blender
    return Request(
        shot=str(shot.path),
        plate=source,
        stages=plan(shot, asked),
        force=arguments.force,
        skip_existing=arguments.skip_existing,
        gpu_profile=arguments.gpu_profile,
        auto_movie=arguments.auto_movie,
        online=host.online,
        blender=blender,
        install=wheel_group(asked, blender, host),
        attended=sys.stdin is not None and sys.stdin.isatty(),
    )


def wheel_group(asked: Sequence[StageRequest], blender: str, host: Host) -> tuple[str, ...]:
    """The group of Blender's wheel, where only that can build the scene and it can be had.

    Where it cannot, the scene stage says how to get a Blender; nothing else waits for that.
    """
    if not any(stage.name == "scene" for stage in asked):
        return ()
    try:
        if find_program(blender) is not None:
            return ()
        choose(host.python, usable_versions(("core", "blender")))
    except (BlenderError, InstallError):
        return ()
    return ("blender",)


def _shot_folder(plate: Path, arguments: argparse.Namespace) -> Path:
    if arguments.shot:
        return Path(arguments.shot).absolute()
    name = folder_name(arguments.name or shot_title(plate))
    return Path(arguments.projects_dir).absolute() / name


def start(request: Request, host: Host) -> Job:
    """Starts a job; its shot is then the most recent one. Raises JobError."""
    job = JobStore(locations.jobs_folder(host.home)).submit(request, host.python)
    if request.shot:
        RecentShots(host.home).note(Path(request.shot), request.plate)
    return job


def follow(job: Job, console: Console) -> None:
    """Prints a job's events until it has ended. Ctrl-C cancels the job and waits for its end."""
    try:
        while job.snapshot.state.active:
            for record in job.poll():
                _show(record, job.snapshot.time_left(time.time()), console)
                if record["event"] == Event.WAITING and job.request.attended:
                    webbrowser.open(record["link"])
                    _enter.listen()
            if job.snapshot.waiting is not None and _enter.was_pressed():
                job.go_on()
            time.sleep(POLL_INTERVAL)
    except KeyboardInterrupt:
        console.warning("Canceling...")
        cancel_and_wait(job)
        console.event({"event": Event.CANCELED.value, "stage": job.snapshot.stage})


class _EnterKey:
    """Hears Enter in the terminal, in one thread for the whole program: it cannot be stopped."""

    def __init__(self) -> None:
        self._pressed = threading.Event()
        self._thread: threading.Thread | None = None

    def listen(self) -> None:
        """Forgets what was pressed before."""
        self._pressed.clear()
        if self._thread is None:
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()

    def was_pressed(self) -> bool:
        """Whether it was, since the last call."""
        pressed = self._pressed.is_set()
        self._pressed.clear()
        return pressed

    def _read(self) -> None:
        while sys.stdin.readline():
            self._pressed.set()


_enter = _EnterKey()


def _show(record: Record, left: str, console: Console) -> None:
    console.event(record)
    label = record.get("stage") or "worker"
    if record["event"] == Event.PROGRESS:
        console.progress(label, record["done"], record["total"], record["unit"], left)
    elif record["event"] == Event.STATUS:
        console.line(f"{label:<14} {record['text']}")
    elif record["event"] == Event.WAITING:
        console.line(f"{label:<14} {record['text']}")
        console.line(f"{'':<14} Then press Enter here ({record['button']}).")
    elif record["event"] == Event.WARNING:
        console.warning(record["text"])
    elif record["event"] == Event.FAILED:
        console.error(record["reason"])


def summary(job: Job) -> str:
    """What a job left behind, in a few lines."""
    snapshot = job.snapshot
    lines = [f"{snapshot.state.value}: {', '.join(snapshot.stages)}"]
    lines += [f"  {Path(snapshot.shot) / path}" for path, _kind in snapshot.results]
    if snapshot.state is JobState.LOST:
        lines.append(f"  {snapshot.reason}")
    if snapshot.state in (JobState.FAILED, JobState.LOST):
        lines.append(f"  log: {job.log}")
    return "\n".join(lines)
