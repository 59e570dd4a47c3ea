# SPDX-License-Identifier: GPL-3.0-or-later
"""In and out points, handles, every Nth frame, sizes and timecodes, by properties."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import PlateError, UsageError
from backend.frame_range import check_point, chosen, cut_of, point
from backend.frame_size import frame_size
from backend.timecode import Timecode, parse_timecode

NTSC, DOUBLE = Fraction(30000, 1001), Fraction(60000, 1001)
numbers = st.lists(st.integers(0, 5000), min_size=1, max_size=200, unique=True).map(sorted)


@given(numbers, st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 50), st.integers(1, 9))
def test_what_is_taken_is_the_plates_own(
    plate: list[int], first: int, last: int, handles: int, every: int
) -> None:
    if not any(first <= number <= last for number in plate):
        with pytest.raises(PlateError, match="no frames from"):
            cut_of(plate, first, last)
        return
    cut = cut_of(plate, first, last)
    taken = chosen(plate, cut, handles, every)
    assert set(taken) <= set(plate)
    assert list(taken) == sorted(taken)
    assert cut.first in taken
    assert all((number - cut.first) % every == 0 for number in taken)
    assert all(cut.first - handles <= number <= cut.last + handles for number in taken)
    left_out = set(plate) - set(taken)
    assert not any(
        cut.first - handles <= number <= cut.last + handles and (number - cut.first) % every == 0
        for number in left_out
    )


@given(numbers)
def test_no_points_take_everything(plate: list[int]) -> None:
    assert chosen(plate, cut_of(plate, None, None)) == tuple(plate)


@pytest.mark.parametrize(("text", "found"), [("", None), ("1001", 1001), (" 12 ", 12)])
def test_points_as_numbers(text: str, found: int | None) -> None:
    assert point(text, 1, None, Fraction(24)) == found


def test_points_as_timecodes() -> None:
    start = parse_timecode("01:00:00:00", Fraction(24))
    assert point("01:00:02:12", 1001, start, Fraction(24)) == 1001 + 60
    with pytest.raises(PlateError, match="has no timecode"):
        point("01:00:02:12", 1, None, Fraction(24))
    with pytest.raises(UsageError, match="no timecode at 24"):
        point("01:00:02:24", 1001, start, Fraction(24))


@pytest.mark.parametrize("text", ["-1", "a", "1:2", "99999999", "01:00:00", "1.5"])
def test_what_is_no_point(text: str) -> None:
    with pytest.raises(UsageError):
        check_point(text)


@pytest.mark.parametrize(
    ("text", "rate", "count", "drop"),
    [
        ("00:00:00:00", Fraction(24), 0, False),
        ("01:00:00:00", Fraction(24000, 1001), 86400, False),
        ("00:01:00;02", NTSC, 1800, True),
        ("00:10:00;00", NTSC, 17982, True),
        ("01:00:00;00", NTSC, 107892, True),
        ("00:01:00;04", DOUBLE, 3600, True),
        ("01:00:00:00", NTSC, 108000, False),
    ],
)
def test_timecodes(text: str, rate: Fraction, count: int, drop: bool) -> None:
    """Drop-frame counts as SMPTE ST 12-1 gives them: an hour is 107892 frames."""
    found = parse_timecode(text, rate)
    assert found == Timecode(count, round(rate), drop)
    assert str(found) == text


@given(st.integers(0, 24 * 107892 - 1), st.integers(0, 10**6))
def test_drop_frame_labels_are_those_that_exist(count: int, more: int) -> None:
    label = Timecode(count, 30, True)
    text = str(label)
    minutes, seconds, frames = int(text[3:5]), int(text[6:8]), int(text[9:])
    assert not (frames < 2 and seconds == 0 and minutes % 10)
    assert parse_timecode(text, NTSC) == label
    assert label.plus(more).plus(-more) == label


@given(st.integers(0, 24 * 3600 * 24 - 1), st.sampled_from([24, 25, 30, 48, 60]))
def test_labels_count_up(count: int, base: int) -> None:
    label = Timecode(count % (24 * 3600 * base - 1), base)
    assert str(label) < str(label.plus(1))
    assert parse_timecode(str(label), Fraction(base)) == label


@pytest.mark.parametrize("text", ["", "01:00", "25:00:00:00", "00:60:00:00", "00:00:00:24", "x"])
def test_what_is_no_timecode(text: str) -> None:
    assert parse_timecode(text, Fraction(24)) is None


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", (4096, 2160)),
        ("50%", (2048, 1080)),
        ("12.5 %", (512, 270)),
        ("1920", (1920, 1012)),
        ("x1080", (2048, 1080)),
        ("1920x1080", (1920, 1080)),
        ("1280 X 720", (1280, 720)),
    ],
)
def test_sizes(text: str, size: tuple[int, int]) -> None:
    assert frame_size(text, 4096, 2160) == size


@pytest.mark.parametrize("text", ["half", "0%", "0x0", "99999", "x", "-5", "10%%"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError):
        frame_size(text, 4096, 2160)
