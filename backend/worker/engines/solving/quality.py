# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a solve of a traveling camera can be relied on, from what it shows itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....camera import Array, Integers
from ....solve import Grade
from .marks import Marks
from .scene import Scene

_CELLS = 8

FOCAL_FAIR, FOCAL_POOR = 0.01, 0.05
"""Relative standard deviations of the focal length from which a solve is fair, or poor."""

PARALLAX_FAIR, PARALLAX_POOR = 1.0, 0.25
"""Degrees; less than this at the median point."""

ERROR_FAIR, ERROR_POOR = 0.7, 1.5
"""Px; the median reprojection error."""

SLIP_FAIR, SLIP_POOR = 0.6, 3.0
"""Px that the solve is expected to slip by."""

COVERAGE_FAIR, COVERAGE_POOR = 0.35, 0.15
"""Share of the picture's cells that hold a track."""

UNSOLVED_FAIR, UNSOLVED_POOR = 0.0, 0.5
"""More than this share of the plate's frames without a camera."""

STILL_FAIR, STILL_POOR = 0.6, 0.45
"""Share of the marks that hold still (measured: rendered plates 0.92 to 0.99, a walk with an actor
over a third of the picture 0.73)."""


@dataclass(frozen=True)
class Figures:
    """What a grade is made from; `bridged` frames rest on few marks, `slip` (px) is what halves of
    the tracks say (halves.py), `unsolved` is the share of the plate's frames without a camera,
    `still` that of the marks which the solve explains."""

    focal_sigma: float
    parallax: float
    coverage: float
    error: float
    bridged: tuple[int, ...]
    slip: float = 0.0
    unsolved: float = 0.0
    still: float = 1.0


def graded(figures: Figures, focal_given: bool) -> tuple[Grade, tuple[str, ...]]:
    """The grade, and sentences on what would make the solve better."""
    advice: list[str] = []
    worst = 0
    if not focal_given:
        level = _level(figures.focal_sigma, FOCAL_FAIR, FOCAL_POOR)
        worst = max(worst, level)
        if level:
            advice.append(
                f"The focal length is uncertain by {figures.focal_sigma:.1%}: enter it if you "
                "know it."
            )
    for level, text in (
        (
            _level(-figures.parallax, -PARALLAX_FAIR, -PARALLAX_POOR),
            f"There is little parallax ({figures.parallax:.1f} degrees at the typical point): "
            "depths are rough. A part of the shot with more camera travel does better.",
        ),
        (
            _level(figures.slip, SLIP_FAIR, SLIP_POOR),
            f"Half of the tracks solved alone lead elsewhere: expect a slip of {figures.slip:.1f} "
            "px. Masks over what moves, the focal length, or -q high help.",
        ),
        (
            _level(figures.error, ERROR_FAIR, ERROR_POOR),
            f"The typical track is {figures.error:.2f} px off: mask what moves by itself, or try "
            "-q high.",
        ),
        (
            _level(-figures.coverage, -COVERAGE_FAIR, -COVERAGE_POOR),
            f"Only {figures.coverage:.0%} of the picture holds tracks: add some by hand where "
            "there are none, or try -q high.",
        ),
        (
            _level(-figures.still, -STILL_FAIR, -STILL_POOR),
            f"Only {figures.still:.0%} of what was tracked holds still with this camera, which may "
            "have followed something that moves: put masks over what does.",
        ),
        (
            _level(figures.unsolved, UNSOLVED_FAIR, UNSOLVED_POOR),
            f"{figures.unsolved:.0%} of the plate's frames have no camera: the warnings say why.",
        ),
    ):
        worst = max(worst, level)
        if level:
            advice.append(text)
    return (Grade.GOOD, Grade.FAIR, Grade.POOR)[worst], tuple(advice)


def _level(value: float, fair: float, poor: float) -> int:
    return int(value > fair) + int(value > poor)


def parallax(scene: Scene, marks: Marks) -> float:
    """Degrees: the median over points of the angle between their first and last sight, or their
    first and middle one where that is wider."""
    angles = point_angles(scene, marks)
    return float(np.degrees(np.median(angles))) if len(angles) else 0.0


def point_angles(scene: Scene, marks: Marks) -> Array:
    """Radians (p,) under which each known point is seen over its life."""
    usable = marks.only(scene.usable(marks))
    if not len(usable.track):
        return np.zeros(0)
    cuts = np.flatnonzero(np.diff(usable.track)) + 1
    starts = np.concatenate([[0], cuts])
    ends = np.concatenate([cuts, [len(usable.track)]]) - 1
    points = scene.points[usable.track[starts]]
    centers = scene.centers
    first, middle, last = (
        _directions(points, centers[usable.frame[index]])
        for index in (starts, (starts + ends) // 2, ends)
    )
    return np.maximum(_between(first, last), _between(first, middle))


def _directions(points: Array, centers: Array) -> Array:
    directions = points[:, :3] - centers * points[:, 3:]
    unit: Array = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return unit


def _between(one: Array, other: Array) -> Array:
    cross = np.linalg.norm(np.cross(one, other), axis=1)
    angles: Array = np.arctan2(cross, (one * other).sum(axis=1))
    return angles


def coverage(image: Integers, pixel: Array, images: int, width: float, height: float) -> float:
    """Share of the picture's cells, 8 x 8 an image, that hold a mark; mean over images."""
    cell = np.clip((pixel / [width, height] * _CELLS).astype(np.int64), 0, _CELLS - 1)
    place = (image * _CELLS + cell[:, 1]) * _CELLS + cell[:, 0]
    return len(np.unique(place)) / (images * _CELLS * _CELLS)
