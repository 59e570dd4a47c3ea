# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of single frames, and which of them two frames share.

n features, m matches; pixels are of the plate, (0, 0) at the corner of the first one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ....camera import Array, Integers
from ....tracks import Floats
from ..tracking.frames import ignored_area, read_gray
from ..tracking.records import Booleans, Sizes

_LONGEST = 720
"""Px of the longer side of the picture that features are looked for in."""

_MOST = 1600
_CONTRAST = 0.02
_RATIO = 0.8
"""Distance of the best match over that of the next best."""

_ERROR = 1.5 / 1280
"""Of the longer side, by which matches may miss the geometry of two frames."""

_LEAST_MATCHES, _LEAST_SHARE = 30, 0.25
"""Matches that must fit one geometry, and their share of all."""

_COLUMNS, _ROWS, _LEAST_CELLS = 12, 8, 8
"""Cells of the picture, and in how many of them there must be matches."""

_PLANE = 0.8
"""Share of the matches from which one homography is taken to explain them all."""

SEED = 1


@dataclass(frozen=True, eq=False)
class Features:
    """pixel (n, 2) and descriptor (n, 128) of unit length, the strongest first."""

    pixel: Array
    descriptor: Floats

    def first(self, count: int) -> Features:
        return Features(self.pixel[:count], self.descriptor[:count])


@dataclass(frozen=True, eq=False)
class Matches:
    """Places (m, 2) in one frame and the same ones in another."""

    here: Array
    there: Array

    def __len__(self) -> int:
        return len(self.here)

    def only(self, keep: Booleans) -> Matches:
        return Matches(self.here[keep], self.there[keep])

    def turned(self) -> Matches:
        return Matches(self.there, self.here)

    def joined(self, other: Matches) -> Matches:
        return Matches(
            np.concatenate([self.here, other.here]), np.concatenate([self.there, other.there])
        )


@dataclass(eq=False)
class FrameFeatures:
    """Features of frames, found when first asked for."""

    frames: Mapping[int, Path]
    masks: Mapping[int, Path]
    sizes: Sizes
    mask_margin: float
    _known: dict[int, Features] = field(default_factory=dict)

    def of(self, number: int) -> Features:
        """Raises SolveError for a frame or mask that cannot be read or has the wrong size."""
        if number not in self._known:
            self._known[number] = self._found(number)
        return self._known[number]

    def _found(self, number: int) -> Features:
        gray = read_gray(self.frames[number], self.sizes.plate)
        scale = min(1.0, _LONGEST / max(self.sizes.plate))
        size = tuple(max(1, round(side * scale)) for side in self.sizes.plate)
        small = cv2.convertScaleAbs(cv2.resize(gray, size, interpolation=cv2.INTER_AREA))
        mask = np.full(size[::-1], 255, np.uint8)
        if number in self.masks:
            ignored = ignored_area(self.masks[number], self.sizes, self.mask_margin)
            mask[cv2.resize(ignored, size, interpolation=cv2.INTER_NEAREST) > 0] = 0
        sift = cv2.SIFT.create(_MOST, contrastThreshold=_CONTRAST)
        points, descriptors = sift.detectAndCompute(small, mask)
        if not points:
            return Features(np.zeros((0, 2)), np.zeros((0, 128), np.float32))
        order = np.argsort([-point.response for point in points], kind="stable")[:_MOST]
        place = np.array([points[index].pt for index in order], dtype=np.float64)
        pixel = (place + 0.5) * np.divide(self.sizes.plate, size)
        return Features(pixel, _unit(descriptors[order]))


def _unit(descriptors: Floats) -> Floats:
    """Roots of descriptors that sum to 1 (Arandjelovic and Zisserman, Three Things Everyone Should
    Know to Improve Object Retrieval, 2012)."""
    sums = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
    return np.asarray(np.sqrt(descriptors / sums), dtype=np.float32)


def matched(first: Features, second: Features) -> Matches:
    """Pairs of features, each the other's best and clearly better than the next best."""
    if min(len(first.pixel), len(second.pixel)) < 2:
        return Matches(np.zeros((0, 2)), np.zeros((0, 2)))
    alike = first.descriptor @ second.descriptor.T
    best = alike.argmax(axis=1)
    mutual = alike.argmax(axis=0)[best] == np.arange(len(best))
    index: Integers = np.flatnonzero(mutual)
    rows = alike[index]
    top = rows[np.arange(len(index)), best[index]].copy()
    rows[np.arange(len(index)), best[index]] = -1
    near, next_ = 2 - 2 * top, 2 - 2 * rows.max(axis=1)
    index = index[near < _RATIO**2 * next_]
    return Matches(first.pixel[index], second.pixel[best[index]])


def verified(matches: Matches, size: tuple[int, int]) -> Matches | None:
    """The matches that one rigid scene explains; None where too few do."""
    if len(matches) < _LEAST_MATCHES:
        return None
    good = matches.only(fitting(matches, _ERROR * max(size)))
    enough = len(good) >= max(_LEAST_MATCHES, _LEAST_SHARE * len(matches))
    return good if enough and min(cells(good.here, size), cells(good.there, size)) else None


def fitting(matches: Matches, error: float) -> Booleans:
    """(m,) which matches one homography explains, or if it leaves many, one epipolar geometry."""
    nothing = np.zeros(len(matches), dtype=np.bool_)
    if len(matches) < 8:
        return nothing
    cv2.setRNGSeed(SEED)
    here, there = matches.here, matches.there
    _plane, plane = cv2.findHomography(here, there, cv2.USAC_MAGSAC, error, None, 2000, 0.999)
    _matrix, rigid = cv2.findFundamentalMat(here, there, cv2.USAC_MAGSAC, error, 0.999, 2000)
    flat, deep = (nothing if found is None else found.ravel() > 0 for found in (plane, rigid))
    return np.asarray(flat if flat.sum() > _PLANE * deep.sum() else deep)


def cells(pixel: Array, size: tuple[int, int]) -> bool:
    """Whether places are spread over enough of the picture."""
    column, row = (pixel / size * [_COLUMNS, _ROWS]).astype(np.int64).T
    return len(np.unique(row * _COLUMNS + column)) >= _LEAST_CELLS
