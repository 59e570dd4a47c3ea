# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stage is given: where to read and write, and how to tell and to be told to stop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from ..errors import Canceled
from ..events import GO_ON, Event, EventWriter
from ..outputs import Writing
from ..shot import Shot

Options = TypeVar("Options")

PROGRESS_INTERVAL = 0.1
"""Seconds between two progress events of the same count; the last one always goes out."""


class Report:
    """Writes a stage's events; raises Canceled at safe points once `cancel_file` exists.

    `attended`: somebody is there to press a button that a stage waits for.
    """

    def __init__(self, events: EventWriter, cancel_file: Path, attended: bool = False) -> None:
        self._events = events
        self._cancel_file = cancel_file
        self._go_on_file = cancel_file.with_name(GO_ON)
        self.attended = attended
        self._last_progress = 0.0
        self._shield = 0
        self.cancel_requested = False
        self.results: list[str] = []

    def status(self, text: str) -> None:
        self.check()
        self._last_progress = 0.0  # Where the next count begins is never left out.
        self._events.write(Event.STATUS, text=text)

    def warning(self, text: str) -> None:
        self._events.write(Event.WARNING, text=text)

    def progress(self, done: int, total: int, unit: str) -> None:
        """`done` of `total` (0: unknown), `unit` in plural. Checks for cancel."""
        now = time.monotonic()
        if done < total and now - self._last_progress < PROGRESS_INTERVAL:
            return
        self._last_progress = now
        self.check()
        self._events.write(Event.PROGRESS, done=done, total=total, unit=unit)

    def waiting(self, text: str, button: str, link: str) -> None:
        """The user does what `text` says at `link` and then presses `button`."""
        self._go_on_file.unlink(missing_ok=True)
        self._events.write(Event.WAITING, text=text, button=button, link=link)

    def has_pressed(self) -> bool:
        """Whether the button was pressed, which is forgotten then."""
        pressed = self._go_on_file.exists()
        self._go_on_file.unlink(missing_ok=True)
        return pressed

    def result(self, path: str, kind: str) -> None:
        """A finished file or folder, relative to the shot. `results` keeps the paths."""
        self.results.append(path)
        self._events.write(Event.RESULT, path=path, kind=kind)

    def check(self) -> None:
        """Raises Canceled when the user asked to stop. Call it where stopping is safe."""
        if self._shield == 0 and (self.cancel_requested or self._cancel_file.exists()):
            self.cancel_requested = True
            raise Canceled

    def interrupt(self) -> None:
        """Called by the signal handler: stops now, or at the end of `uninterrupted`."""
        self.cancel_requested = True
        if self._shield == 0:
            raise Canceled

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """A block that a cancel must not cut in two."""
        self._shield += 1
        try:
            yield
        finally:
            self._shield -= 1


@dataclass(frozen=True)
class Context(Generic[Options]):
    """One run of one stage.

    Stages read from `shot`, write into `part.folder(name)` and put figures worth keeping in
    stage.json into `record`. `plate` is the movie, folder or file the shot is made from ("" when
    the shot has its frames). `blender` names the Blender program to use, "" to find one.
    """

    shot: Shot
    options: Options
    plate: str
    blender: str
    part: Writing
    report: Report
    record: dict[str, Any] = field(default_factory=dict)
