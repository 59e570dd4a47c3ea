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
from backend.processes import WINDOWS, FileLock, clean_environment

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_BPY = "4.5.15"
BPY_VERSIONS = ("4.2.23", DEFAULT_BPY, "5.0.1")
_PINS = ROOT / "backend" / "requirements"
_CORE, *_WORKER = (
    _PINS / f"{group}.txt" for group in ("core", "ml", "depth", "propainter", "mocap", "dense")
)
_TOOLS = ROOT / "tests" / "requirements.txt"
_BODIES = ROOT / "tests" / "body_model_requirements.txt"
_LOOSE = {_PINS / "depth.txt", _PINS / "mocap.txt", _BODIES}
"""Their packages name others, which the worker does without: pip takes them as they are."""


def test_python(bpy_version: str) -> Path:
    """The Python of the environment with that bpy wheel, made if it is not there yet.

    bpy wheels exist for Python 3.11 only; ends the program with a sentence when there is none.
    """
    return _python_of(f"bpy-{bpy_version}", (_CORE, _TOOLS), (f"bpy=={bpy_version}",))


def worker_python() -> Path:
    """The Python of an environment with everything that the worker has, and no bpy.

    The two in one process keep it from ending.
    """
    return _python_of("worker", (_CORE, *_WORKER, _TOOLS, _BODIES), ())


def worker_pytest() -> list[str]:
    """The command that runs pytest with all that the worker has.

    pytest imports the repository's root, which is Blender's package: it is given a bpy without
    anything in it.
    """
    return [str(worker_python()), "-B", "-m", "pytest", "-o", "pythonpath=tests/without_blender"]


def _python_of(name: str, files: Sequence[Path], packages: Sequence[str]) -> Path:
    base = _python_311()
    key = hashlib.sha256()
    for requirements in files:
        key.update(requirements.read_bytes())
    folder = home() / "tests" / f"{name}-{key.hexdigest()[:12]}"
    python = folder / ("Scripts/python.exe" if WINDOWS else "bin/python")
    if (folder / "ready").exists():
        return python
    strict = [word for file in files if file not in _LOOSE for word in ("-r", str(file))]
    loose = [["--no-deps", "-r", str(file)] for file in files if file in _LOOSE]
    # Tests that start at the same time make it once.
    with FileLock(folder.with_name(f"{folder.name}.lock")).wait(lambda: None):
        if not (folder / "ready").exists():
            _make(folder, base, python, [[*strict, *packages], *loose])
    return python


def _python_311() -> str:
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    found = shutil.which("python3.11")
    if found is None:
        sys.exit("The tests need Python 3.11, because Blender's wheels are made for it.")
    return found


def _make(folder: Path, base: str, python: Path, wanted: Sequence[Sequence[str]]) -> None:
    """`wanted` are what pip is told to install, run by run."""
    print(f"Making the test environment {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    for command in ([base, "-m", "venv", str(folder)], *([*install, *run] for run in wanted)):
        if call(command, ROOT):
            sys.exit(f"The test environment cannot be made: {' '.join(command)}")
    (folder / "ready").touch()


def call(command: Sequence[str], folder: Path) -> int:
    """Runs a program in a folder, its output shown. Returns its exit status."""
    environment = clean_environment() | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode
