# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's Python environments: what is on disk, installing and removing them.

    <home>/environments/<fingerprint>/
        environment.json     what it was asked for and which groups are whole
        venv/                the environment itself
        uses/                one locked file a process that runs in it
        install.log          what pip said

The fingerprint is made from the Python version, the platform and the pins, so an environment is
never changed into another one: new pins make a new folder beside the old, which goes when the new
one is whole and nothing runs in it any more. All state is read from disk: a group is whole when
environment.json says so, which is written after its modules were imported once; anything less is
taken up again by the next `install`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path

from . import installation, torch_builds
from .errors import FormatError, InstallError, Remedy, explain_os_error
from .groups import GROUPS, fingerprint, in_order, pins, usable_versions
from .host_python import HostPython, Version, choose, dotted
from .installation import Installation, InstallReport, failed
from .locations import environments_folder, locks_folder
from .processes import FileLock, is_locked
from .shot import read_json, write_json

RECORD = "environment.json"
TRASH = ".old"


class State(str, Enum):
    """What is on disk of some groups."""

    MISSING = "missing"
    INCOMPLETE = "incomplete"
    READY = "ready"


@dataclass(frozen=True)
class Environment:
    """One environment folder as its environment.json tells.

    `asked` are the groups it is made for, `ready` those that are whole, `pins` what those hold.
    `python_version` is such as "3.11"; times are seconds since the epoch.
    """

    folder: Path
    python_version: str
    platform: str
    asked: tuple[str, ...]
    ready: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    created: float = field(default_factory=time.time)
    finished: float = 0.0

    @property
    def venv(self) -> Path:
        return self.folder / "venv"

    @property
    def python(self) -> Path:
        return installation.venv_python(self.venv)

    @property
    def version(self) -> Version:
        major, minor = self.python_version.split(".")
        return int(major), int(minor)

    def serves(self) -> tuple[str, ...]:
        """The groups that are whole in here with today's pins."""
        return tuple(name for name in GROUPS if name in self.ready and self._has_pins(name))

    def _has_pins(self, group: str) -> bool:
        return set(pins((group,), self.version)) <= set(self.pins)

    def has(self, groups: Sequence[str]) -> bool:
        """Whether all these groups can be used from here."""
        return set(groups) <= set(self.serves()) and installation.venv_runs(self.venv)

    def save(self) -> None:
        part = self.folder / f"{RECORD}.part"
        data = {key: value for key, value in asdict(self).items() if key != "folder"}
        write_json(part, data)
        os.replace(part, self.folder / RECORD)

    @classmethod
    def load(cls, folder: Path) -> Environment:
        """Raises FormatError."""
        data = read_json(folder / RECORD)
        try:
            environment = cls(
                folder=folder,
                python_version=str(data["python_version"]),
                platform=str(data["platform"]),
                asked=tuple(map(str, data["asked"])),
                ready=tuple(map(str, data["ready"])),
                pins=tuple(map(str, data["pins"])),
                created=float(data["created"]),
                finished=float(data["finished"]),
            )
            # Read once, so that a damaged number is met here and not later.
            return replace(environment, python_version=dotted(environment.version))
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{folder / RECORD} is damaged: {error!r}.") from error


def environments(home: Path) -> list[Environment]:
    """Every environment with a readable record, whole or not, the newest first."""
    found = []
    for folder in _folders(home):
        with contextlib.suppress(FormatError):
            found.append(Environment.load(folder))
    return sorted(found, key=lambda one: (one.finished, one.created), reverse=True)


def _folders(home: Path, trash: bool = False) -> list[Path]:
    """The environment folders, or those that are on their way out."""
    try:
        entries = list(os.scandir(environments_folder(home)))
    except OSError:
        return []
    return [Path(entry.path) for entry in entries if entry.name.endswith(TRASH) == trash]


def find(home: Path, groups: Sequence[str]) -> Path | None:
    """The Python of the newest environment in which these groups are whole, None when none is."""
    return next((one.python for one in environments(home) if one.has(groups)), None)


def state(home: Path, groups: Sequence[str]) -> tuple[State, Environment | None]:
    """What is there of these groups, and in which environment."""
    there = environments(home)
    for one in there:
        if one.has(groups):
            return State.READY, one
    for one in there:
        if set(groups) <= set(one.asked):
            return State.INCOMPLETE, one
    return State.MISSING, None


@contextlib.contextmanager
def in_use(python: Path) -> Iterator[None]:
    """Keeps the environment of that Python from being removed for a block.

    A Python that is of no environment of ours is let be. Raises InstallError when the environment
    went away just before.
    """
    folder = python.parent.parent.parent
    if folder.parent.name != environments_folder(folder).name:
        yield
        return
    _check_there(folder)
    lock = FileLock(folder / "uses" / f"{os.getpid()}-{secrets.token_hex(4)}.lock")
    with lock.wait(lambda: None, interval=0.02):
        try:
            _check_there(folder)
            yield
        finally:
            lock.release()
            with contextlib.suppress(OSError):
                lock.path.unlink()


def _check_there(folder: Path) -> None:
    if not (folder / RECORD).is_file():
        raise failed("The worker's environment was removed. Install it, then run again.")


def is_used(folder: Path) -> bool:
    """Whether a process holds this environment folder by `in_use` now."""
    return any(is_locked(lock) for lock in (folder / "uses").glob("*.lock"))


def remove(home: Path) -> list[Path]:
    """Removes every environment. Returns the folders left because something runs in them.

    Raises InstallError while one is being installed.
    """
    lock = _change_lock(home)
    try:
        if not lock.acquire():
            raise InstallError("An environment is being installed; cancel that first.")
        return [folder for folder in _folders(home) if not _remove(folder)]
    except OSError as error:
        raise InstallError(explain_os_error(error)) from error
    finally:
        _empty_trash(home)
        lock.release()


def _change_lock(home: Path) -> FileLock:
    return FileLock(locks_folder(home) / "environments.lock")


def _remove(folder: Path) -> bool:
    """Deletes one environment folder, unless it is in use: then False.

    It is renamed first, which hides it from whoever comes next and fails on Windows while a
    program runs from it, and looked at once more for a user who came just before.
    """
    if is_used(folder):
        return False
    trash = folder.with_name(folder.name + TRASH)
    shutil.rmtree(trash, ignore_errors=True)
    try:
        folder.rename(trash)
    except OSError:
        return False
    if is_used(trash):
        trash.rename(folder)
        return False
    shutil.rmtree(trash, ignore_errors=True)
    return True


def _empty_trash(home: Path) -> None:
    """Takes up what an earlier removal could not finish."""
    for folder in _folders(home, trash=True):
        shutil.rmtree(folder, ignore_errors=True)


def install(
    home: Path,
    groups: Sequence[str],
    host_python: Path,
    report: InstallReport,
    online: bool,
) -> Path:
    """Makes the groups available and returns the Python that has them.

    Goes on where an earlier run was stopped. Groups become ready one by one in the order of
    `GROUPS`, so that a later one that fails does not hold up what needs only the earlier ones.
    An environment that was ready stays so until the new one is. Raises InstallError, UsageError
    for a group that does not exist, and whatever `report` raises.
    """
    ordered = in_order(groups)
    found = find(home, ordered)
    if found is not None:
        return found
    if not online:
        sentence = "The worker's environment is not installed, and online access is off."
        raise InstallError(sentence, Remedy.ALLOW_ONLINE)
    try:
        with _change_lock(home).take_turns("Waiting for another installation", report):
            found = find(home, ordered)
            return found or _install(home, ordered, host_python, report)
    except OSError as error:
        raise failed(explain_os_error(error)) from error


def _install(home: Path, groups: tuple[str, ...], host_python: Path, report: InstallReport) -> Path:
    report.status("Looking for a Python")
    host = choose(host_python, usable_versions(groups))
    environment = _begin(home, groups, host)
    _check_space(environment)
    run = Installation(environment.folder, host, groups, report)
    with run.temporary_folder():
        if not installation.venv_runs(environment.venv):
            environment = _mark(environment, ())
            run.make_venv()
        for group in groups:
            run.install(group)
            environment = _mark(environment, (*environment.ready, group))
    _remove_superseded(home, environment)
    return environment.python


def _begin(home: Path, groups: tuple[str, ...], host: HostPython) -> Environment:
    """The environment to install into: the one that an earlier run began, or a new one."""
    name = fingerprint(host.version, host.platform, pins(groups, host.version))
    folder = environments_folder(home) / name
    with contextlib.suppress(FormatError):
        left = Environment.load(folder)
        return replace(left, ready=left.serves())
    environment = Environment(folder, dotted(host.version), host.platform, groups)
    folder.mkdir(parents=True, exist_ok=True)
    environment.save()
    return environment


def _check_space(environment: Environment) -> None:
    """Raises InstallError when the disk cannot take what is still to come."""
    folder = environment.folder
    needed = sum(GROUPS[name].megabytes for name in environment.asked) * 10**6
    if any(GROUPS[name].built for name in environment.asked):
        needed += torch_builds.megabytes(torch_builds.choose()) * 10**6
    there = sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())
    free = shutil.disk_usage(folder).free
    if free + there >= needed:
        return
    raise failed(
        f"The disk has {free // 10**6} MB free and the environment needs about "
        f"{(needed - there) // 10**6} MB more. Free some space, or set SHOT_GOPHER_HOME to a "
        f"folder on another disk; now it is {folder.parent.parent}."
    )


def _mark(environment: Environment, ready: Sequence[str]) -> Environment:
    """Writes down which groups are whole."""
    groups = tuple(dict.fromkeys(ready))
    whole = pins(groups, environment.version)
    marked = replace(environment, ready=groups, pins=whole, finished=time.time() if ready else 0.0)
    marked.save()
    return marked


def _remove_superseded(home: Path, environment: Environment) -> None:
    """Removes what is of no use beside this environment, and what is no environment at all."""
    useful = {
        other.folder
        for other in environments(home)
        if other.folder == environment.folder or not set(other.serves()) <= set(environment.ready)
    }
    for folder in _folders(home):
        if folder not in useful:
            _remove(folder)
    _empty_trash(home)
