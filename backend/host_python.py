# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python of this machine the worker's environment is made from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .errors import InstallError
from .processes import clean_environment

Version = tuple[int, int]

PROBE_TIMEOUT = 30.0
_MAC_FOLDERS = (
    "/opt/homebrew/bin",
    "/usr/local/bin",
    "/Library/Frameworks/Python.framework/Versions/{version}/bin",
)
# A free-threaded Python (abiflags "t") takes other wheels, and few are made.
_PROBE = """
import importlib.util, json, sys, sysconfig
print(json.dumps({
    "executable": sys.executable,
    "version": sys.version_info[:2],
    "platform": sysconfig.get_platform(),
    "usual": sys.implementation.name == "cpython" and "t" not in getattr(sys, "abiflags", ""),
    "wide": sys.maxsize > 2**32,
    "venv": all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
}))
"""


@dataclass(frozen=True)
class HostPython:
    """A Python as it tells of itself. `problem` says why it cannot be used, "" when it can."""

    executable: Path
    version: Version
    platform: str
    problem: str = ""

    def __str__(self) -> str:
        return f"Python {dotted(self.version)} ({self.executable})"


def dotted(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def choose(
    given: Path,
    versions: Sequence[Version],
    platform: str = sys.platform,
    environ: Mapping[str, str] | None = None,
) -> HostPython:
    """The first usable Python of one of `versions`: `given`, else one that the machine has.

    Raises InstallError with a sentence on what was found and what to install.
    """
    met: list[HostPython] = []
    variables = os.environ if environ is None else environ
    for command in ([str(given)], *candidates(versions, platform, variables)):
        python = probe(command)
        if python is None:
            continue
        met.append(python)
        if python.version in versions and not python.problem:
            return python
    raise InstallError(_why_none(met, versions))


def candidates(
    versions: Sequence[Version], platform: str, environ: Mapping[str, str]
) -> Iterator[list[str]]:
    """Commands that may start a Python of these versions, in the versions' order."""
    folders = [folder for folder in environ.get("PATH", "").split(os.pathsep) if folder]
    for version in versions:
        if platform == "win32":
            yield ["py", f"-{dotted(version)}"]
            continue
        # A program started from macOS's Finder does not have the PATH of a terminal.
        more = _MAC_FOLDERS if platform == "darwin" else ()
        for folder in (*folders, *more):
            path = Path(folder.format(version=dotted(version)) if folder in more else folder)
            file = path / f"python{dotted(version)}"
            if file.is_file():
                yield [str(file)]


def probe(command: Sequence[str]) -> HostPython | None:
    """Asks a Python what it is; None when the command starts none."""
    try:
        answer = subprocess.run(
            [*command, "-I", "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=PROBE_TIMEOUT,
            env=clean_environment(),
        )
        facts = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    python = HostPython(Path(facts["executable"]), tuple(facts["version"]), facts["platform"])
    return replace(python, problem=_problem(python, facts))


def _problem(python: HostPython, facts: Mapping[str, Any]) -> str:
    where = str(python)
    if not facts["usual"]:
        return f"{where} is not the usual build of Python."
    if not facts["wide"]:
        return f"{where} is a 32-bit Python; a 64-bit one is needed."
    if not facts["venv"]:
        return (
            f"{where} cannot make environments: its venv or ensurepip module is missing. On "
            f"Debian or Ubuntu: sudo apt install python{dotted(python.version)}-venv"
        )
    return ""


def _why_none(met: Sequence[HostPython], versions: Sequence[Version]) -> str:
    for python in met:
        if python.version in versions:
            return python.problem
    wanted = " or ".join(dotted(version) for version in versions)
    found = ", ".join(str(python) for python in met) or "none"
    return (
        f"This needs Python {wanted}, and the machine has {found}. Install Python "
        f"{dotted(versions[0])} from python.org or your system's packages, then try again."
    )
