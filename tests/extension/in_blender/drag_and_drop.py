# SPDX-License-Identifier: GPL-3.0-or-later
"""X Y PATH...: drops files at a place of the X screen, as a file manager does (XDND version 5).

Needs nothing but Python and libX11. Exit status 0 when the window there took them.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_CLIENT_MESSAGE, _SELECTION_REQUEST, _SELECTION_NOTIFY = 33, 30, 31
_BITS_OF_A_LONG = 32
_MOVES = 5
_PATIENCE = 5.0

Long, ULong, Int = ctypes.c_long, ctypes.c_ulong, ctypes.c_int
_HEAD = [("type", Int), ("serial", ULong), ("send_event", Int), ("display", ctypes.c_void_p)]


class ClientMessage(ctypes.Structure):
    _fields_ = [*_HEAD, ("window", ULong), ("kind", ULong), ("format", Int), ("data", Long * 5)]


class SelectionRequest(ctypes.Structure):
    _names = ("owner", "requestor", "selection", "target", "property", "time")
    _fields_ = [*_HEAD, *((name, ULong) for name in _names)]


class SelectionNotify(ctypes.Structure):
    _names = ("requestor", "selection", "target", "property", "time")
    _fields_ = [*_HEAD, *((name, ULong) for name in _names)]


class AnyEvent(ctypes.Union):
    _fields_ = [
        ("type", Int),
        ("message", ClientMessage),
        ("request", SelectionRequest),
        ("notify", SelectionNotify),
        ("room", Long * 24),
    ]


_x11 = ctypes.CDLL("libX11.so.6")
for _name in ("XOpenDisplay", "XDefaultRootWindow", "XCreateSimpleWindow", "XInternAtom"):
    getattr(_x11, _name).restype = ctypes.c_void_p if _name == "XOpenDisplay" else ULong


class Source:
    """The program that files are dragged from."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._uris = "".join(f"{Path(path).as_uri()}\r\n" for path in paths).encode()
        self._display = ctypes.c_void_p(_x11.XOpenDisplay(None))
        self._root = ULong(_x11.XDefaultRootWindow(self._display))
        zero, one = ULong(0), ULong(1)
        self._window = ULong(
            _x11.XCreateSimpleWindow(self._display, self._root, 0, 0, one, one, zero, zero, zero)
        )
        selection = self._atom("XdndSelection")
        _x11.XSetSelectionOwner(self._display, selection, self._window, ULong(0))

    def drop(self, x: int, y: int) -> bool:
        """Moves in from the side and lets go at that place; whether the files were taken."""
        target = self._window_at(x, y)
        mine, uris = self._window.value, self._atom("text/uri-list").value
        self._send(target, "XdndEnter", mine, 5 << 24, uris)
        copy = self._atom("XdndActionCopy").value
        for step in reversed(range(_MOVES)):
            self._send(target, "XdndPosition", mine, 0, (x - step) << 16 | y, 0, copy)
            self._wait_for("XdndStatus")
        self._send(target, "XdndDrop", mine, 0, 0)
        return self._wait_for("XdndFinished")

    def _atom(self, name: str) -> ctypes.c_ulong:
        return ULong(_x11.XInternAtom(self._display, name.encode(), 0))

    def _window_at(self, x: int, y: int) -> ctypes.c_ulong:
        """Without a window manager a program's window is right on the screen."""
        _x11.XWarpPointer(self._display, ULong(0), self._root, 0, 0, 0, 0, x, y)
        _x11.XSync(self._display, 0)
        root, child, mask = ULong(), ULong(), ctypes.c_uint()
        places = [ctypes.byref(Int()) for _ in range(4)]
        _x11.XQueryPointer(
            self._display, self._root, ctypes.byref(root), ctypes.byref(child), *places,
            ctypes.byref(mask),
        )  # fmt: skip
        return child

    def _send(self, target: ctypes.c_ulong, name: str, *data: int) -> None:
        event = AnyEvent()
        event.message.type, event.message.window = _CLIENT_MESSAGE, target.value
        event.message.kind, event.message.format = self._atom(name).value, _BITS_OF_A_LONG
        event.message.data[:] = [*data, *([0] * (5 - len(data)))]
        self._put(target, event)

    def _put(self, window: ctypes.c_ulong, event: AnyEvent) -> None:
        _x11.XSendEvent(self._display, window, 0, Long(0), ctypes.byref(event))
        _x11.XFlush(self._display)

    def _wait_for(self, name: str) -> bool:
        wanted = self._atom(name).value
        return self._events(
            lambda event: event.type == _CLIENT_MESSAGE and event.message.kind == wanted
        )

    def _events(self, done: Callable[[AnyEvent], bool]) -> bool:
        """Answers who asks for the files, until an event is the awaited one."""
        give_up = time.monotonic() + _PATIENCE
        event = AnyEvent()
        while time.monotonic() < give_up:
            if not _x11.XPending(self._display):
                time.sleep(0.01)
                continue
            _x11.XNextEvent(self._display, ctypes.byref(event))
            if event.type == _SELECTION_REQUEST:
                self._hand_over(event.request)
            elif done(event):
                return True
        return False

    def _hand_over(self, asked: SelectionRequest) -> None:
        requestor = ULong(asked.requestor)
        _x11.XChangeProperty(
            self._display, requestor, ULong(asked.property), ULong(asked.target), 8, 0, self._uris,
            len(self._uris),
        )  # fmt: skip
        event = AnyEvent()
        event.notify.type = _SELECTION_NOTIFY
        for name in SelectionNotify._names:
            setattr(event.notify, name, getattr(asked, name))
        self._put(requestor, event)


if __name__ == "__main__":
    x, y, *paths = sys.argv[1:]
    sys.exit(0 if Source(paths).drop(int(x), int(y)) else 1)
