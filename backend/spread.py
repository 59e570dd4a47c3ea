# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing some of many so that they lie all over the picture."""

from __future__ import annotations

import numpy as np

from .camera import Array, Integers


def turns(cells: Integers, strength: Array | Integers) -> Integers:
    """(n,) the place of each among those of its cell, the strongest first.

    Taken in the order of their turns, all cells are served alike.
    """
    order = np.lexsort((-strength, cells))
    starts = np.concatenate([[True], np.diff(cells[order]) != 0])[: len(order)]
    position = np.arange(len(order))
    found = np.empty(len(order), dtype=np.int64)
    found[order] = position - np.maximum.accumulate(np.where(starts, position, 0))
    return found
