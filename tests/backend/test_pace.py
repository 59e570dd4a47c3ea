# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimate of the time that is left: exact at a steady pace, calm at an uneven one."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.pace import Pace, Rest, time_left

START = 1_790_000_000.0


def follow(steps: Iterable[tuple[float, int]], total: int) -> list[tuple[float, Rest | None]]:
    """What is told at each (seconds, done)."""
    pace = Pace()
    return [(at, pace.count(done, total, START + at)) for at, done in steps]


def told(steps: Iterable[tuple[float, int]], total: int) -> list[tuple[float, float]]:
    return [
        (at, rest.left(START + at) or 0.0) for at, rest in follow(steps, total) if rest is not None
    ]


@given(
    each=st.floats(0.01, 20),
    kept=st.integers(0, 5000),
    fresh=st.integers(2, 3000),
    by=st.integers(1, 40),
)
def test_a_steady_pace_gives_the_exact_rest(each: float, kept: int, fresh: int, by: int) -> None:
    """Whatever was there before a resumed job began, and however many go by in one step."""
    total = kept + fresh
    counts = [*range(0, fresh, by), fresh]
    for at, left in told([(done * each, kept + done) for done in counts], total):
        assert left == pytest.approx((fresh * each) - at, rel=1e-4, abs=1e-3)


@given(
    waits=st.lists(st.tuples(st.floats(0, 100), st.integers(0, 50)), min_size=1, max_size=80),
    more=st.integers(0, 100),
    late=st.floats(-10, 1e4),
)
def test_it_is_never_negative_and_ends_at_zero(
    waits: list[tuple[float, int]], more: int, late: float
) -> None:
    total = sum(count for _, count in waits) + more
    pace, at, done = Pace(), 0.0, 0
    for wait, count in waits:
        at, done = at + wait, done + count
        rest = pace.count(done, total, START + at)
        if rest is not None:
            left = rest.left(START + at + late)
            assert math.isfinite(rest.seconds)
            assert left is None or 0 <= left <= rest.seconds
            assert time_left(rest, START + at + late) != "" or left is None or done >= total
    last = pace.count(max(total, 1), max(total, 1), START + at)
    assert last is not None
    assert last.left(START + at) == 0
    assert time_left(last, START + at) == ""


def test_it_is_told_from_the_first_second() -> None:
    found = follow(((index / 10, index) for index in range(11)), 3000)
    first = next(at for at, rest in found if rest is not None)
    assert first <= 0.5
    assert time_left(found[-1][1], START + 1) == "about 5 min left"


def test_a_pace_that_changes_is_followed() -> None:
    """Ten times slower from the middle on: right again within half a minute, without a leap."""
    quick = [(round(index * 0.1, 1), index) for index in range(600)]
    slow = [(60 + index, 600 + index) for index in range(600)]
    left = dict(told([*quick, *slow], 1200))
    assert left[59.9] == pytest.approx(60.1, rel=0.01)
    for at in range(100, 600):
        assert left[at] == pytest.approx(660 - at, rel=0.05, abs=1.5)
    moves = [abs(left[at + 1] - left[at]) / left[at] for at in range(60, 100)]
    assert max(moves) < 0.75
    assert all(left[at] > 20 for at in range(60, 100)), "the end came near though there was work"


def test_an_uneven_pace_is_told_calmly() -> None:
    """Steps that take from a half to twice as long: what is read hardly ever goes up again."""
    chance = random.Random(7)
    at, steps = 0.0, [(0.0, 0)]
    for done in range(1, 1001):
        at += 0.2 * 2 ** chance.uniform(-1, 1)
        steps.append((at, done))
    texts = [time_left(rest, START + now) for now, rest in follow(steps, 1000) if rest]
    read = [text for index, text in enumerate(texts) if index == 0 or text != texts[index - 1]]
    ups = sum(_worth(after) > _worth(before) for before, after in itertools.pairwise(read))
    assert len(read) < 60
    assert ups <= 3, read
    for now, left in told(steps, 1000)[20:]:
        assert left == pytest.approx(at - now, rel=0.2, abs=1.5)


def _worth(text: str) -> int:
    """The seconds that a text stands for."""
    if text.startswith("about"):
        return int(text.split()[1]) * 60
    minutes, seconds = text.split()[0].split(":") if text else (0, 0)
    return int(minutes) * 60 + int(seconds)


def test_it_runs_down_until_the_next_step_is_due_and_gives_up_in_a_long_silence() -> None:
    rest = Rest(START, 100.0, 4.0)
    assert [rest.left(START + wait) for wait in (-5, 0, 3, 4, 20, 79)] == [100, 100, 97, 96, 96, 96]
    assert rest.left(START + 81) is None
    assert time_left(rest, START + 81) == ""


def test_a_count_that_goes_back_begins_anew() -> None:
    pace = Pace()
    for index in range(50):
        pace.count(index, 100, START + index)
    assert pace.count(3, 100, START + 50) is None
    assert pace.count(5, 100, START + 60).left(START + 60) == pytest.approx(475)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0:01 left"),
        (12.4, "0:12 left"),
        (20.6, "0:20 left"),
        (43, "0:45 left"),
        (88, "1:30 left"),
        (97.4, "1:35 left"),
        (98, "about 2 min left"),
        (3520, "about 59 min left"),
        (3590, "about 1 h left"),
        (9100, "about 2 h 30 min left"),
    ],
)
def test_time_is_told_in_round_figures(seconds: float, text: str) -> None:
    assert time_left(Rest(START, seconds, 1.0), START) == text


def test_without_a_count_nothing_is_told() -> None:
    assert time_left(None, START) == ""
    assert Pace().count(3, 0, START) is None
