# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the worker that a verb runs and waits for: they have what a bare Python lacks."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import environment
from ..errors import JobError, Remedy
from ..host import Host
from ..processes import (
    WINDOWS,
    clean_environment,
    group_options,
    interrupt_group,
    terminate_group,
)

WORKER = Path(__file__).resolve().parents[1] / "worker"
_PATIENCE = 10.0
"""Seconds that an interrupted program has to clean up."""


def worker_command(
    host: Host, script: str, *arguments: str, groups: Sequence[str] = ("core",)
) -> list[str]:
    """The command for a script of the worker that needs those groups of packages.

    Raises JobError without an environment.
    """
    python = environment.find(host.home, groups)
    if python is None:
        raise JobError(
            "The worker's environment is not installed: run `environment install` first.",
            Remedy.INSTALL_ENVIRONMENT,
        )
    return [str(python), "-I", "-B", str(WORKER / script), *arguments]


def follow_program(command: Sequence[str], on_record: Callable[[dict[str, Any]], None]) -> int:
    """Runs a program that writes JSON Lines and gives each to `on_record`; its exit status.

    Ctrl-C reaches the program once, and is raised again when that has cleaned up. What it said
    besides becomes the JobError that is raised when it breaks down.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
            encoding="utf-8",
            env=clean_environment(),
            **group_options(WINDOWS),
        ) as program,
    ):
        assert program.stdout is not None
        try:
            for record in program.stdout:
                on_record(json.loads(record))
            program.wait()
        except BaseException:
            _stop(program)
            raise
        words.seek(0)
        said = words.read().strip()
    if program.returncode not in (0, 1, 130) or (program.returncode and "Traceback" in said):
        raise JobError(f"A program of the worker broke down: {said[-300:]}")
    return program.returncode


def _stop(program: subprocess.Popen[str]) -> None:
    if program.poll() is not None:
        return
    interrupt_group(program.pid)
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(_PATIENCE)
    if program.poll() is None:
        terminate_group(program.pid, force=True)
