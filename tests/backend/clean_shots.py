# SPDX-License-Identifier: GPL-3.0-or-later
"""Small shots with something to remove, and the clean plate stage run over them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from backend import outputs
from backend.events import EventReader, EventWriter
from backend.shot import Plate, Shot, write_json
from backend.stages import STAGES, CleanPlateOptions
from backend.worker.frame_files import read_frame
from backend.worker.image_files import write_png
from backend.worker.report import Context, Report
from backend.worker.stages import cleanplate

FIRST, COUNT = 1001, 12
WIDTH, HEIGHT = 160, 90
SIZE = WIDTH, HEIGHT
STAGE = STAGES["cleanplate"]
PLAIN = {"dilate": 0.0, "feather": 0.0, "unseen": "around", "method": "median"}
"""Options under which exactly what is masked is replaced, without any model."""

Change = Callable[[int, np.ndarray], np.ndarray]


def background(seed: int = 3) -> np.ndarray:
    """(h, w, 3) floats 0 to 255 with edges everywhere, none of them near to black or white."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(60, 190, (HEIGHT // 6, WIDTH // 8, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, SIZE, interpolation=cv2.INTER_NEAREST), 0, 255)


def actor(index: int, count: int = COUNT) -> np.ndarray:
    """(h, w) where a box is that crosses the frame from left to right."""
    there = np.zeros((HEIGHT, WIDTH), bool)
    left = round(10 + (WIDTH - 50) * index / max(count - 1, 1))
    there[20:75, left : left + 24] = True
    return there


def make_shot(
    path: Path,
    kind: type = np.uint8,
    count: int = COUNT,
    change: Change = lambda _index, picture: picture,
    where: Callable[[int], np.ndarray] | None = None,
    gray: bool = False,
    label: str = "actor",
) -> Shot:
    """A still plate with an actor and its masks. `change` alters the background of each frame, in
    floats of 0 to 255; `where` gives what is masked, the crossing actor when None."""
    shot = Shot(path)
    shot.frames.mkdir(parents=True)
    (shot.roto / label).mkdir(parents=True)
    numbers = tuple(range(FIRST, FIRST + count))
    times = tuple(index / 24 for index in range(count))
    plate = Plate("a.mov", "movie", *SIZE, Fraction(24), numbers, tuple(range(count)), times)
    write_json(shot.plate_file, plate.to_json())
    still = background()
    for index, number in enumerate(numbers):
        there = actor(index, count) if where is None else where(index)
        picture = change(index, still).copy()
        picture[there] = (250, 20, 30)
        write_png(shot.frame_file(number), as_kind(picture.mean(axis=2) if gray else picture, kind))
        write_mask(shot, label, number, there)
    return shot


def as_kind(picture: np.ndarray, kind: type) -> np.ndarray:
    """Floats of 0 to 255 in 8 or 16 bits."""
    scale = 257 if kind is np.uint16 else 1
    return np.rint(np.clip(picture * scale, 0, 255 * scale)).astype(kind)


def write_mask(shot: Shot, label: str, number: int, there: np.ndarray) -> None:
    mask = there.astype(np.uint8) * 255 if there.dtype == bool else there
    folder = shot.path / label if "/" in label else shot.roto / label
    folder.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / shot.frame_file(number).name), mask)


def report_in(folder: Path) -> Report:
    (folder / "events.jsonl").unlink(missing_ok=True)
    return Report(EventWriter(folder / "events.jsonl"), folder / "cancel")


def run_stage(shot: Shot, report: Report | None = None, **options: Any) -> dict[str, Any]:
    """What the worker does for the stage. Returns what it records."""
    chosen = CleanPlateOptions(**{**PLAIN, **options})
    inputs = outputs.inputs_of(shot, STAGE, "")
    report = report or report_in(shot.path.parent)
    with outputs.writing(shot, STAGE, chosen, inputs) as (part, record):
        cleanplate.run(Context(shot, chosen, "", "", part, report, record))
        record["results"] = list(report.results)
    return record


def warnings(shot: Shot) -> list[str]:
    records = EventReader(shot.path.parent / "events.jsonl").poll()
    return [str(record["text"]) for record in records if record["event"] == "warning"]


def frame(shot: Shot, number: int) -> np.ndarray:
    return _read(shot.frame_file(number))


def clean(shot: Shot, number: int) -> np.ndarray:
    return _read(shot.clean_frame(number))


def gray_image(path: Path) -> np.ndarray:
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert found is not None, path
    assert found.ndim == 2, path
    return found


def replaced(shot: Shot, number: int) -> np.ndarray:
    return gray_image(shot.clean_plate / "mask" / shot.frame_file(number).name)


def holes(shot: Shot, number: int) -> np.ndarray:
    return gray_image(shot.clean_plate / "holes" / shot.frame_file(number).name)


def numbers(shot: Shot) -> tuple[int, ...]:
    return shot.load_plate().frames


def _read(path: Path) -> np.ndarray:
    found = read_frame(path)
    assert found is not None, path
    return found
