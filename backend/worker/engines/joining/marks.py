# SPDX-License-Identifier: GPL-3.0-or-later
"""The marks of tracks by frame, and tracks with more marks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ....camera import Array, Integers
from ....tracks import Tracks
from ..tracking import Found
from .features import Matches


@dataclass(frozen=True, eq=False)
class ByFrame:
    """Finds what tracks have in single frames."""

    tracks: Tracks

    @cached_property
    def _order(self) -> Integers:
        return np.argsort(self.tracks.frame, kind="stable")

    @cached_property
    def _sorted(self) -> Integers:
        return self.tracks.frame[self._order]

    def seen(self, frame: int) -> tuple[Integers, Array]:
        """The ids (n,) with a mark in the frame, ascending, and its pixels (n, 2)."""
        start, end = np.searchsorted(self._sorted, [frame, frame + 1])
        index = self._order[start:end]
        return self.tracks.ids[self.tracks.track[index]], self.tracks.pixel[index]

    def shared(self, first: int, second: int) -> Matches:
        """The tracks that have a mark in both frames."""
        ids, pixel = self.seen(first)
        others, there = self.seen(second)
        _both, i, j = np.intersect1d(ids, others, assume_unique=True, return_indices=True)
        return Matches(pixel[i], there[j])


def with_marks(tracks: Tracks, found: Found) -> Tracks:
    """The tracks with the marks found besides, those aside that a track has already."""
    track = np.searchsorted(tracks.ids, found.ids)
    span = int(max(tracks.frame.max(initial=0), found.frame.max(initial=0))) + 1
    new = track * span + found.frame
    _unique, first = np.unique(new, return_index=True)
    first = first[~np.isin(new[first], tracks.track * span + tracks.frame)]
    track = np.concatenate([tracks.track, track[first]])
    frame = np.concatenate([tracks.frame, found.frame[first]])
    order = np.lexsort((frame, track))
    return replace(
        tracks,
        track=track[order],
        frame=frame[order],
        pixel=np.concatenate([tracks.pixel, found.pixel[first]])[order],
        sigma=np.concatenate([tracks.sigma, found.sigma[first]])[order],
    )
