# SPDX-License-Identifier: GPL-3.0-or-later
"""The folders of images that a shot has beside its plate: mattes, depth, clean plate and others.

camera/undistorted/     the undistorted plate, as large as it takes to hold all of the plate
cleanplate/             plate size, and bent by the plate's lens
depth/                  the same
roto/<label>/           the same
matte/<label>/          the same
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .shot import Shot, by_frame

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""Of two kinds of images in a folder the first counts."""


class Kind(str, Enum):
    PLATE = "plate"
    OVERSCAN = "overscan"
    CLEAN_PLATE = "clean plate"
    MATTE = "matte"
    DEPTH = "depth"


@dataclass(frozen=True)
class Pictures:
    """The images of one folder by frame number, ascending; never empty.

    `name` is the folder's path in the shot, with "/". `files` all have one ending.
    """

    name: str
    label: str
    kind: Kind
    files: Mapping[int, Path]

    @property
    def first_frame(self) -> int:
        return next(iter(self.files))

    @property
    def first(self) -> Path:
        return next(iter(self.files.values()))

    def digest(self) -> str:
        """Tells these images from those that another run puts under the same names."""
        states = ((file.name, file.stat()) for file in self.files.values())
        listed = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def plate_pictures(shot: Shot) -> Pictures:
    """The plate itself. Raises FormatError when shot.json is missing or damaged."""
    files = {number: shot.frame_file(number) for number in shot.load_plate().frames}
    return Pictures(shot.frames.relative_to(shot.path).as_posix(), "Plate", Kind.PLATE, files)


def find_pictures(shot: Shot) -> tuple[Pictures, ...]:
    """What is there beside the plate, in the order that it is offered in."""
    found = (_pictures(shot, *place) for place in _places(shot))
    return tuple(pictures for pictures in found if pictures is not None)


def pictures_digest(shot: Shot) -> str:
    """Tells all image folders of a shot from every other set of them."""
    listed = [[pictures.name, pictures.digest()] for pictures in find_pictures(shot)]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _places(shot: Shot) -> Iterator[tuple[Path, str, Kind]]:
    yield shot.undistorted, "Undistorted with Overscan", Kind.OVERSCAN
    yield shot.clean_plate, "Clean Plate", Kind.CLEAN_PLATE
    yield shot.depth.path, "Depth", Kind.DEPTH
    for parent, title in ((shot.roto, "Roto"), (shot.mattes, "Matte")):
        for folder in _folders(parent):
            yield folder, f"{title}: {folder.name}", Kind.MATTE


def _folders(parent: Path) -> list[Path]:
    """Those of labels, which have no dot; outputs that are not whole, or were replaced, have."""
    if not parent.is_dir():
        return []
    entries = [Path(entry) for entry in os.scandir(parent) if entry.is_dir()]
    return sorted(folder for folder in entries if "." not in folder.name)


def _pictures(shot: Shot, folder: Path, label: str, kind: Kind) -> Pictures | None:
    if not folder.is_dir():
        return None
    entries = [Path(entry) for entry in os.scandir(folder) if entry.is_file()]
    for suffix in IMAGE_SUFFIXES:
        files = by_frame(entry for entry in entries if entry.suffix.lower() == suffix)
        if files:
            return Pictures(folder.relative_to(shot.path).as_posix(), label, kind, files)
    return None
