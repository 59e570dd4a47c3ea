# SPDX-License-Identifier: GPL-3.0-or-later
"""How a picture moves around given places, from matches near them.

k places; each gets an affine map of its own, a robust fit to the matches around it. Where few are
near it leans on the fit to all.
"""

from __future__ import annotations

import numpy as np

from ....camera import Array
from .features import Matches

_FITS = 5
_STIFFNESS = 0.5
"""Keeps a map of few matches from bending: of the weight of all its matches."""

_BENT = 0.4
"""Most that a local map may depart from that of the whole picture (Frobenius norm)."""

FEWEST = 8


def carried(matches: Matches, at: Array, neighbors: int) -> tuple[Array, Array]:
    """Where places `at` (k, 2) of the first frame are in the second (k, 2), and the affine maps
    (k, 2, 2) around them. Needs `FEWEST` matches at least."""
    whole = _whole(matches)
    left = matches.there - _applied(whole, matches.here)
    count = min(neighbors, len(matches))
    apart = np.square(at[:, None] - matches.here).sum(axis=2)
    near = np.argpartition(apart, count - 1, axis=1)[:, :count]
    reach = np.sqrt(np.take_along_axis(apart, near, axis=1).mean(axis=1)).clip(1.0)
    offset = (matches.here[near] - at[:, None]) / reach[:, None, None]
    fit = _fitted(offset, left[near])
    bend = np.swapaxes(fit[:, 1:], 1, 2) / reach[:, None, None]
    bend *= (np.square(bend).sum(axis=(1, 2)) < _BENT**2)[:, None, None]
    return _applied(whole, at) + fit[:, 0], whole[:, 1:] + bend


def _applied(model: Array, at: Array) -> Array:
    places: Array = at @ model[:, 1:].T + model[:, 0]
    return places


def _whole(matches: Matches) -> Array:
    """(2, 3) the affine map of all matches: shift, then matrix."""
    middle = matches.here.mean(axis=0)
    reach = float(np.abs(matches.here - middle).max()) + 1.0
    offset = ((matches.here - middle) / reach)[None]
    fit = _fitted(offset, (matches.there - matches.here)[None])[0]
    matrix = fit[1:].T / reach + np.eye(2)
    shift = middle + fit[0] - matrix @ middle
    return np.concatenate([shift[:, None], matrix], axis=1)


def _fitted(offset: Array, moved: Array) -> Array:
    """(k, 3, 2) robust linear fits of `moved` (k, n, 2) over `offset` (k, n, 2): the value at 0,
    then the slopes."""
    terms = np.concatenate([np.ones_like(offset[:, :, :1]), offset], axis=2)
    near = 1 / (1 + np.square(offset).sum(axis=2))
    fit = np.zeros((len(terms), 3, 2))
    fit[:, 0] = np.median(moved, axis=1)
    for _ in range(_FITS):
        missed = np.linalg.norm(moved - terms @ fit, axis=2)
        usual = np.maximum(np.median(missed, axis=1), 0.3)
        weight = near / (1 + np.square(missed / (1.5 * usual[:, None])))
        turned = np.swapaxes(terms * weight[:, :, None], 1, 2)
        matrix = turned @ terms
        matrix[:, [1, 2], [1, 2]] += _STIFFNESS * weight.mean(axis=1)[:, None]
        fit = np.linalg.solve(matrix, turned @ moved)
    return fit
