# SPDX-License-Identifier: GPL-3.0-or-later
"""STMaps: pictures whose colors say where another picture is to be looked up.

Red is u and green is v, both from 0 to 1 over the picture that is looked up, with the origin at
its lower left corner as in Nuke: the center of its first pixel in the lower left has u = 0.5 /
width. Blue is 1 where that lies inside the picture, else 0: Nuke can take it for a mask, and
Blender's Map UV takes it for alpha. A map is as large as the picture it makes, and has to be
32-bit: 16-bit floats are off by a pixel in 2K.

Pixel positions have (0, 0) at the corner of the first pixel in the upper left, y down.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..camera import Array

OUTSIDE = -1.0
"""u and v where nothing can be looked up."""

Map = NDArray[np.float32]


def from_positions(positions: Array, width: int, height: int) -> Map:
    """The map (h, w, 3), rows from the top, that looks `positions` (h, w, 2) up.

    `width` and `height` are those of the picture that is looked up; NaN says there is nothing.
    """
    u, v = positions[..., 0] / width, 1 - positions[..., 1] / height
    inside = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
    map_: Map = np.stack([u, v, inside], axis=-1).astype(np.float32)
    map_[~np.isfinite(map_).all(axis=-1)] = (OUTSIDE, OUTSIDE, 0)
    return map_


def to_positions(map_: Map, width: int, height: int) -> tuple[Array, NDArray[np.bool_]]:
    """The positions (h, w, 2) that a map looks up, and which of them lie inside (h, w)."""
    u, v = map_[..., 0].astype(np.float64), map_[..., 1].astype(np.float64)
    return np.stack([u * width, (1 - v) * height], axis=-1), map_[..., 2] > 0.5
