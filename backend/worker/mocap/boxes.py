# SPDX-License-Identifier: GPL-3.0-or-later
"""Where people are in the plate, by their masks in roto/: a tight box in each frame.

m frames.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ...camera import Array, Integers
from ...mask_folders import existing_folder, mask_files
from ...shot import Shot, instance_folders, is_instance, label_folders
from ..engines.body_motion import Person
from ..mask_files import HALF, Mask, read_mask
from ..threads import threads
from .along_time import gaussian

_PEOPLE = {
    "person", "people", "man", "men", "woman", "women", "boy", "girl", "child", "actor", "actress",
    "human", "player", "dancer", "performer", "stunt", "double",
}  # fmt: skip
"""Labels that are those of people; others may be balls and cars."""
_PART = 0.05
"""Share of the largest piece of a mask under which a piece is a speck."""
_LEAST = 64
"""Pixels that somebody covers who can be told at all."""
_STEADY = 1.5
"""Frames that boxes are smoothed over."""
_SHARE = 0.02
"""Of a box's size that it stays steady by."""


def labels_of_people(shot: Shot, named: str) -> list[str]:
    """The labels that are asked for or, where none is, all whose name says that it is a person's:
    numbered ones first. Raises UsageError for a label without masks."""
    if named.strip():
        words = named.replace(",", " ").split()
        return [existing_folder(shot, word.removeprefix("roto/")).name for word in words]
    for folders in (instance_folders(shot.roto), label_folders(shot.roto)):
        found = [each.name for each in folders if _is_person(each.name) and mask_files(each)]
        if found:
            return found
    return []


def _is_person(label: str) -> bool:
    base = label.rsplit("_", 1)[0] if is_instance(label) else label
    return bool(_PEOPLE & set(base.casefold().split("_")))


def person_of(
    shot: Shot, label: str, frames: Integers, size: tuple[int, int], done: Callable[[], None]
) -> Person | None:
    """The boxes of a label's masks in `frames`; None where it is not seen. `size` is the plate's.
    Raises MaskError."""
    files = mask_files(shot.roto / label)
    found: dict[int, tuple[int, int, int, int]] = {}

    def look(number: int) -> None:
        box = box_of(read_mask(files[number], size)) if number in files else None
        if box is not None:
            found[number] = box

    with threads(look, frames.tolist()) as steps:
        for _ in steps:
            done()
    if not found:
        return None
    numbers = np.array(sorted(found))
    return Person(
        label, numbers, steady(numbers, np.array([found[each] for each in numbers], float))
    )


def box_of(mask: Mask) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of what a mask selects, specks left out; None where it is next to
    nothing."""
    inside = (mask >= HALF).astype(np.uint8)
    _count, _labels, stats, _centers = cv2.connectedComponentsWithStats(inside, connectivity=8)
    pieces = stats[1:]
    if not len(pieces) or pieces[:, cv2.CC_STAT_AREA].max() < _LEAST:
        return None
    kept = pieces[pieces[:, cv2.CC_STAT_AREA] >= _PART * pieces[:, cv2.CC_STAT_AREA].max()]
    left, top = kept[:, :2].min(axis=0).tolist()
    right, bottom = (kept[:, :2] + kept[:, 2:4]).max(axis=0).tolist()
    return left, top, right, bottom


def steady(frames: Integers, boxes: Array) -> Array:
    """Boxes (m, 4) without the jitter of a mask's edge, stretch by stretch of `frames` (m,)."""
    calm = gaussian(boxes, _STEADY, frames)
    size = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True)
    # A limb that comes out of the box in one frame is no jitter.
    return np.where(np.abs(calm - boxes) < _SHARE * size, calm, boxes)
