# SPDX-License-Identifier: GPL-3.0-or-later
"""Search from one frame to the next: pyramidal Lucas-Kanade, started from a guess."""

from __future__ import annotations

import cv2
import numpy as np

from ....tracks import Floats
from .anchoring import positive_inverses
from .frames import Bytes, Picture
from .records import Booleans, TrackSettings

_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 12, 0.04)

_LEVELS_BACK = 1
"""Pyramid levels of the search back, which starts where it should end."""

_FITS = 3
_STIFFNESS = np.array([0, 1, 1, 3, 3, 3], np.float32) / 10
"""Keeps a few tracks side by side from making the picture turn."""

_UNIT = np.float32(500)
"""Working px; positions in it are about 1."""

_SURE = 0.05
"""Response of a phase correlation that is not chance."""


def search(
    before: Bytes, after: Bytes, positions: Floats, guess: Floats, settings: TrackSettings
) -> tuple[Floats, Booleans]:
    """Coarse positions (n, 2) in `after` of those in `before`, and which came back to where
    they started."""
    if not len(positions):
        return positions, np.zeros(0, bool)
    there, seen = _flow(before, after, positions, guess, settings.window, settings.levels)
    back, seen_back = _flow(after, before, there, positions, settings.window, _LEVELS_BACK)
    missed = np.hypot(*(back - positions).T)
    return there, seen & seen_back & (missed < settings.forward_backward)


def _flow(
    before: Bytes, after: Bytes, positions: Floats, guess: Floats, window: int, levels: int
) -> tuple[Floats, Booleans]:
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        before,
        after,
        np.ascontiguousarray(positions, np.float32),
        np.ascontiguousarray(guess, np.float32),
        winSize=(window, window),
        maxLevel=levels,
        criteria=_CRITERIA,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return np.asarray(found, np.float32).reshape(-1, 2), status.ravel() > 0


def whole_shift(before: Picture, after: Picture) -> Floats | None:
    """(2,) how the picture as a whole moved, in coarse px; None when that cannot be told.

    Finds jumps of up to half the frame, which a search would lose.
    """
    small = (max(8, before.coarse.shape[1] // 4), max(8, before.coarse.shape[0] // 4))
    one, other = (
        cv2.resize(picture.coarse, small, interpolation=cv2.INTER_AREA).astype(np.float32)
        for picture in (before, after)
    )
    window = cv2.createHanningWindow(small, cv2.CV_32F)
    shift, response = cv2.phaseCorrelate(one, other, window)
    return np.array(shift, np.float32) * np.float32(4) if response > _SURE else None


def whole_motion(positions: Floats, motion: Floats) -> Floats:
    """(2, 6) robust least-squares fit of motions (n, 2) at positions (n, 2): a quadratic model,
    which follows a plane seen at a slant."""
    terms = _terms(positions)
    model = np.zeros((2, len(terms)))
    model[:, 0] = np.median(motion, axis=0)
    for _ in range(_FITS):
        missed = np.hypot(*(motion.T - np.einsum("ij,jn->in", model, terms)))
        usual = max(2 * float(np.median(missed)), 0.05)
        weighted = terms / (1 + np.square(missed / usual))
        # einsum, not BLAS: its threads cost more than they bring here.
        matrix = np.einsum("in,jn->ij", weighted, terms) + np.diag(_STIFFNESS)
        sums = np.einsum("in,nk->ik", weighted, motion)
        model = np.einsum("ij,jk->ki", positive_inverses(matrix[None])[0], sums)
    return np.asarray(model, dtype=np.float32)


def applied(model: Floats, positions: Floats) -> Floats:
    """The motion (n, 2) that a model (2, 6) has at those positions."""
    return np.asarray(np.einsum("ij,jn->ni", model, _terms(positions)), dtype=np.float32)


def _terms(positions: Floats) -> Floats:
    """(6, n) 1, x, y, x x, x y, y y of positions in units of `_UNIT`."""
    x, y = positions.T.astype(np.float32) / _UNIT - np.float32(1)
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])
