# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills holes smoothly from what is around them: pull and push (Gortler et al. 1996, section 3.4).

The picture is halved until every pixel of the smallest has something of what is known, each pixel
the mean of what is known below it; going back, holes take the color of the smaller picture.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..frame_files import Pixels
from .blocks import around

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_MARGIN = 32
"""Pixels around the holes that color them."""
_STRIP = 256
"""Lines that are halved at a time, so that little of the picture is held in floats."""


def fill_around(picture: Pixels, holes: Flags) -> Floats:
    """(p, c) colors for the `holes` of a picture (h, w) or (h, w, c), in the order of
    `np.nonzero(holes)`, in its code values; black where the picture is nothing but holes."""
    colors = picture[:, :, None] if picture.ndim == 2 else picture
    part = around(holes, _MARGIN)
    if part is None or holes[part].all():
        return np.zeros((int(holes.sum()), colors.shape[2]), np.float32)
    here = holes[part]
    found: Floats = _doubled(_filled(*_coarse(colors[part], ~here)), *here.shape)[here]
    return found


def _coarse(colors: Pixels, known: Flags) -> tuple[Floats, Floats]:
    """`_halved` of a whole picture."""
    parts = []
    for top in range(0, len(colors), _STRIP):
        lines = slice(top, top + _STRIP)
        own = (colors[lines] * known[lines, :, None]).astype(np.float32)
        parts.append(_halved(own, known[lines].astype(np.float32)))
    sums, shares = zip(*parts, strict=True)
    return np.concatenate(sums), np.concatenate(shares)


def _halved(sums: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """The means of each 2 x 2 pixels: of colors times how much of them is known (h, w, c), and of
    that share (h, w)."""
    return _half(sums), _half(shares[:, :, None])[:, :, 0]


def _half(values: Floats) -> Floats:
    down, right = values.shape[0] % 2, values.shape[1] % 2
    if down or right:
        values = np.pad(values, ((0, down), (0, right), (0, 0)))
    size = values.shape[1] // 2, values.shape[0] // 2
    half: Any = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    return np.asarray(half.reshape(size[1], size[0], -1), np.float32)


def _filled(sums: Floats, shares: Floats) -> Floats:
    """(h, w, c) the colors where something is known, those of the next smaller picture elsewhere,
    and in between where less than all is known."""
    own: Floats = sums / np.maximum(shares, 1e-6)[:, :, None]
    if (shares > 0).all():
        return own
    # What is known of a part of a pixel counts in full from here on: the rim of a hole as its
    # surroundings do.
    share = np.minimum(4 * shares, 1)
    smaller = _filled(*_halved(own * share[:, :, None], share))
    share = share[:, :, None]
    mixed: Floats = own * share + _doubled(smaller, *shares.shape) * (1 - share)
    return mixed


def _doubled(half: Floats, height: int, width: int) -> Floats:
    """Halving has made the number of lines even: what was added is cut off again."""
    size = half.shape[1] * 2, half.shape[0] * 2
    whole: Any = cv2.resize(half, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole.reshape(size[1], size[0], -1)[:height, :width], np.float32)
