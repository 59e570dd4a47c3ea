# SPDX-License-Identifier: GPL-3.0-or-later
"""`comfyui`: which ComfyUI server is used, what it lacks, and a shot's own workflows."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .. import workflows
from ..comfyui import ComfySettings, check, node_classes, server_url
from ..comfyui_graph import Classes
from ..console import Console
from ..host import Host
from ..shot import Shot
from ..table import table

_HEAD = ("STAGE", "WORKFLOW", "")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "comfyui",
        help="see whether a ComfyUI server has what the stages need",
        description="A ComfyUI server can do the work of some stages. docs/comfyui.md says which "
        "nodes and weights it needs for that.",
    )
    parts = parser.add_subparsers(title="what to do", metavar="WHAT", required=True)
    _add_check(parts)
    _add_use(parts)
    _add_workflows(parts)


def _add_check(parts: Any) -> None:
    parser = parts.add_parser("check", help="ask a server what it has, and say what is missing")
    parser.add_argument("url", nargs="?", default="", help="its address; left out, the chosen one")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(run=_check)


def _add_use(parts: Any) -> None:
    parser = parts.add_parser("use", help="choose the server that the stages use")
    parser.add_argument("url", help="its address, such as http://127.0.0.1:8188")
    parser.add_argument(
        "--folder",
        metavar="DIR",
        default="",
        help="a ComfyUI on this machine to start when no server answers there; it is stopped "
        "after the job",
    )
    parser.set_defaults(run=_use)


def _add_workflows(parts: Any) -> None:
    parser = parts.add_parser(
        "workflows", help="copy the workflows into a shot, to edit them there"
    )
    parser.add_argument("shot", help="a shot's folder")
    parser.set_defaults(run=_workflows)


def _check(arguments: argparse.Namespace, host: Host) -> int:
    """Exit status 1 when something is missing for a stage."""
    url = server_url(arguments.url) if arguments.url else ComfySettings.load(host.home).url
    server, console = check(url), Console()
    lacking = _lacking(node_classes(url))
    if arguments.json:
        said = {"url": url, "version": server.version, "device": server.device}
        console.line(json.dumps(said | {"missing": lacking}, indent=1))
    else:
        console.line(str(server))
        console.line(table(_HEAD, _rows(lacking)))
        for sentence in dict.fromkeys(each for found in lacking.values() for each in found):
            console.line(sentence)
    return 1 if any(lacking.values()) else 0


def _lacking(classes: Classes) -> dict[str, list[str]]:
    return {
        needed.stage: workflows.missing(needed, classes) for needed in workflows.needs().values()
    }


def _rows(lacking: dict[str, list[str]]) -> list[tuple[str, ...]]:
    return [
        (needed.stage, name, "something is missing" if lacking[needed.stage] else "ready")
        for name, needed in workflows.needs().items()
    ]


def _use(arguments: argparse.Namespace, host: Host) -> int:
    folder = str(Path(arguments.folder).absolute()) if arguments.folder else ""
    chosen = ComfySettings(server_url(arguments.url), folder)
    chosen.save(host.home)
    Console().line(chosen.url)
    return 0


def _workflows(arguments: argparse.Namespace, _host: Host) -> int:
    written, there = workflows.copy_to(Shot(Path(arguments.shot).absolute()))
    console = Console()
    for file in written:
        console.line(str(file))
    for file in there:
        console.line(f"{file} (yours, left as it is)")
    return 0
