# SPDX-License-Identifier: GPL-3.0-or-later
"""The size of a shot's frames as an artist asks for it."""

from __future__ import annotations

import re
from fractions import Fraction

from .errors import UsageError

LARGEST = 16384
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_SIZE = re.compile(r"(\d+)?\s*(?:[xX\u00d7]\s*(\d+)?)?")


def frame_size(text: str, width: int, height: int) -> tuple[int, int]:
    """The size that `text` stands for on a plate of that size: 50%, 1920, x1080 or 1920x1080.

    With one side the other follows. Raises UsageError.
    """
    text = text.strip()
    if not text:
        return width, height
    if share := _SHARE.fullmatch(text):
        factor = Fraction(share[1]) / 100
        return _possible(text, round(width * factor), round(height * factor))
    found = _SIZE.fullmatch(text)
    if found is None or not any(found.groups()):
        raise UsageError(f"'{text}' is not a size. Give 50%, 1920 or 1920x1080.")
    wide, high = (int(side) if side else None for side in found.groups())
    if wide is None:
        assert high is not None
        return _possible(text, round(Fraction(width * high, height)), high)
    return _possible(text, wide, high or round(Fraction(height * wide, width)))


def check_size(text: str) -> None:
    """Raises UsageError when a text stands for no size."""
    frame_size(text, 1000, 1000)


def _possible(text: str, width: int, height: int) -> tuple[int, int]:
    if not (2 <= width <= LARGEST and 2 <= height <= LARGEST):
        raise UsageError(f"A size of '{text}' is not possible: 2 to {LARGEST} px a side are.")
    return width, height
