# SPDX-License-Identifier: GPL-3.0-or-later
"""Links between frames far apart that show one place: loops, orbits, moves there and back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from ..tracking import Found
from .linking import Linker
from .pieces import good_frames, mark_counts, near

_SHARED = 0.05
"""Share of a frame's tracks that another has too, from which the two need no link."""

_TRIED = 700
"""Features of each frame that all pairs are tried with."""

_LINKS = 0.25
"""Links made at most, over the number of frames that are matched."""

_OFFSETS = (1, 2, 4)


def loops(linker: Linker, numbers: Sequence[int], count: int) -> dict[tuple[int, int], Found]:
    """Marks that tie `count` frames spread over the shot to each other where no tracks do."""
    spread = _spread(linker, numbers, count)
    ranked = _ranked(linker, spread)
    found: dict[tuple[int, int], Found] = {}
    step = (spread[-1] - spread[0]) / max(len(spread) - 1, 1) if spread else 1
    for first, second in ranked:
        if len(found) >= _LINKS * count:
            break
        if any(abs(first - a) + abs(second - b) < 1.5 * step for a, b in found):
            continue
        matches = linker.matches(first, second)
        if matches is None:
            continue
        around = near(numbers, first, _OFFSETS), near(numbers, second, _OFFSETS)
        link = linker.linked((first, second), matches, around)
        if link is not None:
            found[first, second] = link
    return found


def _spread(linker: Linker, numbers: Sequence[int], count: int) -> list[int]:
    """Good frames, evenly over the shot."""
    tracking = linker.tracking
    good = good_frames(numbers, tracking.faults, mark_counts(tracking.tracks, numbers))
    index = np.linspace(0, len(good) - 1, min(count, len(good))).round().astype(int)
    return [good[i] for i in np.unique(index).tolist()]


def _ranked(linker: Linker, spread: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs that no tracks tie and that seem to show one place, the surest first."""
    scores: dict[tuple[int, int], int] = {}
    least = {number: _SHARED * len(linker.marks.seen(number)[0]) for number in spread}
    for first, second in combinations(spread, 2):
        if len(linker.marks.shared(first, second)) < least[first]:
            matches = linker.matches(first, second, _TRIED)
            if matches is not None:
                scores[first, second] = len(matches)
    return sorted(scores, key=lambda pair: -scores[pair])
