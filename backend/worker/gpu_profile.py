# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs the GPU's memory while a stage runs (`--gpu-profile`), into the shot's gpu_profile.log."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..shot import Shot
from .report import Report

INTERVAL = 2.0
"""Seconds between two looks."""
_QUERY = ("--query-gpu=index,memory.used,memory.total,utilization.gpu", "--format=csv,noheader")


@contextmanager
def gpu_profile(shot: Shot, stage: str, report: Report) -> Iterator[None]:
    """Samples every GPU for the length of the block; warns where nvidia-smi cannot be had."""
    program = shutil.which("nvidia-smi")
    if program is None:
        report.warning("No GPU profile: nvidia-smi was not found on this machine.")
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_sample, args=(program, shot, stage, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _sample(program: str, shot: Shot, stage: str, ended: threading.Event) -> None:
    with (shot.path / "gpu_profile.log").open("a", encoding="utf-8") as log:
        while True:
            answer = subprocess.run([program, *_QUERY], capture_output=True, text=True, check=False)
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            for line in answer.stdout.splitlines():
                log.write(f"{stamp}  {stage:<12} GPU {line}\n")
            log.flush()
            if ended.wait(INTERVAL):
                return
