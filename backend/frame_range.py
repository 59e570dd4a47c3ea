# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a plate's frames become the shot's: in and out point, handles, every Nth.

Points are the plate's own frame numbers, or timecodes where the plate has any.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from .errors import PlateError, UsageError
from .timecode import Timecode, parse_timecode

_NUMBER = re.compile(r"\d{1,7}")
_TIMECODE = re.compile(r"\d{1,2}:\d{2}:\d{2}[:;.,]\d{2,3}")


def check_point(text: str) -> str:
    """An in or out point as typed: a frame number, a timecode or nothing. Raises UsageError."""
    text = text.strip()
    if text and not _NUMBER.fullmatch(text) and not _TIMECODE.fullmatch(text):
        raise UsageError(f"'{text}' is neither a frame number nor a timecode such as 01:00:04:12.")
    return text


@dataclass(frozen=True)
class Cut:
    """The frames between the handles, first and last included, by their numbers."""

    first: int
    last: int


def point(text: str, first: int, start: Timecode | None, rate: Fraction) -> int | None:
    """The frame number that a point stands for, None for an empty one.

    `start` is the timecode of the plate's frame `first`. Raises UsageError, and PlateError for a
    timecode of a plate that has none.
    """
    text = check_point(text)
    if not text:
        return None
    if _NUMBER.fullmatch(text):
        return int(text)
    if start is None:
        raise PlateError(f"The plate has no timecode: give {text} as a frame number.")
    asked = parse_timecode(text, rate)
    if asked is None:
        raise UsageError(f"{text} is no timecode at {float(rate):g} frames a second.")
    return first + asked.count - start.count


def cut_of(numbers: Sequence[int], first: int | None, last: int | None) -> Cut:
    """The cut between two points (None: the plate's end) of the ascending `numbers` of a plate.

    Raises PlateError when the plate has no frame there.
    """
    begin = numbers[0] if first is None else first
    end = numbers[-1] if last is None else last
    inside = [number for number in numbers if begin <= number <= end]
    if not inside:
        raise PlateError(
            f"The plate has no frames from {begin} to {end}: it goes from {numbers[0]} to "
            f"{numbers[-1]}."
        )
    return Cut(inside[0], inside[-1])


def chosen(numbers: Sequence[int], cut: Cut, handles: int = 0, every: int = 1) -> tuple[int, ...]:
    """Every Nth of the frames in the cut and of so many frames before and after it.

    They are counted from the cut's first frame, which is always taken.
    """
    begin, end = cut.first - handles, cut.last + handles
    return tuple(n for n in numbers if begin <= n <= end and (n - cut.first) % every == 0)
