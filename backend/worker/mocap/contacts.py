# SPDX-License-Identifier: GPL-3.0-or-later
"""Which feet stand still on the ground, where no model says so.

n frames; four joints, in the order of `smplx.FEET`: both ankles, then both feet.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...camera import Array, Integers

SURE = 0.5
"""From here on a foot counts as standing."""
_LIFT = 0.03
"""Meters a foot that stands may be over the lower one."""
_RATE = 0.35
"""Meters a second its height may change against the lower one's."""
_SPEED = 0.3
"""Meters a second that a foot which stands may seem to move, in a world of known scale."""


def contact_from_heights(heights: Array, frames: Integers, fps: float) -> Array:
    """(n, 4) 0 to 1, of how high joints (n, 4) are, in meters and from anywhere.

    Whoever walks stands on the lower foot. Both are compared in the same frame, so what the whole
    body does, and an error of its depth, takes no part.
    """
    found = np.empty_like(heights)
    for left, right in ((0, 1), (2, 3)):
        pair = heights[:, [left, right]]
        lift = pair - pair.min(axis=1, keepdims=True)
        rate = np.abs(rates(lift, frames, fps))
        found[:, [left, right]] = _soft(lift, _LIFT) * _soft(rate, _RATE)
    return found


def contact_from_speed(places: Array, up: Array, frames: Integers, fps: float) -> Array:
    """(n, 4) 0 to 1, of joints (n, 4, 3) in meters of a world whose scale and `up` (3,) are
    known."""
    speed = np.linalg.norm(rates(_calm(places), frames, fps), axis=2)
    return _soft(speed, _SPEED) * contact_from_heights(places @ up, frames, fps) ** 0.5


def _soft(value: Array, limit: float) -> Array:
    """1 well under the limit, 0.5 at it, 0 well over it."""
    share: Array = 1 / (1 + (np.maximum(value, 0) / limit) ** 4)
    return share


def rates(values: Array, frames: Integers, fps: float) -> Array:
    """The change a second of values (n, ...)."""
    if len(values) < 2:
        return np.zeros_like(values)
    return np.asarray(np.gradient(values, frames / fps, axis=0))


def _calm(values: Array) -> Array:
    """The median of three frames."""
    if len(values) < 3:
        return values
    inner = np.median(np.stack([values[:-2], values[1:-1], values[2:]]), axis=0)
    return np.concatenate([values[:1], inner, values[-1:]])


def runs(standing: NDArray[np.bool_], frames: Integers, least: int = 1) -> Iterator[slice]:
    """Stretches of frames (n,) without gaps in which a foot stands, `least` frames long."""
    if not len(standing):
        return
    breaks = np.flatnonzero((np.diff(standing) != 0) | (np.diff(frames) != 1)) + 1
    for start, end in zip([0, *breaks], [*breaks, len(standing)], strict=True):
        if standing[start] and end - start >= least:
            yield slice(int(start), int(end))
