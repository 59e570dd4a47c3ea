# SPDX-License-Identifier: GPL-3.0-or-later
"""Scales by which frames that were guessed one by one agree with their neighbors.

Without distances from a solve there is only the frames' own word on how large things are. What two
neighbors say of the same thing gives the ratio of their scales, and that of a camera that comes
nearer besides. The latter lasts, and what jumps to and fro is the model: only that is taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...camera import Array
from .geometry import MapView, look, sampled
from .line import Floats

_OWN_WORD = 0.05
"""What a frame's own scale counts for, over the agreement with a neighbor."""
_LASTING = 5.0
"""Frames over which a ratio has to last to be the camera's (standard deviation of a mean)."""
_FEWEST = 200

Gray = NDArray[np.uint8]


def scales_of(ratios: Sequence[float], travels: bool) -> Array:
    """(n,) factors for n frames. `ratios` (n - 1): depth in a frame over what the one before says
    of the same; NaN where they cannot be compared. `travels`: the camera may have come nearer in
    between. Solves for their logarithms in least squares."""
    values = np.asarray(ratios, float)
    known = np.isfinite(values).astype(float)
    logs = np.log(np.where(known > 0, values, 1.0))
    if travels:
        logs -= _lasting(logs, known)
    count = len(logs) + 1
    diagonal = np.full(count, _OWN_WORD**2)
    diagonal[:-1] += known
    diagonal[1:] += known
    right = np.zeros(count)
    right[:-1] += known * logs
    right[1:] -= known * logs
    return np.exp(_tridiagonal(diagonal, -known, right))


def _lasting(logs: Array, known: Array) -> Array:
    """(n,) means of those around each, by a Gaussian."""
    away = np.arange(-round(3 * _LASTING), round(3 * _LASTING) + 1)
    kernel = np.exp(-0.5 * (away / _LASTING) ** 2)
    total = np.convolve(logs * known, kernel)[len(away) // 2 :][: len(logs)]
    weight = np.convolve(known, kernel)[len(away) // 2 :][: len(logs)]
    means: Array = total / np.maximum(weight, 1e-9)
    return means


def _tridiagonal(diagonal: Array, beside: Array, right: Array) -> Array:
    """Thomas' algorithm for a symmetric matrix with one value beside the diagonal."""
    pivots, rest = diagonal.copy(), right.copy()
    for index in range(1, len(pivots)):
        factor = beside[index - 1] / pivots[index - 1]
        pivots[index] -= factor * beside[index - 1]
        rest[index] -= factor * rest[index - 1]
    found = rest / pivots
    for index in range(len(found) - 2, -1, -1):
        found[index] = (rest[index] - beside[index] * found[index + 1]) / pivots[index]
    return found


def ratio_by_camera(one: tuple[MapView, Floats], other: tuple[MapView, Floats]) -> float:
    """For a camera that only turns: the second frame's depth (h, w) over the first's, of the same
    places; 0 in a map is not compared."""
    (view, depth), (second, values) = one, other
    chosen = np.flatnonzero(depth)
    slopes = view.slopes().reshape(-1, 2)[chosen].astype(np.float64)
    seen = look(view, second, slopes, depth.ravel()[chosen].astype(np.float64))
    found = np.nan_to_num(sampled(values, seen.places))
    return _middle(found, seen.depth)


def ratio_by_flow(
    one: tuple[Gray, Floats], other: tuple[Gray, Floats], flow: Callable[..., Any]
) -> float:
    """The same without a camera: pictures (h, w) tell by optical flow which pixels belong
    together."""
    (picture, depth), (second, values) = one, other
    moved = np.asarray(flow(picture, second, None), np.float64)
    rows, columns = np.nonzero(depth)
    places = np.stack([columns + 0.5, rows + 0.5], axis=1) + moved[rows, columns]
    height, width = depth.shape
    places[~((places >= 0) & (places <= (width, height))).all(axis=1)] = np.nan
    found = np.nan_to_num(sampled(values, places))
    return _middle(found, depth[rows, columns].astype(np.float64))


def optical_flow() -> Callable[..., Any]:
    """Dense inverse search (Kroeger et al. 2016)."""
    search: Callable[..., Any] = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc
    return search


def _middle(found: Array, depth: Array) -> float:
    known = (found > 0) & (depth > 0)
    if np.count_nonzero(known) < _FEWEST:
        return float("nan")
    return float(np.median(found[known] / depth[known]))
