# SPDX-License-Identifier: GPL-3.0-or-later
"""`survey`: tells a tracked shot its ground, its origin, an axis or a distance."""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

from ..console import Console
from ..errors import JobError, UsageError
from ..host import Host
from ..processes import clean_environment
from ..shot import Shot
from .programs import worker_command

_SCRIPT = "survey_shot.py"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "survey",
        help="set ground, origin, axes and scale of a tracked shot",
        description="Moves a shot's world so that what you know of the scene holds: camera, points "
        "and camera files alike, without a new solve. Points are named by their ids in the sparse "
        "model (colmap/sparse/0); in Blender it is done by selecting them. What is set adds to "
        "what was set before, and later solves land in the same world.",
    )
    parser.add_argument("shot", help="a tracked shot's folder")
    parser.add_argument(
        "--floor", metavar="ID,ID,ID", type=_ids, help="points on the ground: one, or three or more"
    )
    parser.add_argument("--origin", metavar="ID", type=_ids, help="the point to be the origin")
    axes = parser.add_mutually_exclusive_group()
    axes.add_argument(
        "--axis-x", metavar="ID,ID", type=_ids, help="the X axis runs from the first to the second"
    )
    axes.add_argument("--axis-y", metavar="ID,ID", type=_ids, help="the same for the Y axis")
    parser.add_argument(
        "--distance", metavar="ID,ID=METERS", type=_distance, help="so far apart are two points"
    )
    parser.add_argument(
        "--from-body",
        action="store_true",
        help="take scale, up and ground from the people in it, as body motion has found them",
    )
    parser.add_argument(
        "--reset", action="store_true", help="forget all of it: back to the world that was found"
    )
    parser.set_defaults(run=run)


def _ids(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _distance(text: str) -> tuple[list[int], float]:
    points, _sign, meters = text.partition("=")
    return _ids(points), float(meters)


def run(arguments: argparse.Namespace, host: Host) -> int:
    told = _told(arguments)
    answer = _ask_worker(Shot(Path(arguments.shot).absolute()), told, host)
    if "error" in answer:
        Console().error(answer["error"])
        return 1
    Console().line(f"world: {answer['note']} (1 unit of the solver is {answer['scale']:.6g} m)")
    return 0


def _told(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the script is given. Raises UsageError."""
    counts = {"floor": 0, "origin": 1, "axis_x": 2, "axis_y": 2}
    told = {name: getattr(arguments, name) for name in counts if getattr(arguments, name)}
    if arguments.distance:
        told["distance"], told["meters"] = arguments.distance
        counts["distance"] = 2
    for name, count in counts.items():
        if name in told and count and len(told[name]) != count:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} takes {count} point{'s' if count > 1 else ''}.")
    alone = {"reset": arguments.reset, "body": arguments.from_body}
    if sum([bool(told), *alone.values()]) != 1:
        raise UsageError(
            "Say what is known: --floor, --origin, --axis-x, --distance; or one of --from-body "
            "and --reset."
        )
    return told or {name: True for name, asked in alone.items() if asked}


def _ask_worker(shot: Shot, told: dict[str, Any], host: Host) -> dict[str, Any]:
    """Runs the script in the worker's Python, which has numpy."""
    command = worker_command(host, _SCRIPT, str(shot.path), json.dumps(told))
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=clean_environment()
    )
    if done.returncode:
        raise JobError(f"The shot cannot be surveyed: {done.stderr.strip()[-300:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
