# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done to masks and mattes without any model: the options, and what is asked for.

The work itself is worker/mask_edits.py. Sizes are pixels of the plate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .errors import UsageError
from .options import Choice, from_mapping, option
from .shot import Shot

MOST = 200
"""Pixels by which masks can be grown: a soft matte takes seconds a frame then."""


@dataclass(frozen=True)
class EditOptions:
    """How masks are changed, in the order in which it is done."""

    smooth: int = option(
        0,
        "Frames before and after over which each pixel takes the middle value. It takes out what "
        "flickers for as many frames; what is thinner than it moves in that time goes as well",
        label="Smooth",
        flags=("--smooth",),
        minimum=0,
        maximum=10,
        unit="frames",
        group="Time",
    )
    holes: int = option(
        0,
        "Fill holes up to this size: that of a disc with this diameter",
        label="Fill Holes",
        flags=("--fill-holes",),
        minimum=0,
        maximum=10000,
        unit="pixels",
        subtype="PIXEL",
        group="Clean Up",
    )
    specks: int = option(
        0,
        "Remove specks up to this size: that of a disc with this diameter",
        label="Remove Specks",
        flags=("--remove-specks",),
        minimum=0,
        maximum=10000,
        unit="pixels",
        subtype="PIXEL",
        group="Clean Up",
    )
    grow: float = option(
        0.0,
        "Pixels to grow by; less than 0 shrinks",
        label="Grow",
        flags=("--grow",),
        minimum=-MOST,
        maximum=MOST,
        unit="pixels",
        group="Edge",
    )
    feather: float = option(
        0.0,
        "Pixels over which the edge fades, half of them on either side of it",
        label="Feather",
        flags=("--feather",),
        minimum=0.0,
        maximum=2 * MOST,
        unit="pixels",
        group="Edge",
    )
    invert: bool = option(
        False, "Select what is not selected, and the other way round", label="Invert",
        flags=("--invert",),
    )  # fmt: skip


UNITE, INTERSECT, SUBTRACT = "union", "intersect", "subtract"
COMBINATIONS = (
    Choice(UNITE, "What any of them selects"),
    Choice(INTERSECT, "What all of them select"),
    Choice(SUBTRACT, "What the first selects and none of the others"),
)


@dataclass(frozen=True)
class ImportOptions:
    """How a sequence of masks that somebody else made becomes one of the shot's."""

    offset: int = option(
        0,
        "Frames to add to the numbers of the images to get those of the plate",
        label="Offset",
        flags=("--offset",),
        minimum=-1000000,
        maximum=1000000,
        unit="frames",
    )
    channel: str = option(
        "auto",
        "Where the images hold the mask",
        label="Channel",
        flags=("--channel",),
        choices=(
            Choice("auto", "In the alpha channel when that is not the same everywhere, else gray"),
            Choice("gray", "In the picture, as a gray value"),
            Choice("alpha", "In the alpha channel"),
        ),
    )
    black: bool = option(
        False,
        "The images are black where something is selected, and white elsewhere",
        label="Black Is Selected",
        flags=("--black-is-selected",),
    )


EDIT, COMBINE, IMPORT, RESTORE = "edit", "combine", "import", "restore"


@dataclass(frozen=True)
class MaskJob:
    """One piece of work on a shot's masks, as the worker's program is given it.

    what     EDIT, COMBINE, IMPORT or RESTORE
    sources  names of folders such as "roto/actor"; for IMPORT the path of images
    target   the folder that is written
    how      the options' values, or for COMBINE which combination: {"how": "union"}
    """

    shot: Path
    what: str
    sources: tuple[str, ...]
    target: str
    how: Mapping[str, Any]

    def to_json(self) -> str:
        return json.dumps(asdict(self) | {"shot": str(self.shot)})

    @classmethod
    def from_json(cls, text: str) -> MaskJob:
        data = json.loads(text)
        sources = tuple(map(str, data["sources"]))
        return cls(Path(data["shot"]), data["what"], sources, str(data["target"]), data["how"])


def edit_job(shot: Shot, name: str, into: str, how: Mapping[str, Any]) -> MaskJob:
    """Changes the masks `name`; "" writes them in place. Raises UsageError."""
    if from_mapping(EditOptions, how) == EditOptions() and into in ("", name):
        raise UsageError("Say what to do with the masks, such as --grow 4.")
    return MaskJob(shot.path, EDIT, (name,), into or name, dict(how))


def combine_job(shot: Shot, how: str, names: Sequence[str], into: str) -> MaskJob:
    """Raises UsageError."""
    if how not in {choice.value for choice in COMBINATIONS}:
        raise UsageError(f"'{how}' is no way to combine masks.")
    if len(names) < 2:
        raise UsageError("Name two labels or more to combine.")
    return MaskJob(shot.path, COMBINE, tuple(names), into, {"how": how})


def import_job(shot: Shot, images: Path, into: str, how: Mapping[str, Any]) -> MaskJob:
    """Raises UsageError."""
    from_mapping(ImportOptions, how)
    return MaskJob(shot.path, IMPORT, (str(images.absolute()),), into, dict(how))


def restore_job(shot: Shot, name: str) -> MaskJob:
    """Puts what was there before in the place of the masks; again, it takes that back."""
    return MaskJob(shot.path, RESTORE, (), name, {})
