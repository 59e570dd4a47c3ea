# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the lens a plate can tell: coefficients of distortion, and how sure the focal is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....camera import Array
from .bundle import Adjusted, Bundle, Check, Settings, adjusted
from .linear import Freedom
from .marks import Flags, Marks
from .scene import Scene

_SURE = 4.0
"""Standard deviations that a coefficient must be from 0 to be kept."""

_LEAST_SHIFT = 0.0004
"""Of the longer side (0.5 px at 1280) that a coefficient must move the picture's corner by."""

_ITERATIONS = 10
_STRIDES = (0.2, 0.07)
"""Of the log focal length, in a search for it."""

_SEARCHED, _STRETCH = 64, 16
"""Keyframes that are searched at most, and those of one stretch."""


@dataclass(frozen=True)
class LensFinding:
    """`radial` coefficients are worth solving; `shifts` px at the corner of each tried, with
    their standard deviations."""

    radial: int
    shifts: tuple[float, ...]
    sigmas: tuple[float, ...]


def choose_radial(
    marks: Marks, scene: Scene, freedom: Freedom, loss: float, check: Check
) -> tuple[LensFinding, Scene]:
    """The fewest coefficients (0 to 2) that explain the marks, and the scene solved with them."""
    shifts: tuple[float, ...] = ()
    sigmas: tuple[float, ...] = ()
    for radial in (2, 1):
        trial = replace(freedom, radial=radial)
        solved = _solved(marks, _limited(scene, radial), trial, loss, check)
        sigma = relative_sigmas(marks, solved, trial, loss)
        corner = _corner_shift(marks, solved.scene)[radial - 1]
        value = (solved.scene.lens.k1, solved.scene.lens.k2)[radial - 1]
        unsure = sigma[f"k{radial}"]
        shifts, sigmas = (value * corner, *shifts), (unsure * corner, *sigmas)
        if abs(value) > _SURE * unsure and abs(value * corner) > _LEAST_SHIFT * marks.size:
            return LensFinding(radial, shifts, sigmas), solved.scene
    solved = _solved(marks, _limited(scene, 0), replace(freedom, radial=0), loss, check)
    return LensFinding(0, shifts, sigmas), solved.scene


def searched_focal(
    marks: Marks, scene: Scene, freedom: Freedom, loss: float, check: Check
) -> Scene:
    """The scene at the focal length that suits the marks best, looked for in wide strides.

    Focal length, distortion and depth trade for each other along a narrow bent valley, in which an
    adjustment of all at once creeps: with the focal length held it goes fast. Of a long scene only
    stretches are searched, for the last adjustment has no valley left to cross.
    """
    held = replace(freedom, focal=False)
    searched = _stretches(scene.placed)
    best = _solved(marks, replace(scene, placed=searched), held, loss, check)
    for stride in _STRIDES:
        for direction in (1.0, -1.0):
            while True:
                focal = best.scene.lens.focal * np.exp(direction * stride)
                trial = replace(best.scene, lens=replace(best.scene.lens, focal=focal))
                found = _solved(marks, trial, held, loss, check, best.cost)
                if found.cost >= best.cost:
                    break
                best = found
    start = best.scene
    if not searched[scene.placed].all():
        start = _solved(marks, replace(scene, lens=start.lens), held, loss, check).scene
    return _solved(marks, start, freedom, loss, check).scene


def _stretches(placed: Flags) -> Flags:
    """The placed frames, or of more than _SEARCHED of them stretches spread over all."""
    order = np.cumsum(placed) - 1
    every = -(-int(placed.sum()) // _SEARCHED)
    stretches: Flags = placed & (order // _STRETCH % every == 0)
    return stretches


def _limited(scene: Scene, radial: int) -> Scene:
    lens = scene.lens
    k1, k2 = (lens.k1 if radial else 0.0), (lens.k2 if radial > 1 else 0.0)
    return replace(scene, lens=replace(lens, k1=k1, k2=k2))


def _solved(
    marks: Marks,
    scene: Scene,
    freedom: Freedom,
    loss: float,
    check: Check,
    rival: float | None = None,
) -> Adjusted:
    settings = Settings(_ITERATIONS, loss, 1e-4, damping=1e-6, exact=True, rival=rival)
    return adjusted(marks, scene, freedom, settings, check)


def _corner_shift(marks: Marks, scene: Scene) -> tuple[float, float]:
    """Px at the corner of the picture for one unit of k1 and of k2."""
    focal = float(np.median(scene.lens.focal[scene.placed]))
    radius = float(np.hypot(marks.width, marks.height)) / 2 / focal
    return focal * radius**3, focal * radius**5


def relative_sigmas(
    marks: Marks, solved: Adjusted, freedom: Freedom, loss: float
) -> dict[str, float]:
    """Standard deviations of the shared unknowns (of the focal length: relative).

    What a track is off by is mostly the same in all its frames, so all marks of a track are taken
    to say as much as one of them does.
    """
    names = freedom.shared
    if not names:
        return {}
    bundle = Bundle(marks, solved.scene, freedom, Settings(1, loss))
    try:
        covariance: Array = bundle.shared_covariance(solved.scene)
    except np.linalg.LinAlgError:
        return dict.fromkeys(names, np.inf)
    noise = solved.cost / max(2 * solved.marks, 1)
    tracks = max(int(solved.scene.known.sum()), 1)
    inflation = max(solved.marks / tracks, 1.0)
    variances = np.maximum(np.diag(covariance), 0.0) * noise * inflation
    return dict(zip(names, np.sqrt(variances).tolist(), strict=True))
