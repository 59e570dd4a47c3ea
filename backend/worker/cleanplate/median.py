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

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..frame_files import Pixels
from ..report import Report
from ..threads import threads
from .blocks import Block, around, common_part, within
from .exposure_gains import STEADY, SteadyPixels, gains
from .filling import Filling, Flags
from .grain import NO_GRAIN, Grain, GrainMeasure
from .mask_output import Masks
from .masked_median import masked_median
from .plate_frames import PlateFrames
from .samples import Layout, Samples

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

_DONORS = 8
_MEASURED = 16
"""Frames that the grain is measured in, at least, where there are so many."""
_HELD_BY = 3.0
"""Deviations of the grain that a donor may be off the median by."""


@dataclass(frozen=True)
class MedianSettings:
    grain: bool = True
    match_exposure: bool = True


class Median:
    """Fills the holes of each frame with the median. `folder` takes what memory should not hold."""

    reads_frames = False

    def __init__(
        self,
        frames: PlateFrames,
        masks: Masks,
        settings: MedianSettings,
        folder: Path,
        report: Report,
    ) -> None:
        """The masks select something. Raises PlateError, MaskError, OutputError."""
        self._frames, self._masks, self._settings = frames, masks, settings
        self._numbers: Sequence[int] = list(frames.files)
        self._places = {number: place for place, number in enumerate(self._numbers)}
        start = frames.read(self._numbers[len(self._numbers) // 2])
        self._kind = start.dtype
        self._top = int(np.iinfo(self._kind).max)
        channels = 1 if start.ndim == 2 else start.shape[2]
        layout = Layout(len(self._numbers), masks.covered, channels, self._kind)
        self._part = layout.part
        shape = masks.covered[self._part].shape
        self._steady = SteadyPixels.outside(masks.covered)
        self._samples = Samples(layout, folder, _bytes_of(frames.files))
        self._gains: Floats = np.ones((len(self._numbers), channels), np.float32)
        self._grain = NO_GRAIN
        self._grain_step = max(1, len(self._numbers) // _MEASURED)
        # Of what lies around all blocks: how many frames show each pixel, and their median, which
        # in 8 bits is kept in steps of 1/128.
        self._count = np.full(shape, len(self._numbers), np.int32)
        self._median = np.zeros((*shape, channels), np.uint16)
        self._steps = np.float32(128 if self._kind == np.uint8 else 1)
        self._lock, self._scratch = threading.Lock(), threading.local()
        try:
            self._gather(start, report)
            self._find(report)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._samples.close()

    @property
    def grain(self) -> Grain:
        return self._grain

    def fill(self, number: int, _frame: Pixels, holes: Flags) -> Filling:
        block = around(holes, 0)
        if block is None:
            return Filling(np.zeros((0, 3), np.float32), np.zeros(0, np.bool_))
        inside, here = holes[block], within(block, self._part)
        places = np.flatnonzero(inside)
        median = np.ascontiguousarray(self._median[here]).reshape(inside.size, -1)
        colors = median.take(places, axis=0) / self._steps
        seen = self._count[here].ravel().take(places) > 0
        if not self._grain.is_none:
            colors = self._grainy(self._places[number], here, inside, colors, seen)
        colors = colors * self._gains[self._places[number]]
        return Filling(np.broadcast_to(colors, (len(colors), 3)), seen)

    def _gather(self, reference: Pixels, report: Report) -> None:
        """Compares the frames with one of them, the reference."""
        report.status("Reading the plate")
        start = self._steady.of(reference)
        measure = GrainMeasure(start, self._top)

        def work(number: int) -> None:
            frame = self._frames.read(number)
            self._put(number, frame)
            if frame is not reference and len(start):
                self._compare(number, self._steady.of(frame), start, measure)

        with threads(work, self._numbers) as finished:
            for done, _ in enumerate(finished, 1):
                report.progress(done, len(self._numbers), "frames")
        if np.abs(self._gains - 1).max() <= STEADY:
            self._gains[:] = 1
        self._grain = measure.grain() if self._settings.grain else NO_GRAIN

    def _put(self, number: int, frame: Pixels) -> None:
        """What is masked is as bright as can be. A pixel that only fades counts as seen: its own
        color is the background's."""
        picture = self._copied(frame[self._part])
        found = self._masks.part(number)
        if found is not None:
            block, mask = found
            masked, here = (mask == 255).view(np.uint8), within(block, self._part)
            white = (masked * self._kind.type(self._top)).reshape(*mask.shape, 1)
            own = picture.reshape(*picture.shape[:2], -1)[here]
            np.bitwise_or(own, np.repeat(white, own.shape[2], axis=2), out=own)
            with self._lock:
                self._count[here] -= masked
        self._samples.put(self._places[number], picture)

    def _copied(self, picture: Pixels) -> Pixels:
        """A copy that lasts until the thread makes the next one: memory that is new each time takes
        longer to get than to fill."""
        own: Pixels | None = getattr(self._scratch, "picture", None)
        if own is None:
            own = self._scratch.picture = picture.copy()
        np.copyto(own, picture)
        return own

    def _compare(self, number: int, values: Floats, start: Floats, measure: GrainMeasure) -> None:
        gain = gains(values, start, self._top)
        if self._settings.match_exposure:
            self._gains[self._places[number]] = gain
        if self._settings.grain and self._places[number] % self._grain_step == 0:
            measure.add(values / gain)

    def _find(self, report: Report) -> None:
        report.status("Finding the background")
        blocks = self._samples.layout.blocks

        def work(place: int) -> None:
            here = self._samples.layout.inside(place)
            samples = self._samples.block(place)
            count = np.repeat(self._count[here].ravel(), samples.shape[3])
            middle = self._middle(samples, count).reshape(samples.shape[1:])
            self._median[here] = np.rint(middle * self._steps)

        with threads(work, range(len(blocks)), most=2) as finished:
            for done, _ in enumerate(finished, 1):
                report.progress(done, len(blocks), "blocks")

    def _middle(self, samples: Pixels, count: NDArray[np.int32]) -> Floats:
        """(p,) at the exposure of the frame that others are compared with."""
        if (self._gains == 1).all():
            return masked_median(samples.reshape(len(samples), -1), count)
        # In as fine steps as 16 bits have for what all frames could hold at that exposure.
        scale = np.float32(65535 / self._top * self._gains.min())
        matched = np.empty(samples.shape, np.uint16)
        for place, picture in enumerate(samples):
            matched[place] = np.rint(picture * (scale / self._gains[place]))
            matched[place][picture == self._top] = 65535
        found = masked_median(matched.reshape(len(samples), -1), count)
        most: Floats = np.minimum(found / scale, np.float32(65535) / self._steps)
        return most

    def _grainy(
        self, place: int, here: Block, inside: Flags, colors: Floats, seen: Flags
    ) -> Floats:
        """The median's colors (p, c) with grain, at its exposure."""
        most = self._grain.at(colors)
        off, left = self._donated(place, here, inside, colors, seen)
        random = np.random.default_rng(self._numbers[place])
        off[left] = most[left] * random.standard_normal((len(left), off.shape[1]), np.float32)
        return colors + np.clip(off, -_HELD_BY * most, _HELD_BY * most)

    def _donated(
        self, place: int, here: Block, inside: Flags, colors: Floats, seen: Flags
    ) -> tuple[Floats, Places]:
        """(p, c) how far donors are off the colors, and the places of those seen that have none."""
        off, left = np.zeros_like(colors), np.flatnonzero(seen)
        pixels = np.flatnonzero(inside)
        wanted = np.zeros(inside.shape, np.bool_)
        picture = np.empty((*inside.shape, colors.shape[1]), self._kind)
        for donor in donors(place, len(self._numbers)):
            wanted.ravel()[:] = False
            wanted.ravel()[pixels[left]] = True
            self._read_donor(donor, here, wanted, picture)
            own = picture.reshape(inside.size, -1).take(pixels[left], axis=0)
            known = np.logical_or.reduce([channel < self._top for channel in own.T])
            taken = left[known]
            off[taken] = own[known] / self._gains[donor] - colors[taken]
            left = left[~known]
            if not len(left):
                break
        return off, left

    def _read_donor(self, donor: int, here: Block, wanted: Flags, picture: Pixels) -> None:
        """What blocks of a frame, those with something of what is wanted (h, w), have `here`."""
        for place in range(len(self._samples.layout.blocks)):
            common = common_part(self._samples.layout.inside(place), here)
            if common is not None and wanted[within(common, here)].any():
                block = self._samples.layout.inside(place)
                part = self._samples.one(place, donor)[within(common, block)]
                picture[within(common, here)] = part


def donors(place: int, frames: int) -> list[int]:
    """Frames whose grain one may have, by their places, the first choice first: half the shot away,
    then a quarter, and so on. No two frames have the same one at the same turn."""
    shares = [0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875, 0.0625][:_DONORS]
    steps = dict.fromkeys(max(1, round(share * frames)) % frames for share in shares)
    return [(place + step) % frames for step in steps if step]


def _bytes_of(files: Mapping[int, Path]) -> int:
    """What a clean plate of these frames takes on the disk, about."""
    return sum(file.stat().st_size for file in files.values() if file.is_file())
