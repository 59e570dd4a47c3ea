# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way a clean plate is made."""

from __future__ import annotations

from collections.abc import Callable

from ... import locations
from ...errors import Remedy, SolveError
from ...models import ModelStore
from ...shot import Shot
from ...solve import Motion, solve_of
from ...stages import CleanPlateOptions
from ..engines.inpainting import Inpainter
from ..report import Report

AUTO, PROJECT, MEDIAN, PROPAINTER = "auto", "project", "median", "propainter"
"""What the option `method` may be; `unseen` may be the first and the last, too."""
ALPHA = "alpha"

_NO_WAY = (
    "The camera moves, so the background has to come from a solved camera: track the camera first, "
    "or get the model ProPainter, which makes it up. If the camera does stand still, choose the "
    "method Median."
)
_NO_SOLVE = "Projection needs the solved camera: track the camera first, or choose another method."
_SOLVED_MOVE = (
    "The solved camera {moves}, and the median is for one that stands still: what is filled in "
    "will be blurred or out of place. Projection fits this shot."
)
_SEEN_MOVE = (
    "The plate does not stand still where nothing is masked: what the median fills in will be "
    "blurred or out of place. Track the camera and use Projection, or mask what moves."
)


def is_solved(shot: Shot) -> bool:
    return shot.solve_file.is_file()


def choose_method(
    asked: str, shot: Shot, still: Callable[[], bool], maker: Callable[[], Inpainter | None]
) -> str:
    """What is asked for; with "auto" the projection where the camera is solved, else the median
    where it stands still, else ProPainter where it can be had. Raises SolveError."""
    if asked == PROJECT and not is_solved(shot):
        raise SolveError(_NO_SOLVE, Remedy.TRACK_CAMERA)
    if asked != AUTO:
        return asked
    if is_solved(shot):
        return PROJECT
    if still():
        return MEDIAN
    if maker() is not None:
        return PROPAINTER
    raise SolveError(_NO_WAY, Remedy.TRACK_CAMERA)


def median_warning(shot: Shot, still: Callable[[], bool]) -> str:
    """What is wrong with the median for this shot; "" when nothing is."""
    if is_solved(shot) and solve_of(shot).quality.motion is Motion.MOVING:
        return _SOLVED_MOVE.format(moves="travels")
    if still():
        return ""
    return _SOLVED_MOVE.format(moves="turns") if is_solved(shot) else _SEEN_MOVE


def wanted_inpainter(options: CleanPlateOptions, shot: Shot, report: Report) -> Inpainter | None:
    """What makes up background: None where the options leave open whether, and it cannot be had.
    Raises ModelError where they ask for it."""
    from ..engines.choice import inpainter

    found: Inpainter | None = inpainter(options, ModelStore(locations.home()), shot, report)
    return found
