# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the tracks of one frame to another that shares none with it, and to that one's neighbors.

Features tell where the tracks should be and how their patches should look there; registered to
the patches of their births, they are found to a fraction of a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....camera import Array, Integers
from ...report import Report
from ..tracking import Found, Tracking, Wanted, reacquire
from ..tracking.records import Booleans
from .features import FrameFeatures, Matches, cells, fitting, matched, verified
from .local import FEWEST, carried
from .marks import ByFrame

_NEIGHBORS = (12, 5)
"""Matches that tell of a place, in the first try and for what that did not find."""

_LEAST_FOUND = 30
"""Tracks that must be found in the other frame, on one geometry."""

_ERROR = 1.0 / 1280
"""Of the longer side, by which tracks found may miss that geometry."""

_MOST = 400
"""Tracks taken from a frame."""


@dataclass(frozen=True, eq=False)
class _Taken:
    """Tracks (k,) with places (k, 2) in a frame and affine maps (k, 2, 2) from their patches."""

    ids: Integers
    pixel: Array
    shape: Array

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, keep: Booleans | Integers) -> _Taken:
        return _Taken(self.ids[keep], self.pixel[keep], self.shape[keep])

    def through(self, matches: Matches, neighbors: int) -> _Taken:
        """In the frame that `matches` lead to."""
        pixel, bend = carried(matches, self.pixel, neighbors)
        return _Taken(self.ids, pixel, bend @ self.shape)

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.ids, self.pixel, self.shape)


class Linker:
    """Links frames of one plate."""

    def __init__(
        self,
        tracking: Tracking,
        frames: Mapping[int, Path],
        masks: Mapping[int, Path],
        report: Report,
    ) -> None:
        self.tracking, self.frames, self.masks, self.report = tracking, frames, masks, report
        patches = tracking.patches
        self.size = patches.sizes.plate
        self.features = FrameFeatures(frames, masks, patches.sizes, patches.mask_margin)
        self.marks = ByFrame(tracking.tracks)

    def matches(self, first: int, second: int, most: int | None = None) -> Matches | None:
        """What two frames share, by at most so many features; None when that is not enough."""
        self.report.check()
        features = self.features.of(first), self.features.of(second)
        if most is not None:
            features = features[0].first(most), features[1].first(most)
        return verified(matched(*features), self.size)

    def linked(
        self,
        ends: tuple[int, int],
        matches: Matches,
        around: tuple[Sequence[int], Sequence[int]],
    ) -> Found | None:
        """Marks of the first frame's tracks in the second and its neighbors, and the other way
        round; `around` are those neighbors. None where too few tracks are found.
        """
        first, second = ends
        there = self.taken_over(first, second, matches, around[1])
        back = self.taken_over(second, first, matches.turned(), around[0])
        parts = [part for part in (there, back) if part is not None]
        return Found.joined(parts) if parts else None

    def taken_over(
        self, first: int, second: int, matches: Matches, around: Sequence[int] = ()
    ) -> Found | None:
        """Marks of the first frame's tracks in the second and in those `around` it, None where
        too few are found."""
        taken = self._taken(first, second)
        if not len(taken):
            return None
        found = self._found(taken, second, matches)
        _shared, index, place = np.intersect1d(taken.ids, found.ids, return_indices=True)
        pairs = Matches(taken.pixel[index], found.pixel[place])
        good = fitting(pairs, _ERROR * max(self.size))
        if good.sum() < _LEAST_FOUND or not cells(pairs.here[good], self.size):
            return None
        index, place = index[good], place[good]
        bend = carried(matches.joined(pairs.only(good)), taken.pixel[index], _NEIGHBORS[0])[1]
        arrived = _Taken(taken.ids[index], found.pixel[place], bend @ taken.shape[index])
        return Found.joined([found.take(place), self._carried_on(arrived, second, around)])

    def _taken(self, first: int, second: int) -> _Taken:
        """The tracks of the first frame that the second is without, with their patches' shapes."""
        ids, pixel = self.marks.seen(first)
        new = ~np.isin(ids, self.marks.seen(second)[0])
        ids, pixel = ids[new], pixel[new]
        patches = self.tracking.patches
        place = np.searchsorted(patches.ids, ids).clip(max=max(len(patches.ids) - 1, 0))
        kept = patches.ids[place] == ids if len(patches.ids) else np.zeros(len(ids), np.bool_)
        ids, pixel, place = ids[kept], pixel[kept], place[kept]
        born, at = patches.frame[place], patches.pixel[place]
        shape = np.tile(np.eye(2), (len(ids), 1, 1))
        sure = np.ones(len(ids), dtype=np.bool_)
        for frame in np.unique(born[born != first]).tolist():
            mine = born == frame
            shared = self.marks.shared(frame, first)
            sure[mine] = len(shared) >= FEWEST
            if len(shared) >= FEWEST:
                shape[mine] = carried(shared, at[mine], 2 * _NEIGHBORS[0])[1]
        return self._thinned(_Taken(ids, pixel, shape).only(sure))

    def _thinned(self, taken: _Taken) -> _Taken:
        if len(taken) <= _MOST:
            return taken
        return taken.only(np.sort(np.random.default_rng(1).permutation(len(taken))[:_MOST]))

    def _found(self, taken: _Taken, second: int, matches: Matches) -> Found:
        """The tracks in the second frame: what the matches lead to, then the rest from those."""
        parts: list[Found] = []
        for neighbors in _NEIGHBORS:
            part = self._looked({second: taken.through(matches, neighbors)})
            parts.append(part)
            _shared, index, place = np.intersect1d(taken.ids, part.ids, return_indices=True)
            matches = matches.joined(Matches(taken.pixel[index], part.pixel[place]))
            taken = taken.only(np.setdiff1d(np.arange(len(taken)), index))
            if not len(taken):
                break
        return Found.joined(parts)

    def _carried_on(self, taken: _Taken, frame: int, around: Sequence[int]) -> Found:
        """The tracks in the frames around one where they were found."""
        asked: dict[int, _Taken] = {}
        for number in around:
            shared = self.marks.shared(frame, number)
            if number != frame and len(shared) >= FEWEST:
                asked[number] = taken.through(shared, _NEIGHBORS[0])
        return self._looked(asked)

    def _looked(self, asked: Mapping[int, _Taken]) -> Found:
        wanted = {number: self._inside(taken).wanted for number, taken in asked.items()}
        return reacquire(self.tracking, wanted, self.frames, self.masks, self.report)

    def _inside(self, taken: _Taken) -> _Taken:
        inside = (taken.pixel > 0) & (taken.pixel < self.size)
        return taken.only(inside.all(axis=1))
