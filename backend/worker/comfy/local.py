# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a ComfyUI of this machine for the time of a job, and stops that one alone."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from ...comfyui import ComfySettings, check, is_local
from ...errors import ComfyError
from ...processes import Told, start_child
from .client import Clock

_PYTHONS = (
    *("venv/bin/python", ".venv/bin/python", "venv/Scripts/python.exe"),
    *(".venv/Scripts/python.exe", "python_embeded/python.exe", "../python_embeded/python.exe"),
)
"""Where the Python of a ComfyUI is, from its folder; the last is the portable one for Windows."""
_STARTING = 300.0
"""Seconds; 10 to 32 were measured, and node packs may install things when they first start."""
_STOPPING = 15.0
_LAST_WORDS = 300


@contextmanager
def served(settings: ComfySettings, told: Told, clock: Clock | None = None) -> Iterator[None]:
    """A server that answers, for a block: the one that is there, else one that is started.

    One that was there is left running. Raises ComfyError.
    """
    try:
        check(settings.url)
    except ComfyError:
        if not settings.folder or not is_local(settings.url):
            raise
    else:
        yield
        return
    with tempfile.TemporaryFile() as log:
        program = _started(settings, log)
        try:
            _until_it_answers(settings, program, log, told, clock or Clock())
            yield
        finally:
            _stop(program)


def command(settings: ComfySettings) -> list[str]:
    """What starts the ComfyUI in the folder at the chosen address. Raises ComfyError."""
    folder = Path(settings.folder)
    if not (folder / "main.py").is_file():
        raise ComfyError(f"There is no ComfyUI in {folder}: its folder is the one with main.py.")
    found = (folder / name for name in _PYTHONS)
    python = next((str(file) for file in found if file.is_file()), sys.executable)
    parts = urlsplit(settings.url)
    where = ["--listen", parts.hostname or "127.0.0.1", "--port", str(parts.port or 8188)]
    return [python, "-u", "main.py", *where]


def _started(settings: ComfySettings, log: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return start_child(command(settings), log, Path(settings.folder))
    except OSError as error:
        raise ComfyError(f"ComfyUI in {settings.folder} cannot be started: {error}.") from error


def _until_it_answers(
    settings: ComfySettings,
    program: subprocess.Popen[bytes],
    log: IO[bytes],
    told: Told,
    clock: Clock,
) -> None:
    told.status("Starting ComfyUI")
    give_up = clock.now() + _STARTING
    while program.poll() is None and clock.now() < give_up:
        told.check()
        with contextlib.suppress(ComfyError):
            check(settings.url)
            return
        clock.sleep(1.0)
    log.seek(0)
    words = " ".join(log.read().decode("utf-8", "replace").split())[-_LAST_WORDS:]
    raise ComfyError(f"ComfyUI in {settings.folder} does not start. It said last: {words}")


def _stop(program: subprocess.Popen[bytes]) -> None:
    """Ends the program that was started here, and no other one."""
    program.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(_STOPPING)
    if program.poll() is None:
        program.kill()
        program.wait()
