# SPDX-License-Identifier: GPL-3.0-or-later
"""What finds masks in a clip: the worker's models and ComfyUI behind one interface each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...prompts import Prompts
from ..report import Report

Mask = NDArray[np.uint8]
"""(h, w) at plate size: 255 where the thing is, 0 elsewhere."""

OBJECT = "object"
"""The name of a thing that nobody has named."""


@dataclass(frozen=True)
class Clip:
    """Plate frames by number, ascending, their width and height, and the frame to begin at."""

    files: Mapping[int, Path]
    size: tuple[int, int]
    start: int


@dataclass(frozen=True, eq=False)
class Found:
    """One thing in one frame. `instance` is the model's own track id: the same in every frame,
    counted over all labels or within one, and never given to another thing."""

    label: str
    instance: int
    mask: Mask
    score: float = 1.0


@dataclass(frozen=True, eq=False)
class FrameMasks:
    """Everything that is in one frame; a thing that is not seen in it is left out."""

    frame: int
    found: tuple[Found, ...]


class TextEngine(Protocol):
    """Finds what words name. `name` goes into the stage's record."""

    name: str

    def find(
        self, clip: Clip, labels: Sequence[str], threshold: float, report: Report
    ) -> Iterator[FrameMasks]:
        """Every frame of the clip once, in any order. Raises ShotGopherError."""


class PromptEngine(Protocol):
    """Tracks what was pointed at; the label is the object's name, the instance its place."""

    name: str

    def track(self, clip: Clip, prompts: Prompts, report: Report) -> Iterator[FrameMasks]:
        """Every frame of the clip once, in any order. Raises ShotGopherError."""
