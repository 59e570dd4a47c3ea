# SPDX-License-Identifier: GPL-3.0-or-later
"""What reference patches were cut from, and how the picture moved there while it was exposed."""

from __future__ import annotations

import numpy as np

from ....camera import Integers
from ....tracks import Floats
from .anchoring import cut_out
from .blur import light, streaked
from .records import Booleans

SOURCE_REACH = 32
"""Working px from the middle of what is kept around a patch to its border."""

_MORE = 256
"""Rows that are added at a time."""


class Sources:
    """One row for each reference patch; live tracks hold them."""

    def __init__(self) -> None:
        side = 2 * SOURCE_REACH + 1
        self._lights = np.zeros((0, side, side), np.float32)
        self._motion = np.zeros((0, 2), np.float32)
        self._fresh = np.zeros(0, bool)

    def free(self, count: int, held: Integers) -> Integers:
        """As many rows that are not among those held."""
        unused = np.ones(len(held) + count, bool)
        unused[held[held < len(unused)]] = False
        rows = np.flatnonzero(unused)[:count]
        needed = int(rows.max(initial=-1)) + 1 - len(self._fresh)
        if needed > 0:
            self._lights = np.pad(self._lights, ((0, needed + _MORE), (0, 0), (0, 0)))
            self._motion = np.pad(self._motion, ((0, needed + _MORE), (0, 0)))
            self._fresh = np.pad(self._fresh, (0, needed + _MORE))
        return rows

    def put(self, rows: Integers, image: Floats, whole: Integers, known: bool) -> None:
        """Takes what is around whole pixels (n, 2) of the picture. `known`: how live tracks came
        to it is."""
        self._lights[rows] = light(cut_out(image, whole, SOURCE_REACH))
        self._motion[rows] = 0 if known else np.nan
        self._fresh[rows] = True

    def unknown(self, rows: Integers) -> Booleans:
        """Which patches are of the last frame, and how they came to it is not known."""
        return np.asarray(np.isnan(self._motion[rows, 0]))

    def moved(self, rows: Integers, motion: Floats) -> None:
        """Tells the motion (n, 2), by now, of patches that are of the last frame."""
        fresh = np.flatnonzero(self._fresh[rows])
        self._motion[rows[fresh]] = motion[fresh]
        self._fresh[rows[fresh]] = False

    def motion(self, rows: Integers) -> Floats:
        """(n, 2) px a frame in the middle of the exposure."""
        return np.asarray(self._motion[rows])

    def streaked(self, rows: Integers, streaks: Floats, reach: int) -> Floats:
        """The patches (n, 2 reach + 1, 2 reach + 1) in gray levels, drawn out along streaks."""
        return streaked(self._lights[rows], streaks, reach)
