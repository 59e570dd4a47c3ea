# SPDX-License-Identifier: GPL-3.0-or-later
"""The background as a camera that stands still sees it: the median over time without what masks
cover.

A first pass reads every frame once and puts down the pixels that a mask covers in any of them. Each
pixel's median over the frames that show it is the background. Where frames differ in exposure it is
found at that of one of them, and given that of the frame it is put into.

A median of many frames has no grain. So a filled pixel is that of another frame, the donor, as far
as it lies within 3 deviations of the grain around the median: the grain is the plate's own and
moves, and what passes by unmasked stays out. Few pixels that none of the donors shows get grain of
the measured strength.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import MaskError
from ..frame_files import Pixels
from ..mask_files import Mask
from ..report import Report
from ..threads import threads
from .exposure_gains import STEADY, SteadyPixels, gains
from .filling import Filling, Flags
from .grain import NO_GRAIN, Grain, GrainMeasure
from .masked_median import masked_median
from .plate_frames import PlateFrames
from .samples import Layout, Samples

Floats = NDArray[np.float32]

_DONORS = 8
_HELD_BY = 3.0
"""Deviations of the grain that a donor may be off the median by."""


@dataclass(frozen=True)
class MedianSettings:
    grain: bool = True
    match_exposure: bool = True


class Median:
    """Fills the holes of each frame with the median. `folder` takes what memory should not hold."""

    def __init__(
        self,
        frames: PlateFrames,
        mask: Callable[[int], Mask],
        covered: Flags,
        settings: MedianSettings,
        folder: Path,
        report: Report,
    ) -> None:
        """`mask` gives a frame's, 0 where nothing is replaced; `covered` (h, w) is where any is
        not. Raises PlateError, MaskError, OutputError."""
        self._frames, self._mask, self._settings = frames, mask, settings
        self._numbers: Sequence[int] = list(frames.files)
        self._places = {number: place for place, number in enumerate(self._numbers)}
        self._covered = np.flatnonzero(covered)
        if not len(self._covered):
            raise MaskError("The masks select nothing in any frame.")
        self._steady = SteadyPixels.outside(covered)
        self._start = frames.read(self._numbers[len(self._numbers) // 2])
        self._top = float(np.iinfo(self._start.dtype).max)
        channels = 1 if self._start.ndim == 2 else self._start.shape[2]
        layout = Layout(len(self._numbers), len(self._covered), channels, self._start.dtype)
        self._samples = Samples(layout, folder, _bytes_of(frames.files))
        self._gains: Floats = np.ones((len(self._numbers), channels), np.float32)
        self._grain = NO_GRAIN
        self._median: Floats = np.zeros((len(self._covered), channels), np.float32)
        self._seen: Flags = np.zeros(len(self._covered), np.bool_)
        try:
            self._gather(report)
            self._find(report)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._samples.close()

    @property
    def exposure_range(self) -> float:
        """The brightest frame's gain over the darkest's."""
        return float((self._gains.max(axis=0) / self._gains.min(axis=0)).max())

    @property
    def grain(self) -> Grain:
        return self._grain

    def fill(self, number: int, _frame: Pixels, holes: Flags) -> Filling:
        inside = holes.ravel()[self._covered]
        colors = self._median[inside]
        if not self._grain.is_none:
            colors = self._grainy(self._places[number], inside, colors)
        colors = colors * self._gains[self._places[number]]
        return Filling(np.repeat(colors, 3 // colors.shape[1], axis=1), self._seen[inside])

    def _gather(self, report: Report) -> None:
        report.status("Reading the plate")
        start = self._steady.of(self._start)
        measure = GrainMeasure(start, self._top)

        def work(number: int) -> None:
            frame = self._frames.read(number)
            self._put(number, frame)
            if self._start is not frame and len(start):
                self._compare(number, self._steady.of(frame), start, measure)

        with threads(work, self._numbers) as finished:
            for done, _ in enumerate(finished, 1):
                report.progress(done, len(self._numbers), "frames")
        if np.abs(self._gains - 1).max() <= STEADY:
            self._gains[:] = 1
        self._grain = measure.grain() if self._settings.grain else NO_GRAIN

    def _put(self, number: int, frame: Pixels) -> None:
        flat = frame.reshape(frame.shape[0] * frame.shape[1], -1)
        known = self._mask(number).ravel()[self._covered] < 255
        self._samples.put(self._places[number], flat[self._covered], known)

    def _compare(self, number: int, values: Floats, start: Floats, measure: GrainMeasure) -> None:
        gain = gains(values, start, self._top)
        if self._settings.match_exposure:
            self._gains[self._places[number]] = gain
        if self._settings.grain:
            measure.add(values / gain)

    def _find(self, report: Report) -> None:
        report.status("Finding the background")
        tiles = self._samples.layout.tiles()

        def work(place: int) -> None:
            values, known = self._samples.tile(place)
            self._median[tiles[place]] = self._middle(values, known).T
            self._seen[tiles[place]] = known.any(axis=0)

        with threads(work, range(len(tiles)), most=2) as finished:
            for done, _ in enumerate(finished, 1):
                report.progress(done, len(tiles), "tiles")

    def _middle(self, values: Pixels, known: Flags) -> Floats:
        """(c, p) at the exposure of the frame that others are compared with."""
        if (self._gains == 1).all():
            return masked_median(values, known)
        # In as fine steps as 16 bits have for what all frames could hold at that exposure.
        scale = np.float32(65535 / self._top * self._gains.min())
        matched = np.empty(values.shape, np.uint16)
        for place, row in enumerate(values):
            matched[place] = np.rint(row * (scale / self._gains[place])[:, None])
        return masked_median(matched, known) / scale

    def _grainy(self, place: int, inside: Flags, colors: Floats) -> Floats:
        """The median's colors (p, c) with grain, at its exposure."""
        most = self._grain.at(colors)
        off, left = self._donated(place, inside, colors)
        random = np.random.default_rng(self._numbers[place])
        off[left] = most[left] * random.standard_normal(off[left].shape, np.float32)
        return colors + np.clip(off, -_HELD_BY * most, _HELD_BY * most)

    def _donated(self, place: int, inside: Flags, colors: Floats) -> tuple[Floats, Flags]:
        """(p, c) how far donors are off the colors, and for which pixels (p,) there is none."""
        off, left = np.zeros_like(colors), np.ones(len(colors), np.bool_)
        ends = np.cumsum([0, *(int(inside[tile].sum()) for tile in self._samples.layout.tiles())])
        for donor in donors(place, len(self._numbers)):
            if not (left & self._seen[inside]).any():
                break
            for tile, part in enumerate(self._samples.layout.tiles()):
                span = slice(int(ends[tile]), int(ends[tile + 1]))
                if not left[span].any():
                    continue
                values, known = self._samples.frame(tile, donor)
                taken = left[span] & known[inside[part]]
                own = values[:, inside[part]][:, taken].T / self._gains[donor]
                off[span][taken] = own - colors[span][taken]
                left[span] &= ~taken
        return off, left


def donors(place: int, frames: int) -> list[int]:
    """Frames whose grain one may have, by their places, the first choice first: half the shot away,
    then a quarter, and so on. No two frames have the same one at the same turn."""
    shares = [0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875, 0.0625][:_DONORS]
    steps = dict.fromkeys(max(1, round(share * frames)) % frames for share in shares)
    return [(place + step) % frames for step in steps if step]


def _bytes_of(files: Mapping[int, Path]) -> int:
    """What a clean plate of these frames takes on the disk, about."""
    return sum(file.stat().st_size for file in files.values() if file.is_file())
