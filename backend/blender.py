# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender that builds scenes in the background: a program, or the bpy wheel.

A program may be named (by a path, a command, or the variable SHOT_GOPHER_BLENDER); else the one on
PATH is taken, or the newest in the usual places; and where there is none, the wheel in the worker's
environment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import BlenderError
from .locations import user_folder
from .processes import clean_environment

BLENDER_VARIABLE = "SHOT_GOPHER_BLENDER"
OLDEST = (4, 2)
VERSION_TIMEOUT = 60.0

_VERSION = re.compile(r"^Blender (\d+)\.(\d+)(?:\.(\d+))?", re.MULTILINE)
_HOW_TO_GET_ONE = (
    "Install Blender 4.2 or newer from blender.org and name it with --blender or "
    f"{BLENDER_VARIABLE}, or install Python 3.11, for which Blender comes as a Python package."
)


@dataclass(frozen=True)
class BlenderProgram:
    """`path` is a Blender program, or with `is_wheel` a Python that can import bpy."""

    path: Path
    is_wheel: bool = False

    def command(self, script: Path, arguments: Sequence[str]) -> list[str]:
        """Runs a script with bpy in a factory-fresh Blender without a window.

        The script finds its arguments in sys.argv after "--". A script that raises makes the exit
        status 1. A Blender program does not heed PYTHONDONTWRITEBYTECODE: the script sets
        sys.dont_write_bytecode before it imports from a folder that must not be written to.
        """
        if self.is_wheel:
            return [str(self.path), "-I", "-B", str(script), "--", *arguments]
        plain = ["-b", "--factory-startup", "--python-exit-code", "1"]
        return [str(self.path), *plain, "--python", str(script), "--", *arguments]


def find(named: str, environment_python: Path | None) -> BlenderProgram:
    """The Blender to use: the named one, else one of the machine's, else the wheel.

    A named one that cannot be used is an error, never passed over. Raises BlenderError.
    """
    program = find_program(named)
    if program is not None:
        return program
    if environment_python is not None and _has_bpy(environment_python):
        return BlenderProgram(environment_python, is_wheel=True)
    raise BlenderError(f"No Blender was found. {_HOW_TO_GET_ONE}")


def find_program(named: str) -> BlenderProgram | None:
    """The named Blender program, else the first usable of the machine's; None without any.

    Raises BlenderError when one is named and cannot be used.
    """
    name = named or os.environ.get(BLENDER_VARIABLE, "")
    if name:
        return _named(name)
    for path in candidates(sys.platform, os.environ):
        program = BlenderProgram(path)
        try:
            if version(program)[:2] >= OLDEST:
                return program
        except BlenderError:
            continue
    return None


def _named(name: str) -> BlenderProgram:
    path = _program_in(Path(name).expanduser())
    found = shutil.which(str(path))
    if found is None:
        raise BlenderError(f"There is no Blender program {name}. {_HOW_TO_GET_ONE}")
    program = BlenderProgram(Path(found).absolute())
    number = version(program)
    if number[:2] < OLDEST:
        text = ".".join(map(str, number))
        raise BlenderError(f"{name} is Blender {text}; Blender 4.2 or newer is needed.")
    return program


def _program_in(path: Path) -> Path:
    """The program itself, when its folder or macOS's application is named instead."""
    if not path.is_dir():
        return path
    inside = (
        "Contents/MacOS/Blender",
        "blender",
        "blender.exe",
        "Blender.app/Contents/MacOS/Blender",
    )
    return next((path / name for name in inside if (path / name).is_file()), path)


def candidates(platform: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """Where a Blender program usually lies: on PATH, then in install folders, newest first."""
    on_path = shutil.which("blender", path=environ.get("PATH", ""))
    if on_path:
        yield Path(on_path)
    for folder, pattern in install_places(platform, environ):
        found = (file for file in folder.glob(pattern) if file.is_file())
        yield from sorted(found, key=_numbers, reverse=True)


def install_places(platform: str, environ: Mapping[str, str]) -> list[tuple[Path, str]]:
    """Folders and what to look for in them."""
    user = user_folder(platform, environ)
    if platform == "win32":
        programs = Path(environ.get("ProgramFiles") or "C:/Program Files")
        older = Path(environ.get("ProgramFiles(x86)") or "C:/Program Files (x86)")
        return [
            (programs / "Blender Foundation", "*/blender.exe"),
            (older / "Steam" / "steamapps" / "common" / "Blender", "blender.exe"),
            (user, "[Bb]lender*/blender.exe"),
        ]
    if platform == "darwin":
        inside = "Blender*.app/Contents/MacOS/Blender"
        return [(Path("/Applications"), inside), (user / "Applications", inside)]
    steam = user / ".local" / "share" / "Steam" / "steamapps" / "common" / "Blender"
    return [
        (user, "[Bb]lender*/blender"),
        (Path("/opt"), "[Bb]lender*/blender"),
        (Path("/usr/local"), "[Bb]lender*/blender"),
        (Path("/snap/bin"), "blender"),
        (steam, "blender"),
    ]


def _numbers(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", str(path)))


def version(program: BlenderProgram) -> tuple[int, int, int]:
    """What a Blender says it is, such as (4, 5, 15). Raises BlenderError when it does not run."""
    command = [str(program.path), "--version"]
    if program.is_wheel:
        show = "import bpy; print('Blender', '.'.join(map(str, bpy.app.version)))"
        command = [str(program.path), "-I", "-B", "-c", show]
    try:
        answer = _ask(command)
    except (OSError, subprocess.SubprocessError) as error:
        raise BlenderError(f"{program.path} does not run as a Blender: {error}.") from error
    found = _VERSION.search(answer)
    if found is None:
        raise BlenderError(f"{program.path} is not a Blender.")
    major, minor, patch = (int(number or 0) for number in found.groups())
    return major, minor, patch


def _has_bpy(python: Path) -> bool:
    show = "import importlib.util; print(importlib.util.find_spec('bpy') is not None)"
    try:
        return _ask([str(python), "-I", "-B", "-c", show]).strip() == "True"
    except (OSError, subprocess.SubprocessError):
        return False


def _ask(command: Sequence[str]) -> str:
    answer = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=True,
        timeout=VERSION_TIMEOUT,
        env=clean_environment(),
    )
    return answer.stdout
