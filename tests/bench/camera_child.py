# SPDX-License-Identifier: GPL-3.0-or-later
"""Work of the camera bench in a process of its own, so that its time and memory are its own.

A job is JSON, and so is the answer: `python -m tests.bench.camera_ours JOB ANSWER`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CORES = 2

Job = dict[str, Any]
Answer = dict[str, Any]


def use_two_cores() -> None:
    """Keeps this process and its children to CORES cores, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def ask(module: str, job: Job, limit: float | None = None) -> Answer:
    """The answer of `module` to a job; `crashed` says why there is none."""
    with tempfile.TemporaryDirectory(prefix="camera_bench_") as folder:
        asked, told = Path(folder) / "job.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, "-B", "-m", f"tests.bench.{module}", str(asked), str(told)]
        log = Path(folder) / "log.txt"
        with log.open("wb") as output:
            try:
                subprocess.run(
                    command,
                    cwd=ROOT,
                    env=_environment(),
                    stdout=output,
                    stderr=output,
                    timeout=limit,
                )
            except subprocess.TimeoutExpired:
                return {"crashed": f"not finished after {limit:.0f} s"}
        if told.exists():
            return json.loads(told.read_text(encoding="utf-8"))
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        return {"crashed": last[0] if last else "no answer"}


def _environment() -> dict[str, str]:
    """As the worker sets itself up (backend/worker/__main__.py); the peers are not slower so."""
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1"}


def answer(work: Callable[[Job, Path], Answer]) -> None:
    """The main program of a child: gives `work` the job and an empty folder."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="camera_bench_work_") as folder:
        told = work(job, Path(folder))
    Path(sys.argv[2]).write_text(json.dumps(told), encoding="utf-8")


@contextmanager
def measured(figures: Answer) -> Iterator[None]:
    """Adds what the block took: wall, waited and cpu in s, peak (of the process so far) in MB.

    `waited` is how much of `wall` this thread was ready and other programs had the cores.
    """
    wall, waited, cpu = time.perf_counter(), _waited(), _processor()
    try:
        yield
    finally:
        figures["wall"] = time.perf_counter() - wall
        figures["waited"] = _waited() - waited
        figures["cpu"] = _processor() - cpu
        figures["peak"] = _peak() / 1e6


def _processor() -> float:
    """Seconds of processor time of this process, its threads and its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _waited() -> float:
    """Seconds that this thread has spent waiting for a core (Linux; 0 elsewhere)."""
    statistics = Path("/proc/thread-self/schedstat")
    return int(statistics.read_text().split()[1]) / 1e9 if statistics.exists() else 0.0


def _peak() -> float:
    """The most bytes that this process has held.

    Linux tells in VmHWM; its getrusage counts the program that this one was started from.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    (line,) = (text for text in status.read_text().splitlines() if text.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024.0
