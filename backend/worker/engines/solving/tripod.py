# SPDX-License-Identifier: GPL-3.0-or-later
"""The tripod solve: a camera that only turns, its lens and the directions of what it sees.

First rotations are chained over the tracks at the focal length that suits them best; an even share
of the tracks is then adjusted with the lens, movers are dropped by majority, and in the end every
track has its say in every image's rotation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ....camera import Array, Integers, quaternions_from_rotations
from ....errors import SolveError
from ....plates import ranges
from ....reconstruction import CameraModel, Observations, Points, Reconstruction
from ....solve import Grade, Motion, Quality
from ....tracks import UNUSED, Tracks, point_ids
from ...report import Report
from ..diagnosis import fit_turn
from .quality import coverage
from .tripod_adjustment import Adjusted, adjust, pieces_of
from .tripod_model import Free, Marks, Mask, Turn, cauchy
from .tripod_parts import median_of, redirected, resected
from .tripod_plate import PlateMarks, wide_pairs
from .tripod_start import Chain, chained

DISTANCE = 10.0
"""Where the points are put along their directions: a tripod shot tells no distance."""

_MARKS_AN_IMAGE = 120
"""Tracks an image needs in the adjustment of the lens; more add time and hardly precision."""

_LAST_MARKS = 500
_SCALES = (60.0, 15.0, 4.0)
"""Widths of the robust loss, in standard deviations, from the first values to the last."""

_MOVER = 3.0
"""How many times the typical track's error makes a track one that moves by itself."""

_OUTLIER = 4.0
_MEDIAN_SQUARE = 1.386
"""The median of a squared distance of two normal deviates: 2 ln 2."""

_TYPICAL_FOCAL = 1.05
"""Over the width: where nothing else is known of a lens (38 mm on 36 mm)."""

_TYPICAL_SPREAD, _HINT_SPREAD = 0.5, 0.1
"""Standard deviations of log focal length about the typical one, and about what metadata says."""

_ZOOM_RANGE = 0.004
_ZOOM_GAIN = 0.92
_BEND_GAIN = 0.985
_BEND_PIXELS = 0.1


@dataclass(frozen=True)
class TripodLens:
    """What is known and wanted of the lens.

    known       focal length in px (fx) that the artist gave; None to solve it
    hint        a guess at it, from the plate's metadata
    zoom        "auto", "fixed" or "zoom"
    distortion  "auto", "none", "k1", "k2" or "anamorphic" (the pixel's aspect and two coefficients)
    aspect      width over height of a pixel
    """

    known: float | None = None
    hint: float | None = None
    zoom: str = "auto"
    distortion: str = "auto"
    aspect: float = 1.0


@dataclass(frozen=True, eq=False)
class TripodSolve:
    """A solved tripod shot: n solved frames, t tracks of the tracker, k of them used.

    frames       (n,) plate frame numbers; the others could not be joined to them
    rotations    (n, 3, 3) world to camera, COLMAP's axes
    lenses       one, or n when the lens zooms
    focal_sigma  standard deviation of the focal length over the focal length; 0 when given
    directions   (k, 3) unit vectors of the world, of the tracks at the indices `used` (k,), whose
                 numbers are `ids` (k,)
    errors       (t,) mean reprojection error of each track in px, UNUSED where dropped
    marks        the marks behind the solve: track indexes `used`, image `frames`; pixels of the
                 plate
    frame_errors (n,) mean reprojection error of each frame in px
    absent       plate frames without a rotation
    """

    frames: Integers
    rotations: Array
    lenses: tuple[CameraModel, ...]
    focal_sigma: float
    directions: Array
    used: Integers
    ids: Integers
    errors: Array
    marks: Marks
    frame_errors: Array
    absent: tuple[int, ...]
    coverage: float

    @property
    def mean_error(self) -> float:
        """Mean reprojection error of all marks in px."""
        counts = np.bincount(self.marks.image, minlength=len(self.frames))
        return float((self.frame_errors * counts).sum() / counts.sum())

    @property
    def zooms(self) -> bool:
        return len(self.lenses) > 1

    def reconstruction(
        self, names: Mapping[int, str], colors: Array | None = None
    ) -> Reconstruction:
        """The solve as COLMAP would hold it: translations 0, points at DISTANCE.

        `names` are the image files' names by frame; `colors` (k, 3) of the points, grey if None.
        """
        count = len(self.frames)
        lengths = np.bincount(self.marks.track, minlength=len(self.used))
        grey = np.full((len(self.used), 3), 128.0)
        points = Points(
            ids=point_ids(self.ids),
            positions=self.directions * DISTANCE,
            colors=np.asarray(grey if colors is None else colors).astype(np.uint8),
            errors=self.errors[self.used],
            tracks=lengths.astype(np.int64),
        )
        cameras = {index + 1: lens for index, lens in enumerate(self.lenses)}
        every = np.arange(1, count + 1) if self.zooms else np.ones(count)
        return Reconstruction(
            cameras=cameras,
            names=tuple(names[frame] for frame in self.frames.tolist()),
            camera_ids=every.astype(np.int64),
            quaternions=quaternions_from_rotations(self.rotations),
            translations=np.zeros((count, 3)),
            points=points,
            observations=Observations(self.marks.image, self.marks.track, self.marks.pixel),
        )

    def quality(self, reason: str) -> Quality:
        """What to tell of the solve; `reason` says why it is one of a tripod shot."""
        advice = tuple(self._advice())
        poor = self.focal_sigma > 0.1 or self.mean_error > 2.0
        fair = bool(advice) or self.mean_error > 1.0
        grade = Grade.POOR if poor else Grade.FAIR if fair else Grade.GOOD
        return Quality(
            motion=Motion.TRIPOD,
            reason=reason,
            grade=grade,
            advice=advice,
            focal_sigma=self.focal_sigma,
            coverage=self.coverage,
        )

    def _advice(self) -> list[str]:
        advice = []
        if self.focal_sigma > 0.02:
            advice.append(
                f"The focal length is uncertain (by {self.focal_sigma:.0%}), because the camera "
                "turns too little to tell it: enter it if you know it."
            )
        if self.mean_error > 1.0:
            advice.append(
                "The points do not hold still to the pixel: put masks over what moves by itself, "
                "and check that the camera did not travel."
            )
        if self.absent:
            advice.append(
                f"{len(self.absent)} frames share too few tracks with the others to be solved "
                f"({ranges(self.absent)}): try -q high, or solve them as a shot of their own."
            )
        if self.coverage < 0.15:
            advice.append("Tracks cover little of the picture: try -q high for more of them.")
        return advice


def solve_tripod(
    tracks: Tracks,
    frames: Sequence[int],
    width: int,
    height: int,
    wish: TripodLens,
    report: Report,
) -> TripodSolve:
    """Solves the tracks as seen by a camera that only turns.

    Raises SolveError when too few tracks hang together.
    """
    plate = PlateMarks.of(tracks, frames, width, height)
    chain = _first_turn(plate, wish)
    plate = plate.joined(chain)
    if len(plate.marks) == 0 or len(plate.frames) < 2:
        raise SolveError(
            "The tracks do not hold together from frame to frame: the plate has too little "
            "texture, heavy blur or many cuts. Try -q high, or a part of the shot without them."
        )
    report.check()
    turn = replace(
        chain.turn,
        rotations=chain.turn.rotations[chain.joined],
        focal=chain.turn.focal[chain.joined],
    )
    fit = _Fit(plate, report)
    return _finished(fit, fit.best(turn, wish), frames)


def _first_turn(plate: PlateMarks, wish: TripodLens) -> Chain:
    focal = wish.known or wish.hint or first_focal(plate.marks, plate, wish.aspect)
    lens = Turn(np.zeros((0, 3, 3)), np.array([focal]), np.zeros((0, 3)), aspect=wish.aspect)
    zoom = wish.zoom == "zoom" and not wish.known
    return chained(plate.even(_MARKS_AN_IMAGE), len(plate.frames), plate.tracks, lens, zoom)


def first_focal(marks: Marks, plate: PlateMarks, aspect: float) -> float:
    """The focal length in px at which turning explains most of the picture's motion."""
    pairs = [(a / [1, aspect], b / [1, aspect]) for a, b in wide_pairs(marks, len(plate.frames))]
    if not pairs:
        return _TYPICAL_FOCAL * plate.width
    center = np.array([plate.width / 2, plate.height / 2])
    moved = [(first + center, second + center) for first, second in pairs]
    return fit_turn(moved, plate.width, plate.height).focal


@dataclass(frozen=True, eq=False)
class _Answer:
    """An adjusted turn over the whole tracks; `sigma` scales the marks' expected errors."""

    adjusted: Adjusted
    turn: Turn
    free: Free
    sigma: float


class _Fit:
    """The adjustments of one plate with lenses of more and more freedom."""

    def __init__(self, plate: PlateMarks, report: Report) -> None:
        self.plate, self.report = plate, report
        self.marks = plate.even(_MARKS_AN_IMAGE)
        self._cut()

    def _cut(self) -> None:
        names, dense = np.unique(self.marks.track, return_inverse=True)
        whole = replace(self.marks, track=dense)
        self.whole, self.count = whole, len(names)
        self.pieces = pieces_of(whole, len(self.plate.frames))
        owners = np.zeros(int(self.pieces.track.max()) + 1, dtype=np.int64)
        owners[self.pieces.track] = whole.track
        self.owners = owners

    def best(self, turn: Turn, wish: TripodLens) -> _Answer:
        """The lens with as much freedom as is wanted, or as the plate can tell."""
        free = Free(
            focal=wish.known is None,
            zoom=wish.zoom == "zoom" and wish.known is None,
            k1=wish.distortion != "none",
            expected=wish.hint or _TYPICAL_FOCAL * self.plate.width,
            spread=_HINT_SPREAD if wish.hint else _TYPICAL_SPREAD,
        )
        answer = self.annealed(turn, free)
        if abs(np.log(answer.turn.focal[0] / turn.focal[0])) > 0.1:
            answer = self.annealed(self._rechained(answer.turn, free.zoom), free)
        if wish.zoom == "auto" and wish.known is None:
            answer = self._zoomed(answer)
        answer = self._without_movers(answer)
        return self._with_more(self._bent(answer, wish.distortion))

    def annealed(self, turn: Turn, free: Free) -> _Answer:
        """Adjusted under a loss that narrows; the lens bends only once the rest is near."""
        turn = redirected(turn, self.whole, self.count, 2, _SCALES[0])
        answer = self.settled(turn, replace(free, k1=False), _SCALES[0] / _SCALES[-1], 1e-3)
        for scale in _SCALES[1:]:
            sigma = self._sigma(answer.turn) * scale / _SCALES[-1]
            answer = self.settled(answer.turn, free, sigma, 1e-3)
        return answer

    def settled(self, turn: Turn, free: Free, sigma: float, enough: float = 1e-5) -> _Answer:
        """Adjusted from a turn that is near."""
        self.report.check()
        cut = replace(turn, directions=turn.directions[self.owners])
        adjusted = adjust(cut, self.pieces, free, sigma * _SCALES[-1], 12, None, enough)
        whole = redirected(adjusted.turn, self.whole, self.count, 2, sigma * _SCALES[-1])
        return _Answer(adjusted, whole, free, sigma)

    def _sigma(self, turn: Turn) -> float:
        """How many times larger the errors are than expected; never much less than 1."""
        squares = turn.errors(self.whole) ** 2 * self.whole.weight
        return max(float(np.sqrt(np.median(squares) / _MEDIAN_SQUARE)), 0.3)

    def _rechained(self, turn: Turn, zoom: bool) -> Turn:
        chain = chained(self.whole, len(self.plate.frames), self.count, turn, zoom)
        return chain.turn if chain.joined.all() else turn

    def _without_movers(self, answer: _Answer) -> _Answer:
        """Adjusted to the tracks that hold still, from here on."""
        keep = still(answer.turn, self.whole, self.count)
        self.marks = self.marks.only(keep[self.whole.track])
        self._cut()
        turn = redirected(answer.turn, self.whole, self.count, 2)
        return self.settled(turn, answer.free, self._sigma(turn))

    def _with_more(self, answer: _Answer) -> _Answer:
        """Adjusted once more, to as many tracks as a lens is worth."""
        turn = redirected(
            answer.turn, self.plate.marks, self.plate.tracks, 1, answer.sigma * _SCALES[-1]
        )
        keep = still(turn, self.plate.marks, self.plate.tracks)
        self.marks = self.plate.even(_LAST_MARKS, keep)
        self._cut()
        turn = redirected(turn, self.whole, self.count, 1, answer.sigma * _SCALES[-1])
        return self.settled(turn, answer.free, self._sigma(turn))

    def _zoomed(self, answer: _Answer) -> _Answer:
        """The same with a focal length for each image, if the lens does zoom."""
        scale = answer.sigma * _SCALES[-1]
        fixed, tried = (resected(answer.turn, self.whole, zoom, 3, scale) for zoom in (False, True))
        gains = self._cost(tried, answer.sigma) < _ZOOM_GAIN * self._cost(fixed, answer.sigma)
        if not gains or np.ptp(np.log(tried.focal)) < _ZOOM_RANGE:
            return answer
        zooming = self.annealed(self._rechained(answer.turn, True), replace(answer.free, zoom=True))
        before = self._cost(answer.turn, zooming.sigma)
        gains = self._cost(zooming.turn, zooming.sigma) < _ZOOM_GAIN * before
        ranges = np.ptp(np.log(zooming.turn.focal)) > _ZOOM_RANGE
        return zooming if gains and ranges else answer

    def _cost(self, turn: Turn, sigma: float) -> float:
        squares = turn.errors(self.whole) ** 2 * self.whole.weight / sigma**2
        return float(np.log1p(squares / _SCALES[-1] ** 2).sum())

    def _bent(self, answer: _Answer, distortion: str) -> _Answer:
        """`answer` has one coefficient, unless none is wanted."""
        more = replace(answer.free, k2=True)
        if distortion == "anamorphic":
            more = replace(more, aspect=True)
        if distortion in ("k2", "anamorphic"):
            return self.settled(answer.turn, more, answer.sigma)
        if distortion != "auto":
            return answer
        straight = replace(answer.turn, k1=0.0)
        plain = self.settled(straight, replace(answer.free, k1=False), answer.sigma)
        if not self._worth(plain, answer):
            return plain
        tried = self.settled(answer.turn, more, answer.sigma)
        return tried if self._worth(answer, tried) else answer

    def _worth(self, before: _Answer, after: _Answer) -> bool:
        """Whether a coefficient more explains more, and shows at the picture's corner."""
        costs = [self._cost(answer.turn, before.sigma) for answer in (before, after)]
        half = np.array([self.plate.width, self.plate.height]) / 2
        s = float((half**2).sum() / np.median(after.turn.focal) ** 2)
        change = (after.turn.k1 - before.turn.k1) * s + (after.turn.k2 - before.turn.k2) * s * s
        shows = abs(change) * float(np.linalg.norm(half)) > _BEND_PIXELS
        return shows and costs[1] < _BEND_GAIN * costs[0]


def still(turn: Turn, marks: Marks, tracks: int) -> Mask:
    """(t,) True for the tracks that the turn explains as well as it does the typical one."""
    errors = np.sqrt(turn.errors(marks) ** 2 * marks.weight)
    typical = median_of(errors, marks.track, tracks)
    there = np.bincount(marks.track, minlength=tracks) > 0
    limit = _MOVER * max(float(np.median(typical[there])), 1.0)
    holds: Mask = there & (typical < limit)
    return holds


def _finished(fit: _Fit, answer: _Answer, frames: Sequence[int]) -> TripodSolve:
    """Every track's direction, then every image's rotation from all tracks, twice."""
    plate, turn, scale = fit.plate, answer.turn, answer.sigma * _SCALES[-1]
    marks = plate.marks
    for _ in range(2):
        turn = redirected(turn, marks, plate.tracks, 1, scale)
        chosen = marks.only(still(turn, marks, plate.tracks)[marks.track])
        turn = resected(turn, chosen, answer.free.zoom, 1, scale)
        fit.report.check()
    turn = redirected(turn, marks, plate.tracks, 2, scale)
    return _record(plate, turn, marks, answer, fit, frames)


def _record(
    plate: PlateMarks, turn: Turn, marks: Marks, answer: _Answer, fit: _Fit, frames: Sequence[int]
) -> TripodSolve:
    keep = still(turn, marks, plate.tracks)[marks.track]
    squares = turn.errors(marks) ** 2 * marks.weight
    keep &= squares < (_OUTLIER * 3 * answer.sigma) ** 2
    counts = np.bincount(marks.track[keep], minlength=plate.tracks)
    keep &= counts[marks.track] >= 2
    marks = marks.only(keep)
    error = turn.errors(marks)
    used, dense = np.unique(marks.track, return_inverse=True)
    errors = np.full(plate.tracks, UNUSED)
    errors[used] = np.bincount(dense, error) / np.bincount(dense)
    n = len(plate.frames)
    seen = np.bincount(marks.image, minlength=n)
    center = [plate.width / 2, plate.height / 2]
    return TripodSolve(
        frames=plate.frames,
        rotations=turn.rotations,
        lenses=_lenses(turn, answer.free, plate),
        focal_sigma=_focal_sigma(answer, fit),
        directions=turn.directions[used],
        used=used,
        ids=plate.ids[used],
        errors=errors,
        marks=replace(marks, track=dense, pixel=marks.pixel + center),
        frame_errors=np.bincount(marks.image, error, n) / np.maximum(seen, 1),
        absent=tuple(sorted(set(frames) - set(plate.frames.tolist()))),
        coverage=coverage(marks.image, marks.pixel + center, n, plate.width, plate.height),
    )


def _lenses(turn: Turn, free: Free, plate: PlateMarks) -> tuple[CameraModel, ...]:
    focal = turn.focal if free.zoom else turn.focal[:1]
    return tuple(_lens(turn, fx, plate) for fx in focal.tolist())


def _lens(turn: Turn, fx: float, plate: PlateMarks) -> CameraModel:
    model, params = _model(turn, fx, (plate.width / 2, plate.height / 2))
    return CameraModel(model, plate.width, plate.height, params)


def _model(turn: Turn, fx: float, center: tuple[float, float]) -> tuple[str, tuple[float, ...]]:
    """The plainest of COLMAP's models that holds the lens, and its parameters."""
    if turn.aspect == 1.0 and turn.k2 == 0.0:
        return "SIMPLE_RADIAL", (fx, *center, turn.k1)
    if turn.aspect == 1.0:
        return "RADIAL", (fx, *center, turn.k1, turn.k2)
    focal = (fx, fx * turn.aspect)
    if turn.k1 == 0.0 and turn.k2 == 0.0:
        return "PINHOLE", (*focal, *center)
    return "OPENCV", (*focal, *center, turn.k1, turn.k2, 0.0, 0.0)


def _focal_sigma(answer: _Answer, fit: _Fit) -> float:
    """Of focal length over focal length, errors taken to last along a track as they are seen to.

    With errors correlated by c from mark to mark, n marks are worth n (1 - c) / (1 + c).
    """
    if not answer.free.focal:
        return 0.0
    residual = fit.whole.pixel - answer.turn.project(fit.whole)
    squares = (residual**2).sum(axis=1) * fit.whole.weight
    weight = cauchy(squares, answer.sigma * _SCALES[-1])
    following = np.diff(fit.whole.track) == 0
    both = (weight[1:] * weight[:-1])[following]
    product = (residual[1:] * residual[:-1]).sum(axis=1)[following]
    power = ((residual[1:] ** 2 + residual[:-1] ** 2).sum(axis=1) / 2)[following]
    c = float(np.clip((both * product).sum() / max((both * power).sum(), 1e-12), 0.0, 0.98))
    lasting = np.sqrt((1 + c) / (1 - c))
    return float(np.sqrt(answer.adjusted.focal_variance) * answer.sigma * lasting)
