# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what an engine finds as the shot's roto/ folder, beside everything that is there already.

    roto/<label>/       a label's masks; roto/<label>_00/ of each thing, in order of appearance
    roto/mask/          the union of all labels, also of those made by hand

Every folder has a mask for each frame of the plate, black where there is nothing. The new folder
takes over all of the old one but the labels that this stage made itself in its last run and that
nobody has changed since: their record says what was in them. When a name is taken by masks that
stay, the new ones get another one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import outputs
from ..mask_folders import is_own
from ..prompts import label_folder
from ..shot import FRAME_PATTERN, Shot, instance_name, is_instance, label_folders
from ..stages import Stage
from .carrying import carry_over, link
from .engines.masking import Found, FrameMasks
from .mask_figures import InstanceFigures, Sightings, figures, warnings
from .mask_files import Mask, write_mask
from .mask_union import write_union
from .report import Report

_FOUND = ".found"
"""Holds the masks of instances that have no number yet."""
_PAINTED = "mask_painted"
"""The label that masks get which somebody painted in the place of the union."""


@dataclass
class _Label:
    """One label's instances by the engine's track ids."""

    seen: dict[int, Sightings] = field(default_factory=dict)

    def in_order(self) -> list[int]:
        """Track ids in their order of appearance."""
        return sorted(self.seen, key=lambda track: (self.seen[track].frames[0], track))


class MaskWriter:
    """Writes masks frame by frame, in any order, and in the end all of the folder.

    `part` is the folder that becomes roto/. `separate`: whether instances get folders too.
    """

    def __init__(
        self, shot: Shot, stage: Stage, part: Path, labels: Iterable[str], separate: bool
    ) -> None:
        self._shot, self._stage, self._part, self._separate = shot, stage, part, separate
        self._plate = shot.load_plate()
        self._labels = {label: _Label() for label in labels}
        _empty(part, but=stage.record)

    def add(self, masks: FrameMasks) -> None:
        """One frame. Raises OutputError."""
        for place, label in enumerate(self._labels):
            found = [each for each in masks.found if each.label == label and each.mask.any()]
            whole = _joined(found, self._size)
            self._write(self._label_part(place) / _file(masks.frame), whole)
            if not self._separate:
                found = [Found(label, 0, whole)] if found else []
            for each in found:
                sightings = self._labels[label].seen.setdefault(each.instance, Sightings())
                sightings.add(masks.frame, each.mask)
                if self._separate:
                    file = self._instance_part(place, each.instance) / _file(masks.frame)
                    self._write(file, each.mask)

    def finish(self, report: Report, record: dict[str, Any]) -> None:
        """Names everything, takes over what stays, makes the union and tells what to look at.

        Raises MaskError, OutputError.
        """
        report.status("Writing the masks")
        kept = _kept(self._shot, self._stage)
        names = _names(list(self._labels), kept, self._stage.title, report)
        made: list[str] = []
        told: list[InstanceFigures] = []
        for place, (label, found) in enumerate(self._labels.items()):
            if not found.seen:
                report.warning(f"Nothing was found for '{label}'.")
            made += self._place(place, names[label], found)
            told += figures(self._named(names[label], found), self._plate.frames)
        shutil.rmtree(self._part / _FOUND, ignore_errors=True)
        for text in warnings(told):
            report.warning(text)
        record["labels"] = {name: digest(self._part / name) for name in made}
        record["instances"] = {each.name: each.to_json() for each in told}
        _take_over(self._shot, kept, self._part, report)
        self._write_union(report)
        for name in made:
            report.result(f"{self._shot.roto.name}/{name}", "masks")
        report.result(f"{self._shot.roto.name}/{self._shot.masks.name}", "masks")

    @property
    def _size(self) -> tuple[int, int]:
        return self._plate.width, self._plate.height

    def _label_part(self, place: int) -> Path:
        return self._part / _FOUND / str(place)

    def _instance_part(self, place: int, track: int) -> Path:
        return self._part / _FOUND / f"{place}-{track}"

    def _write(self, path: Path, mask: Mask) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mask(path, mask)

    def _place(self, place: int, name: str, found: _Label) -> list[str]:
        """Gives a label's folders their names; returns these."""
        folders = {name: self._label_part(place)}
        if self._separate and not is_instance(name):
            for number, track in enumerate(found.in_order()):
                folders[instance_name(name, number)] = self._instance_part(place, track)
        for target, source in folders.items():
            source.mkdir(parents=True, exist_ok=True)
            self._fill(source)
            source.rename(self._part / target)
        return list(folders)

    def _fill(self, folder: Path) -> None:
        """Black masks for the frames that have none."""
        there = set(os.listdir(folder))
        black = np.zeros((self._plate.height, self._plate.width), np.uint8)
        for number in self._plate.frames:
            if _file(number) not in there:
                write_mask(folder / _file(number), black)

    def _named(self, name: str, found: _Label) -> dict[str, Sightings]:
        order = found.in_order()
        if order and (is_instance(name) or not self._separate):
            return {name: found.seen[order[0]]}
        return {instance_name(name, n): found.seen[track] for n, track in enumerate(order)}

    def _write_union(self, report: Report) -> None:
        frames, done = self._plate.frames, 0

        def step() -> None:
            nonlocal done
            done += 1
            report.progress(done, len(frames), "masks")

        union = self._part / self._shot.masks.name
        write_union(label_folders(self._part), frames, self._size, union, step)
        _keep_same(self._shot.masks, union)


def _file(number: int) -> str:
    return f"{FRAME_PATTERN.format(number)}.png"


def _empty(part: Path, but: str) -> None:
    """Drops what a run that was killed left: what it had found was numbered by that run."""
    for entry in part.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != but:
            entry.unlink()


def _joined(found: Sequence[Found], size: tuple[int, int]) -> Mask:
    whole: Mask = np.zeros(size[::-1], np.uint8)
    for each in found:
        np.maximum(whole, each.mask, out=whole)
    return whole


def digest(folder: Path) -> str:
    """Tells the masks in a folder from all others by their content."""
    found = hashlib.sha256()
    for file in sorted(folder.glob("*.png")):
        found.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def _kept(shot: Shot, stage: Stage) -> list[Path]:
    """What of the old folder goes into the new one."""
    if not shot.roto.is_dir():
        return []
    own = outputs.recorded(shot, stage).get("labels", {})
    entries = sorted(Path(entry) for entry in os.scandir(shot.roto))
    dropped = {stage.record, *([] if is_own(shot.masks) else [shot.masks.name])}
    return [
        entry for entry in entries if entry.name not in dropped and not _is_unchanged(entry, own)
    ]


def _is_unchanged(entry: Path, own: Mapping[str, str]) -> bool:
    """Whether a label is as this stage's last run has left it."""
    return entry.is_dir() and entry.name in own and digest(entry) == own[entry.name]


def _names(
    labels: Sequence[str], kept: Sequence[Path], title: str, report: Report
) -> dict[str, str]:
    """A folder for each label that none of those kept has, nor its instances."""
    taken = {entry.name.casefold() for entry in kept if entry.is_dir()}
    names: dict[str, str] = {}
    for label in labels:
        wanted = label_folder(label)
        name = next(each for each in _versions(wanted) if not _is_taken(each.casefold(), taken))
        if name != wanted:
            report.warning(
                f"roto/{wanted} holds masks that {title} did not make, or that were changed since. "
                f"They stay: the new ones are in roto/{name}."
            )
        names[label] = name
        taken.add(name.casefold())
    return names


def _versions(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}_v{number}"
        number += 1


def _is_taken(name: str, taken: Iterable[str]) -> bool:
    """Whether it is among those taken, or one of the two is an instance of the other."""
    return any(other == name or _is_of(other, name) or _is_of(name, other) for other in taken)


def _is_of(instance: str, label: str) -> bool:
    return is_instance(instance) and instance.rpartition("_")[0] == label


def _take_over(shot: Shot, kept: Sequence[Path], part: Path, report: Report) -> None:
    for entry in kept:
        if entry == shot.masks:
            name = next(each for each in _versions(_PAINTED) if not (part / each).exists())
            report.warning(
                f"The masks in roto/{entry.name} were painted by hand: they are kept as "
                f"roto/{name} and are part of the new ones."
            )
            carry_over(entry, part / name)
        else:
            carry_over(entry, part / entry.name)


def _keep_same(old: Path, new: Path) -> None:
    """Leaves files as they were where nothing has changed: a solve with them stays current."""
    for file in new.iterdir():
        before = old / file.name
        if before.is_file() and before.read_bytes() == file.read_bytes():
            file.unlink()
            link(before, file)
