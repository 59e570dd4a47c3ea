# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks as they are made, and the tracks that they come to."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ....camera import Integers
from ....tracks import UNUSED, Floats, Tracks
from .records import Sizes

SIGMA_FLOOR = 0.01
"""Px of the plate; no mark is taken to be better than this."""

SIGMA_FACTOR = 1.5
"""What marks on rendered plates with a known camera miss by, over what their residuals say."""


@dataclass
class MarkLog:
    """In working px."""

    ids: list[Integers] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    positions: list[Floats] = field(default_factory=list)
    sigmas: list[Floats] = field(default_factory=list)

    def add(self, frame: int, ids: Integers, positions: Floats, sigmas: Floats) -> None:
        self.ids.append(ids)
        self.frames.append(frame)
        self.positions.append(positions)
        self.sigmas.append(sigmas)

    def repeat(self, frame: int, before: int) -> None:
        """The marks of the frame `before` again."""
        for index in [i for i, number in enumerate(self.frames) if number == before]:
            self.add(frame, self.ids[index], self.positions[index], self.sigmas[index])

    def lengths(self, count: int) -> Integers:
        """(count,) marks of each id so far."""
        return np.bincount(np.concatenate(self.ids), minlength=count).astype(np.int64)

    def tracks(self, sizes: Sizes, shortest: int) -> Tracks:
        """Those with at least `shortest` marks, in plate px."""
        ids = np.concatenate([np.zeros(0, np.int64), *self.ids])
        counts = np.bincount(ids)
        kept = np.flatnonzero(counts >= shortest)
        frame = np.repeat(self.frames, [len(part) for part in self.ids]).astype(np.int64)
        order = np.lexsort((frame, ids))
        order = order[counts[ids[order]] >= shortest]
        position = np.concatenate([np.zeros((0, 2), np.float32), *self.positions])[order]
        sigma = np.concatenate([np.zeros(0, np.float32), *self.sigmas])[order]
        return Tracks(
            ids=kept.astype(np.int64),
            manual=np.zeros(len(kept), np.bool_),
            errors=np.full(len(kept), UNUSED),
            track=np.searchsorted(kept, ids[order]).astype(np.int64),
            frame=frame[order],
            pixel=sizes.to_plate(position),
            sigma=plate_sigma(sigma, sizes),
        )


def plate_sigma(sigma: Floats, sizes: Sizes) -> Floats:
    """Expected error in plate px of what patches say of themselves in working px."""
    expected = sigma * (SIGMA_FACTOR / sizes.working_scale[0])
    return np.asarray(np.maximum(expected, SIGMA_FLOOR), dtype=np.float32)
