# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker decides before a stage runs: its environment, and whether an output may stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend import environment
from backend.errors import InstallError
from backend.events import Event, EventReader, EventWriter
from backend.jobs import Request, StageRequest
from backend.worker import runner
from backend.worker.report import Report

CORE = Path("core python")


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return Report(EventWriter(tmp_path / "events.jsonl"), tmp_path / "cancel")


@pytest.fixture(autouse=True)
def _no_blender_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which `core` can be had and the wheel of Blender cannot."""

    def install(_home: Path, groups: tuple[str, ...], *_others: object) -> Path:
        if "blender" in groups:
            raise InstallError("There is no wheel of Blender for this Python.")
        return CORE

    monkeypatch.setattr(environment, "install", install)


def test_a_missing_blender_wheel_holds_nothing_up(report: Report, tmp_path: Path) -> None:
    request = Request("shot", "", (StageRequest("ingest", {}),), install=("blender",))
    assert runner._environment(request, report) == CORE
    (warning,) = EventReader(tmp_path / "events.jsonl").poll()
    assert warning["event"] == Event.WARNING
    assert warning["text"] == "There is no wheel of Blender for this Python."


def test_asked_for_by_itself_it_is_a_failure(report: Report) -> None:
    with pytest.raises(InstallError):
        runner._environment(Request("", "", (), install=("blender",)), report)
