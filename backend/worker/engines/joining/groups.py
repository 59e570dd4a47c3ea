# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pieces of a plate are parts of one shot, and the marks that tie them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from ..tracking import Found
from .features import Matches
from .linking import Linker
from .pieces import Piece, near

_AWAY = 3
"""Pieces from one to the farthest that it is tried with."""

_MOST_TRIES = 40
_PLENTY = 100
"""Matches from which no other frames of two pieces are tried."""

_OFFSETS = (1, 2, 3, 4, 6, 8, 10, 12, 16)
"""Frames from one where tracks were found to those they are carried on to, either way."""

_LEAP = 0.12
"""Of the longer side, by which the picture may move at a break in any case."""

_FASTER = 3.0
"""Speed over a break against that of the frames beside it, from which it is another view: a cut
within the same place, which may well be another lens."""

_BESIDE = 8
"""Frames beside a break that tell how fast the camera moves."""

_MOST_LOOSE = 16

Ends = tuple[int, int]
"""Plate frames of two pieces, of which one was matched with the other."""


class Joining:
    """`found` has the marks that tie pieces by the frames that were matched."""

    def __init__(self, pieces: Sequence[Piece], linker: Linker) -> None:
        self.pieces, self.linker = pieces, linker
        self.found: dict[Ends, Found] = {}
        self._group = list(range(len(pieces)))
        faults = linker.tracking.faults
        self._motion = dict(zip(faults.frames.tolist(), faults.motion.tolist(), strict=True))

    def joined(self) -> list[int]:
        """The pieces (ascending) that hang together and have the most frames."""
        able = [index for index, piece in enumerate(self.pieces) if piece.starts]
        tries = [
            pair for step in range(1, _AWAY + 1) for pair in zip(able, able[step:], strict=False)
        ]
        for first, second in tries[:_MOST_TRIES]:
            if self._group[first] != self._group[second]:
                self._try(first, second)
        group = self._largest()
        return sorted([*group, *self._taken_in(group)]) if self.found else group

    def _largest(self) -> list[int]:
        groups = [
            [index for index, group in enumerate(self._group) if group == wanted]
            for wanted in sorted(set(self._group))
        ]
        return max(groups, key=lambda group: sum(len(self.pieces[i].numbers) for i in group))

    def _try(self, first: int, second: int) -> None:
        here, there = self.pieces[first], self.pieces[second]
        ends, matches = self._best(here, there)
        if matches is None or not self._goes_on(here, there, ends, matches):
            return
        around = near(here.numbers, ends[0], _OFFSETS), near(there.numbers, ends[1], _OFFSETS)
        found = self.linker.linked(ends, matches, around)
        if found is not None:
            self.found[ends] = found
            low, high = sorted((self._group[first], self._group[second]))
            self._group = [low if group == high else group for group in self._group]

    def _best(self, here: Piece, there: Piece) -> tuple[Ends, Matches | None]:
        """Frames of two pieces that have much in common, None for their matches if none have."""
        best: tuple[Ends, Matches | None] = (here.ends[0], there.starts[0]), None
        most = 0
        for ends in product(here.ends, there.starts):
            matches = self.linker.matches(*ends)
            if matches is not None and len(matches) > most:
                best, most = (ends, matches), len(matches)
            if most > _PLENTY:
                break
        return best

    def _goes_on(self, here: Piece, there: Piece, ends: Ends, matches: Matches) -> bool:
        """Whether the camera can have come from the one piece to the other in the time between."""
        moved = float(np.median(np.linalg.norm(matches.there - matches.here, axis=1)))
        beside = [*here.numbers[-_BESIDE:], *there.numbers[1 : _BESIDE + 1]]
        fastest = max(self._motion.get(number, 0.0) for number in beside)
        leap = _LEAP * max(self.linker.size)
        return bool(moved < max(leap, _FASTER * fastest * (ends[1] - ends[0])))

    def _taken_in(self, group: Sequence[int]) -> list[int]:
        """The pieces of a few frames, too short for tracks, whose frames show the place too."""
        ends = sorted({end for pair in self.found for end in pair})
        first, last = self.pieces[group[0]].numbers[0], self.pieces[group[-1]].numbers[-1]
        loose = [
            index
            for index, piece in enumerate(self.pieces)
            if not piece.starts and first < piece.numbers[0] < last
        ]
        taken = []
        for index in loose[:_MOST_LOOSE]:
            found = [self._single(number, ends) for number in self.pieces[index].numbers]
            if all(one is not None for one in found):
                taken.append(index)
                self.found.update(one for one in found if one is not None)
        return taken

    def _single(self, number: int, ends: Sequence[int]) -> tuple[Ends, Found] | None:
        """Marks in a frame of the tracks of the nearest of `ends`."""
        end = min(ends, key=lambda end: abs(end - number))
        matches = self.linker.matches(end, number)
        found = None if matches is None else self.linker.taken_over(end, number, matches)
        return None if found is None else ((end, number), found)
