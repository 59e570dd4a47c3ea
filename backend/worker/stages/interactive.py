# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracks what roto/prompts.json points at and writes its masks: see mask_output for the folders.

Where ComfyUI is chosen and nothing is pointed at yet, that is done on the server's own page, for
the objects that have a name already or those that the option names.
"""

from __future__ import annotations

from ... import locations
from ...engines import COMFYUI
from ...errors import UsageError
from ...models import ModelStore
from ...prompts import PromptedObject, Prompts, split_labels
from ...stages import STAGES, InteractiveOptions
from ..engines.choice import prompt_engine
from ..engines.comfy_masks import ComfyPage
from ..engines.masking import OBJECT, Clip, PromptEngine
from ..mask_output import MaskWriter
from ..report import Context


def run(context: Context[InteractiveOptions]) -> None:
    """Raises UsageError, FormatError, ModelError, PlateError, MaskError, OutputError."""
    shot, options = context.shot, context.options
    plate = shot.load_plate()
    files = {number: shot.frame_file(number) for number in plate.frames}
    clip = Clip(files, (plate.width, plate.height), plate.first_frame)
    prompts = Prompts.load(shot.prompts) if shot.prompts.is_file() else Prompts()
    engine: PromptEngine
    if options.engine == COMFYUI and prompts.say_nothing:
        prompts, engine = _named(prompts, options.objects), ComfyPage(shot, options.wait)
    else:
        _check(prompts)
        engine = prompt_engine(options, ModelStore(locations.home()), shot)
    labels = [each.name for each in prompts.objects]
    part = context.part.folder("roto")
    writer = MaskWriter(shot, STAGES["interactive"], part, labels, separate=True)
    for masks in engine.track(clip, prompts, context.report):
        writer.add(masks)
    writer.finish(context.report, context.record)
    context.record["engine"] = engine.name


def _named(prompts: Prompts, names: str) -> Prompts:
    """What is selected on the page: the objects there are, else those named, else one."""
    named = tuple(PromptedObject(name) for name in split_labels(names))
    return Prompts(prompts.objects or named or (PromptedObject(OBJECT),))


def _check(prompts: Prompts) -> None:
    """Raises UsageError when there is nothing to track."""
    if not prompts.objects:
        raise UsageError("Nothing is pointed at yet: click on something in the plate first.")
    prompts.check()
