# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts what Shot Gopher's draw() calls do with the disk, which must be nothing."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import bpy


class DrawWatch:
    """Wraps the draw of every panel; `touched` are the disk accesses seen in there."""

    def __init__(self) -> None:
        self.draws: dict[str, int] = {}
        self.touched: list[str] = []
        self._inside = False
        self._thread = threading.get_ident()

    def start(self) -> None:
        sys.addaudithook(self._audit)
        for name in ("stat", "lstat", "access"):
            self._wrap_os(name)
        for name in dir(bpy.types):
            if name.startswith("SHOTGOPHER_PT_"):
                self._wrap_draw(getattr(bpy.types, name))
        for group in bpy.types.AddonPreferences.__subclasses__():
            if group.__name__.startswith("SHOTGOPHER_"):
                self._wrap_draw(group)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        inside = self._inside and threading.get_ident() == self._thread
        if inside and (event == "open" or event.startswith(("os.", "subprocess.", "socket."))):
            self.touched.append(f"{event} {arguments[:1]}")

    def _wrap_os(self, name: str) -> None:
        original = getattr(os, name)

        def counted(*arguments: Any, **words: Any) -> Any:
            if self._inside and threading.get_ident() == self._thread:
                self.touched.append(f"os.{name} {arguments[:1]}")
            return original(*arguments, **words)

        setattr(os, name, counted)

    def _wrap_draw(self, panel: type) -> None:
        original = panel.draw

        def draw(this: Any, context: bpy.types.Context) -> None:
            self._inside = True
            try:
                original(this, context)
            except Exception as error:
                self.touched.append(f"{panel.__name__} raised {error!r}")
                raise
            finally:
                self._inside = False
                self.draws[panel.__name__] = self.draws.get(panel.__name__, 0) + 1

        panel.draw = draw
