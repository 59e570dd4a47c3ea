# SPDX-License-Identifier: GPL-3.0-or-later
"""What the verbs print: lines and one progress bar for people, JSON Lines for programs.

The only place of the project that writes to standard output.
"""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any, TextIO

BAR_WIDTH = 28


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

    def progress(self, label: str, done: int, total: int, unit: str, left: str = "") -> None:
        """Shows `done` of `total` (0: unknown); `left` is the time that is left, in words."""
        if self.json_events:
            return
        text = self._bar_text(label, done, total, unit)
        text = f"{text}  {left}" if left else text
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
        return f"{label:<14} [{bar}] {done}/{total} {unit}"

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
