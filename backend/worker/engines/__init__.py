# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera solvers behind one small interface: plate frames in, a reconstruction out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ...reconstruction import Reconstruction
from ...stages import ColmapOptions
from ..report import Report


@dataclass(frozen=True)
class SolveInput:
    """What a solver is given.

    frames   plate frame number -> image; all images lie in one folder and are width x height
    masks    plate frame number -> mask of the plate's size, white = ignore; may lack frames
    work     an empty folder for the solver's own files, removed after the solve
    """

    frames: Mapping[int, Path]
    width: int
    height: int
    masks: Mapping[int, Path]
    options: ColmapOptions
    work: Path


@dataclass(frozen=True, eq=False)
class Solution:
    """A solver's answer, in a world of the solver's own.

    `reconstruction` has observations; its images carry the names of the frames' files, frames
    that could not be solved are absent. `warnings` are sentences for the artist that the solver
    has reported already; `record` are figures worth keeping.
    """

    reconstruction: Reconstruction
    warnings: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)


class CameraSolver(Protocol):
    """Solves a plate's camera. Reports progress and stops within a second or two of a cancel."""

    name: str

    def solve(self, task: SolveInput, report: Report) -> Solution:
        """Raises SolveError when the plate does not hold what a solve needs."""
        ...
