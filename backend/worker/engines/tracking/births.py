# SPDX-License-Identifier: GPL-3.0-or-later
"""The patches that tracks were born with, kept for finding them again; memory is bounded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....camera import Integers
from ....tracks import Floats, Tracks
from .records import PATCH_REACH, Patches, Sizes


class Births:
    """Collects patches of at most twice as many tracks as are wanted in the end."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._ids: list[Integers] = []
        self._frames: list[Integers] = []
        self._positions: list[Floats] = []
        self._values: list[NDArray[np.float16]] = []
        self._count = 0

    def add(self, frame: int, ids: Integers, positions: Floats, values: Floats) -> None:
        self._ids.append(ids)
        self._frames.append(np.full(len(ids), frame, dtype=np.int64))
        self._positions.append(positions)
        self._values.append(values.astype(np.float16))
        self._count += len(ids)

    @property
    def full(self) -> bool:
        return self._count > 2 * self._most

    def prune(self, lengths: Integers, live: Integers) -> None:
        """Keeps the patches of the longest tracks and of those that live. `lengths` by id."""
        values = lengths.copy()
        values[live] = np.iinfo(np.int64).max
        chosen = self._longest(values)
        self._ids = [np.concatenate(self._ids)[chosen]]
        self._frames = [np.concatenate(self._frames)[chosen]]
        self._positions = [np.concatenate(self._positions)[chosen]]
        self._values = [np.concatenate(self._values)[chosen]]
        self._count = len(chosen)

    def patches(self, tracks: Tracks, sizes: Sizes, mask_margin: float) -> Patches:
        """Those of the longest tracks, at most as many as were asked for."""
        side = 2 * PATCH_REACH + 1
        ids = np.concatenate([np.zeros(0, np.int64), *self._ids])
        lengths = np.zeros(int(ids.max(initial=-1)) + 1, np.int64)
        known = tracks.ids < len(lengths)
        lengths[tracks.ids[known]] = tracks.lengths[known]
        chosen = self._longest(lengths)
        values = np.concatenate([np.zeros((0, side, side), np.float16), *self._values])[chosen]
        positions = np.concatenate([np.zeros((0, 2), np.float32), *self._positions])[chosen]
        return Patches(
            ids=ids[chosen],
            frame=np.concatenate([np.zeros(0, np.int64), *self._frames])[chosen],
            pixel=sizes.to_plate(positions),
            values=values,
            sizes=sizes,
            mask_margin=mask_margin,
        )

    def _longest(self, lengths: Integers) -> Integers:
        """Indices, ascending, of the longest tracks that have a length."""
        ids = np.concatenate([np.zeros(0, np.int64), *self._ids])
        chosen = np.argsort(-lengths[ids], kind="stable")[: self._most]
        return np.sort(chosen[lengths[ids[chosen]] > 0])
