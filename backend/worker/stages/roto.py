# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what a few words name and writes its masks: see mask_output for the folders."""

from __future__ import annotations

from ... import locations
from ...errors import UsageError
from ...models import ModelStore
from ...prompts import split_labels
from ...shot import Plate
from ...stages import STAGES, RotoOptions
from ..engines.choice import text_engine
from ..engines.masking import Clip
from ..mask_output import MaskWriter
from ..report import Context


def run(context: Context[RotoOptions]) -> None:
    """Raises UsageError, ModelError, PlateError, MaskError, OutputError."""
    shot, options = context.shot, context.options
    plate = shot.load_plate()
    labels = labels_of(options.prompt)
    clip = Clip(
        {number: shot.frame_file(number) for number in plate.frames},
        (plate.width, plate.height),
        start_frame(options.start, plate),
    )
    engine = text_engine(options, ModelStore(locations.home()), shot)
    part = context.part.folder("roto")
    writer = MaskWriter(shot, STAGES["roto"], part, labels, options.separate_instances)
    for masks in engine.find(clip, labels, options.threshold, context.report):
        writer.add(masks)
    writer.finish(context.report, context.record)
    context.record["engine"] = engine.name


def labels_of(prompt: str) -> list[str]:
    """What is between the commas, each folder once. Raises UsageError when there is nothing."""
    labels = split_labels(prompt)
    if not labels:
        raise UsageError("Say what to look for, such as person, bag.")
    return labels


def start_frame(text: str, plate: Plate) -> int:
    """The frame to begin at. Raises UsageError for one that the plate has not."""
    number = int(text) if text else plate.first_frame
    if number not in plate.frames:
        raise UsageError(
            f"The plate has no frame {number} to begin at: it has {plate.first_frame} to "
            f"{plate.last_frame}."
        )
    return number
