# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth that is steady over time: what neighbors say of the same surface, moved by the camera.

Models guess each frame or each few frames by themselves, so that their errors flicker. A pixel's
depth becomes the mean of its own and of what the frames around have there, as far as they agree:
what they see of something else, nearer or farther, does not count, nor does what moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...camera import Array
from .geometry import MapView, look, sampled
from .line import Floats

AROUND = 8
"""Frames to each side that have a say."""
_SPREAD = 4.0
"""Frames over which a say fades (standard deviation)."""
_TUKEY, _LEAST, _MOST = 7.0, 0.03, 0.2
"""Depths that differ by more than so many times what they mostly do are of two surfaces: 4.685
standard deviations; and the shares of depth that this is at least and at most."""

Load = Callable[[int], tuple[MapView, Floats, NDArray[np.bool_]]]
"""A frame's camera, its depth (h, w), and where nothing moves (h, w)."""


def alike(flickers: Sequence[float]) -> float:
    """The share of depth within which neighbors speak of the same surface, by what they mostly
    differ (`flicker`) before they are made steady."""
    known = [value for value in flickers if np.isfinite(value)]
    return float(np.clip(_TUKEY * np.median(known), _LEAST, _MOST)) if known else _LEAST


def steadied(number: int, neighbors: Sequence[int], load: Load, reach: float) -> Floats:
    """The depth (h, w) of a frame with what its neighbors say within a share of depth; where things
    move, its own."""
    view, own, still = load(number)
    chosen = np.flatnonzero(still & (own > 0))
    depth = own.ravel()[chosen].astype(np.float64)
    slopes = view.slopes().reshape(-1, 2)[chosen].astype(np.float64)
    total, weights = np.zeros_like(depth), np.ones_like(depth)
    for other in neighbors:
        log, weight = _opinion(view, slopes, depth, load(other), reach)
        near = np.exp(-0.5 * ((other - number) / _SPREAD) ** 2)
        total += near * weight * log
        weights += near * weight
    steady = own.copy()
    steady.ravel()[chosen] = depth * np.exp(total / weights)
    return steady


def _opinion(
    view: MapView,
    slopes: Array,
    depth: Array,
    neighbor: tuple[MapView, Floats, NDArray[np.bool_]],
    reach: float,
) -> tuple[Array, Array]:
    """(m,) log of the neighbor's depth over one's own, and what it weighs."""
    other, values, still = neighbor
    seen = look(view, other, slopes, depth)
    found = np.nan_to_num(sampled(np.where(still, values, 0), seen.places))
    known = (found > 0) & (seen.depth > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        there = np.log(found / seen.depth) / np.where(np.abs(seen.gain) > 1e-3, seen.gain, np.inf)
    there = np.where(known & np.isfinite(there), np.clip(there, -reach, reach), reach)
    return there, (1 - (there / reach) ** 2) ** 2


def flicker(
    one: tuple[MapView, Floats, NDArray[np.bool_]], other: tuple[MapView, Floats, NDArray[np.bool_]]
) -> float:
    """The median share by which the depth of the same place differs in a second frame, the
    camera's motion taken out; NaN where nothing can be compared."""
    (view, depth, still), (second, values, still_there) = one, other
    chosen = np.flatnonzero(still & (depth > 0))
    own = depth.ravel()[chosen].astype(np.float64)
    seen = look(view, second, view.slopes().reshape(-1, 2)[chosen].astype(np.float64), own)
    found = np.nan_to_num(sampled(np.where(still_there, values, 0), seen.places))
    known = (found > 0) & (seen.depth > 0)
    if not known.any():
        return float("nan")
    return float(np.median(np.abs(np.log(found[known] / seen.depth[known]))))
