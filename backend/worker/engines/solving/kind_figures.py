# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures that tell one kind of shot from another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ....camera import Array
from ....tracks import Tracks
from .kind_turn import Parallax, TurnOfWindows, parallax_of, turn_of, unrolled
from .kind_windows import SAMPLES, Windows
from .quality import coverage

_UNIT = 1280
"""Pixels below are of a picture this long; they grow with the plate."""

_GOOD = 0.1
"""Standard deviation of a good track."""

_NOISE = 0.3
_FINE = 0.5
_TOLERANCE = 1.0
_TOLERANCE_OF_SHIFT = 0.004
"""A track that comes within the tolerance, and that share of how far it moves, is explained."""

_LEFT_TYPICAL, _LEFT_FAR = 0.3, 0.32
"""Share of the power of a turn's residuals that depth leaves over, at the median and the 80th
percentile of tracks, at most in a window with parallax (measured: moving to 0.22 and 0.30 in most
windows, nodal from 0.36 and 0.21, never both low)."""

_MOVED = 0.6
_AT_REST = 0.3
_RIGID_LEFT = 0.15
_BETWEEN = 0.1
"""Where a turn explains that share of the tracks to half a pixel, the others are near things or
actors: things lie at all depths, so that share at least lies between the farthest and the nearest
(measured: far scenery with things before it 0.16 to 0.4, actors and cars before a tripod 0)."""


@dataclass(frozen=True)
class Figures:
    """What the verdict rests on; pixels of the plate, medians over windows.

    tracks            in the typical frame
    worth             how many good tracks they are worth: one twice as uncertain is worth a quarter
    coverage          share of the typical frame's 8 x 8 cells that hold a track
    shift             how far the typical track moves
    turn_motion       how far the turn alone moves it
    turn_share        share of the tracks that a turn explains
    fine_share        share that it explains to half a pixel (at 1280 px)
    turn_error        what it leaves at the typical track
    left, left_far    share of that (power) that depth cannot explain: typical, 80th percentile
    parallax          what depth explains, at the 80th percentile
    parallax_windows  share of the windows in which depth explains nearly everything
    plane_left        residual of homographies over that of the turn; 0 where not asked
    focal             of the turn, px
    zoom              how much log focal length changes in a window, in a zooming turn
    """

    tracks: float = 0.0
    worth: float = 0.0
    coverage: float = 0.0
    shift: float = 0.0
    turn_motion: float = 0.0
    turn_share: float = 0.0
    fine_share: float = 0.0
    turn_error: float = 0.0
    left: float = 1.0
    left_far: float = 1.0
    parallax: float = 0.0
    parallax_windows: float = 0.0
    plane_left: float = 0.0
    focal: float = 0.0
    zoom: float = 0.0


class PlateWindows:
    """A plate's windows, and what explains them."""

    def __init__(self, windows: Windows, size: int, focal: float | None, aspect: float) -> None:
        self.windows, self.size, self.focal, self.aspect = windows, size, focal, aspect
        self.unit = size / _UNIT

    def turn(self, zoom: bool) -> TurnOfWindows:
        return turn_of(self.windows, self.size, self.focal, self.aspect, zoom)

    def unrolled(self, turn: TurnOfWindows, height: int) -> PlateWindows:
        """The same without what a rolling shutter does to it."""
        windows = unrolled(self.windows, turn, _NOISE * self.unit, height)
        return PlateWindows(windows, self.size, self.focal or turn.turn.focal[0], self.aspect)

    def figures(self, known: Figures, turn: TurnOfWindows) -> Figures:
        parallax = parallax_of(self.windows, turn, _NOISE * self.unit)
        rows = np.array([self._row(window, turn, parallax) for window in self._each()])
        typical = dict(zip(_COLUMNS, np.median(rows, axis=0).tolist(), strict=True))
        typical["turn_motion"] = float(np.percentile(rows[:, _COLUMNS.index("turn_motion")], 80))
        typical["parallax_windows"] = float(rows[:, -1].mean())
        return Figures(
            tracks=known.tracks,
            worth=known.worth,
            coverage=known.coverage,
            focal=float(np.median(turn.turn.focal)),
            zoom=float(np.ptp(np.log(turn.turn.focal.reshape(-1, SAMPLES)), axis=1).max()),
            **typical,
        )

    def _each(self) -> list[Array]:
        return [self.windows.window == window for window in range(self.windows.count)]

    def _row(self, mine: Array, turn: TurnOfWindows, parallax: Parallax) -> list[float]:
        unit = self.unit
        error = _rms(turn.residual[mine])
        # Depth has taken one number of each track's 2 s - 2.
        spared = (2 * SAMPLES - 2) / (2 * SAMPLES - 3)
        rest, moved = _rms(parallax.residual[mine]) * np.sqrt(spared), _rms(parallax.moved[mine])
        shift = self.windows.shifts()[mine]
        tolerance = _TOLERANCE * unit + _TOLERANCE_OF_SHIFT * shift
        left, left_far = (_left(rest, error, percent) for percent in (50, 80))
        far = float(np.percentile(moved, 80))
        fine = float(np.mean(error < _FINE * unit))
        scene = self._is_scene(error, rest, moved) if fine > _AT_REST else left < _LEFT_TYPICAL
        return [
            float(np.median(shift)),
            _motion(self.windows.pixel[mine] - turn.residual[mine]),
            float(np.mean(error < tolerance)),
            fine,
            float(np.median(error)),
            left,
            left_far,
            far,
            float(scene and left_far < _LEFT_FAR and far > _MOVED * unit),
        ]

    def _is_scene(self, error: Array, rest: Array, moved: Array) -> bool:
        """Whether what a turn leaves over is rigid and lies at many depths."""
        largest = float(np.percentile(moved, 95))
        between = float(np.mean((moved > 0.1 * largest) & (moved < 0.6 * largest)))
        over = error > self.unit
        rigid = rest[over] < np.maximum(_FINE * self.unit, _RIGID_LEFT * error[over])
        return between > _BETWEEN and bool(rigid.size) and float(rigid.mean()) > 0.5

    def plane_left(self, turn: TurnOfWindows) -> float:
        """Residual of homographies over that of the turn, at the median and the 90th percentile."""
        planes, turned = self._plane_errors(), _rms(turn.residual)
        shares = np.percentile(planes, [50, 90]) / np.maximum(np.percentile(turned, [50, 90]), 1e-9)
        return float(shares.max())

    def _plane_errors(self) -> Array:
        """Distances (t,) in px from the homography of each window's first and last sample."""
        errors = np.full(len(self.windows.window), np.inf)
        for mine in self._each():
            first, last = self.windows.pixel[mine, 0], self.windows.pixel[mine, -1]
            found, _inliers = cv2.findHomography(first, last, cv2.RANSAC, 2.0 * self.unit)
            if found is not None:
                there = np.concatenate([first, np.ones((len(first), 1))], axis=1) @ found.T
                errors[mine] = np.linalg.norm(there[:, :2] / there[:, 2:] - last, axis=1)
        return errors


_COLUMNS = (
    "shift",
    "turn_motion",
    "turn_share",
    "fine_share",
    "turn_error",
    "left",
    "left_far",
    "parallax",
    "parallax_windows",
)


def _rms(residual: Array) -> Array:
    """(t,) of residuals (t, s, 2)."""
    rms: Array = np.sqrt((residual**2).sum(axis=2).mean(axis=1))
    return rms


def _left(rest: Array, error: Array, percent: float) -> float:
    before = float(np.percentile(error, percent))
    return (float(np.percentile(rest, percent)) / max(before, 1e-9)) ** 2


def _motion(explained: Array) -> float:
    """How far the turn takes the typical track from where the window begins."""
    apart = np.linalg.norm(explained - explained[:, :1], axis=2)
    return float(np.median(apart, axis=0).max())


def counted(tracks: Tracks, frames: Sequence[int], width: int, height: int) -> Figures:
    """The figures that need no windows."""
    numbers = np.array(sorted(frames), dtype=np.int64)
    image = np.searchsorted(numbers, tracks.frame)
    good = _GOOD * max(width, height) / _UNIT
    worth = np.minimum(1.0, (good / np.maximum(tracks.sigma, 1e-3)) ** 2)
    return Figures(
        tracks=float(np.median(np.bincount(image, minlength=len(numbers)))),
        worth=float(np.median(np.bincount(image, worth, len(numbers)))),
        coverage=coverage(image, tracks.pixel, len(numbers), width, height),
    )
