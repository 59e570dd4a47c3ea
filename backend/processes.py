# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes and locks on Linux, macOS and Windows: what differs between them stands here alone."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

WINDOWS = sys.platform == "win32"
INTERRUPT_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)
SILENCE = 0.2
"""Seconds without a line after which `while_silent` is asked."""
_CREATE_NEW_PROCESS_GROUP = 0x00000200
_CREATE_NO_WINDOW = 0x08000000
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def clean_environment() -> dict[str, str]:
    """The environment for a child: without what a host program leaks of its own Python."""
    leaks = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__")
    return {key: value for key, value in os.environ.items() if key not in leaks}


def start_detached(command: Sequence[str], log: Path) -> None:
    """Starts a program that outlives this one, in a process group of its own, output into `log`.

    Raises OSError when it cannot be started.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=clean_environment(),
            **group_options(WINDOWS),
        )
    # Somebody has to take its exit status, or it stays as a zombie as long as this program runs.
    threading.Thread(target=process.wait, daemon=True, name=f"reap {process.pid}").start()


def group_options(windows: bool) -> dict[str, Any]:
    """What makes `subprocess.Popen` start a process group, of which a console sees nothing."""
    if windows:
        return {"creationflags": _CREATE_NEW_PROCESS_GROUP | _CREATE_NO_WINDOW}
    return {"start_new_session": True}


def die_with_parent() -> None:
    """Makes this process end when its parent does (Linux); a no-op elsewhere."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def run_child(
    command: Sequence[str],
    on_line: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
    while_silent: Callable[[], None] | None = None,
    folder: Path | None = None,
) -> int:
    """Runs a program of the worker's own group, giving each line of its output to `on_line`.

    It runs in `folder`, else where the worker does. `while_silent` is called some times a second
    when there is no line, and may raise as well. The child ends with the worker however that ends,
    and is killed when a callback raises.
    Returns its exit status.
    """
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        cwd=folder,
        **_child_options(environment),
    ) as process:
        assert process.stdout is not None
        try:
            for line in _lines(process.stdout, while_silent):
                on_line(line.rstrip("\n"))
        except BaseException:
            process.kill()
            raise
    return process.returncode


def start_child(command: Sequence[str], log: IO[bytes], folder: Path) -> subprocess.Popen[bytes]:
    """Starts a program of the worker's own group in `folder`, its output into `log`.

    It ends with the worker however that ends. Raises OSError when it cannot be started.
    """
    return subprocess.Popen(
        command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, **_child_options()
    )


def _child_options(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What every child of the worker is started with: it sees no input and ends with the worker."""
    return {
        "stdin": subprocess.DEVNULL,
        "env": dict(environment) if environment is not None else clean_environment(),
        "preexec_fn": die_with_parent if _LIBC is not None else None,
        "creationflags": _CREATE_NO_WINDOW if WINDOWS else 0,
    }


def output_of(command: Sequence[str], seconds: float) -> str:
    """What a short program prints on its standard output. It sees no input.

    Raises OSError or subprocess.SubprocessError when it does not start, fails or takes longer.
    """
    answer = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
        check=True,
        timeout=seconds,
        env=clean_environment(),
        creationflags=_CREATE_NO_WINDOW if WINDOWS else 0,
    )
    return answer.stdout


def run_same_output(command: Sequence[str]) -> int:
    """Runs a child that prints where the worker prints. Returns its exit status."""
    return subprocess.run(command, check=False, **_child_options()).returncode


def _lines(output: IO[str], while_silent: Callable[[], None] | None) -> Iterator[str]:
    """The lines of a pipe; a read that blocks must not keep the caller from being canceled."""
    if while_silent is None:
        yield from output
        return
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        # The pipe is closed under the reader when the child has been killed.
        with contextlib.suppress(ValueError, OSError):
            for line in output:
                lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True, name="read a child's output").start()
    while True:
        try:
            line = lines.get(timeout=SILENCE)
        except queue.Empty:
            while_silent()
            continue
        if line is None:
            return
        yield line


def interrupt_group(pid: int) -> None:
    """Asks a detached program and its children to stop."""
    if WINDOWS:
        _signal(pid, "CTRL_BREAK_EVENT")
    else:
        _signal_group(pid, signal.SIGINT)


def terminate_group(pid: int, force: bool) -> None:
    """Stops a detached program and its children; `force` leaves them no say."""
    if WINDOWS:
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(pid)], capture_output=True, check=False)
    else:
        _signal_group(pid, signal.SIGKILL if force else signal.SIGTERM)


def _signal(pid: int, name: str) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, getattr(signal, name))


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


class Told(Protocol):
    """Who is told what is going on; `check` may raise to stop."""

    def status(self, text: str) -> None: ...
    def check(self) -> None: ...


class FileLock:
    """An operating-system lock on a file, which goes when its holder dies, however it dies.

    That the file exists means nothing. Keep lock files on a local disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Takes the lock if it is free, at once. False when another holds it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = open(self.path, "a+b")  # noqa: SIM115  the lock lives as long as the file is open
        if not _lock(file):
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @contextlib.contextmanager
    def wait(self, while_waiting: Callable[[], None], interval: float = 0.2) -> Iterator[None]:
        """Holds the lock for a block. `while_waiting` is called at every try and may raise."""
        pause = threading.Event()
        while not self.acquire():
            while_waiting()
            pause.wait(interval)
        try:
            yield
        finally:
            self.release()

    @contextlib.contextmanager
    def take_turns(self, why: str, told: Told) -> Iterator[None]:
        """Holds the lock for a block; says once why that has to wait."""
        said = False

        def while_waiting() -> None:
            nonlocal said
            if not said:
                told.status(why)
                said = True
            told.check()

        with self.wait(while_waiting):
            yield


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock on that file now."""
    try:
        with open(path, "r+b") as file:
            return not _lock(file)
    except OSError:
        return False


if WINDOWS:
    import msvcrt

    def _lock(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
