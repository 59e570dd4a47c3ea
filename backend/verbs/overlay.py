# SPDX-License-Identifier: GPL-3.0-or-later
"""`overlay`: a movie of the plate with the solved points drawn on, for reviews."""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..console import Console
from ..errors import JobError
from ..host import Host
from ..options import add_arguments, from_mapping, specs
from ..overlay import OverlayOptions, check_movie_name, part_of
from ..shot import Shot
from .programs import follow_program, worker_command

_SCRIPT = "write_overlay.py"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "overlay",
        help="write a movie of a tracked shot with its points drawn on, for reviews",
        description="Draws the strongest solved points over the plate, colored by their error, "
        "with lines that show how far each is from where the plate has it, and the cameras of the "
        "frames around. Every frame of the plate is in the movie once, at the plate's rate.",
    )
    parser.add_argument("shot", help="a tracked shot's folder")
    parser.add_argument("movie", help="the movie to write: .mp4, .mov or .mkv")
    add_arguments(parser, OverlayOptions)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, host: Host) -> int:
    given = vars(arguments)
    chosen = {spec.name: given[spec.name] for spec in specs(OverlayOptions) if spec.name in given}
    options, movie = from_mapping(OverlayOptions, chosen), Path(arguments.movie).absolute()
    check_movie_name(movie)
    console = Console()
    write_overlay(Shot(Path(arguments.shot).absolute()), movie, options, host, console)
    return 0


def write_overlay(
    shot: Shot, movie: Path, options: OverlayOptions, host: Host, console: Console
) -> None:
    """Writes the movie in the worker's Python, showing how far it is. Raises JobError."""
    failures: list[str] = []

    def on_record(record: dict[str, Any]) -> None:
        if "error" in record:
            failures.append(str(record["error"]))
        else:
            console.progress("overlay", record["done"], record["total"], "frames")

    chosen = json.dumps(asdict(options))
    command = worker_command(host, _SCRIPT, str(shot.path), str(movie), chosen)
    try:
        status = follow_program(command, on_record)
    finally:
        with suppress(OSError):
            part_of(movie).unlink()
    if failures:
        raise JobError(failures[0])
    if status:
        raise KeyboardInterrupt
    console.line(str(movie))
