# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plate's matches say about the shot before it is solved: still, turning only, or moving.

Pixels have (0, 0) at the corner of the first one. m matches a pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from ...camera import Array, rotations_from_quaternions
from ...errors import SolveError
from ...plates import ranges
from ...reconstruction import Reconstruction
from ...shot import frame_number

_FOCALS = np.geomspace(0.35, 6.0, 18)
"""Focal lengths that are tried, over the image's longer side."""

_BENDS = (-0.15, -0.075, 0.075)
"""Radial distortions that are tried besides none (COLMAP's k), at the best focal lengths."""

_TOLERANCE = 0.0016
"""How near a match must come to a turn to be explained by it, over the longer side (2 px at
1280), and more by `_TOLERANCE_OF_SHIFT` of how far the pair's points move."""

_TOLERANCE_OF_SHIFT = 0.005
_MOST_MATCHES = 300

_MIN_POINTS = 30
_MIN_SOLVED = 4
_MIN_SOLVED_SHARE = 0.2

_MIN_FEATURES = 60
_MIN_MATCHES = 25
_WIDEST = 24
_WIDEST_SHIFT = 0.4
_STATIC_SHIFT = 0.0015
_TURN_REFUSED = 0.88
_TURN_DOUBTED = 0.6
_PLANAR_DOUBTED = 0.9
_TRAVEL_DOUBTED = 0.1
_FOCAL_LIMITS = (0.45, 4.0)
_MOST_DISTORTION = 0.5

NO_MODEL = (
    "No camera could be solved: frames match each other, but no two of them show enough of a "
    "change in viewpoint. Try -q slow for a camera that hardly moves, -q high for a blurred or "
    "noisy plate, and masks over whatever moves by itself."
)


@dataclass(frozen=True)
class TurnFit:
    """How well a camera that only turns explains the matches.

    `share` of the matches lie within tolerance of `K R K^-1`, one rotation a pair and one focal
    length (`focal`, px) for all; `residual` is their median distance from it in px.
    """

    share: float
    residual: float
    focal: float


def fit_turn(pairs: Sequence[tuple[Array, Array]], width: int, height: int) -> TurnFit:
    """The one lens and the rotations that suit the pairs (m, 2), (m, 2) best."""
    size = max(width, height)
    center = np.array([width / 2, height / 2])
    thinned = [_thinned(first - center, second - center) for first, second in pairs]
    straight = [_fit_at(thinned, focal * size, 0.0, size) for focal in _FOCALS]
    best = sorted(straight, key=_merit, reverse=True)[:3]
    bent = [_fit_at(thinned, fit.focal, bend, size) for fit in best for bend in _BENDS]
    return max(straight + bent, key=_merit)


def _merit(fit: TurnFit) -> tuple[float, float]:
    return round(fit.share, 2), -fit.residual


def _thinned(first: Array, second: Array) -> tuple[Array, Array]:
    step = -(-len(first) // _MOST_MATCHES)
    return first[::step], second[::step]


def _fit_at(pairs: Sequence[tuple[Array, Array]], focal: float, bend: float, size: int) -> TurnFit:
    errors, explained = [], []
    for first, second in pairs:
        error = _turn_errors(_straight(first, focal, bend), _straight(second, focal, bend), focal)
        shift = float(np.median(np.linalg.norm(second - first, axis=1)))
        errors.append(error)
        explained.append(error < _TOLERANCE * size + _TOLERANCE_OF_SHIFT * shift)
    share = float(np.mean(np.concatenate(explained)))
    return TurnFit(share, float(np.median(np.concatenate(errors))), focal)


def _straight(pixels: Array, focal: float, bend: float) -> Array:
    """Pixels about the center as a lens without distortion shows them, to first order."""
    squares = (pixels**2).sum(axis=1, keepdims=True) / focal**2
    straight: Array = pixels / np.maximum(1 + bend * squares, 0.2)
    return straight


def _turn_errors(first: Array, second: Array, focal: float) -> Array:
    """Distances (m,) in px between second and first turned by the best rotation."""
    a, b = _bearings(first, focal), _bearings(second, focal)
    weights = np.ones(len(a))
    errors = np.zeros(len(a))
    for _ in range(5):
        turned = a @ _rotation(a, b, weights).T
        ahead = np.where(turned[:, 2:] > 1e-6, turned[:, 2:], np.nan)
        errors = np.linalg.norm(turned[:, :2] / ahead * focal - second, axis=1)
        errors = np.nan_to_num(errors, nan=1e6)
        weights = 1 / (errors**2 + 1.0)
    return errors


def _bearings(pixels: Array, focal: float) -> Array:
    rays = np.concatenate([pixels / focal, np.ones((len(pixels), 1))], axis=1)
    unit: Array = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    return unit


def _rotation(a: Array, b: Array, weights: Array) -> Array:
    """The rotation that takes a nearest to b. Kabsch, Acta Cryst. A32 (1976) 922."""
    u, _singular, vt = np.linalg.svd((b * weights[:, None]).T @ a)
    rotation: Array = (u * [1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    return rotation


class Matches(Protocol):
    """Matched pixels (m, 2) of two frames; `planar` when one homography explains them."""

    @property
    def first(self) -> Array: ...
    @property
    def second(self) -> Array: ...
    @property
    def planar(self) -> bool: ...
    def shift(self) -> float: ...


M = TypeVar("M", bound=Matches)


def refuse_untextured(counts: Sequence[int]) -> None:
    """Raises SolveError when the typical frame has next to nothing to track."""
    typical = int(np.median(counts))
    if typical < _MIN_FEATURES:
        raise SolveError(
            f"Too little texture to track: the typical frame shows {typical} features, a solve "
            f"needs at least {_MIN_FEATURES}. Try -q high, a sharper or brighter plate, or -M if "
            "the masks cover most of the picture."
        )


def refuse_static(pairs: Iterable[Matches], size: int) -> None:
    """Raises SolveError when frames far apart in time show the same view."""
    shifts = [pair.shift() for pair in pairs if len(pair.first) >= _MIN_MATCHES]
    moved = float(np.percentile(shifts, 80)) if shifts else np.inf
    if moved < _STATIC_SHIFT * size:
        raise SolveError(stands_still(moved))


def stands_still(moved: float) -> str:
    """What to tell of a locked-off shot whose picture moves by so many px."""
    return (
        f"The camera stands still: over the whole shot the picture moves by {moved:.1f} px, "
        "so there is no camera move to solve. Use a plain, unmoving camera for this shot, or "
        "take in a part where the camera travels."
    )


def refuse_unmatched(pairs: Iterable[Matches], expected: int) -> None:
    """Raises SolveError when most neighboring frames do not match each other."""
    counts = [len(pair.first) for pair in pairs]
    typical = int(np.median(counts + [0] * (expected - len(counts))))
    if typical < _MIN_MATCHES:
        raise SolveError(
            f"Neighboring frames hardly match: typically in {typical} points, a solve needs at "
            f"least {_MIN_MATCHES}. The plate has too little texture, heavy blur or many cuts. "
            "Try -q high, or take in a part of the shot without them."
        )


def widest(pairs: Sequence[M], size: int) -> list[M]:
    """The pairs that show most change of view and are still well matched."""
    good = [
        pair
        for pair in pairs
        if len(pair.first) >= _MIN_MATCHES and pair.shift() < _WIDEST_SHIFT * size
    ]
    return sorted(good, key=lambda pair: pair.shift(), reverse=True)[:_WIDEST]


def refuse_turn(turn: TurnFit, planar: float) -> None:
    """Raises SolveError when the camera only turns: any depth would be made up."""
    if turn.share >= _TURN_REFUSED and planar >= _PLANAR_DOUBTED:
        raise SolveError(
            f"The camera only turns: turning alone explains {turn.share:.0%} of what moves in the "
            "picture, so nothing tells near from far and a moving camera cannot be solved. Use "
            "a part of the shot where the camera travels sideways or forward, or match this one "
            "as a tripod shot."
        )


def refuse_stub(solved: int, points: int, frames: int) -> None:
    """Raises SolveError for a model so small that it is chance, not a camera."""
    if solved < max(_MIN_SOLVED, _MIN_SOLVED_SHARE * frames) or points < _MIN_POINTS:
        raise SolveError(NO_MODEL)


def weak_parallax(turn: TurnFit, planar: float, travel: float) -> str:
    """A warning for a solve that may be a turn in disguise; "" when there is no doubt.

    `travel` is the camera's travel over the typical distance to the scene.
    """
    doubted = turn.share >= _TURN_DOUBTED or (
        planar >= _PLANAR_DOUBTED and travel < _TRAVEL_DOUBTED
    )
    if not doubted:
        return ""
    return (
        f"Depth and focal length are uncertain: a camera that only turns would explain "
        f"{turn.share:.0%} of what moves in the picture, and the solved one travels "
        f"{travel:.1%} of the distance to the scene. Check that the points hold still before "
        "relying on this solve; -q slow may do better."
    )


def odd_lens(ratio: float, distortion: float) -> str:
    """A warning for a lens that hardly exists; "" when plausible.

    `ratio` is the focal length over the image width, `distortion` COLMAP's first coefficient.
    """
    focal_fits = _FOCAL_LIMITS[0] <= ratio <= _FOCAL_LIMITS[1]
    if focal_fits and abs(distortion) <= _MOST_DISTORTION:
        return ""
    return (
        f"The solved lens is implausible: {36 * ratio:.0f} mm on a 36 mm wide sensor, distortion "
        f"{distortion:.2f}. The shot may have too little parallax, or moving things that need "
        "masks."
    )


def dropped(models: Sequence[Sequence[str]]) -> list[str]:
    """A warning for each piece of the plate that could not be joined to the solve."""
    return [
        f"A piece of {len(names)} frames ({ranges(_numbers(names))}) was solved apart from "
        "the rest and dropped."
        for names in models
    ]


def _numbers(names: Iterable[str]) -> list[int]:
    return sorted(number for name in names if (number := frame_number(name)) is not None)


def travel_over_depth(solve: Reconstruction) -> float:
    """How far the camera gets, over the median distance of the points it sees."""
    rotations = rotations_from_quaternions(solve.quaternions)
    centers = -np.einsum("nji,nj->ni", rotations, solve.translations)
    travel = float(np.linalg.norm(centers.max(axis=0) - centers.min(axis=0)))
    middle = np.median(centers, axis=0)
    depth = float(np.median(np.linalg.norm(solve.points.positions - middle, axis=1)))
    return travel / depth if depth > 0 else 0.0
