# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of recent shots: kept in order, by many programs at once, whatever is in the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from backend import locations
from backend.processes import FileLock
from backend.recent import RecentShots, when

ROOT = Path(__file__).resolve().parents[2]


def shots(home: Path) -> list[str]:
    return [Path(shot.folder).name for shot in RecentShots(home).all()]


def test_the_latest_is_the_first_and_none_is_there_twice(tmp_path: Path) -> None:
    recent = RecentShots(tmp_path / "home")
    assert recent.all() == []
    recent.note(tmp_path / "one", "/plates/one.mov")
    recent.note(tmp_path / "two", "/plates/two.mov")
    recent.note(tmp_path / "x" / ".." / "one")
    assert shots(tmp_path / "home") == ["one", "two"]
    assert recent.all()[0].plate == "/plates/one.mov"


def test_a_shot_that_vanished_stays_in_the_list(tmp_path: Path) -> None:
    recent = RecentShots(tmp_path / "home")
    folder = tmp_path / "sh010"
    folder.mkdir()
    recent.note(folder)
    assert recent.all()[0].exists
    folder.rename(tmp_path / "elsewhere")
    recent.note(tmp_path / "another")
    assert [shot.exists for shot in recent.all()] == [False, False]
    (tmp_path / "elsewhere").rename(folder)
    assert [shot.exists for shot in recent.all()] == [False, True]


def test_programs_that_note_at_once_lose_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from backend.recent import RecentShots\n"
        "for number in range(12):\n"
        "    assert RecentShots(Path(sys.argv[2])).note(Path(f'/shots/{sys.argv[3]}_{number}'))\n"
    )
    command = [sys.executable, "-I", "-B", "-c", program, str(ROOT), str(tmp_path)]
    running = [subprocess.Popen([*command, name]) for name in "abcd"]
    assert [one.wait(timeout=60) for one in running] == [0, 0, 0, 0]
    assert sorted(shots(tmp_path)) == sorted(f"{a}_{n}" for a in "abcd" for n in range(12))
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    "content", ["", "[]", '{"shots": 3}', '{"shots": [3, {"folder": "/a"}]}', "\x00"]
)
def test_a_damaged_list_is_begun_anew(tmp_path: Path, content: str) -> None:
    locations.recent_shots_file(tmp_path).write_text(content)
    assert RecentShots(tmp_path).all() == []
    assert RecentShots(tmp_path).note(tmp_path / "sh010")
    assert shots(tmp_path) == ["sh010"]


def test_a_list_that_cannot_be_written_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("a file where the folder should be")
    assert not RecentShots(tmp_path / "home").note(tmp_path / "sh010")
    monkeypatch.setattr("backend.recent._PATIENCE", 0.05)
    lock = FileLock(locations.locks_folder(tmp_path) / "recent_shots.lock")
    assert lock.acquire()
    assert not RecentShots(tmp_path).note(tmp_path / "sh010")
    lock.release()
    assert RecentShots(tmp_path).note(tmp_path / "sh010")


@pytest.mark.parametrize(
    ("used", "text"),
    [
        (datetime(2026, 11, 23, 9, 5), "today 9:05"),
        (datetime(2026, 11, 22, 23, 59), "yesterday 23:59"),
        (datetime(2026, 11, 2, 12, 0), "2 Nov 2026"),
    ],
)
def test_times_are_told_as_people_do(used: datetime, text: str) -> None:
    assert when(used.timestamp(), datetime(2026, 11, 23, 14, 0).timestamp()) == text


def test_the_command_line_lists_them(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        answer = subprocess.run(
            [sys.executable, "-B", "-m", "backend", "shots", *words],
            cwd=ROOT, env=os.environ | {"SHOT_GOPHER_HOME": str(tmp_path)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return answer.stdout

    assert run() == "No shots yet.\n"
    (tmp_path / "shöt").mkdir()
    RecentShots(tmp_path).note(tmp_path / "gone", "/plates/gone.mov")
    RecentShots(tmp_path).note(tmp_path / "shöt", "/plates/shöt.mov")
    head, first, second = run().splitlines()
    assert head.split() == ["SHOT", "USED", "FOLDER", "PLATE"]
    assert first.split()[0] == "shöt"
    assert first.endswith("/plates/shöt.mov")
    assert second.split()[0] == "gone"
    assert second.endswith("not found")
    records = json.loads(run("--json"))
    assert [(one["name"], one["exists"]) for one in records] == [("shöt", True), ("gone", False)]
