# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the rest of a count takes, told from how fast it went lately.

The one estimate of panels, console and job list. `Pace` is fed with a count as it goes on, `Rest`
is what that says at one moment and `time_left` puts it into words. Times are in seconds on any one
clock. What was there when the count began (a job that goes on where it was) is not taken for work.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

_BEGIN = 0.5
"""Seconds that a count goes on before anything is said."""
_WINDOW = (3.0, 20.0)
"""The time that the pace is taken from: half of what has passed, within these seconds."""
_LEAST_STEPS = 8
"""Steps that the pace is taken from at least, when there were so many."""
_CALM = (0.3, 5.0)
"""Seconds in which a changed estimate is followed: an eighth of what is left, within these."""
_SILENCE = 30.0
_OVERDUE = 20
"""After so many seconds, and times the usual wait, without a step nothing can be told any more."""


@dataclass(frozen=True)
class Rest:
    """What was left of a count at the time `since`: `seconds`, and `step` to its next step."""

    since: float
    seconds: float
    step: float

    def left(self, now: float) -> float | None:
        """Seconds that are left now, never negative; None where that cannot be told any more.

        It runs down until the next step is due, and waits there.
        """
        waited = max(0.0, now - self.since)
        if waited > max(_SILENCE, _OVERDUE * self.step):
            return None
        return max(0.0, self.seconds - min(waited, self.step))


class Pace:
    """Follows one count. A count that goes back, or a clock that does, begins anew."""

    def __init__(self) -> None:
        self._first = (0.0, 0)
        self._steps: deque[tuple[float, int]] = deque()
        self._last = 0.0
        self._end: float | None = None

    def count(self, done: int, total: int, time: float) -> Rest | None:
        """Takes in that `done` of `total` are done at `time`; None while nothing can be told."""
        if not self._steps or done < self._steps[-1][1] or time < self._last:
            self._begin(done, time)
        elif done > self._steps[-1][1]:
            self._steps.append((time, done))
        before, self._last = self._last, time
        if done >= total > 0:
            return Rest(time, 0.0, 0.0)
        elapsed = time - self._first[0]
        if total <= 0 or elapsed < _BEGIN or done <= self._first[1]:
            return None
        since, counted = self._lately(elapsed, done, time)
        raw = (time - since) / counted * (total - done)
        self._follow(time + raw, time - before, min(_within(_CALM, raw / 8), elapsed / 2))
        assert self._end is not None
        wait = (time - since) / min(counted, len(self._steps))
        # Where the pace has just dropped the calm end may be past, and the work is not.
        return Rest(time, max(self._end - time, raw / 2), wait)

    def _begin(self, done: int, time: float) -> None:
        self._steps.clear()
        self._steps.append((time, done))
        self._first, self._last, self._end = (time, done), time, None

    def _lately(self, elapsed: float, done: int, time: float) -> tuple[float, float]:
        """The time that the pace is taken from, and what was counted since then."""
        since = time - _within(_WINDOW, elapsed / 2)
        steps = self._steps
        while len(steps) > _LEAST_STEPS + 1 and steps[1][0] <= since:
            steps.popleft()
        (early, low), (late, high) = steps[0], steps[1]
        if since <= early or len(steps) <= _LEAST_STEPS + 1:
            return early, done - low
        return since, done - (low + (high - low) * (since - early) / (late - early))

    def _follow(self, end: float, passed: float, calm: float) -> None:
        """Moves the end that is told towards the one that the pace gives."""
        if self._end is None:
            self._end = end
        else:
            self._end += (end - self._end) * -math.expm1(-passed / calm)


def _within(limits: tuple[float, float], value: float) -> float:
    return min(max(value, limits[0]), limits[1])


_BY_THE_SECOND = 20
_BY_THE_MINUTE = 97.5
"""Seconds from which time is told in steps of 5 s, and in minutes."""


def time_left(rest: Rest | None, now: float) -> str:
    """ "0:12 left", "about 3 min left"; "" where nothing can be told or nothing is left."""
    seconds = rest.left(now) if rest and rest.seconds > 0 else None
    if seconds is None:
        return ""
    if seconds < _BY_THE_MINUTE:
        shown = max(1, round(seconds))
        if shown > _BY_THE_SECOND:
            shown = 5 * round(seconds / 5)
        return f"{shown // 60}:{shown % 60:02d} left"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} min left"
    hours, minutes = divmod(5 * round(minutes / 5), 60)
    return f"about {hours} h {minutes} min left" if minutes else f"about {hours} h left"
