# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing pinned packages into one virtual environment, with pip as a child process.

A run that was killed is taken up where it was: packages that pip finished stay, what it was just
writing is written again.
"""

from __future__ import annotations

import contextlib
import csv
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from . import pip_output, torch_builds
from .errors import InstallError, Remedy
from .groups import GROUPS, Group, installer_pins, pins
from .host_python import HostPython, dotted
from .processes import clean_environment, run_child

WORKER = Path(__file__).resolve().parent / "worker"
UNIT = "packages"
LOG = "install.log"


class InstallReport(Protocol):
    """Who is told how an installation goes on. Any of these may raise Canceled."""

    def status(self, text: str) -> None: ...

    def progress(self, done: int, total: int, unit: str) -> None: ...

    def warning(self, text: str) -> None: ...

    def check(self) -> None: ...


def failed(sentence: str) -> InstallError:
    """What the user may try again."""
    return InstallError(sentence, Remedy.INSTALL_ENVIRONMENT)


class Installation:
    """One run of the installer in `folder`, which holds the environment, its log and pip's files.

    Every method raises InstallError with one sentence, and whatever `report` raises; the child
    that runs then is killed.
    """

    def __init__(
        self, folder: Path, host: HostPython, groups: Sequence[str], report: InstallReport
    ) -> None:
        self._folder = folder
        self._host = host
        self._report = report
        self._venv = folder / "venv"
        self._python = str(venv_python(self._venv))
        self._temporary = folder / "tmp"
        self._pinned = pins(groups, host.version)
        self._total = len(installer_pins(host.version)) + len(self._pinned)
        self._handled: set[str] = set()
        self._build = ""

    @contextlib.contextmanager
    def temporary_folder(self) -> Iterator[None]:
        """Where pip unpacks, for a block: on the disk whose space was looked at."""
        self._temporary.mkdir(exist_ok=True)
        try:
            yield
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def make_venv(self) -> None:
        """Makes the virtual environment anew, with the pip that everything else needs."""
        self._report.status(f"Making an environment with {self._host}")
        command = [str(self._host.executable), "-I", "-m", "venv", "--clear", str(self._venv)]
        status, lines = self._run(command)
        if status:
            raise self._failed(lines, "The environment")

    def install(self, group: str) -> None:
        """Brings a group's packages in and imports its modules where the worker will."""
        for pin in (*installer_pins(self._host.version), *pins((group,), self._host.version)):
            if pin not in self._handled:
                self._install(pin, GROUPS[group])
                self._handled.add(pin)
        for module in GROUPS[group].modules:
            self._tell(f"Checking {module}")
            status, lines = self._run([self._python, "-I", "-B", "-c", f"import {module}"])
            if status:
                raise failed(self._explain_import(group, module, status, lines))
        if GROUPS[group].check:
            self._check(GROUPS[group].check)
        self._report.progress(len(self._handled), self._total, UNIT)

    def _check(self, script: str) -> None:
        """Runs the group's script, and tells what that has found out."""
        self._tell("Trying it out")
        status, lines = self._run([self._python, "-I", "-B", str(WORKER / script)])
        try:
            found = json.loads(lines[-1])
            error, warnings = str(found["error"]), list(found["warnings"])
        except (IndexError, KeyError, TypeError, ValueError):
            error, warnings = pip_output.explain_import(lines, "torch", status), []
        if error:
            raise failed(error)
        for warning in warnings:
            self._report.warning(str(warning))

    def _install(self, pin: str, group: Group) -> None:
        name, _, version = pin.partition("==")
        for package in packages(self._venv, name):
            # What was being written when an earlier run was killed looks installed to pip.
            if not is_whole(package):
                shutil.rmtree(package)
            elif _version_of(package) == version:
                return
        self._tell(f"Installing {name}")
        download = pip_output.DownloadProgress(name)

        def on_line(line: str) -> None:
            text = download.read(line)
            if text:
                self._tell(text)

        options = self._from_one_index() if name in group.built else ["--no-deps"]
        if name in group.unbound:
            options.append("--ignore-requires-python")
        status, lines = self._run([*self._pip_install(), *options, pin], on_line)
        if status:
            raise self._failed(lines, name)

    def _pip_install(self) -> list[str]:
        bar = "raw" if _pip_version(self._venv) >= (24, 1) else "off"
        options = ("--only-binary=:all:", "--no-input", "--no-color", "--retries=3")
        quiet = ("--disable-pip-version-check", "--no-warn-script-location")
        command = [self._python, "-I", "-m", "pip", "install", f"--progress-bar={bar}"]
        return [*command, *options, *quiet]

    def _from_one_index(self) -> list[str]:
        """Options of pip for a package with builds: the index, the same for all of them.

        A CUDA build says itself which libraries of the GPU's vendor it needs, exactly; everything
        else has its pin. --no-deps is for all other packages: nothing comes in beside the pins.
        """
        if not self._build:
            self._build = self._choose_build()
        constraints = self._temporary / "constraints.txt"
        constraints.write_text("\n".join(self._pinned) + "\n", encoding="utf-8")
        options = [f"--constraint={constraints}"]
        if self._build != torch_builds.USUAL:
            options.append(f"--index-url={torch_builds.INDEX.format(build=self._build)}")
        return options

    def _choose_build(self) -> str:
        build = torch_builds.choose()
        if build == torch_builds.USUAL or torch_builds.reachable(build):
            return build
        self._report.warning(
            f"The builds of torch for this machine ({build}) cannot be reached; the usual package "
            "server's are taken."
        )
        return torch_builds.USUAL

    def _tell(self, status: str) -> None:
        self._report.status(status)
        self._report.progress(len(self._handled), self._total, UNIT)

    def _explain_import(self, group: str, module: str, status: int, lines: Sequence[str]) -> str:
        library = pip_output.missing_library(lines)
        if not library:
            return pip_output.explain_import(lines, module, status)
        others = [name for name in self._unloadable(GROUPS[group].libraries) if name != library]
        return pip_output.explain_libraries(module, (library, *others))

    def _unloadable(self, libraries: Sequence[str]) -> list[str]:
        """Those that this system lacks: the loader names only the first one it misses."""
        program = (
            "import ctypes, sys\n"
            "for name in sys.argv[1:]:\n"
            "    try: ctypes.CDLL(name)\n"
            "    except OSError: print('missing', name)\n"
        )
        _status, lines = self._run([self._python, "-I", "-B", "-c", program, *libraries])
        return [line.split()[1] for line in lines if line.startswith("missing ")]

    def _failed(self, lines: Sequence[str], what: str) -> InstallError:
        machine = f"Python {dotted(self._host.version)}, {self._host.platform}"
        return failed(pip_output.explain_install(lines, what, machine, str(self._folder)))

    def _run(
        self, command: Sequence[str], on_line: Callable[[str], None] = lambda _line: None
    ) -> tuple[int, list[str]]:
        """Runs a child, its output into the log. Returns its exit status and its lines."""
        lines: list[str] = []
        with open(self._folder / LOG, "a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n")

            def take(line: str) -> None:
                if not pip_output.is_raw_progress(line):
                    lines.append(line)
                    log.write(line + "\n")
                on_line(line)
                self._report.check()

            environment = pip_environment(self._temporary)
            return run_child(command, take, environment, self._report.check), lines


def venv_python(venv: Path, platform: str = sys.platform) -> Path:
    """The Python program of a virtual environment."""
    return venv / "Scripts" / "python.exe" if platform == "win32" else venv / "bin" / "python"


def venv_runs(venv: Path) -> bool:
    """Whether the environment is there with a whole pip, and the Python it was made from too."""
    try:
        lines = (venv / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    homes = [line.partition("=")[2].strip() for line in lines if line.startswith("home")]
    pips = list(packages(venv, "pip"))
    return (
        venv_python(venv).is_file()
        and bool(homes)
        and Path(homes[0]).is_dir()
        and bool(pips)
        and all(is_whole(pip) for pip in pips)
    )


def pip_environment(temporary: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for pip: the user's servers, proxies and certificates, but no setting that
    sends packages elsewhere; temporary files in `temporary`.
    """
    elsewhere = ("TARGET", "PREFIX", "ROOT", "REQUIRE_HASHES", "NO_BINARY", "DRY_RUN", "PYTHON")
    variables = clean_environment() if base is None else dict(base)
    for name in elsewhere:
        variables.pop(f"PIP_{name}", None)
    return variables | {"PIP_USER": "0"} | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))


def _version_of(package: Path) -> str:
    """The version of a .dist-info folder, without the kind of build ("2.13.0+cu130")."""
    return package.name.removesuffix(".dist-info").partition("-")[2].partition("+")[0]


def site_packages(venv: Path) -> list[Path]:
    """The folder of the installed packages, in a list that is empty when there is none."""
    return [*venv.glob("lib/python3*/site-packages"), *venv.glob("Lib/site-packages")][:1]


def packages(venv: Path, name: str) -> list[Path]:
    """The .dist-info folders of a package, whatever its version."""
    return [
        folder
        for site in site_packages(venv)
        for folder in site.glob("*.dist-info")
        if _plain(folder.name.partition("-")[0]) == _plain(name)
    ]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


def is_whole(package: Path) -> bool:
    """Whether pip finished this package: every file of its RECORD is there in its size.

    pip writes RECORD anew at the very end and names INSTALLER in it; the one inside the wheel,
    which a killed pip leaves behind, does not.
    """
    try:
        with open(package / "RECORD", encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if len(row) == 3]
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    if f"{package.name}/INSTALLER" not in {row[0] for row in rows}:
        return False
    return all(_has_size(package.parent / row[0], row[2]) for row in rows if row[2])


def _has_size(file: Path, size: str) -> bool:
    try:
        return file.stat().st_size == int(size)
    except (OSError, ValueError):
        return False


def _pip_version(venv: Path) -> tuple[int, ...]:
    numbers = (re.findall(r"\d+", package.name)[:2] for package in packages(venv, "pip"))
    return max((tuple(map(int, pair)) for pair in numbers), default=(0, 0))
