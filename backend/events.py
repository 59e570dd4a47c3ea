# SPDX-License-Identifier: GPL-3.0-or-later
"""The events of a job: names declared once, written and read as JSON Lines.

The worker appends one JSON object a line to `events.jsonl`; readers follow the file. A file, not a
pipe, so that the worker outlives the program that started it.

Every record has `seq` (int, from 1), `time` (seconds since the epoch), `event` and `stage` (the
stage's name, "" outside any); the other keys depend on the event:

    started    pid, versions
    status     text
    progress   done, total, unit        total 0: unknown
    warning    text
    waiting    text, button, link       the user does what `text` says at `link`, presses `button`
    result     path, kind               path relative to the shot
    finished
    canceled
    failed     reason, remedy           remedy: a `Remedy` value or ""
"""

from __future__ import annotations

import json
import os
import time
from enum import Enum
from pathlib import Path
from typing import Any


class Event(str, Enum):
    STARTED = "started"
    STATUS = "status"
    PROGRESS = "progress"
    WARNING = "warning"
    WAITING = "waiting"
    RESULT = "result"
    FINISHED = "finished"
    CANCELED = "canceled"
    FAILED = "failed"


GO_ON = "go_on"
"""The file in a job's folder that says that what it waits for is done."""

TERMINAL = frozenset({Event.FINISHED, Event.CANCELED, Event.FAILED})

Record = dict[str, Any]


class EventWriter:
    """Appends records to an events file, one write a record. Refuses any after a terminal one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stage = ""
        self._seq = 0
        self._closed = False
        self._reader = EventReader(path)

    @property
    def closed(self) -> bool:
        self._catch_up()
        return self._closed

    def _catch_up(self) -> None:
        """Takes note of what is there, by this writer or by the process it handed the job to."""
        for record in self._reader.poll():
            self._seq = record["seq"]
            self._closed = Event(record["event"]) in TERMINAL

    def write(self, event: Event, **fields: Any) -> None:
        if self.closed:
            raise ValueError(f"{event.value} after the job's last event")
        self._seq += 1
        record = {"seq": self._seq, "time": time.time(), "event": event.value, "stage": self.stage}
        line = json.dumps(record | fields, ensure_ascii=False) + "\n"
        # O_APPEND and one write: a reader never sees two half lines joined.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


class EventReader:
    """Follows an events file. `poll()` returns the records that are new since the last call.

    A last line without its newline is left for the next call. A line that is no JSON object with a
    known event (a disk that filled up in mid-line) is skipped.
    """

    def __init__(self, path: Path) -> None:
        self._path = os.fspath(path)
        self._offset = 0

    def poll(self) -> list[Record]:
        try:
            if os.stat(self._path).st_size <= self._offset:
                return []
        except FileNotFoundError:
            return []
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self._offset += whole
        return [record for line in data[:whole].splitlines() if (record := _parse(line))]


def _parse(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
        Event(record["event"])
        record["seq"] = int(record["seq"])
    except (ValueError, KeyError, TypeError):
        return None
    return record if isinstance(record, dict) else None
