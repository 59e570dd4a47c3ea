# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits guessed depth to the solve: one line for each frame (see `line`).

A frame's line takes its guess to the depth of the solve's points that it sees. One that sees too
few of them takes the depth of the nearest frame that has a line, moved by the camera, for points.
Points are few, come and go, and some are of what stands behind: a line found from them alone jumps
from frame to frame. So each frame is fitted once more, to what the frames around it say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...camera import Array
from .geometry import MapView, look, sampled
from .line import Floats, Line, robust_line

FEWEST_POINTS = 20
WORST = 0.25
"""A line that is off by more than this share at half of the points is none."""
_SAMPLES = 4000
_REACH = 8
"""Frames from one to that whose depth may stand in for points: farther away they see too little
of the same."""
_AROUND = 4
"""Frames to each side whose word counts as a frame's own does."""


@dataclass(frozen=True, eq=False)
class Guess:
    """What is fitted of a frame: the guess and the solve's depth at points, (p,) each.

    `load` gives the guess (h, w) at the size of `view`, 0 where it is not to be compared with other
    frames.
    """

    view: MapView
    load: Callable[[], Floats]
    points: Array
    depths: Array


def fit_lines(guesses: Sequence[Guess]) -> dict[int, Line]:
    """The line of each frame by its number; without those that nothing can be said of.

    All frames follow one law, either of depth or of 1 / depth.
    """
    lines = _by_points(guesses)
    if lines:
        _by_neighbors(guesses, lines)
        lines = _smoothed(guesses, lines)
    return lines


def _by_points(guesses: Sequence[Guess]) -> dict[int, Line]:
    """The better law for the shot, and in it the lines of frames that see enough points."""
    rich = [each for each in guesses if len(each.points) >= FEWEST_POINTS]
    both = [
        {each.view.number: robust_line(each.points, each.depths, inverse) for each in rich}
        for inverse in (False, True)
    ]
    found = [{n: line for n, line in lines.items() if line.error <= WORST} for lines in both]
    # More frames that can be fitted count before a better fit of fewer.
    return min(found, key=lambda lines: (-len(lines), middle_error(lines)))


def middle_error(lines: Mapping[int, Line]) -> float:
    """The median over frames of what half of a frame's points are off by, as a share of depth."""
    return float(np.median([line.error for line in lines.values()])) if lines else np.inf


def _by_neighbors(guesses: Sequence[Guess], lines: dict[int, Line]) -> None:
    """Adds the frames that the points left out, those beside a fitted one first."""
    inverse = next(iter(lines.values())).inverse
    by_number = {each.view.number: each for each in guesses}
    waiting = [number for number in by_number if number not in lines]
    while waiting:
        number = min(waiting, key=lambda each: _apart(each, lines))
        if _apart(number, lines) > _REACH:
            return
        waiting.remove(number)
        nearest = min(lines, key=lambda each: abs(each - number))
        seen, depth = _moved(by_number[nearest], lines[nearest], by_number[number])
        line = robust_line(seen, depth, inverse, False) if len(seen) >= FEWEST_POINTS else None
        if line is not None and line.error <= WORST:
            lines[number] = line


def _smoothed(guesses: Sequence[Guess], lines: Mapping[int, Line]) -> dict[int, Line]:
    """Each frame's line by what it and those around it say."""
    fitted = [each for each in guesses if each.view.number in lines]
    found = {}
    for guess in fitted:
        number = guess.view.number
        around = [each for each in fitted if abs(each.view.number - number) <= _AROUND]
        moved = [_moved(each, lines[each.view.number], guess) for each in around]
        seen, depth = (np.concatenate(values) for values in zip(*moved, strict=True))
        step = len(seen) // _SAMPLES + 1
        line = robust_line(seen[::step], depth[::step], lines[number].inverse, False)
        better = line.error <= WORST and len(seen) >= FEWEST_POINTS
        found[number] = replace(line, error=lines[number].error) if better else lines[number]
    return found


def _apart(number: int, lines: Mapping[int, Line]) -> int:
    return min(abs(each - number) for each in lines)


def _moved(one: Guess, line: Line, other: Guess) -> tuple[Array, Array]:
    """What the second frame guesses where the first one's depth lies in it, and that depth."""
    depth = line.depth(one.load())
    chosen = np.flatnonzero(depth)
    chosen = chosen[:: len(chosen) // _SAMPLES + 1]
    slopes = one.view.slopes().reshape(-1, 2)[chosen].astype(np.float64)
    seen = look(one.view, other.view, slopes, depth.ravel()[chosen].astype(np.float64))
    guess = np.nan_to_num(sampled(other.load(), seen.places))
    known = (guess > 0) & (seen.depth > 0)
    return guess[known], seen.depth[known]
