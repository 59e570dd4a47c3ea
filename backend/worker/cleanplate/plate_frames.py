# SPDX-License-Identifier: GPL-3.0-or-later
"""The plate's frames, of which as many are kept as fit into some memory: none is decoded twice in a
short shot."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from ...errors import PlateError, Remedy
from ...shot import Plate, Shot
from ..frame_files import Pixels, read_frame

_HELD = 480 * 10**6
"""Bytes of frames, those that are worked on among them."""
_WORKED_ON = 18
"""Frames that are read, filled and written at one time take as much as so many, about."""


class PlateFrames:
    """May be asked from any thread. Keeps frames as long as they, with `worked_on` more, take no
    more than `most` bytes."""

    def __init__(
        self,
        files: Mapping[int, Path],
        size: tuple[int, int],
        most: int = _HELD,
        worked_on: int = _WORKED_ON,
    ) -> None:
        self.files, self._size = files, size
        self._most, self._worked_on = most, worked_on
        self._kept: dict[int, Pixels] = {}
        self._shown: dict[int, Pixels] = {}
        self._held, self._lock = 0, threading.Lock()

    @classmethod
    def of(cls, shot: Shot, plate: Plate) -> PlateFrames:
        files = {number: shot.frame_file(number) for number in plate.frames}
        return cls(files, (plate.width, plate.height))

    def read(self, number: int) -> Pixels:
        """The frame, kept for the next time where there is room: then it cannot be changed. Raises
        PlateError."""
        with self._lock:
            found = self._shown.get(number)
        if found is None:
            found = self._keep(number, self._decoded(number))
        return found

    def take(self, number: int) -> Pixels:
        """The frame for the last time, the caller's own: where it is writable it may be changed, if
        nobody else still looks at it. Raises PlateError."""
        with self._lock:
            self._shown.pop(number, None)
            found = self._kept.pop(number, None)
            self._held -= 0 if found is None else found.nbytes
        return self._decoded(number) if found is None else found

    def _keep(self, number: int, frame: Pixels) -> Pixels:
        """What others may look at."""
        with self._lock:
            needed = self._held + (1 + self._worked_on) * frame.nbytes
            if number not in self._kept and needed <= self._most:
                shown = frame.view()
                shown.setflags(write=False)
                self._kept[number], self._shown[number] = frame, shown
                self._held += frame.nbytes
            return self._shown.get(number, frame)

    def _decoded(self, number: int) -> Pixels:
        file = self.files[number]
        frame = read_frame(file)
        if frame is None or frame.shape[1::-1] != self._size:
            raise PlateError(
                f"{file} is missing or damaged: set the shot up again.", Remedy.SET_UP_SHOT
            )
        return frame
