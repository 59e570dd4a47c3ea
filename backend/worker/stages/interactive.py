# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracks what roto/prompts.json points at and writes its masks: see mask_output for the folders.

Where ComfyUI is chosen and nothing is pointed at yet, that is done on the server's own page.
"""

from __future__ import annotations

from ... import locations
from ...errors import UsageError
from ...models import ModelStore
from ...prompts import Prompts
from ...shot import Shot
from ...stages import STAGES, InteractiveOptions
from ..engines.choice import page_engine, prompt_engine
from ..engines.masking import OBJECT, Clip, PromptEngine
from ..mask_output import MaskWriter
from ..report import Context


def run(context: Context[InteractiveOptions]) -> None:
    """Raises UsageError, FormatError, ModelError, PlateError, MaskError, OutputError."""
    shot = context.shot
    plate = shot.load_plate()
    prompts = _prompts(shot, context.options)
    files = {number: shot.frame_file(number) for number in plate.frames}
    clip = Clip(files, (plate.width, plate.height), plate.first_frame)
    engine = _engine(context.options, prompts, shot)
    labels = [each.name for each in prompts.objects] or [OBJECT]
    part = context.part.folder("roto")
    writer = MaskWriter(shot, STAGES["interactive"], part, labels, separate=True)
    for masks in engine.track(clip, prompts, context.report):
        writer.add(masks)
    writer.finish(context.report, context.record)
    context.record["engine"] = engine.name


def _engine(options: InteractiveOptions, prompts: Prompts, shot: Shot) -> PromptEngine:
    """What tracks. Raises ModelError."""
    if not prompts.objects:
        return page_engine(options, shot)
    return prompt_engine(options, ModelStore(locations.home()), shot)


def _prompts(shot: Shot, options: InteractiveOptions) -> Prompts:
    """What the artist has pointed at. Raises UsageError when that is nothing and there is no page
    to do it on, FormatError."""
    prompts = Prompts.load(shot.prompts) if shot.prompts.is_file() else Prompts()
    if not prompts.objects and options.engine == "comfyui":
        return prompts
    if not prompts.objects:
        raise UsageError("Nothing is pointed at yet: click on something in the plate first.")
    prompts.check()
    return prompts
