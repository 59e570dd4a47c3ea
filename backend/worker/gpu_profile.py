# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs the GPU's memory while a stage runs (`--gpu-profile`), into the shot's gpu_profile.log.

    2026-05-04 10:20:30  depth         GPU 0, 5120 MiB, 24564 MiB, 87 %
    2026-05-04 10:21:12  depth         GPU 0 peak: 6230 of 24564 MiB, in 42 s

Index, memory used and in all, and utilization; then the most that each GPU held during the stage.
The memory is that of all programs together.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from ..shot import Shot
from .report import Report

INTERVAL = 2.0
"""Seconds between two looks."""
_QUERY = ("--query-gpu=index,memory.used,memory.total,utilization.gpu", "--format=csv,noheader")
_LINE = re.compile(r"(?P<index>\d+), (?P<used>\d+) MiB, (?P<total>\d+) MiB")


@contextmanager
def gpu_profile(shot: Shot, stage: str, report: Report) -> Iterator[None]:
    """Samples every GPU for the length of the block; warns where nvidia-smi cannot be had."""
    program = shutil.which("nvidia-smi")
    if program is None:
        report.warning("No GPU profile: nvidia-smi was not found on this machine.")
        yield
        return
    ended = threading.Event()
    sampling = _Sampling(program, shot, stage, ended)
    thread = threading.Thread(target=sampling.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Sampling:
    def __init__(self, program: str, shot: Shot, stage: str, ended: threading.Event) -> None:
        self._command = [program, *_QUERY]
        self._file = shot.path / "gpu_profile.log"
        self._stage, self._ended = stage, ended
        self._peaks: dict[str, tuple[int, int]] = {}
        """By a GPU's index: the most of its memory that was used, and all of it, in MiB."""

    def run(self) -> None:
        began = time.monotonic()
        with self._file.open("a", encoding="utf-8") as log:
            while True:
                self._look(log)
                if self._ended.wait(INTERVAL):
                    break
            seconds = round(time.monotonic() - began)
            for index, (used, total) in sorted(self._peaks.items()):
                self._write(log, f"GPU {index} peak: {used} of {total} MiB, in {seconds} s")

    def _look(self, log: IO[str]) -> None:
        answer = subprocess.run(self._command, capture_output=True, text=True, check=False)
        for line in answer.stdout.splitlines():
            self._write(log, f"GPU {line}")
            found = _LINE.match(line)
            if found:
                before = self._peaks.get(found["index"], (0, 0))[0]
                peak = max(before, int(found["used"]))
                self._peaks[found["index"]] = peak, int(found["total"])
        log.flush()

    def _write(self, log: IO[str], text: str) -> None:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        log.write(f"{stamp}  {self._stage:<12} {text}\n")
