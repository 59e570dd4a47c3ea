# SPDX-License-Identifier: GPL-3.0-or-later
"""Blends what other frames show of a hole's background, at the frame's exposure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from ...camera import Array
from ...lens import straighten
from ..depth.geometry import MapView, Seen, look
from ..frame_files import Pixels
from .background_cloud import BackgroundCloud
from .depth_sweep import FAR
from .exposure_gains import gains
from .filling import Filling
from .hole_grid import Flags, Floats, HoleGrid
from .source_frames import SourceFrames

BLENDED = 8
"""Frames that a pixel is blended of."""
PROBES = 500
"""Nodes, or pixels, by which frames are chosen."""
_ROUNDS = 3
_LEAST_SPREAD = 4.0
"""Levels of 255 by which frames may differ from most of them, whatever the grain."""
_CLIP = 3.0
"""Standard deviations of the grain beyond which a difference is another thing."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Target:
    """A frame that is filled, with its grid."""

    view: MapView
    frame: Pixels
    grid: HoleGrid

    @property
    def channels(self) -> int:
        return 1 if self.frame.ndim == 2 else int(self.frame.shape[2])

    @property
    def top(self) -> float:
        """The brightest code value."""
        return float(np.iinfo(self.frame.dtype).max)

    @cached_property
    def slopes(self) -> Array:
        """(k, 2) of the rays through the grid's nodes."""
        return straighten(self.view.lens, self.grid.places())

    def colors(self) -> Floats:
        """(k, 3) of the nodes, 0 to 255: means over the pixels that a node stands for."""
        rows, columns = self.grid.window
        part = self.frame[rows, columns]
        mean = cv2.blur(part, (self.grid.step,) * 2).astype(np.float32)
        mean = mean if mean.ndim == 3 else np.repeat(mean[:, :, None], 3, axis=2)
        start, step = self.grid.step // 2, self.grid.step
        nodes: Floats = mean[start::step, start::step][self.grid.nodes]
        return nodes / np.float32(257) if part.dtype == np.uint16 else nodes


class Matched:
    """By what other frames have the exposure of one that is filled: from the ring around its holes,
    whose background has 1 / depth `inverse` (k,) at the grid's nodes."""

    def __init__(self, sources: SourceFrames, target: Target, inverse: Array) -> None:
        self._sources, self._target = sources, target
        ring = target.grid.ring[target.grid.nodes]
        self._slopes = target.slopes[ring]
        self._depth = 1 / np.maximum(inverse[ring], FAR)
        x, y = np.floor(target.grid.places()[ring]).astype(int).T
        self._own = target.frame[y, x].reshape(len(x), -1).astype(np.float32)

    def gain(self, number: int) -> Floats:
        """(c,) factors; 1 where too little tells."""
        other = self._sources.view(number)
        places = look(self._target.view, other, self._slopes, self._depth).places
        colors, seen = self._sources.sampled(number, places)
        return gains(self._own[seen], colors[seen], self._target.top)


def gain_of(matched: Matched | None, number: int) -> Floats:
    """(3,) for sources in three channels."""
    gain = np.ones(3, np.float32) if matched is None else matched.gain(number)
    return np.broadcast_to(gain, (3,)).astype(np.float32)


class Blend:
    """Gathers what frames show of pixels (p, 2) whose background has 1 / depth `inverse` (p,): of
    each pixel the colors in the nearest frames."""

    def __init__(
        self, target: Target, pixels: Array, inverse: Array, cloud: BackgroundCloud | None
    ) -> None:
        self._target, self._cloud = target, cloud
        self._slopes = straighten(target.view.lens, pixels)
        self._depth = 1 / np.maximum(inverse, FAR)
        self._colors = np.zeros((BLENDED, len(pixels), target.channels), np.float32)
        self._count: Integers = np.zeros(len(pixels), np.int64)

    def look(self, sources: SourceFrames, matched: Matched | None) -> None:
        """Looks into frames until enough are found for every pixel, or none is left.

        What something is before, or right beside, is left out at first, and taken where nothing
        else shows a pixel: depth may be wrong, and a mesh may reach too far.
        """
        for wanted, strict in ((BLENDED, True), (1, False), (1, None)):
            # Probes may miss what is small.
            for _ in range(_ROUNDS):
                lacking = np.flatnonzero(self._count < wanted)
                probes = lacking[:: len(lacking) // PROBES + 1]
                chosen = self._chosen(sources, probes, wanted, strict)
                before = int(self._count.sum())
                for number in chosen:
                    gain = np.float32(1) if matched is None else matched.gain(number)
                    self._take(sources, number, gain, wanted, strict)
                if wanted == BLENDED or int(self._count.sum()) == before:
                    break

    def _chosen(
        self, sources: SourceFrames, probes: Integers, wanted: int, strict: bool | None
    ) -> list[int]:
        """The nearest frames that show probes which too few others show."""
        lacking = np.full(len(probes), wanted)
        chosen = []
        for number in sources.by_distance(self._target.view.number) if len(probes) else ():
            view, slopes, depth = self._target.view, self._slopes[probes], self._depth[probes]
            shown = sources.shows(view, slopes, depth, number)
            if shown.any():
                other = sources.view(number)
                shown &= ~self._hidden(other, look(view, other, slopes, depth), strict)
            if (shown & (lacking > 0)).any():
                chosen.append(number)
                lacking -= shown
            if not (lacking > 0).any():
                break
        return chosen

    def _take(
        self,
        sources: SourceFrames,
        number: int,
        gain: Floats | np.float32,
        wanted: int,
        strict: bool | None,
    ) -> None:
        lacking = np.flatnonzero(self._count < wanted)
        other = sources.view(number)
        found = look(self._target.view, other, self._slopes[lacking], self._depth[lacking])
        colors, seen = sources.sampled(number, found.places)
        seen &= ~self._hidden(other, found, strict)
        at = lacking[seen]
        self._colors[self._count[at], at] = colors[seen] * gain
        self._count[at] += 1

    def _hidden(self, other: MapView, found: Seen, strict: bool | None) -> Flags:
        """(k,) whether another frame has something before what it would show; with `strict`, or
        beside it; None asks for nothing."""
        if self._cloud is None or strict is None:
            return np.zeros(len(found.depth), np.bool_)
        return self._cloud.hidden(other, found.places, found.depth, strict)

    def filling(self, grain: float) -> Filling:
        """`grain` is the deviation of the plate's grain in code values, 0 to give it none."""
        top = self._target.top
        known = np.arange(BLENDED)[:, None] < self._count
        blended = agreed(self._colors, known, max(_LEAST_SPREAD * top / 255, _CLIP * grain))
        nearest = np.clip(self._colors[0] - blended, -_CLIP * grain, _CLIP * grain)
        colors = np.clip(blended + nearest, 0, top).astype(np.float32)
        return Filling(colors, self._count > 0)


def agreed(colors: Floats, known: Flags, spread: float) -> Floats:
    """(p, c) the mean of those of colors (s, p, c) that are known (s, p) and no more than `spread`
    off their median, or the one nearest to it; 0 where none is known."""
    off = np.where(known, np.abs(colors - _median(colors, known)).mean(axis=2), np.inf)
    # The middle of each channel by itself may be a color that no frame is near to.
    agree = (known & (off <= np.maximum(off.min(axis=0), spread)))[..., None]
    mean: Floats = (colors * agree).sum(axis=0) / np.maximum(agree.sum(axis=0), 1)
    return mean


def _median(colors: Floats, known: Flags) -> Floats:
    """(p, c) the middle of those of colors (s, p, c) that are known (s, p), the lower of two."""
    ordered = np.sort(np.where(known[..., None], colors, np.inf), axis=0)
    at = np.maximum(known.sum(axis=0) - 1, 0) // 2
    middle: Floats = np.take_along_axis(ordered, at[None, :, None], axis=0)[0]
    return np.where(known.any(axis=0)[:, None], middle, 0)


_LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
"""Leaves of a picture its noise, with the noise's deviation (Immerkaer 1996)."""


def grain_of(frame: Pixels, grid: HoleGrid) -> float:
    """The deviation of the grain around the holes, in code values, as most pixels have it."""
    rows, columns = grid.window
    part = frame[rows, columns].astype(np.float32)
    noise = np.abs(cv2.filter2D(part, -1, _LAPLACIAN))
    start, step = grid.step // 2, grid.step
    outside = noise[start::step, start::step][grid.ring]
    return 1.4826 * float(np.median(outside)) if outside.size else 0.0
