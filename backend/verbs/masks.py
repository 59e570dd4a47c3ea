# SPDX-License-Identifier: GPL-3.0-or-later
"""`masks`: lists, edits, combines and imports the masks of a shot."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..console import Console
from ..errors import JobError
from ..host import Host
from ..mask_edits import (
    COMBINATIONS,
    EditOptions,
    ImportOptions,
    MaskJob,
    combine_job,
    edit_job,
    import_job,
    restore_job,
)
from ..mask_folders import find_mask_folders
from ..options import add_arguments, specs
from ..shot import Shot
from ..table import table
from .programs import follow_program, worker_command

_SCRIPT = "edit_masks.py"
_LABEL = "the masks, such as roto/actor or matte/actor_00; actor alone is roto/actor"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "masks",
        help="list, grow, feather, clean up, combine or import masks and mattes",
        description="Works on the masks of a shot without any model. What was there before is kept "
        "as <label>.previous, and `masks restore` puts it back.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add(actions, "list", "show the masks that are there", _list)
    editing = _add(actions, "edit", "change masks", _edit)
    editing.add_argument("label", help=_LABEL)
    editing.add_argument("--into", metavar="LABEL", default="", help="leave them; write to these")
    add_arguments(editing, EditOptions)
    combining = _add(actions, "combine", "make one of several", _combine)
    choices = [choice.value for choice in COMBINATIONS]
    helps = "; ".join(f"{choice.value}: {choice.help}" for choice in COMBINATIONS)
    combining.add_argument("how", choices=choices, help=helps)
    combining.add_argument("labels", metavar="LABEL", nargs="+", help=_LABEL)
    combining.add_argument("--into", metavar="LABEL", required=True, help="where to write")
    importing = _add(actions, "import", "take in images of another program", _import)
    importing.add_argument("images", help="their folder, or one of them")
    importing.add_argument("--into", metavar="LABEL", required=True, help="where to write")
    add_arguments(importing, ImportOptions)
    restoring = _add(actions, "restore", "put back what was there before the last change", _restore)
    restoring.add_argument("label", help=_LABEL)


def _add(actions: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(
        name, help=text, description=text.capitalize() + "."
    )
    action.add_argument("shot", help="a shot's folder")
    action.set_defaults(run=run)
    return action


def _shot(arguments: argparse.Namespace) -> Shot:
    return Shot(Path(arguments.shot).absolute())


def _given(arguments: argparse.Namespace, options: type) -> dict[str, Any]:
    given = vars(arguments)
    return {spec.name: given[spec.name] for spec in specs(options) if spec.name in given}


def _list(arguments: argparse.Namespace, _host: Host) -> int:
    rows = [
        (each.name, str(each.frames), f"{each.first}-{each.last}", "edited" if each.edited else "")
        for each in find_mask_folders(_shot(arguments))
    ]
    head = ("MASKS", "COUNT", "FRAMES", "")
    Console().line(table(head, rows) if rows else "No masks yet.")
    return 0


def _edit(arguments: argparse.Namespace, host: Host) -> int:
    how = _given(arguments, EditOptions)
    return run(edit_job(_shot(arguments), arguments.label, arguments.into, how), host)


def _combine(arguments: argparse.Namespace, host: Host) -> int:
    shot = _shot(arguments)
    return run(combine_job(shot, arguments.how, arguments.labels, arguments.into), host)


def _import(arguments: argparse.Namespace, host: Host) -> int:
    how = _given(arguments, ImportOptions)
    images = Path(arguments.images)
    return run(import_job(_shot(arguments), images, arguments.into, how), host)


def _restore(arguments: argparse.Namespace, host: Host) -> int:
    return run(restore_job(_shot(arguments), arguments.label), host)


def run(job: MaskJob, host: Host) -> int:
    """Does the job in the worker's Python, showing how far it is. Raises JobError."""
    console = Console()

    def on_record(record: dict[str, Any]) -> None:
        if "error" in record:
            raise JobError(record["error"])
        if "note" in record:
            console.warning(record["note"])
        else:
            console.progress("masks", record["done"], record["total"], "frames")

    if follow_program(mask_command(job, host), on_record):
        raise KeyboardInterrupt
    console.line(job.target)
    return 0


def mask_command(job: MaskJob, host: Host) -> list[str]:
    """The program of the worker that does a job. Raises JobError without an environment."""
    return worker_command(host, _SCRIPT, job.to_json())
