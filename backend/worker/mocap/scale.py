# SPDX-License-Identifier: GPL-3.0-or-later
"""How many units of the shot's world a meter is, from feet that stand still.

Before the camera a foot is at j meters, so in the world at c + s R' j, with the camera's place c.
While it stands, s d(R' j) + d(c) = 0 between two frames: with a = d(R' j) and b = -d(c), the meters
a unit are m = 1 / s of a = m b. Depth before the camera is what a model knows least. Where it is
off by a share e throughout, the whole body is moved by e R' p with its pelvis p, so that

    a = m b + e q,   q = d(R' p),

is solved for both in least squares, e being small. What wanders along the view counts little, and
what does not fit counts less from round to round (Huber, Robust Statistics, 1981).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...camera import Array, Integers
from .contacts import SURE, runs
from .placing import Views

_LAGS = (0.2, 1 / 3, 0.5)
"""Seconds between the frames that are compared."""
_ALONG = 0.03
"""What the part along the view counts."""
_ROUNDS = 12
_HUBER = 1.5
_LARGEST_DOUBT = 0.15
"""Standard deviation over the value past which scale is not told."""
_DEPTH_ERROR = 0.03
"""Standard deviation of the share that depth is off by throughout."""
_SHARED = 8.0
"""Pairs that have the same errors."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Standing feet in two frames each: a, b, q and the view (m, 3) each, weight (m,), and the
    contact that they are of, run (m,)."""

    a: Array
    b: Array
    q: Array
    view: Array
    weight: Array
    run: Integers


@dataclass(frozen=True)
class Scale:
    """Units of the shot's world a meter; doubt is the standard deviation over the value."""

    value: float
    doubt: float
    contacts: int


def pairs_of(
    feet: Array, pelvis: Array, contact: Array, views: Views, fps: float, first_run: int = 0
) -> Pairs:
    """Of feet (n, 4, 3) and the pelvis (n, 3) in meters before the camera, and how surely feet
    stand, contact (n, 4)."""
    world, found = views.to_world(feet), []
    way = views.to_world(pelvis)
    run = first_run
    for foot in range(feet.shape[1]):
        for stretch in runs(contact[:, foot] >= SURE, views.frames, 3):
            index = np.arange(stretch.start, stretch.stop)
            for lag in sorted({max(1, round(each * fps)) for each in _LAGS}):
                one, other = index[:-lag], index[lag:]
                if len(one):
                    found.append(
                        _pairs(world[:, foot], way, contact[:, foot], views, one, other, run)
                    )
            run += 1
    if not found:
        none = np.zeros((0, 3))
        return Pairs(none, none, none, none, np.zeros(0), np.zeros(0, np.int64))
    return joined(found)


def _pairs(
    places: Array,
    way: Array,
    contact: Array,
    views: Views,
    one: Integers,
    other: Integers,
    run: int,
) -> Pairs:
    # The whole body is moved along the view of its pelvis where its depth is wrong.
    middle = (way[one] + way[other]) / 2
    distance = np.linalg.norm(middle, axis=1)
    return Pairs(
        a=places[other] - places[one],
        b=views.centers[one] - views.centers[other],
        q=way[other] - way[one],
        view=middle / np.maximum(distance, 1e-9)[:, None],
        weight=np.sqrt(contact[one] * contact[other]),
        run=np.full(len(one), run),
    )


def joined(parts: Sequence[Pairs]) -> Pairs:
    """The pairs of several feet or people."""
    names = ("a", "b", "q", "view", "weight", "run")
    return Pairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def scale_from_feet(pairs: Pairs) -> Scale | None:
    """None where they cannot tell: the camera stands or hardly travels, or nothing stands."""
    if not len(pairs.a):
        return None
    a, b, q = (_across(each, pairs.view) for each in (pairs.a, pairs.b, pairs.q))
    meters, share, weight = 0.0, 0.0, pairs.weight
    for _ in range(_ROUNDS):
        off = np.linalg.norm(a - meters * b - share * q, axis=1)
        usual = max(1.4826 * float(np.median(off)), 1e-9)
        weight = pairs.weight * np.minimum(1, _HUBER * usual / np.maximum(off, 1e-12))
        bread = _bread(b, q, weight, usual)
        if np.linalg.cond(bread) > 1e12:
            return None
        sums = [(weight * (a * each).sum(axis=1)).sum() for each in (b, q)]
        meters, share = np.linalg.solve(bread, sums).tolist()
    doubt = _doubt(a - meters * b - share * q, b, q, weight, pairs.run, bread) / max(meters, 1e-12)
    if meters <= 0 or doubt > _LARGEST_DOUBT:
        return None
    return Scale(1 / meters, doubt, len(np.unique(pairs.run)))


def _bread(b: Array, q: Array, weight: Array, usual: float) -> Array:
    """(2, 2) of the normal equations, with what is known of the depth's share beforehand."""
    bb, bq, qq = ((weight * (x * y).sum(axis=1)).sum() for x, y in ((b, b), (b, q), (q, q)))
    prior = _SHARED * (usual / _DEPTH_ERROR) ** 2
    return np.array([[bb, bq], [bq, qq + prior]])


def _across(vectors: Array, view: Array) -> Array:
    along = (vectors * view).sum(axis=1, keepdims=True) * view
    across: Array = vectors - (1 - _ALONG) * along
    return across


def _doubt(off: Array, b: Array, q: Array, weight: Array, run: Integers, bread: Array) -> float:
    """The standard deviation of the meters a unit. Pairs of one contact share its errors, so
    contacts are what is counted (Liang and Zeger, Biometrika 73 (1986) 13)."""
    each = np.stack([weight * (x * off).sum(axis=1) for x in (b, q)])
    sums = np.stack([np.bincount(run - run.min(), row) for row in each])
    inverse = np.linalg.inv(bread)
    spread = inverse @ (sums @ sums.T) @ inverse
    # What cannot be seen is as wide as is known beforehand; so few contacts tell little.
    unseen = inverse * _SHARED * float(np.median((off * off).sum(axis=1)))
    count = len(np.unique(run))
    return float(np.sqrt(max(spread[0, 0] * count / max(count - 1, 0.25), unseen[0, 0])))


def scale_from_floor(soles: Array, views: Views) -> float | None:
    """That with which standing soles (m, 3), in meters and the world's axes from the camera (m, 3)
    of `views`, are at height 0. None where the camera is not clearly above."""
    above = views.centers[:, 2]
    down = -soles[:, 2]
    clear = (above > 0) & (down > 0.1 * np.linalg.norm(soles, axis=1))
    if np.count_nonzero(clear) < 0.5 * len(soles) or not clear.any():
        return None
    return float(np.median(above[clear] / down[clear]))
