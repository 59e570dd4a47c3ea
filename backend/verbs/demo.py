# SPDX-License-Identifier: GPL-3.0-or-later
"""`demo`: the whole way once, on the sample plate, with a table of how well it went."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from .. import environment
from ..console import Console
from ..errors import JobError
from ..host import Host
from ..jobs import Job, JobState, Request, StageRequest
from ..processes import clean_environment
from ..shot import Shot, read_json
from ..table import table
from .run import EXIT_STATUS, follow, start, summary, wheel_group

BACKEND = Path(__file__).resolve().parents[1]
SAMPLE = BACKEND / "sample"
EXPORTS = ("abc", "chan", "nk", "csv", "jsx", "clip", "usd")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "demo",
        help="track the sample plate and show how well it went",
        description="Installs what it needs, tracks the sample plate, builds a .blend file and "
        "writes camera files for other programs. The sample was rendered with a known camera, so "
        "the table at the end says how far the solve is from the truth.",
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", default="demo", help="folder to write (default: demo)"
    )
    parser.add_argument("--blender", metavar="PROGRAM", default="", help="the Blender to use")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, host: Host) -> int:
    console = Console()
    folder = Path(arguments.output).absolute()
    shot = Shot(folder / "shot")
    job = _submit(shot, folder, arguments.blender or host.blender, host)
    follow(job, console)
    if job.snapshot.state is not JobState.FINISHED:
        console.line(summary(job))
        return EXIT_STATUS.get(job.snapshot.state, 1)
    written = _deliver(shot, folder)
    console.line()
    console.line(_report(shot, host, time.time() - job.snapshot.started))
    console.line()
    console.line(f"{folder}: {', '.join(written)}")
    return 0


def _submit(shot: Shot, folder: Path, blender: str, host: Host) -> Job:
    asked = (
        StageRequest("ingest", {}),
        StageRequest("colmap", {}),
        StageRequest("scene", {"blend": str(folder / "shot.blend")}),
    )
    request = Request(
        shot=str(shot.path),
        plate=str(SAMPLE / "plate.mp4"),
        stages=asked,
        force=True,
        online=host.online,
        blender=blender,
        install=wheel_group(asked, blender, host),
    )
    return start(request, host)


def _deliver(shot: Shot, folder: Path) -> list[str]:
    """Copies the camera files and the contact sheet out of the shot. Returns the names."""
    files = [shot.camera_file(extension) for extension in EXPORTS]
    files.append(shot.contact_sheet)
    found = [file for file in files if file.is_file()]
    for file in found:
        shutil.copyfile(file, folder / file.name)
    return ["shot.blend", *(file.name for file in found)]


def _report(shot: Shot, host: Host, seconds: float) -> str:
    solve = read_json(shot.solve_file)
    truth = _against_truth(shot, host)
    rows = (
        ("frames registered", f"{len(solve['solved'])} of {len(solve['frames'])}"),
        ("mean reprojection error", f"{solve['mean_error_px']:.3f} px"),
        ("max, in the worst frame", f"{solve['max_error_px']:.3f} px"),
        ("slip against the truth", f"{truth['slip_rms']:.3f} px RMS, {truth['slip_max']:.3f} max"),
        ("focal length error", f"{truth['focal_error'] * 100:+.2f} %"),
        ("time", f"{seconds:.0f} s"),
    )
    return table(("SAMPLE PLATE", ""), rows)


def _against_truth(shot: Shot, host: Host) -> dict[str, Any]:
    """The solve measured against the sample's true camera, by the worker's Python (numpy)."""
    python = environment.find(host.home, ("core",))
    if python is None:
        raise JobError("The worker's environment is gone.")
    script = BACKEND / "worker" / "accuracy_report.py"
    command = [str(python), "-I", "-B", str(script), str(shot.path), str(SAMPLE / "camera.json")]
    answer = subprocess.run(
        command, capture_output=True, text=True, check=False, env=clean_environment()
    )
    if answer.returncode:
        raise JobError(f"The solve cannot be measured: {answer.stderr.strip()[-300:]}")
    figures: dict[str, Any] = json.loads(answer.stdout)
    return figures
