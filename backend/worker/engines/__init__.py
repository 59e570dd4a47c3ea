# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera solvers behind one small interface: plate frames in, a reconstruction out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ...reconstruction import Reconstruction
from ...solve import Quality
from ...stages import ColmapOptions
from ...tracks import Tracks
from ..report import Report


@dataclass(frozen=True, eq=False)
class Prior:
    """An earlier solve, with observations, and the tracks as the artist left them."""

    reconstruction: Reconstruction
    tracks: Tracks


@dataclass(frozen=True)
class SolveInput:
    """What a solver is given.

    frames   plate frame number -> image; all images lie in one folder and are width x height
    masks    plate frame number -> mask of the plate's size, white = ignore; may lack frames
    work     an empty folder for the solver's own files, removed after the solve
    aspect   width over height of a pixel
    hint     focal length in px that the plate's metadata names: a good guess, no more
    prior    the solve to refine, instead of a new one
    """

    frames: Mapping[int, Path]
    width: int
    height: int
    masks: Mapping[int, Path]
    options: ColmapOptions
    work: Path
    aspect: float = 1.0
    hint: float | None = None
    prior: Prior | None = None

    @property
    def known_focal(self) -> float | None:
        """The focal length in px (fx) that the artist gave, None to solve it."""
        if not self.options.focal_length:
            return None
        return self.options.focal_length / self.options.sensor_width * self.width


@dataclass(frozen=True, eq=False)
class Solution:
    """A solver's answer, in a world of the solver's own.

    `reconstruction` has observations; its images carry the names of the frames' files, frames
    that could not be solved are absent. It has one camera for the whole plate, or one an image
    when the lens zooms. The camera of a tripod solve stands in the solver's origin (translations
    0) and its points lie at made-up distances. `tracks` are all tracks with their errors, None
    from an engine without. `warnings` are sentences for the artist that the solver has reported
    already; `record` are figures worth keeping.
    """

    reconstruction: Reconstruction
    quality: Quality
    tracks: Tracks | None = None
    warnings: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)


class CameraSolver(Protocol):
    """Solves a plate's camera. Reports progress and stops within a second or two of a cancel."""

    name: str

    def solve(self, task: SolveInput, report: Report) -> Solution:
        """Raises SolveError when the plate does not hold what a solve needs."""
        ...
