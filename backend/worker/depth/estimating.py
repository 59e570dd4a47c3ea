# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model says of every frame, kept as it said it, at its own size.

A model that looks at several frames at once gets them in chunks that share some frames. Each chunk
has a scale of its own: it takes that of the chunks before by what both say of the frames they
share, and there the one fades into the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...shot import FRAME_PATTERN
from ..dense.map_files import read_map, write_map
from ..engines.chunks import Chunks, refined
from ..engines.depth_models import DepthEngine, Estimate, Frame
from ..report import Report
from .line import Floats

_ALONE = 8
"""Frames in a call of a model that looks at each by itself: enough to be told of progress."""
_LEAST_CONFIDENCE = 0.1
_DIGITS = np.uint32(0xFFFFFF00)
"""The bits of a 32-bit float that are kept: 16 of its fraction are a hundredth of what a model
knows, and make a file half as large."""


@dataclass(frozen=True)
class Estimates:
    """The folder of what a model said, a file for each frame."""

    folder: Path

    def file(self, number: int) -> Path:
        return self.folder / f"{FRAME_PATTERN.format(number)}.exr"

    def load(self, number: int) -> Floats:
        """(h, w). Raises FormatError."""
        return read_map(self.file(number))

    def save(self, number: int, depth: Floats) -> None:
        bits = np.ascontiguousarray(depth, np.float32).view(np.uint32)
        write_map(self.file(number), (bits & _DIGITS).view(np.float32))


class Estimating:
    """Asks the model for the frames whose file is not there yet."""

    def __init__(
        self, engine: DepthEngine, estimates: Estimates, chunks: Chunks, report: Report
    ) -> None:
        self._engine, self._estimates = engine, estimates
        self._chunks, self._report = chunks, report

    def run(self, frames: Sequence[Frame]) -> None:
        """Raises what the engine raises, OutputError."""
        by_number = {frame.number: frame for frame in frames}
        numbers = list(by_number)
        there = [self._estimates.file(number).is_file() for number in numbers]
        done = there.index(False) if False in there else len(numbers)

        def work(piece: Sequence[int]) -> list[Estimate]:
            self._report.check()
            return self._engine.estimate([by_number[number] for number in piece])

        self._report.progress(done, len(numbers), "frames")
        for written in refined(numbers, done, self._chunks, work):
            self._save(written)
            done = numbers.index(written[-1][0]) + 1
            self._report.progress(done, len(numbers), "frames")

    def _save(self, written: Sequence[tuple[int, Estimate, float]]) -> None:
        factor = self._factor(written)
        for number, estimate, share in written:
            depth = estimate.depth * np.float32(factor)
            if share < 1:
                depth = faded(self._estimates.load(number), depth, share)
            self._estimates.save(number, depth)

    def _factor(self, written: Sequence[tuple[int, Estimate, float]]) -> float:
        """By what a chunk agrees with those before it, by the frames that they share."""
        logs = [
            _log_ratio(self._estimates.load(number), estimate)
            for number, estimate, share in written
            if share < 1
        ]
        known = np.concatenate(logs) if logs else np.zeros(0)
        return float(np.exp(np.median(known))) if len(known) else 1.0


def chunks_for(engine: DepthEngine, size: tuple[int, int], asked: int, overlap: int) -> Chunks:
    """How many frames go into one call, and how many two calls share."""
    most = asked or engine.room(size)
    return Chunks(most, overlap) if engine.together else Chunks(min(most, _ALONE), 0)


def _log_ratio(before: Floats, estimate: Estimate) -> Floats:
    known = (before > 0) & (estimate.depth > 0)
    if estimate.confidence is not None:
        known &= estimate.confidence > _LEAST_CONFIDENCE
    found: Floats = np.log(before[known] / estimate.depth[known])
    return found


def faded(before: Floats, after: Floats, share: float) -> Floats:
    """`share` of the second and the rest of the first, as a mean of logarithms; where only one says
    something, that."""
    both = (before > 0) & (after > 0)
    safe = (np.where(both, each, 1) for each in (before, after))
    first, second = (np.log(each) for each in safe)
    mixed = np.exp((1 - share) * first + share * second)
    found: Floats = np.where(both, mixed, np.maximum(before, after)).astype(np.float32)
    return found
