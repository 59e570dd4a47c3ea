# SPDX-License-Identifier: GPL-3.0-or-later
"""What the verbs print: lines and one progress bar for people, JSON Lines for programs.

The only place of the project that writes to standard output.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from typing import Any, TextIO

BAR_WIDTH = 28
_TELLING = 0.1
"""Share of the work that has to be done before it tells how long the rest will take."""


class Console:
    """Prints to `out`; errors and warnings go to `err`. With `json_events` only events are printed.

    On a terminal the bar redraws in place; elsewhere a line is printed at each tenth.
    """

    def __init__(
        self, json_events: bool = False, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.json_events = json_events
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._live = self._out.isatty()
        self._bar = ""
        self._tenth: tuple[str, int] = ("", -1)
        self._began: tuple[str, float, int] = ("", 0.0, 0)

    def line(self, text: str = "") -> None:
        if not self.json_events:
            self._clear()
            self._write(self._out, text + "\n")

    def event(self, record: dict[str, Any]) -> None:
        if self.json_events:
            self._write(self._out, json.dumps(record, ensure_ascii=False) + "\n")

    def warning(self, text: str) -> None:
        self._clear()
        self._write(self._err, f"Warning: {text}\n")

    def error(self, text: str) -> None:
        self._clear()
        self._write(self._err, f"Error: {text}\n")

    def progress(self, label: str, done: int, total: int, unit: str) -> None:
        """Shows `done` of `total` (0: unknown) with the time that is left."""
        if self.json_events:
            return
        if self._began[0] != label or done < self._began[2]:
            self._began = (label, time.monotonic(), done)
        text = self._bar_text(label, done, total, unit)
        if self._live:
            self._redraw(text)
            return
        tenth = (label, done * 10 // total if total else 0)
        if tenth != self._tenth:
            self._tenth = tenth
            self._write(self._out, text + "\n")

    def _bar_text(self, label: str, done: int, total: int, unit: str) -> str:
        if not total:
            return f"{label:<14} {done} {unit}"
        filled = BAR_WIDTH * min(done, total) // total
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        return f"{label:<14} [{bar}] {done}/{total} {unit}{self._time_left(done, total)}"

    def _time_left(self, done: int, total: int) -> str:
        _label, since, start = self._began
        elapsed = time.monotonic() - since
        if done - start < total * _TELLING or elapsed < 1 or done >= total:
            return ""
        seconds = round(elapsed / (done - start) * (total - done))
        return f"  {seconds // 60}:{seconds % 60:02d} left"

    def _redraw(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        shown = text[:width]
        self._write(self._out, "\r" + shown.ljust(len(self._bar)))
        self._bar = shown

    def _clear(self) -> None:
        if self._bar:
            self._write(self._out, "\r" + " " * len(self._bar) + "\r")
            self._bar = ""

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        stream.write(text)
        stream.flush()
