# SPDX-License-Identifier: GPL-3.0-or-later
"""`stages`: what there is to run, with its options; for a shot, what is there and what is stale."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import outputs
from ..console import Console
from ..host import Host
from ..options import OptionSpec, specs
from ..shot import Shot
from ..stages import STAGES, Stage


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "stages",
        help="list the stages, or the state of a shot",
        description="Lists every stage with its options. With a shot folder: what that shot has.",
    )
    parser.add_argument("shot", nargs="?", help="a shot folder")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, _host: Host) -> int:
    console = Console()
    if arguments.shot is None:
        list_stages(console)
    else:
        _list_shot(Shot(Path(arguments.shot)), console)
    return 0


def list_stages(console: Console) -> None:
    """Prints the stage table."""
    for stage in STAGES.values():
        needs = f"  (after {', '.join(stage.needs)})" if stage.needs else ""
        console.line(f"{stage.name:<10} {stage.summary}{needs}")
        for spec in specs(stage.options):
            console.line(f"           {', '.join(spec.flags):<24} {_help(spec)}")


def _help(spec: OptionSpec) -> str:
    if spec.choices:
        return f"{spec.help}: {' | '.join(choice.value for choice in spec.choices)}"
    return spec.help


def _list_shot(shot: Shot, console: Console) -> None:
    for stage in STAGES.values():
        state = outputs.freshness_as_recorded(shot, stage)
        seconds = outputs.recorded(shot, stage).get("seconds")
        took = f"  {seconds:.0f} s" if seconds is not None else ""
        console.line(f"{stage.name:<10} {state.value}{took}  {_folders(stage)}")


def _folders(stage: Stage) -> str:
    return " ".join(f"{folder}/" for folder in stage.makes)
