# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracks what roto/prompts.json points at and writes its masks: see mask_output for the folders."""

from __future__ import annotations

from ... import locations
from ...errors import UsageError
from ...models import ModelStore
from ...prompts import Prompts
from ...shot import Shot
from ...stages import STAGES, InteractiveOptions
from ..engines.choice import prompt_engine
from ..engines.masking import Clip
from ..mask_output import MaskWriter
from ..report import Context


def run(context: Context[InteractiveOptions]) -> None:
    """Raises UsageError, FormatError, ModelError, PlateError, MaskError, OutputError."""
    shot = context.shot
    plate = shot.load_plate()
    prompts = _prompts(shot)
    files = {number: shot.frame_file(number) for number in plate.frames}
    clip = Clip(files, (plate.width, plate.height), plate.first_frame)
    engine = prompt_engine(context.options, ModelStore(locations.home()), shot)
    labels = [each.name for each in prompts.objects]
    part = context.part.folder("roto")
    writer = MaskWriter(shot, STAGES["interactive"], part, labels, separate=True)
    for masks in engine.track(clip, prompts, context.report):
        writer.add(masks)
    writer.finish(context.report, context.record)
    context.record["engine"] = engine.name


def _prompts(shot: Shot) -> Prompts:
    """What the artist has pointed at. Raises UsageError when that is nothing, FormatError."""
    prompts = Prompts.load(shot.prompts) if shot.prompts.is_file() else Prompts()
    if not prompts.objects:
        raise UsageError("Nothing is pointed at yet: click on something in the plate first.")
    prompts.check()
    return prompts
