# SPDX-License-Identifier: GPL-3.0-or-later
"""Small shots for the stages that make masks, and those stages run as the worker runs them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from backend import outputs
from backend.events import Event, EventReader, EventWriter
from backend.options import from_mapping
from backend.shot import Plate, Shot, write_json
from backend.stages import STAGES
from backend.worker.engines.masking import Clip, Found, FrameMasks
from backend.worker.mask_output import MaskWriter
from backend.worker.report import Context, Report

FIRST = 1001
SIZE = (128, 96)


def make_shot(folder: Path, count: int, size: tuple[int, int] = SIZE) -> Shot:
    """A shot whose frames have two blocks that pass each other."""
    shot = Shot(folder / "shot")
    shot.frames.mkdir(parents=True)
    numbers = tuple(range(FIRST, FIRST + count))
    for step, number in enumerate(numbers):
        cv2.imwrite(str(shot.frame_file(number)), picture(step, size))
    plate = Plate(
        source="plate.mov",
        kind="movie",
        width=size[0],
        height=size[1],
        fps=Fraction(24),
        frames=numbers,
        source_indices=tuple(range(count)),
        times=tuple(step / 24 for step in range(count)),
    )
    write_json(shot.plate_file, plate.to_json())
    write_json(shot.path / "source" / "stage.json", {"fingerprint": "plate"})
    return shot


def picture(step: int, size: tuple[int, int]) -> Any:
    width, height = size
    noise = np.random.default_rng(3).integers(0, 255, (height, width, 3), np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 3)
    left, right = 10 + 2 * step, width - 30 - 2 * step
    cv2.rectangle(image, (left, 30), (left + 20, 70), (20, 200, 40), -1)
    cv2.rectangle(image, (right, 20), (right + 12, 80), (200, 20, 40), -1)
    return image


def clip_of(shot: Shot, start: int = FIRST) -> Clip:
    plate = shot.load_plate()
    files = {number: shot.frame_file(number) for number in plate.frames}
    return Clip(files, (plate.width, plate.height), start)


def report_in(folder: Path) -> Report:
    return Report(EventWriter(folder / "events.jsonl"), folder / "cancel")


def warnings_in(folder: Path) -> list[str]:
    return [
        record["text"]
        for record in EventReader(folder / "events.jsonl").poll()
        if record["event"] == Event.WARNING.value
    ]


def run_stage(shot: Shot, name: str, **options: Any) -> list[str]:
    """What the worker does for one stage. Returns the warnings."""
    log = shot.path.parent / "events.jsonl"
    log.unlink(missing_ok=True)
    report, stage = report_in(shot.path.parent), STAGES[name]
    chosen: Any = from_mapping(stage.options, options)
    inputs = outputs.inputs_of(shot, stage, "")
    module = importlib.import_module(f"backend.worker.stages.{name}")
    with outputs.writing(shot, stage, chosen, inputs) as (part, record):
        module.run(Context(shot, chosen, "", "", part, report, record))
        record["results"] = list(report.results)
    return warnings_in(shot.path.parent)


def write_found(
    shot: Shot,
    masks: Iterable[FrameMasks],
    labels: Iterable[str] = ("person",),
    separate: bool = True,
    stage: str = "roto",
) -> list[str]:
    """What a stage does with what its engine finds. Returns the warnings."""
    (shot.path.parent / "events.jsonl").unlink(missing_ok=True)
    report, entry = report_in(shot.path.parent), STAGES[stage]
    with outputs.writing(shot, entry, entry.options(), {}) as (part, record):
        writer = MaskWriter(shot, entry, part.folder("roto"), labels, separate)
        for each in masks:
            writer.add(each)
        writer.finish(report, record)
    return warnings_in(shot.path.parent)


def block(left: int, top: int = 30, width: int = 20, height: int = 30) -> Any:
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[top : top + height, max(0, left) : max(0, left + width)] = 255
    return mask


def frames_of(*things: tuple[str, int, Mapping[int, Any]], count: int = 6) -> list[FrameMasks]:
    """`count` frames with things that have a label, a track id and masks by step."""
    return [
        FrameMasks(
            FIRST + step,
            tuple(
                Found(label, track, masks[step]) for label, track, masks in things if step in masks
            ),
        )
        for step in range(count)
    ]


def read(folder: Path, step: int) -> Any:
    image = cv2.imread(str(folder / f"frame_{FIRST + step:04d}.png"), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def paint(folder: Path, steps: Iterable[int], mask: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for step in steps:
        cv2.imwrite(str(folder / f"frame_{FIRST + step:04d}.png"), mask)
