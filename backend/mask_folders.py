# SPDX-License-Identifier: GPL-3.0-or-later
"""The folders of masks that a shot has: which there are, and what they say of themselves.

    roto/<label>/       masks of a label, matte/<label>/ its mattes
    roto/mask/          the union of all labels in roto/, roto/combined/ that of those in matte/
    .../union.json      in a union: the labels that it was made of
    .../edit.json       in a folder that was edited or imported: what was done last

A folder that is replaced is kept beside as `<label>.previous`. A union that does not say what it
was made of is somebody's own and is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .errors import FormatError, UsageError
from .outputs import PREVIOUS
from .shot import UNIONS, Shot, by_frame, folder_name, label_folders, read_json, write_json

_UNION_FILE, _EDIT_FILE = "union.json", "edit.json"


@dataclass(frozen=True)
class Union:
    """What a union was made of."""

    labels: tuple[str, ...]

    def save(self, folder: Path) -> None:
        write_json(folder / _UNION_FILE, asdict(self))


@dataclass(frozen=True)
class Edit:
    """What was done to a folder of masks last: `what` is the verb, `how` its arguments."""

    what: str
    how: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        write_json(folder / _EDIT_FILE, asdict(self))


def is_edited(folder: Path) -> bool:
    """Whether somebody has edited the masks in a folder, or imported them."""
    return (folder / _EDIT_FILE).is_file()


def is_own(folder: Path) -> bool:
    """Whether there are masks in the place of a union that somebody made himself."""
    return bool(mask_files(folder)) and not (folder / _UNION_FILE).is_file()


@dataclass(frozen=True)
class MaskFolder:
    """A label's masks. `name` is the folder's path in the shot, such as "roto/actor"."""

    name: str
    frames: int
    first: int
    last: int
    edited: bool
    restorable: bool


def mask_files(folder: Path) -> dict[int, Path]:
    """The masks in a folder by plate frame number; {} when there is none."""
    return by_frame(sorted(folder.glob("*.png"))) if folder.is_dir() else {}


def find_mask_folders(shot: Shot) -> tuple[MaskFolder, ...]:
    """Every label's masks and mattes, by name. Reads the disk."""
    folders = [each for parent in (shot.roto, shot.mattes) for each in label_folders(parent)]
    found = ((shot_name(shot, folder), folder, mask_files(folder)) for folder in folders)
    return tuple(
        MaskFolder(
            name, len(files), min(files), max(files), is_edited(folder), previous(folder).is_dir()
        )
        for name, folder, files in found
        if files
    )


def previous(folder: Path) -> Path:
    """Where the folder that this one has replaced is kept."""
    return folder.with_name(folder.name + PREVIOUS)


def shot_name(shot: Shot, folder: Path) -> str:
    """A folder as it is named to artists: its path in the shot, with "/"."""
    return folder.relative_to(shot.path).as_posix()


def mask_folder(shot: Shot, name: str) -> Path:
    """The folder that a name such as "roto/actor" or "matte/actor_00" stands for; a label alone is
    one in roto/. It need not be there. Raises UsageError for a name that is none of a label."""
    room, slash, label = name.partition("/")
    room, label = (room, label) if slash else (shot.roto.name, name)
    parents = {parent.name: parent for parent in (shot.roto, shot.mattes)}
    if room not in parents or label != folder_name(label):
        raise UsageError(
            f"'{name}' is no name for masks: take one such as roto/actor or matte/actor_00, of "
            "letters, digits, _ and -."
        )
    if label in UNIONS:
        raise UsageError(f"'{name}' is made of the labels: edit those.")
    return parents[room] / label


def existing_folder(shot: Shot, name: str) -> Path:
    """Like `mask_folder`, of masks that are there. Raises UsageError."""
    folder = mask_folder(shot, name)
    if not mask_files(folder):
        there = ", ".join(each.name for each in find_mask_folders(shot)) or "none"
        raise UsageError(f"The shot has no masks '{name}'. There are: {there}.")
    return folder


def union_of(shot: Shot, folder: Path) -> Path:
    """The union that a label's folder is part of."""
    return shot.masks if folder.parent == shot.roto else shot.combined


def read_edit(folder: Path) -> dict[str, Any]:
    """What was done to a folder last, {} when that is not known."""
    try:
        return read_json(folder / _EDIT_FILE)
    except FormatError:
        return {}
