# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth at the plate's size from a model's small map, with edges where the plate has them.

In between, a smaller map cannot be interpolated where depth jumps: there would be a slope of points
in the air from one thing to the other. A pixel near a jump belongs to the near side or to the far
one, by whose pixels around it in the small map look more like it (a joint bilateral vote: Kopf et
al., Joint Bilateral Upsampling, 2007), and gets the depth of that side.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .line import Floats

_JUMP = 1.03
"""The farthest over the nearest depth around a pixel from which on it is near a jump."""
_AROUND = 2
"""Pixels of the small map to each side that have a vote."""
_ALIKE = 20.0
"""Levels of 255 by which colors may differ and still be of one thing."""
_NEAR = 0.8
"""Pixels of the small map over which a vote's weight falls."""
_LONELY = 5
"""Pixels across which a thing may be no thing."""
_BLOCK = 65536

Bytes = NDArray[np.uint8]
Indices = NDArray[np.int64]


def enlarged(depth: Floats, colors: Bytes) -> Floats:
    """Depth (h, w), 0 where nothing, at the size of the plate's colors (H, W, 3)."""
    size = colors.shape[1], colors.shape[0]
    if depth.shape == colors.shape[:2]:
        return depth
    # In 1 / depth a plane stays a plane, and nothing is 0: infinitely far.
    inverse = np.where(depth > 0, 1 / np.where(depth > 0, depth, 1), 0).astype(np.float32)
    smooth = np.asarray(cv2.resize(inverse, size, interpolation=cv2.INTER_LINEAR))
    near: Bytes = np.asarray(
        cv2.resize(_jumps(inverse), size, interpolation=cv2.INTER_NEAREST), np.uint8
    )
    small: Bytes = np.asarray(
        cv2.resize(colors, depth.shape[::-1], interpolation=cv2.INTER_AREA), np.uint8
    )
    for rows, columns in _blocks(near):
        smooth[rows, columns] = _voted(inverse, small, colors, rows, columns)
    # Grain has votes go either way: a pixel that all around are not with goes with them.
    smooth = np.where(near > 0, cv2.medianBlur(smooth, _LONELY), smooth)
    found: Floats = np.where(smooth > 0, 1 / np.where(smooth > 0, smooth, 1), 0)
    return found.astype(np.float32, copy=False)


def _jumps(inverse: Floats) -> Bytes:
    """(h, w) 1 where depth jumps near a pixel of the small map."""
    around = np.ones((3, 3), np.uint8)
    nearest, farthest = cv2.dilate(inverse, around), cv2.erode(inverse, around)
    jumps = np.asarray(nearest) > _JUMP * np.asarray(farthest)
    return np.asarray(cv2.dilate(jumps.astype(np.uint8), around), np.uint8)


def _blocks(near: Bytes) -> list[tuple[Indices, Indices]]:
    rows, columns = np.nonzero(near)
    starts = range(0, len(rows), _BLOCK)
    return [(rows[at : at + _BLOCK], columns[at : at + _BLOCK]) for at in starts]


def _voted(inverse: Floats, small: Bytes, colors: Bytes, rows: Indices, columns: Indices) -> Floats:
    """1 / depth of pixels (m,) of the plate by the votes around them."""
    height, width = inverse.shape
    y = (rows + 0.5) * height / colors.shape[0] - 0.5
    x = (columns + 0.5) * width / colors.shape[1] - 0.5
    reach = np.arange(-_AROUND, _AROUND + 1)
    down, across = (each.ravel() for each in np.meshgrid(reach, reach, indexing="ij"))
    at_y = np.rint(y).astype(int)[:, None] + down
    at_x = np.rint(x).astype(int)[:, None] + across
    away = ((at_y - y[:, None]) ** 2 + (at_x - x[:, None]) ** 2) / (2 * _NEAR**2)
    at_y, at_x = at_y.clip(0, height - 1), at_x.clip(0, width - 1)
    unlike = small[at_y, at_x].astype(np.float32) - colors[rows, columns][:, None]
    votes = np.exp(-away - (unlike**2).sum(axis=2) / (2 * _ALIKE**2)) + 1e-6 * np.exp(-away)
    values = inverse[at_y, at_x]
    return _of_the_side(values, votes.astype(np.float32))


def _of_the_side(values: Floats, votes: Floats) -> Floats:
    """(m,) the mean of the values (m, n) of the near or the far side, whichever has more votes."""
    middle = (values.max(axis=1) + values.min(axis=1))[:, None] / 2
    near = values > middle
    near_votes, far_votes = votes * near, votes * ~near
    chosen = np.where(
        (near_votes.sum(axis=1) > far_votes.sum(axis=1))[:, None], near_votes, far_votes
    )
    # A side may hold things of several depths: of those the most likely, not what is between them.
    best = np.take_along_axis(values, chosen.argmax(axis=1)[:, None], axis=1)
    alike = (values < _JUMP * best) & (best < _JUMP * values) | (values == best)
    weights = chosen * alike
    found: Floats = (weights * values).sum(axis=1) / weights.sum(axis=1)
    return found
