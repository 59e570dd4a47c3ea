# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Shot Gopher keeps its own things on a machine. Shots and results are never among them.

    <home>/environments/   the worker's Python environments
    <home>/jobs/           one folder a job
    <home>/locks/          locks between the programs of this machine
    <home>/models/         weights that were downloaded (models.py)
    <home>/recent_shots.json
    <home>/comfyui.json    which ComfyUI server is used

`home` is SHOT_GOPHER_HOME where that is set, else the usual place of the operating system:

    Linux      $XDG_DATA_HOME/shot_gopher, or ~/.local/share/shot_gopher
    macOS      ~/Library/Application Support/Shot Gopher
    Windows    %LOCALAPPDATA%\\Shot Gopher, a folder that does not roam between machines
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

HOME_VARIABLE = "SHOT_GOPHER_HOME"


def home(platform: str = sys.platform, environ: Mapping[str, str] | None = None) -> Path:
    """The folder of everything, absolute; it need not exist. `platform` is as in sys.platform."""
    variables = os.environ if environ is None else environ
    named = variables.get(HOME_VARIABLE, "")
    if named:
        return Path(os.path.abspath(os.path.expanduser(named)))
    user = user_folder(platform, variables)
    if platform == "win32":
        local = variables.get("LOCALAPPDATA", "")
        return (Path(local) if local else user / "AppData" / "Local") / "Shot Gopher"
    if platform == "darwin":
        return user / "Library" / "Application Support" / "Shot Gopher"
    data = variables.get("XDG_DATA_HOME", "")
    # The XDG rule: a path that is not absolute counts as not set.
    return (Path(data) if data.startswith("/") else user / ".local" / "share") / "shot_gopher"


def user_folder(platform: str, environ: Mapping[str, str]) -> Path:
    """The user's own folder."""
    named = environ.get("USERPROFILE" if platform == "win32" else "HOME", "")
    return Path(named) if named else Path.home()


def environments_folder(home: Path) -> Path:
    return home / "environments"


def jobs_folder(home: Path) -> Path:
    return home / "jobs"


def locks_folder(home: Path) -> Path:
    return home / "locks"


def models_folder(home: Path) -> Path:
    return home / "models"


def recent_shots_file(home: Path) -> Path:
    return home / "recent_shots.json"


def comfyui_file(home: Path) -> Path:
    return home / "comfyui.json"
