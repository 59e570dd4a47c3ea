# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes what masks select out of the plate.

    cleanplate/frame_0001.png          as deep as the plate; a frame without masks is its file
    cleanplate/mask/frame_0001.png     what was replaced: white, and gray where it fades
    cleanplate/holes/frame_0001.png    what of that no frame shows: white (not where ProPainter
                                       makes up everything)

Where a mask is black every pixel is the plate's own.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache, cached_property
from typing import Any

import numpy as np

from ...errors import MaskError, ModelError, Remedy
from ...stages import CleanPlateOptions
from ..cleanplate.clean_folder import CleanFolder
from ..cleanplate.filling import Filler
from ..cleanplate.frame_output import Coverage, Finish, FrameOutput
from ..cleanplate.grain import NO_GRAIN
from ..cleanplate.made_up import MadeUp
from ..cleanplate.mask_output import Masks, write_masks
from ..cleanplate.median import Median, MedianSettings
from ..cleanplate.methods import (
    ALPHA,
    AUTO,
    MEDIAN,
    PROPAINTER,
    choose_method,
    median_warning,
    wanted_inpainter,
)
from ..cleanplate.plate_frames import PlateFrames
from ..cleanplate.removal import Removal
from ..cleanplate.stillness import stands_still
from ..engines.inpainting import Inpainter
from ..report import Context

_FOLDER = "cleanplate"
_WORK = "depth"
"""What the projection finds on its way, for a run that goes on."""
_LITTLE = 0.5
"""Share of what is replaced that other frames should show."""
_SPECKS = 0.002
"""Share of what is replaced that is too little to run ProPainter over the shot for."""


def run(context: Context[CleanPlateOptions]) -> None:
    """Raises MaskError without masks, UsageError for unknown labels, SolveError where no method
    fits, PlateError, ModelError, ComfyError, OutputError."""
    _Run(context).run()


class _Run:
    def __init__(self, context: Context[CleanPlateOptions]) -> None:
        self._context, self._report = context, context.report
        self._shot, self._options = context.shot, context.options
        self._plate = self._shot.load_plate()
        size = self._plate.width, self._plate.height
        self._folder = CleanFolder(context.part.folder(_FOLDER), size)
        self._frames = PlateFrames.of(self._shot, self._plate)
        self._seconds: dict[str, float] = {}

    def run(self) -> None:
        options = self._options
        removal = Removal.of(
            self._shot, self._plate, options.labels, options.dilate, options.feather
        )
        self._folder.make()
        with self._timed("masks"):
            masks = write_masks(removal, self._plate.frames, self._folder, self._report)
        if not masks.covered.any():
            raise MaskError("The masks are black in every frame: there is nothing to remove.")
        method = self._method(masks)
        output = FrameOutput(self._frames, masks, self._folder, self._report)
        with self._timed("copying"):
            output.copy([n for n in self._left(masks) if not masks.pixels[n]])
        if method == PROPAINTER:
            self._make_up_all(masks)
            coverage = Coverage(masks.pixels)
        else:
            coverage = self._fill(method, masks, output)
            self._make_up_unseen(coverage)
        shutil.rmtree(self._folder.path / _WORK, ignore_errors=True)
        self._tell(removal, method, coverage)

    def _method(self, masks: Masks) -> str:
        @cache
        def still() -> bool:
            self._report.status("Looking whether the camera stands still")
            return stands_still(self._plate.frames, self._frames.read, masks.read)

        asked = self._options.method
        method = choose_method(asked, self._shot, still, lambda: self._inpainter)
        if method == MEDIAN and (warning := median_warning(self._shot, still)):
            self._report.warning(warning)
        return method

    def _left(self, masks: Masks) -> list[int]:
        """The frames that an interrupted run has not written."""
        return [n for n in masks.pixels if not self._folder.frame(n).is_file()]

    def _fill(self, method: str, masks: Masks, output: FrameOutput) -> Coverage:
        """Writes the frames in which something is replaced."""
        masked = [number for number in self._plate.frames if masks.pixels[number]]
        left = [number for number in masked if not self._folder.frame(number).is_file()]
        coverage = Coverage({number: masks.pixels[number] for number in masked})
        for number in set(masked) - set(left):
            coverage.unseen[number] = int(np.count_nonzero(self._folder.read_holes(number)))
        if left:
            alpha = self._options.unseen == ALPHA
            with self._timed("finding"), self._filler(method, masks) as filler:
                grain = filler.grain if isinstance(filler, Median) else NO_GRAIN
                self._report.status("Writing the clean plate")
                with self._timed("writing"):
                    coverage.unseen |= output.fill(left, filler, Finish(alpha, grain))
        return coverage

    @contextmanager
    def _filler(self, method: str, masks: Masks) -> Iterator[Filler]:
        options = self._options
        if method == MEDIAN:
            settings = MedianSettings(options.grain, options.match_exposure)
            median = Median(
                self._frames,
                masks,
                settings,
                self._folder.path,
                self._report,
            )
            with closing(median):
                yield median
            return
        yield self._projection(masks)

    def _projection(self, masks: Masks) -> Filler:
        from ..cleanplate.projection import Projection

        options, work = self._options, self._folder.path / _WORK
        projection = Projection(
            self._shot,
            self._plate,
            self._frames.read,
            lambda number: masks.read(number) > 0,
            options.match_exposure,
            options.grain,
        )
        work.mkdir(exist_ok=True)
        files = {number: self._folder.mask(number) for number in self._plate.frames}
        projection.prepare(files, work, self._report)
        filler: Filler = projection
        return filler

    def _make_up_all(self, masks: Masks) -> None:
        if any(masks.pixels[number] for number in self._left(masks)):
            with self._timed("making up"):
                self._made_up().fill_masks(self._plate.frames)

    def _make_up_unseen(self, coverage: Coverage) -> None:
        """Has ProPainter do what is not to be left as it is filled from around."""
        unseen = self._options.unseen
        if not coverage.unseen_frames or unseen not in (AUTO, PROPAINTER):
            return
        if unseen == AUTO and 1 - coverage.seen_share < _SPECKS:
            return
        if self._inpainter is not None:
            with self._timed("making up"):
                self._made_up().fill_holes(self._plate.frames)

    def _made_up(self) -> MadeUp:
        maker = self._inpainter
        if maker is None:
            raise ModelError("ProPainter is not here: get the model first.", Remedy.GET_MODEL)
        self._context.record["made_up_by"] = maker.name
        return MadeUp(maker, self._frames, self._folder, self._report)

    @cached_property
    def _inpainter(self) -> Inpainter | None:
        return wanted_inpainter(self._options, self._shot, self._report)

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._seconds[part] = round(time.monotonic() - began, 2)

    def _tell(self, removal: Removal, method: str, coverage: Coverage) -> None:
        report, unseen = self._report, coverage.unseen_frames
        if method != PROPAINTER and coverage.seen_share < _LITTLE:
            report.warning(
                f"Other frames show only {coverage.seen_share:.0%} of the background behind what "
                "is removed. What is left is in cleanplate/holes."
            )
        for name in ("", "/mask", *(("/holes",) if method != PROPAINTER else ())):
            report.result(f"{_FOLDER}{name}", "clean plate")
        seen: dict[str, Any] = {}
        if method != PROPAINTER:
            seen = {
                "seen": round(coverage.seen_share, 6),
                "unseen_pixels": sum(coverage.unseen.values()),
                "unseen_frames": unseen,
            }
        self._context.record.update(
            method=method,
            labels=removal.labels,
            frame_count=len(self._plate.frames),
            changed_frames=sum(pixels > 0 for pixels in coverage.replaced.values()),
            replaced_pixels=sum(coverage.replaced.values()),
            timing=self._seconds,
            **seen,
        )
