# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody points at to work on it: a plate, or a shot that is there already.

A plate that is new gets a shot folder of its own, never that of another plate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import FormatError, UsageError
from .plates import IMAGE_SUFFIXES, PlateSource, locate_plate, shot_title
from .shot import Shot, folder_key, folder_name

_LISTED = 4
"""Missing frames that are listed one by one."""


@dataclass(frozen=True)
class Intake:
    """A plate, or a shot: one of the two is None.

    `left_out` are names of the files that are no part of it.
    """

    source: PlateSource | None
    shot: Shot | None
    left_out: tuple[str, ...] = ()


def take_in(paths: Sequence[Path]) -> Intake:
    """What the paths stand for: the first decides, others may be images of its sequence.

    A folder that holds a shot, its `source` and what is in there stand for that shot. Raises
    UsageError for no paths at all, PlateError for what can be neither.
    """
    if not paths:
        raise UsageError("Choose a movie, an image of a sequence or a folder.")
    first, *others = (Path(path).expanduser().absolute() for path in paths)
    shot = _shot_around(first)
    if shot is not None:
        return Intake(None, shot, _names(o for o in others if _shot_around(o) != shot))
    source = locate_plate(first)
    mine = {folder_key(str(file)) for file in (source.path, *source.files)}
    return Intake(source, None, _names(o for o in others if folder_key(str(o)) not in mine))


def _names(paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(path.name for path in paths)


def _shot_around(path: Path) -> Shot | None:
    """The shot that a path is the folder of, or lies in the `source` of."""
    around = (Shot(folder) for folder in path.parents[:3])
    inside = (shot for shot in around if path.is_relative_to(shot.plate_file.parent))
    return next((shot for shot in (Shot(path), *inside) if shot.has_plate()), None)


def recorded_plate(shot: Shot) -> str:
    """Where the frames of a shot came from; "" where that cannot be told."""
    try:
        return shot.load_plate().source
    except FormatError:
        return ""


def free_folder(parent: Path, plate: Path, taken: Mapping[str, str]) -> Path:
    """A folder for a shot of that plate: its own when it has one there, else one that no other
    plate has.

    `taken` are plates by their shot folders, of shots that are not set up yet.
    """
    name = folder_name(shot_title(plate))
    others = {folder_key(folder): other for folder, other in taken.items()}
    folder, number = parent / name, 1
    while not _may_have(folder, plate, others):
        number += 1
        folder = parent / f"{name}_{number}"
    return folder


def _may_have(folder: Path, plate: Path, taken: Mapping[str, str]) -> bool:
    there = (recorded_plate(Shot(folder)), taken.get(folder_key(str(folder)), ""))
    return all(not other or is_same_plate(plate, Path(other)) for other in there)


def is_same_plate(one: Path, other: Path) -> bool:
    """Whether two paths name one movie, or images of one sequence."""
    if folder_key(str(one)) == folder_key(str(other)):
        return True
    images = one.suffix.casefold() in IMAGE_SUFFIXES
    alike = one.suffix.casefold() == other.suffix.casefold()
    beside = folder_key(str(one.parent)) == folder_key(str(other.parent))
    return images and alike and beside and shot_title(one) == shot_title(other)


def summary(source: PlateSource) -> tuple[str, ...]:
    """What can be told of a plate before it is opened, in short lines."""
    if not source.numbers:
        return (f"Movie, {source.path.suffix[1:].upper()}",)
    count, first, last = len(source.numbers), source.numbers[0], source.numbers[-1]
    return (f"{count} images, {first} to {last}", *missing_frames(source.missing))


def missing_frames(numbers: Sequence[int]) -> tuple[str, ...]:
    """A line about frames that are missing; none where none are."""
    if not numbers:
        return ()
    listed = ", ".join(map(str, numbers[:_LISTED])) + (", ..." if len(numbers) > _LISTED else "")
    return (f"{len(numbers)} missing: {listed}",)
