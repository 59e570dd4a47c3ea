# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes and locks; what is only for Windows is tested as far as Linux allows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend import processes
from backend.processes import FileLock, is_locked, run_child, start_detached


def run(program: str, on_line: object = lambda _line: None) -> int:
    return run_child([sys.executable, "-c", program], on_line)


def test_lines_come_as_they_are_printed() -> None:
    lines: list[str] = []
    status = run("print('one'); print('zwö', flush=True); raise SystemExit(3)", lines.append)
    assert (status, lines) == (3, ["one", "zwö"])


def test_a_child_is_killed_when_its_reader_raises() -> None:
    def stop(_line: str) -> None:
        raise KeyError

    began = time.monotonic()
    with pytest.raises(KeyError):
        run("import time; print('up', flush=True); time.sleep(60)", stop)
    assert time.monotonic() - began < 10


def test_a_host_program_leaks_no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    monkeypatch.setenv("PYTHONHOME", "elsewhere")
    monkeypatch.setenv("KEPT", "yes")
    clean = processes.clean_environment()
    assert clean["KEPT"] == "yes"
    assert not {"PYTHONPATH", "PYTHONHOME"} & set(clean)


def test_a_detached_program_has_its_own_group_and_is_reaped(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    program = "import os; print(os.getpid(), os.getpgid(0), flush=True)"
    start_detached([sys.executable, "-c", program], log)
    give_up = time.monotonic() + 10
    while len(log.read_text().split()) < 2:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    pid, group = map(int, log.read_text().split())
    assert pid == group != os.getpgid(0)
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < give_up, "the exit status was not taken"
        time.sleep(0.02)


def test_a_group_on_windows_has_no_console() -> None:
    flags = processes.group_options(windows=True)["creationflags"]
    if sys.platform == "win32":
        expected = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        assert flags == expected
    assert flags == 0x08000200


def test_windows_stops_a_job_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(processes, "WINDOWS", True)
    monkeypatch.setattr(subprocess, "run", lambda command, **_options: calls.append(command))
    processes.terminate_group(42, force=False)
    assert calls == [["taskkill", "/T", "/F", "/PID", "42"]]
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    monkeypatch.setattr(signal, "CTRL_BREAK_EVENT", 1, raising=False)
    processes.interrupt_group(42)
    assert sent == [(42, 1)]


def test_a_lock_is_held_once_and_goes_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.lock"
    assert not is_locked(path)
    first, second = FileLock(path), FileLock(path)
    assert first.acquire()
    assert is_locked(path)
    assert not second.acquire()
    first.release()
    assert not is_locked(path)
    assert path.exists()
    assert second.acquire()
    second.release()


def test_a_killed_holder_frees_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    program = (
        f"import sys, time; sys.path.insert(0, {str(Path(processes.__file__).parents[1])!r})\n"
        "from pathlib import Path\n"
        "from backend.processes import FileLock\n"
        f"lock = FileLock(Path({str(path)!r})); print(lock.acquire(), flush=True)\n"
        "time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        assert is_locked(path)
        holder.kill()
    assert not is_locked(path)


def test_waiting_for_a_lock_can_be_given_up(tmp_path: Path) -> None:
    held = FileLock(tmp_path / "a.lock")
    assert held.acquire()

    def give_up() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError), FileLock(held.path).wait(give_up):
        pass
    held.release()
