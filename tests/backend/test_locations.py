# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are kept, for each operating system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backend import locations

LINUX = {"HOME": "/home/ada"}
MAC = {"HOME": "/Users/ada"}
WINDOWS = {"USERPROFILE": "C:/Users/ada", "LOCALAPPDATA": "C:/Users/ada/AppData/Local"}


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", LINUX, "/home/ada/.local/share/shot_gopher"),
        ("linux", LINUX | {"XDG_DATA_HOME": "/data/ada"}, "/data/ada/shot_gopher"),
        ("linux", LINUX | {"XDG_DATA_HOME": "relative"}, "/home/ada/.local/share/shot_gopher"),
        ("darwin", MAC, "/Users/ada/Library/Application Support/Shot Gopher"),
        (
            "darwin",
            MAC | {"XDG_DATA_HOME": "/x"},
            "/Users/ada/Library/Application Support/Shot Gopher",
        ),
        ("win32", WINDOWS, "C:/Users/ada/AppData/Local/Shot Gopher"),
        ("win32", {"USERPROFILE": "C:/Users/ada"}, "C:/Users/ada/AppData/Local/Shot Gopher"),
    ],
)
def test_home_is_the_usual_place(platform: str, environ: dict[str, str], expected: str) -> None:
    assert locations.home(platform, environ) == Path(expected)


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_the_variable_wins_everywhere(platform: str, tmp_path: Path) -> None:
    environ = LINUX | WINDOWS | {"SHOT_GOPHER_HOME": str(tmp_path / "my home")}
    assert locations.home(platform, environ) == tmp_path / "my home"


def test_a_relative_variable_is_made_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOT_GOPHER_HOME", "here")
    assert locations.home() == Path(os.getcwd()) / "here"


def test_a_tilde_is_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOT_GOPHER_HOME", os.path.join("~", "gopher"))
    assert locations.home() == Path.home() / "gopher"


def test_folders_lie_in_home_and_nothing_is_made(tmp_path: Path) -> None:
    folders = {
        locations.environments_folder(tmp_path),
        locations.jobs_folder(tmp_path),
        locations.locks_folder(tmp_path),
    }
    assert len(folders) == 3
    assert {folder.parent for folder in folders} == {tmp_path}
    assert not list(tmp_path.iterdir())
