# SPDX-License-Identifier: GPL-3.0-or-later
"""The shots that were worked on lately on this machine, from every Blender and command line.

They are kept in one file beside the jobs (locations.py), outside any .blend. A shot whose folder
cannot be found now stays in the list: its drive may be back tomorrow.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from . import locations
from .errors import FormatError
from .processes import FileLock
from .shot import folder_key, read_json, write_json

SHOWN = 10
"""How many a menu offers."""
_KEPT = 100
_PATIENCE = 2.0
"""Seconds that another program may hold the list; it needs some milliseconds."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecentShot:
    """`folder` is absolute, `plate` "" where it is not known, `used` in seconds since the epoch."""

    folder: str
    plate: str
    used: float

    @property
    def name(self) -> str:
        return Path(self.folder).name

    @property
    def exists(self) -> bool:
        return Path(self.folder).is_dir()


class RecentShots:
    """The list in one home folder. Any number of programs may read and note at once."""

    def __init__(self, home: Path) -> None:
        self._file = locations.recent_shots_file(home)
        self._lock = locations.locks_folder(home) / "recent_shots.lock"

    def all(self) -> list[RecentShot]:
        """Newest first. A list that is missing or damaged is an empty one."""
        try:
            entries = read_json(self._file).get("shots")
        except FormatError:
            return []
        found = [_read(entry) for entry in entries] if isinstance(entries, list) else []
        return sorted((shot for shot in found if shot), key=lambda shot: shot.used, reverse=True)

    def note(self, folder: Path, plate: str = "") -> bool:
        """Puts a shot first. `plate` "" leaves what is known of it.

        Returns whether it was written: work on a shot never fails for want of this.
        """
        try:
            give_up = time.monotonic() + _PATIENCE
            with FileLock(self._lock).wait(lambda: _hurry(give_up), interval=0.01):
                self._write(_with(self.all(), folder, plate))
        except OSError as error:
            _log.warning("%s cannot be noted: %s", self._file, error)
            return False
        return True

    def _write(self, shots: Sequence[RecentShot]) -> None:
        """Takes the lock for granted. A reader meets the old list or the new one."""
        part = self._file.with_suffix(".part")
        write_json(part, {"shots": [asdict(shot) for shot in shots]})
        os.replace(part, self._file)


def _hurry(give_up: float) -> None:
    if time.monotonic() > give_up:
        raise TimeoutError("another program holds it")


def _read(entry: object) -> RecentShot | None:
    try:
        return RecentShot(str(entry["folder"]), str(entry["plate"]), float(entry["used"]))  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        return None


def _with(known: Sequence[RecentShot], folder: Path, plate: str) -> list[RecentShot]:
    key = folder_key(str(folder))
    before = next((shot for shot in known if folder_key(shot.folder) == key), None)
    plate = plate or (before.plate if before else "")
    others = [shot for shot in known if shot is not before]
    return [RecentShot(str(folder.absolute()), plate, time.time()), *others][:_KEPT]


def when(used: float, now: float) -> str:
    """A day and time as people say it: "today 14:20", "yesterday 9:05", "12 Nov 2026"."""
    moment, today = datetime.fromtimestamp(used), datetime.fromtimestamp(now)
    days = {today.date(): "today", today.date() - timedelta(1): "yesterday"}
    if moment.date() in days:
        return f"{days[moment.date()]} {moment.hour}:{moment.minute:02d}"
    return f"{moment.day} {moment:%b %Y}"
