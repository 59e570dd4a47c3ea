# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a movie's frames are woven of two fields, and which field is the earlier one.

Files that say so are often wrong: progressive pictures travel in interlaced streams, and woven ones
lose their tag when they are coded again. So the pictures themselves are looked at, by ffmpeg's
filter idet; where they tell nothing (nothing moves), the file's word holds.
"""

from __future__ import annotations

import contextlib
import re
import time

import ffmpeg
import imageio_ffmpeg

from ..processes import run_child
from .media import BOTTOM_FIRST, TOP_FIRST, Movie

_LOOKED_AT = 40
"""Frames, from the middle of the movie."""
_TOLD = 4
"""Frames that must show what they are."""
_LONGEST = 20.0
"""Seconds after which the file's word holds."""
_HEIGHTS = frozenset({480, 486, 512, 576, 1080, 1088})
_RATES = ((24.9, 25.1), (29.9, 30.1))
_COUNTS = re.compile(r"Multi frame detection: TFF:\s*(\d+) BFF:\s*(\d+) Progressive:\s*(\d+)")


def fields_of(movie: Movie) -> str:
    """The field order, "" for progressive pictures."""
    if not movie.picture.fields and not _may_be_woven(movie):
        return ""
    top, bottom, whole = _counts(movie)
    if top + bottom + whole < _TOLD:
        return movie.picture.fields
    if max(top, bottom) <= whole:
        return ""
    return TOP_FIRST if top > bottom else BOTTOM_FIRST


def _may_be_woven(movie: Movie) -> bool:
    """Whether it has the lines and the rate of interlaced television."""
    rate = float(movie.rate)
    usual = any(low < rate < high for low, high in _RATES)
    return usual and movie.picture.stored_size[1] in _HEIGHTS


def _counts(movie: Movie) -> tuple[int, int, int]:
    """Frames that show the upper field first, the lower field first, and one moment only."""
    middle = float((movie.ticks[len(movie.ticks) // 2] - movie.ticks[0]) * movie.time_base)
    begin = max(0.0, middle - _LOOKED_AT / 2 / float(movie.rate))
    video = ffmpeg.input(str(movie.path), ss=f"{begin:.3f}")["V:0"].filter("idet")
    looked = video.output("-", format="null", **{"frames:v": _LOOKED_AT})
    looked = looked.global_args("-hide_banner", "-nostdin")
    found = (0, 0, 0)

    def on_line(line: str) -> None:
        nonlocal found
        if counts := _COUNTS.search(line):
            found = (int(counts[1]), int(counts[2]), int(counts[3]))

    end = time.monotonic() + _LONGEST

    def give_up() -> None:
        if time.monotonic() > end:
            raise TimeoutError

    with contextlib.suppress(TimeoutError):
        command = looked.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe())
        run_child(command, on_line, while_silent=give_up)
    return found
