# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a frame around its holes: a coarse grid for what is searched, and its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...camera import Array
from .blocks import around

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_MOST_NODES, _MOST_WHOLE = 250_000, 60_000
"""Around holes, and over a whole frame."""
_RING = 24
"""Pixels around the holes whose colors are known and have to be met, in a frame of 2000 pixels."""


@dataclass(frozen=True, eq=False)
class HoleGrid:
    """The window (rows, columns) of a frame around its holes, and nodes in it, `step` pixels apart.

    holes, ring   (n, m) which nodes lie in a hole, and which in the ring around
    """

    window: tuple[slice, slice]
    step: int
    holes: Flags
    ring: Flags

    @classmethod
    def of(cls, holes: Flags) -> HoleGrid | None:
        """None for a frame (h, w) without holes."""
        reach = max(8, round(_RING * max(holes.shape) / 2000))
        found = around(holes, 2 * reach)
        if found is None:
            return None
        rows, columns = (
            slice(part.start, min(part.stop, n)) for part, n in zip(found, holes.shape, strict=True)
        )
        inside = holes[rows, columns]
        wide = np.asarray(cv2.dilate(inside.astype(np.uint8), _disc(reach))) > 0
        step = max(1, int(np.ceil(np.sqrt(wide.sum() / _MOST_NODES))))
        at = (slice(step // 2, None, step),) * 2
        return cls((rows, columns), step, inside[at], (wide & ~inside)[at])

    @classmethod
    def whole(cls, holes: Flags) -> HoleGrid:
        """Of a whole frame (h, w); the ring is all that is no hole."""
        step = max(2, int(np.ceil(np.sqrt(holes.size / _MOST_WHOLE))))
        inside = holes[step // 2 :: step, step // 2 :: step]
        return cls((slice(0, holes.shape[0]), slice(0, holes.shape[1])), step, inside, ~inside)

    @property
    def nodes(self) -> Flags:
        """(n, m) all that count."""
        return self.holes | self.ring

    def places(self) -> Array:
        """(k, 2) pixels of the nodes that count, in their order."""
        rows, columns = np.nonzero(self.nodes)
        top, left = self.window[0].start, self.window[1].start
        start = self.step // 2 + 0.5
        return np.stack([left + start + columns * self.step, top + start + rows * self.step], 1)

    def spread(self, values: Array) -> Floats:
        """Values (k, ...) of the nodes as (n, m, ...), 0 elsewhere."""
        whole = np.zeros((*self.nodes.shape, *values.shape[1:]), np.float32)
        whole[self.nodes] = values
        return whole

    def at_pixels(self, values: Floats, pixels: Array) -> Array:
        """(p,) of values (n, m) at pixels (p, 2) of the frame, in between the nodes."""
        top, left = self.window[0].start, self.window[1].start
        start = self.step // 2 + 0.5
        x, y = (((pixels - (left + start, top + start)) / self.step).T).astype(np.float32)
        found = np.empty(len(x))
        for first in range(0, len(x), 16384):
            part = slice(first, first + 16384)
            row = cv2.remap(
                values,
                x[None, part],
                y[None, part],
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            found[part] = np.asarray(row)[0]
        return found

    def cells_of(self, pixels: Array, apart: int) -> tuple[NDArray[np.int64], ...]:
        """Row and column of the cell of `apart` x `apart` nodes that each pixel (p, 2) lies in,
        with -1 for those outside."""
        top, left = self.window[0].start, self.window[1].start
        cells = np.floor((pixels - (left, top)) / (self.step * apart))
        count = -(-np.array(self.holes.shape[::-1]) // apart)
        with np.errstate(invalid="ignore"):
            outside = ~((cells >= 0) & (cells < count)).all(axis=1)
        cells[outside] = -1
        column, row = cells.astype(np.int64).T
        return row, column


def _disc(reach: int) -> NDArray[np.uint8]:
    size = 2 * reach + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)
