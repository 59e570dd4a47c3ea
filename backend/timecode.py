# SPDX-License-Identifier: GPL-3.0-or-later
"""SMPTE timecode (ST 12-1): hours:minutes:seconds:frames, and drop-frame counting.

Drop-frame leaves out the labels ;00 and ;01 (at 60 frames a second ;00 to ;03) of every minute but
each tenth, so that the labels keep pace with the clock at 29.97 and 59.94. No frame is dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_TEXT = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})([:;.,])(\d{2,3})")
_HOURS = 24


@dataclass(frozen=True)
class Timecode:
    """The label of one frame: `count` frames after 00:00:00:00, `base` labels a second."""

    count: int
    base: int
    drop: bool = False

    def __str__(self) -> str:
        label = self.count % self._day
        if self.drop:
            label += self._left_out(label)
        seconds, frames = divmod(label, self.base)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        mark = ";" if self.drop else ":"
        digits = len(str(self.base - 1))
        return f"{hours:02d}:{minutes:02d}:{seconds:02d}{mark}{frames:0{max(2, digits)}d}"

    def plus(self, frames: int) -> Timecode:
        """The label so many frames later; midnight follows 23:59:59."""
        return Timecode((self.count + frames) % self._day, self.base, self.drop)

    @property
    def _skip(self) -> int:
        """Labels left out at a minute: two at 30 a second."""
        return self.base // 15

    @property
    def _minute(self) -> int:
        return 60 * self.base - self._skip

    @property
    def _day(self) -> int:
        """Frames a day."""
        if not self.drop:
            return _HOURS * 3600 * self.base
        return _HOURS * 6 * (10 * self._minute + self._skip)

    def _left_out(self, count: int) -> int:
        """Labels that were left out before the frame `count`."""
        ten = 10 * self._minute + self._skip
        tens, rest = divmod(count, ten)
        # The first minute of each ten is a whole one.
        minutes = max(0, (rest - self._skip) // self._minute)
        return self._skip * (9 * tens + minutes)


def base_of(rate: Fraction) -> int:
    """Labels a second at a frame rate: 24 at 24000/1001."""
    return max(1, round(rate))


def parse_timecode(text: str, rate: Fraction) -> Timecode | None:
    """A timecode as files have it, None for what is none at that rate.

    A semicolon or a dot before the frames stands for drop-frame, which only 30000/1001 frames a
    second and their multiples have.
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        return None
    base = base_of(rate)
    hours, minutes, seconds, frames = (int(found[group]) for group in (1, 2, 3, 5))
    if hours >= _HOURS or minutes >= 60 or seconds >= 60 or frames >= base:
        return None
    drop = found[4] in ";.," and rate.denominator == 1001 and base % 30 == 0
    label = ((hours * 60 + minutes) * 60 + seconds) * base + frames
    if drop:
        whole = hours * 60 + minutes
        label -= base // 15 * (whole - whole // 10)
    return Timecode(label, base, drop)
