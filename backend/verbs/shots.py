# SPDX-License-Identifier: GPL-3.0-or-later
"""`shots`: the shots that were worked on lately, on the command line or in Blender."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict

from ..console import Console
from ..host import Host
from ..recent import RecentShot, RecentShots, when
from ..table import table

_HEAD = ("SHOT", "USED", "FOLDER", "PLATE", "")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "shots",
        help="list the shots that were worked on lately",
        description="The table of recent shots, newest first. Blender's panel offers the same.",
    )
    parser.add_argument("--json", action="store_true", help="print the shots as JSON")
    parser.set_defaults(run=_list)


def _list(arguments: argparse.Namespace, host: Host) -> int:
    shots, console = RecentShots(host.home).all(), Console()
    if arguments.json:
        console.line(json.dumps([_record(shot) for shot in shots], indent=1))
    elif not shots:
        console.line("No shots yet.")
    else:
        console.line(table(_HEAD, map(_row, shots)))
    return 0


def _record(shot: RecentShot) -> dict[str, object]:
    return asdict(shot) | {"name": shot.name, "exists": shot.exists}


def _row(shot: RecentShot) -> tuple[str, ...]:
    found = "" if shot.exists else "not found"
    return shot.name, when(shot.used, time.time()), shot.folder, shot.plate, found
