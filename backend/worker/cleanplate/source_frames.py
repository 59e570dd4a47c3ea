# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames that a hole's background is looked for in: their cameras, pictures and masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ...camera import Array
from ..depth.geometry import MapView, look
from ..frame_files import Pixels
from .depth_sweep import SweepSource
from .hole_grid import Flags, Floats
from .pinholes import pinhole_for, seen_through

_MEMORY = 200 * 2**20
"""Bytes of pictures that are kept for the next frame."""
_SMALL = 240
"""Pixels of the longer side of the masks by which frames are chosen."""
_SPREAD = (3, 6, 12, 24, 48, 96)
"""Frames from a frame to those that depth is searched in."""
_SHOWN = 0.1
"""The share of the nodes that a frame has to show for depth to be searched in it."""
_ROW = 16384
"""OpenCV takes no maps that are longer than 32767 pixels."""

Views = Callable[[int], MapView | None]
"""A frame's camera over the plate."""
Read = Callable[[int], Pixels]
"""A frame as it is read, (h, w, 3) or (h, w)."""
Covered = Callable[[int], Flags]
"""(h, w) where a frame shows what is removed."""


class SourceFrames:
    """`numbers` are the frames that have a camera; `views` gives it over the plate."""

    def __init__(
        self,
        numbers: Sequence[int],
        views: Views,
        read: Read,
        covered: Covered,
        size: tuple[int, int],
    ) -> None:
        self._numbers, self._views = list(numbers), views
        kept = max(8, _MEMORY // (size[0] * size[1] * 7))
        self.read = lru_cache(maxsize=kept)(read)
        self.covered = lru_cache(maxsize=kept)(lambda number: _grown(covered(number)))
        self._small_masks = lru_cache(maxsize=None)(self._small_mask)
        self._straight = lru_cache(maxsize=24)(self._straightened)

    def view(self, number: int) -> MapView:
        found = self._views(number)
        assert found is not None
        return found

    def by_distance(self, number: int) -> list[int]:
        """The other frames, the nearest in time first."""
        return sorted((n for n in self._numbers if n != number), key=lambda n: (abs(n - number), n))

    def shows(self, view: MapView, slopes: Array, depth: Array, number: int) -> Flags:
        """(k,) whether a frame shows places of another one, by masks that are small."""
        places = look(view, self.view(number), slopes, depth).places
        mask = self._small_masks(number)
        scale = np.array(mask.shape[::-1]) / view.size
        x, y = np.floor(np.nan_to_num(places, nan=-1e6) * scale).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
        found: Flags = inside.copy()
        found[inside] = ~mask[y[inside], x[inside]]
        return found

    def spread(self, view: MapView, slopes: Array, depth: Array) -> Iterator[int]:
        """Frames to search depth in: about so many frames away to both sides, and where those show
        too little the next ones that show enough."""
        enough = max(1, round(_SHOWN * len(slopes)))
        known = set(self._numbers)
        reach = max((abs(n - view.number) for n in known), default=0)
        for side in (-1, 1):
            last = 0
            for away in _SPREAD:
                for step in range(max(away, last + 1), reach + 1):
                    number = view.number + side * step
                    if number in known and self.shows(view, slopes, depth, number).sum() >= enough:
                        last = step
                        yield number
                        break
                else:
                    break

    def sweep_source(self, number: int, step: int, gain: Floats) -> SweepSource:
        """A frame with one pixel for `step` of the plate's."""
        view = self.view(number)
        longest = max(view.size) / step
        pinhole = pinhole_for(view.lens, longest)
        colors, covered = self._straight(number, longest)
        return SweepSource(view, pinhole, colors * gain, covered)

    def sampled(self, number: int, places: Array) -> tuple[Floats, Flags]:
        """Colors (p, c) at pixels (p, 2) of a frame, by cubic interpolation, and where none of the
        pixels that they are interpolated of shows what is removed."""
        picture, covered = self.read(number), self.covered(number)
        x, y = (np.nan_to_num(places, nan=-1e6) - 0.5).astype(np.float32).T
        height, width = covered.shape
        inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
        columns, rows = (np.rint(each).astype(int) for each in (x, y))
        seen = inside.copy()
        seen[inside] = ~covered[rows[inside], columns[inside]]
        channels = 1 if picture.ndim == 2 else picture.shape[2]
        colors = np.zeros((len(x), channels), np.float32)
        at = np.flatnonzero(seen)
        for first in range(0, len(at), _ROW):
            part = at[first : first + _ROW]
            row = cv2.remap(
                picture,
                x[None, part],
                y[None, part],
                cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REPLICATE,
            )
            colors[part] = np.asarray(row).reshape(len(part), channels)
        return colors, seen

    def _small_mask(self, number: int) -> Flags:
        covered = self.covered(number)
        step = max(1, max(covered.shape) // _SMALL)
        rows, columns = (-(-n // step) for n in covered.shape)
        whole = np.zeros((rows * step, columns * step), np.bool_)
        whole[: covered.shape[0], : covered.shape[1]] = covered
        small: Flags = whole.reshape(rows, step, columns, step).any(axis=(1, 3))
        return small

    def _straightened(self, number: int, longest: float) -> tuple[Floats, NDArray[np.uint8]]:
        picture, lens = self.read(number), self.view(number).lens
        pinhole = pinhole_for(lens, longest)
        eight = (picture >> 8).astype(np.uint8) if picture.dtype == np.uint16 else picture
        colors = eight if eight.ndim == 3 else np.repeat(eight[:, :, None], 3, axis=2)
        hidden = np.where(self.covered(number), 255, 0).astype(np.uint8)
        return (
            seen_through(colors, lens, pinhole, 0).astype(np.float32),
            (seen_through(hidden, lens, pinhole, 255) > 0).astype(np.uint8),
        )


def _grown(covered: Flags) -> Flags:
    """By the pixels that a cubic interpolation takes beside its own."""
    wide: Flags = np.asarray(cv2.dilate(covered.astype(np.uint8), np.ones((5, 5), np.uint8))) > 0
    return wide
