# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimates the depth of every frame with a model and brings it into the solve's units.

What the model says is kept beside the depth: when a later solve or survey only changes the world,
depth is fitted anew without the model.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from ... import locations
from ...dense import Place, place_of
from ...depth import METERS, RELATIVE, SOLVE, DepthRecord
from ...errors import FormatError
from ...models import ModelStore
from ...outputs import file_fingerprint
from ...shot import DepthFolder, Plate
from ...stages import DepthOptions
from ..dense.reuse import key_of
from ..depth.agreement import Agreement, Maps, agreed
from ..depth.depth_output import DepthOutput
from ..depth.estimating import Estimates, Estimating, chunks_for
from ..depth.shot_camera import ShotCamera
from ..engines import choice
from ..engines.depth_models import DepthEngine, Frame
from ..report import Context

_MODEL = "model"
"""The folder of what the model said."""
_KEY = "made_of"
_METHOD = 1
"""Goes up when the same frames would now be estimated otherwise."""


def run(context: Context[DepthOptions]) -> None:
    """Raises ModelError, ComfyError, PlateError, SolveError, FormatError, OutputError."""
    _Run(context).run()


class _Run:
    def __init__(self, context: Context[DepthOptions]) -> None:
        self._context, self._report = context, context.report
        self._options: DepthOptions = context.options
        self._shot = context.shot
        self._folder = DepthFolder(context.part.folder("depth"))
        self._estimates = Estimates(self._folder.path / _MODEL)
        self._plate: Plate = self._shot.load_plate()
        absolute = self._options.scale == "auto"
        self._camera = ShotCamera.of(self._shot) if absolute else None
        self._place: Place | None = place_of(self._shot) if self._camera else None

    def run(self) -> None:
        store = ModelStore(locations.home())
        engine = choice.depth_engine(self._options, store, self._shot, self._report)
        key = self._key(engine)
        self._take_over(key)
        self._estimate(engine)
        maps = Maps(self._shot, self._plate, self._estimates, engine.together, self._plate.frames)
        agreement = agreed(maps, self._camera, self._report)
        output = DepthOutput(maps, self._camera, agreement, self._folder)
        output.write(self._report)
        record = self._record(engine, agreement, output, key)
        record.save(self._folder.record)
        self._tell(record)

    @property
    def _posed(self) -> bool:
        return self._camera is not None and not self._camera.only_turns

    def _key(self, engine: DepthEngine) -> str:
        """Tells what the model is asked from every other question."""
        posed = self._place.solve if self._place and self._posed and engine.takes_poses else None
        return key_of(
            method=_METHOD,
            engine=engine.name,
            model=engine.model,
            resolution=self._options.resolution,
            chunk=[self._options.chunk, self._options.overlap] if engine.together else None,
            frames=file_fingerprint(self._shot.frames),
            posed=posed,
        )

    def _take_over(self, key: str) -> None:
        """Takes what the model said in an earlier run, where it was asked the same."""
        earlier = self._shot.depth
        with suppress(FormatError):
            record = DepthRecord.load(earlier.record)
            if (record.details or {}).get(_KEY) != key:
                return
            self._report.status("Taking over what the model said in the last run")
            self._estimates.folder.mkdir(parents=True, exist_ok=True)
            for number in self._plate.frames:
                self._report.check()
                _copy(Estimates(earlier.path / _MODEL).file(number), self._estimates.file(number))

    def _estimate(self, engine: DepthEngine) -> None:
        self._report.status(f"Estimating depth with {engine.model}")
        frames = [
            Frame(
                number,
                self._shot.frame_file(number),
                self._camera.pose(number) if self._camera and self._posed else None,
            )
            for number in self._plate.frames
        ]
        size = self._plate.width, self._plate.height
        chunks = chunks_for(engine, size, self._options.chunk, self._options.overlap)
        Estimating(engine, self._estimates, chunks, self._report).run(frames)

    def _record(
        self, engine: DepthEngine, agreement: Agreement, output: DepthOutput, key: str
    ) -> DepthRecord:
        units = RELATIVE
        if self._camera is not None and (self._camera.only_turns or agreement.fitted):
            units = SOLVE
        elif engine.meters and self._options.scale == "auto":
            units = METERS
        return DepthRecord(
            model=engine.model,
            engine=engine.name,
            units=units,
            place=self._place if units == SOLVE else None,
            near=output.near,
            far=output.far,
            frames=self._plate.frames,
            flicker=output.flicker,
            details={
                _KEY: key,
                "fitted": len(agreement.fitted),
                "error": agreement.error,
                "lines": {
                    str(number): [line.inverse, line.slope, line.shift, line.error]
                    for number, line in sorted(agreement.lines.items())
                },
            },
        )

    def _tell(self, record: DepthRecord) -> None:
        if self._camera is not None and self._camera.only_turns:
            self._report.warning(
                "The camera only turns and tells no distances: depth is as the model guesses it, "
                "at a scale that is made up as the camera's is."
            )
        for name in ("depth", "depth/exr", "depth/depth.json"):
            self._report.result(name, "depth")
        details = record.details or {}
        self._context.record.update(
            model=record.model,
            engine=record.engine,
            units=record.units,
            near=record.near,
            far=record.far,
            flicker=record.flicker,
            fitted=details["fitted"],
            error=details["error"],
        )


def _copy(source: Path, target: Path) -> None:
    """By a link, where the disk has them. What is not there is left out."""
    if target.is_file() or not source.is_file():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
