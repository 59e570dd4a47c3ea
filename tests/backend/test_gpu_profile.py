# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of the GPU's memory, by a program that answers as nvidia-smi does."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from backend.events import EventWriter
from backend.shot import Shot
from backend.worker import gpu_profile
from backend.worker.report import Report

_ANSWERS = """#!{python}
from pathlib import Path
count = Path(__file__).with_name("count")
looks = int(count.read_text()) if count.exists() else 0
beside = count.with_name("beside")
beside.write_text(str(looks + 1))
beside.replace(count)
print(f"0, {{[100, 900, 300][min(looks, 2)]}} MiB, 2048 MiB, 50 %")
print("1, 7 MiB, 4096 MiB, 0 %")
"""


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return Report(EventWriter(tmp_path / "events.jsonl"), tmp_path / "cancel")


@pytest.mark.skipif(os.name == "nt", reason="The stand-in is a script that Windows cannot start")
def test_memory_over_time_and_the_peak_of_every_stage(
    tmp_path: Path, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(_ANSWERS.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setattr(gpu_profile, "INTERVAL", 0.02)
    with gpu_profile.gpu_profile(Shot(tmp_path), "depth", report):
        while not (count := program.with_name("count")).exists() or int(count.read_text()) < 4:
            time.sleep(0.02)
    with gpu_profile.gpu_profile(Shot(tmp_path), "mama", report):
        pass
    lines = (tmp_path / "gpu_profile.log").read_text().splitlines()
    depth = [line for line in lines if " depth " in line]
    assert any(line.endswith("GPU 0, 900 MiB, 2048 MiB, 50 %") for line in depth)
    assert sum("GPU 1, 7 MiB" in line for line in depth) >= 4
    assert "GPU 0 peak: 900 of 2048 MiB, in " in depth[-2]
    assert "GPU 1 peak: 7 of 4096 MiB" in depth[-1]
    assert "mama" in lines[-1]
    assert "GPU 0 peak: 300 of 2048" in lines[-2]


def test_without_a_gpu_it_is_said_and_nothing_else_happens(
    tmp_path: Path, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with gpu_profile.gpu_profile(Shot(tmp_path), "depth", report):
        pass
    assert "nvidia-smi was not found" in (tmp_path / "events.jsonl").read_text()
    assert not (tmp_path / "gpu_profile.log").exists()
