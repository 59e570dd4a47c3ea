# SPDX-License-Identifier: GPL-3.0-or-later
"""`environment`: what is installed for the worker; install and remove it."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from .. import environment
from ..console import Console
from ..environment import State
from ..groups import BASE, GROUPS
from ..host import Host
from ..locations import HOME_VARIABLE
from ..pace import Pace, time_left
from ..table import table


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "environment",
        help="show, install or remove the worker's Python packages",
        description="The worker runs in a Python environment of its own, with packages of exact "
        "versions in groups. Without more words: what is installed, and where. The folder is "
        f"the operating system's place for data, or the one that {HOME_VARIABLE} names.",
    )
    parser.set_defaults(run=_status)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    text = "show what is installed"
    status = actions.add_parser("status", help=text, description=text.capitalize() + ".")
    status.set_defaults(run=_status)
    text = "install what is missing"
    adding = actions.add_parser("install", help=text, description=_INSTALL_DESCRIPTION)
    adding.add_argument(
        "--group",
        action="append",
        choices=tuple(GROUPS),
        help="what to install; may be given more than once (default: core)",
    )
    adding.add_argument(
        "--python", metavar="PATH", default="", help="the Python to make the environment from"
    )
    adding.set_defaults(run=_install)
    text = "remove everything that was installed; shots stay"
    removing = actions.add_parser("remove", help=text, description=text.capitalize() + ".")
    removing.set_defaults(run=_remove)


_INSTALL_DESCRIPTION = (
    "Installs what is missing, going on where an earlier run was stopped. The group 'core' reads "
    "plates and tracks cameras; 'ml' runs models, in the build for this machine's GPU, and comes "
    "by itself with the first model; 'dense' makes dense points and meshes, 'cuda' on an NVIDIA "
    "GPU, and both come with the first of them; 'colmap-cuda' is COLMAP's own dense stereo; "
    "'blender' is "
    "Blender as a Python package, for machines without a Blender program; it needs Python 3.11."
)


class ConsoleReport:
    """Shows an installation on the console. Ctrl-C stops it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._pace = Pace()

    def status(self, text: str) -> None:
        self._pace = Pace()
        self._console.line(f"{'environment':<14} {text}")

    def progress(self, done: int, total: int, unit: str) -> None:
        now = time.monotonic()
        left = time_left(self._pace.count(done, total, now), now)
        self._console.progress("environment", done, total, unit, left)

    def warning(self, text: str) -> None:
        self._console.warning(text)

    def check(self) -> None:
        """Ctrl-C raises by itself."""


def _status(_arguments: argparse.Namespace, host: Host) -> int:
    console = Console()
    console.line(f"folder: {host.home}")
    rows = []
    for group in GROUPS:
        state, found = environment.state(host.home, (group,))
        python = f"{found.python_version}  {found.python}" if found else ""
        rows.append((group, state.value, python if state is State.READY else ""))
    console.line(table(("GROUP", "STATE", "PYTHON"), rows))
    return 0


def _install(arguments: argparse.Namespace, host: Host) -> int:
    console = Console()
    groups = arguments.group or [BASE]
    chosen = Path(arguments.python).absolute() if arguments.python else host.python
    python = environment.install(host.home, groups, chosen, ConsoleReport(console), host.online)
    console.line(f"ready: {python}")
    return 0


def _remove(_arguments: argparse.Namespace, host: Host) -> int:
    console = Console()
    left = environment.remove(host.home)
    for folder in left:
        console.warning(f"{folder} is in use by a running job and stays.")
    if not left:
        console.line("removed")
    return 1 if left else 0
