# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be removed from each frame: masks and mattes of labels, united, grown and faded.

A matte stands in for the mask that it was refined from, in the frames that have one: its edge is
finer. A label's own folder is the union of its instances, so it goes where all of those have
mattes, unless somebody has edited it since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...errors import MaskError, UsageError
from ...mask_folders import is_edited, mask_files
from ...prompts import label_folder, split_labels
from ...shot import Plate, Shot, is_instance, label_folders
from ..mask_files import Mask
from ..mask_union import union
from .blocks import around

TRACE = 8
"""Up to here a matte is noise: a network's black is off by some levels, and of something that is as
bright as the background is dark such a share leaves no more than that many levels behind."""

_NOTHING = (
    "There are no masks of what is to be removed: run Roto by Text or Interactive Roto first, or "
    "import masks into roto/ under a label such as actor."
)


@dataclass(frozen=True)
class Removal:
    """`masks` and `mattes` are files by frame number, by label; `edited` labels' masks stay beside
    the mattes of their instances. `size` is the plate's width and height."""

    size: tuple[int, int]
    masks: Mapping[str, Mapping[int, Path]]
    mattes: Mapping[str, Mapping[int, Path]]
    edited: frozenset[str]
    dilate: float
    feather: float

    @classmethod
    def of(cls, shot: Shot, plate: Plate, labels: str, dilate: float, feather: float) -> Removal:
        """`labels` are separated by commas, "" for all. Raises MaskError where a shot has no masks
        for its frames, UsageError for labels that it has not."""
        masks, mattes = _files(shot.roto, plate), _files(shot.mattes, plate)
        if not label_folders(shot.roto) and not mattes and (own := _of_plate(shot.masks, plate)):
            # Made of no labels, it is what somebody has put there.
            masks = {shot.masks.name: own}
        there = sorted(masks.keys() | mattes.keys())
        if not there:
            raise MaskError(_NOTHING)
        chosen = _chosen(labels, there)
        return cls(
            (plate.width, plate.height),
            {name: files for name, files in masks.items() if name in chosen},
            {name: files for name, files in mattes.items() if name in chosen},
            frozenset(name for name in masks if is_edited(shot.roto / name)),
            dilate,
            feather,
        )

    @property
    def labels(self) -> list[str]:
        return sorted(self.masks.keys() | self.mattes.keys())

    def mask(self, number: int) -> Mask:
        """How much of each pixel is replaced: 255 up to `dilate` px around what is selected, then
        less over `feather` px. Raises MaskError for a mask that is damaged or of another size."""
        selected = union(self.files(number), self.size) > TRACE
        return grown(selected, self.dilate, self.feather)

    def files(self, number: int) -> list[Path]:
        """The masks and mattes that a frame's mask is made of."""
        refined = {name for name, files in self.mattes.items() if number in files}
        kept = [
            files[number]
            for name, files in self.masks.items()
            if number in files and not self._is_refined(name, refined)
        ]
        return kept + [self.mattes[name][number] for name in sorted(refined)]

    def _is_refined(self, name: str, refined: set[str]) -> bool:
        if name in refined:
            return True
        instances = self._instances.get(name, [])
        return bool(instances) and name not in self.edited and refined.issuperset(instances)

    @cached_property
    def _instances(self) -> dict[str, list[str]]:
        """The instances of each label in roto/."""
        found: dict[str, list[str]] = {}
        for name in self.masks:
            if is_instance(name):
                found.setdefault(_label_of(name), []).append(name)
        return found


def _files(parent: Path, plate: Plate) -> dict[str, dict[int, Path]]:
    """Masks of the plate's frames by label; labels without any are left out."""
    found = {folder.name: _of_plate(folder, plate) for folder in label_folders(parent)}
    return {name: files for name, files in found.items() if files}


def _of_plate(folder: Path, plate: Plate) -> dict[int, Path]:
    wanted = set(plate.frames)
    return {number: file for number, file in mask_files(folder).items() if number in wanted}


def _chosen(labels: str, there: Iterable[str]) -> set[str]:
    names = [label_folder(label) for label in split_labels(labels)]
    if not names:
        return set(there)
    found = {name: [each for each in there if name in (each, _label_of(each))] for name in names}
    unknown = [name for name, those in found.items() if not those]
    if unknown:
        raise UsageError(f"The shot has no masks '{unknown[0]}'. There are: {', '.join(there)}.")
    return {each for those in found.values() for each in those}


def _label_of(name: str) -> str:
    """The label of an instance: "actor" of "actor_00"."""
    return name.rpartition("_")[0] if is_instance(name) else name


def grown(selected: Any, dilate: float, feather: float) -> Mask:
    """255 within `dilate` px of what is selected (h, w), then falling to 0 over `feather` px.

    Distances are Euclidean, between the centers of pixels; the fall is 1 - t^2 (3 - 2 t).
    """
    mask: Mask = np.zeros(selected.shape, np.uint8)
    part = around(selected, int(np.ceil(dilate + feather)) + 1)
    if part is None:
        return mask
    outside = (~selected[part]).view(np.uint8)
    away: Any = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    away -= np.float32(dilate + 1e-3)
    found = (away <= 0).view(np.uint8) * np.uint8(255)
    if feather > 0:
        fades = (away > 0) & (away < feather)
        share = away[fades] / np.float32(feather)
        found[fades] = np.rint(255 * (1 - share * share * (3 - 2 * share)))
    mask[part] = found
    return mask
