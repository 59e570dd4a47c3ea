# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth in one unit through the whole shot, of what a model said frame by frame.

With a camera that travels, each frame is fitted to the solve. One that only turns knows no
distances, and neither does a shot without a camera: frames agree with their neighbors there, and
the shot has one scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

import cv2
import numpy as np
from numpy.typing import NDArray

from ...shot import Plate, Shot
from ..frame_files import read_colors
from ..masks import find_masks, read_mask
from ..report import Report
from .estimating import Estimates
from .fitting import FEWEST_POINTS, Guess, fit_lines, middle_error
from .geometry import MapView, sampled
from .line import Floats, Line
from .scales import optical_flow, ratio_by_camera, ratio_by_flow, scales_of
from .shot_camera import ShotCamera

_KEPT = 24
"""Maps in memory: more than a frame is compared with."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Agreement:
    """A line for each frame. `fitted` are those that the solve's points told it of; `error` is what
    half of the points are off by, as a share of depth, None where there are none."""

    lines: Mapping[int, Line]
    fitted: tuple[int, ...] = ()
    error: float | None = None


class StillParts:
    """Where nothing moves: outside of what the masks select."""

    def __init__(self, shot: Shot, plate: Plate) -> None:
        self._masks = find_masks(shot.masks)
        self._size = plate.width, plate.height

    def at(self, number: int, size: tuple[int, int]) -> Flags:
        """(h, w) of a frame. Raises SolveError for a damaged mask."""
        if number not in self._masks:
            return np.ones(size[::-1], np.bool_)
        mask = read_mask(self._masks[number], self._size)
        smaller = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
        # A pixel beside the mask sees some of it, too.
        around = np.asarray(cv2.dilate(smaller, np.ones((3, 3), np.uint8)))
        still: Flags = around == 0
        return still


@dataclass(frozen=True, eq=False)
class Maps:
    """What the model said of a shot's frames, `numbers`, in their order. `together`: neighbors
    agree already."""

    shot: Shot
    plate: Plate
    estimates: Estimates
    together: bool
    numbers: Sequence[int]
    still: StillParts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "still", StillParts(self.shot, self.plate))

    def still_guess(self, number: int) -> Floats:
        """(h, w) what the model said of a frame, 0 where things move."""
        guess = self.estimates.load(number)
        return np.where(self.still.at(number, (guess.shape[1], guess.shape[0])), guess, 0)


def agreed(maps: Maps, camera: ShotCamera | None, report: Report) -> Agreement:
    """The line of every frame. Raises FormatError, SolveError."""
    if camera is None:
        return Agreement(_scaled(maps, _ratios_by_flow(maps, report), travels=True))
    if camera.only_turns:
        ratios = _ratios_by_turning(maps, camera, report)
        return Agreement(_at_the_points(maps, camera, _scaled(maps, ratios, travels=False)))
    return _to_the_solve(maps, camera, report)


def _scaled(maps: Maps, ratios: Sequence[float] | None, travels: bool) -> dict[int, Line]:
    scales = np.ones(len(maps.numbers)) if ratios is None else scales_of(ratios, travels)
    return {
        number: Line(inverse=False, slope=float(scale), shift=0.0, error=0.0)
        for number, scale in zip(maps.numbers, scales, strict=True)
    }


def _ratios_by_flow(maps: Maps, report: Report) -> list[float] | None:
    if maps.together:
        return None
    report.status("Comparing neighboring frames")
    flow = optical_flow()

    @lru_cache(maxsize=2)
    def look(number: int) -> tuple[NDArray[np.uint8], Floats]:
        guess = maps.still_guess(number)
        size = guess.shape[1], guess.shape[0]
        colors = read_colors(maps.shot.frame_file(number))
        picture = np.zeros((*guess.shape, 3), np.uint8) if colors is None else colors
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        gray = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        return gray, guess

    ratios = []
    for index, (one, other) in enumerate(zip(maps.numbers, maps.numbers[1:], strict=False)):
        ratios.append(ratio_by_flow(look(one), look(other), flow))
        report.progress(index + 2, len(maps.numbers), "frames")
    return ratios


def _ratios_by_turning(maps: Maps, camera: ShotCamera, report: Report) -> list[float] | None:
    if maps.together:
        return None
    report.status("Comparing neighboring frames")

    @lru_cache(maxsize=2)
    def look(number: int) -> tuple[MapView, Floats] | None:
        guess = maps.still_guess(number)
        view = camera.view(number, (guess.shape[1], guess.shape[0]))
        return None if view is None else (view, guess)

    ratios = []
    for one, other in zip(maps.numbers, maps.numbers[1:], strict=False):
        report.check()
        first, second = look(one), look(other)
        ratios.append(ratio_by_camera(first, second) if first and second else float("nan"))
    return ratios


def _at_the_points(maps: Maps, camera: ShotCamera, lines: dict[int, Line]) -> dict[int, Line]:
    """All scales times one: so that what is guessed is as far away as the solve's points, whose
    distance is made up."""
    logs = []
    for guess in _guesses(maps, camera):
        depth = guess.points * lines[guess.view.number].slope
        logs.append(np.log(guess.depths / depth))
    factor = float(np.exp(np.median(np.concatenate(logs)))) if any(map(len, logs)) else 1.0
    return {
        number: Line(False, line.slope * factor, line.shift, line.error)
        for number, line in lines.items()
    }


def _guesses(maps: Maps, camera: ShotCamera) -> list[Guess]:
    load = lru_cache(maxsize=_KEPT)(maps.still_guess)
    found = []
    for number in maps.numbers:
        guess = load(number)
        view = camera.view(number, (guess.shape[1], guess.shape[0]))
        if view is not None:
            places, depths = camera.points_in(view)
            values = np.nan_to_num(sampled(guess, places))
            known = values > 0
            found.append(Guess(view, partial(load, number), values[known], depths[known]))
    return found


def _to_the_solve(maps: Maps, camera: ShotCamera, report: Report) -> Agreement:
    report.status("Fitting depth to the solve")
    guesses = _guesses(maps, camera)
    lines = fit_lines(guesses)
    if not lines:
        report.warning(
            "What the model guesses agrees with too few of the solve's points: depth is not in the "
            "solve's units. Track with a higher quality, or try another depth model."
        )
        return Agreement(_scaled(maps, _ratios_by_flow(maps, report), travels=True))
    rich = [g.view.number for g in guesses if len(g.points) >= FEWEST_POINTS]
    fitted = tuple(number for number in rich if number in lines)
    _lend(maps.numbers, lines, report)
    return Agreement(lines, fitted, middle_error({number: lines[number] for number in fitted}))


def _lend(numbers: Sequence[int], lines: dict[int, Line], report: Report) -> None:
    """Frames without a line take that of the nearest frame with one."""
    without = [number for number in numbers if number not in lines]
    if not without:
        return
    known = sorted(lines)
    for number in without:
        lines[number] = lines[min(known, key=lambda each: abs(each - number))]
    report.warning(
        f"{len(without)} frames have no camera, or see too few points: the scale of their depth is "
        "that of the nearest frame that could be fitted."
    )
