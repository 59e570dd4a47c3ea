# SPDX-License-Identifier: GPL-3.0-or-later
"""Clouds put together, chosen from and thinned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from ...dense_files import Cloud

_NAMES = [field.name for field in fields(Cloud)]
_FINEST = 4096
"""Cells across a cloud with which thinning begins."""
_COARSER = 1.4


def joined(clouds: Sequence[Cloud]) -> Cloud:
    """All points of at least one cloud."""
    return Cloud(*(np.concatenate([getattr(each, name) for each in clouds]) for name in _NAMES))


def chosen(cloud: Cloud, kept: NDArray[np.bool_] | NDArray[np.int64]) -> Cloud:
    """The points that are kept, or those at the places given."""
    return Cloud(*(getattr(cloud, name)[kept] for name in _NAMES))


def thinned(cloud: Cloud, most: int) -> Cloud:
    """At most so many points; the cloud as it is when it has no more."""
    return chosen(cloud, thinning(cloud, most)[0]) if len(cloud.positions) > most else cloud


def thinning(cloud: Cloud, most: int) -> tuple[NDArray[np.int64], float]:
    """The places of at most so many points, and the size of the cells of a grid: in each cell it is
    the point with the most confidence, and the cells are about as small as that allows."""
    low = cloud.positions.min(axis=0)
    cell = max(float(np.ptp(cloud.positions, axis=0).max()), 1e-30) / _FINEST
    while True:
        keys = _cells((cloud.positions - low) / np.float32(cell))
        order = np.lexsort((-cloud.confidence, keys))
        first: NDArray[np.int64] = order[np.diff(keys[order], prepend=-1) != 0]
        if len(first) <= most:
            return np.sort(first), cell
        cell *= _COARSER


def _cells(places: NDArray[np.float32]) -> NDArray[np.int64]:
    """A number for the cell of size 1 that each place (n, 3) is in; no place is negative."""
    x, y, z = places.astype(np.int64).T
    found: NDArray[np.int64] = (x << 42) + (y << 21) + z
    return found
