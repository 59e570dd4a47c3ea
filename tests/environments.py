# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual environments that tests and benches run in: the worker's own pins plus tools."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from backend.locations import home
from backend.processes import WINDOWS, clean_environment

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_BPY = "4.5.15"
BPY_VERSIONS = ("4.2.23", DEFAULT_BPY, "5.0.1")
REQUIREMENTS = (ROOT / "backend" / "requirements" / "core.txt", ROOT / "tests" / "requirements.txt")


def test_python(bpy_version: str) -> Path:
    """The Python of the environment with that bpy wheel, made if it is not there yet.

    bpy wheels exist for Python 3.11 only; ends the program with a sentence when there is none.
    """
    base = _python_311()
    key = hashlib.sha256()
    for requirements in REQUIREMENTS:
        key.update(requirements.read_bytes())
    folder = home() / "tests" / f"bpy-{bpy_version}-{key.hexdigest()[:12]}"
    python = folder / ("Scripts/python.exe" if WINDOWS else "bin/python")
    if not (folder / "ready").exists():
        _make(folder, base, python, bpy_version)
    return python


def _python_311() -> str:
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    found = shutil.which("python3.11")
    if found is None:
        sys.exit("The tests need Python 3.11, because Blender's wheels are made for it.")
    return found


def _make(folder: Path, base: str, python: Path, bpy_version: str) -> None:
    print(f"Making the test environment with bpy {bpy_version} in {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    files = [word for file in REQUIREMENTS for word in ("-r", str(file))]
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    for command in ([base, "-m", "venv", str(folder)], [*install, *files, f"bpy=={bpy_version}"]):
        if call(command, ROOT):
            sys.exit(f"The test environment cannot be made: {' '.join(command)}")
    (folder / "ready").touch()


def call(command: Sequence[str], folder: Path) -> int:
    """Runs a program in a folder, its output shown. Returns its exit status."""
    environment = clean_environment() | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode
