# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the frames of a clean plate: reading, filling and writing go on at the same time.

A frame without holes is the plate's file, byte for byte. A frame's holes are on the disk before the
frame itself is, so a frame that is there is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from ...atomic import write_bytes
from ...errors import PlateError, Remedy
from ..frame_files import Pixels
from ..image_files import write_png
from ..mask_files import Mask
from ..report import Report
from ..threads import FEW, thread_count
from .around import fill_around
from .clean_folder import CleanFolder
from .compositing import mix_in, transparent
from .filling import Filler, Filling, Flags
from .grain import NO_GRAIN, Grain
from .mask_output import Masks, black_png
from .plate_frames import PlateFrames


@dataclass
class Coverage:
    """Pixels over 0 in each frame's mask, and those of them that no frame shows."""

    replaced: dict[int, int] = field(default_factory=dict)
    unseen: dict[int, int] = field(default_factory=dict)

    @property
    def seen_share(self) -> float:
        """1 where nothing is replaced."""
        replaced = sum(self.replaced.values())
        return 1 - sum(self.unseen.values()) / replaced if replaced else 1.0

    @property
    def unseen_frames(self) -> list[int]:
        return sorted(number for number, pixels in self.unseen.items() if pixels)


@dataclass(frozen=True)
class Finish:
    """What becomes of pixels that no frame shows: they are left transparent or filled from around,
    with `grain`."""

    alpha: bool = False
    grain: Grain = NO_GRAIN


class FrameOutput:
    """Writes into `folder`."""

    def __init__(
        self, frames: PlateFrames, masks: Masks, folder: CleanFolder, report: Report
    ) -> None:
        self._frames, self._masks = frames, masks
        self._folder, self._report = folder, report
        self._threads = min(FEW, thread_count())
        self._black = black_png(folder)

    def copy(self, numbers: Sequence[int]) -> None:
        """Frames in which nothing is replaced. Raises PlateError, OutputError."""
        for number in numbers:
            source = self._frames.files[number]
            try:
                data = source.read_bytes()
            except OSError as error:
                raise PlateError(
                    f"{source} is missing or damaged: set the shot up again.", Remedy.SET_UP_SHOT
                ) from error
            self._write_black_holes(number)
            write_bytes(self._folder.frame(number), data)
            self._report.check()

    def fill(self, numbers: Sequence[int], filler: Filler, finish: Finish) -> dict[int, int]:
        """Frames whose masks select something; how many pixels of each no frame shows. Raises
        PlateError, MaskError, OutputError."""
        unseen: dict[int, int] = {}
        with ThreadPoolExecutor(self._threads) as pool:
            try:
                self._pass_through(pool, deque(numbers), filler, finish, unseen)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        return unseen

    def _pass_through(
        self,
        pool: ThreadPoolExecutor,
        left: deque[int],
        filler: Filler,
        finish: Finish,
        unseen: dict[int, int],
    ) -> None:
        total = len(left)
        reading: deque[tuple[int, Future[tuple[Pixels, Mask]]]] = deque()
        writing: deque[Future[None]] = deque()
        while left or reading:
            while left and len(reading) < self._threads:
                number = left.popleft()
                reading.append((number, pool.submit(self._read, number, filler)))
            number, read = reading.popleft()
            frame, mask = read.result()
            filling = filler.fill(number, frame, mask > 0)
            unseen[number] = int(np.count_nonzero(~filling.seen))
            writing.append(pool.submit(self._write, number, frame, mask, filling, finish))
            # One more than threads, so that none waits for the next frame to be filled.
            while len(writing) > self._threads or (writing and not left and not reading):
                writing.popleft().result()
                done = total - len(left) - len(reading) - len(writing)
                self._report.progress(done, total, "frames")

    def _read(self, number: int, filler: Filler) -> tuple[Pixels, Mask]:
        frame = (self._frames.read if filler.reads_frames else self._frames.take)(number)
        return frame, self._masks.read(number)

    def _write(
        self, number: int, frame: Pixels, mask: Mask, filling: Filling, finish: Finish
    ) -> None:
        made = frame if frame.flags.writeable else frame.copy()
        if filling.seen.all():
            self._write_black_holes(number)
            mix_in(made, mask, filling.colors)
        else:
            holes = np.zeros(mask.shape, np.bool_)
            holes[np.nonzero(mask)] = ~filling.seen
            write_png(self._folder.holes(number), holes.view(np.uint8) * np.uint8(255))
            mix_in(made, np.where(holes, 0, mask).astype(np.uint8), filling.colors[filling.seen])
            made = _finished(number, made, mask, holes, finish)
        write_png(self._folder.frame(number), made)

    def _write_black_holes(self, number: int) -> None:
        write_bytes(self._folder.holes(number), self._black)


def _finished(number: int, made: Pixels, mask: Mask, holes: Flags, finish: Finish) -> Pixels:
    """The frame, which is the plate's own in the holes, with those filled or made transparent."""
    if finish.alpha:
        return transparent(made, mask, holes)
    found = fill_around(made, holes)
    random = np.random.default_rng(number)
    found += finish.grain.at(found) * random.standard_normal(found.shape, np.float32)
    mix_in(made, np.where(holes, mask, 0).astype(np.uint8), found)
    return made
