# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows corners through a plate: searched from frame to frame, registered to their birth."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....camera import Integers
from ....tracks import Floats
from ...report import Report
from .anchoring import Registration, Window, cut_out, determinants
from .births import Births
from .detection import MEDIAN_OF_ABSOLUTE, corner_strength, image_noise, new_corners
from .exposures import Exposures, Start
from .flow import applied, search, whole_motion, whole_shift
from .frames import Picture, Reader
from .live import Live, moved
from .mark_log import MarkLog
from .plate_faults import FaultLog, is_soft, repeats
from .records import PATCH_REACH, Booleans, Sizes, Tracking, TrackSettings, visible
from .wide import found_widely, smoothed

_JUMP = 5.0
"""Coarse px by which the whole picture must depart from the tracks' own motion to be believed."""

_SCALES = (0.67, 1.5)
"""Change of size within which a reference patch serves."""

_SOFT_CORRELATION = 0.55
"""Least correlation of a mark in a blurred frame."""

_ALIKE = 0.8
"""Correlation of most patches over which a blurred frame is as good as a sharp one."""

_BLIND = 0.4
"""Sharpness under which a frame is too blurred to find lost tracks in."""

_WORST = 4.0
"""Working px; marks that scatter more do so for another reason than blur."""

_SMEARED = 0.5
"""Working px of scatter from which the marks of a blurred frame are too poor to go on from."""

_SOFT_MISSES = 8
"""Frames in a row without a mark that a track may last through blur."""

_LOST = 0.85
"""Least correlation where a track is found without the search."""

_FEW = 0.6
"""Share of the tracks of the last detection below which corners are looked for at once."""

_STARTLED = 0.7
"""Share of the tracks found below which the others are searched again, from how the whole moved."""

_ENOUGH = 400
"""Live tracks below which weak corners are taken too."""

_WEAKEST = 0.5
"""Strength of the weakest corner, over that of one always worth a track."""

_SUPPORT = 12
"""Tracks that a model of the picture's motion needs."""


def track(
    frames: Mapping[int, Path],
    masks: Mapping[int, Path],
    width: int,
    height: int,
    settings: TrackSettings,
    report: Report,
) -> Tracking:
    """Tracks a plate; frames are read once, in order of their numbers.

    Raises SolveError for a frame or mask that cannot be read or has the wrong size.
    """
    sizes = Sizes.of(width, height, settings)
    tracker = _Tracker(sizes, settings)
    reader = Reader(sizes, masks, settings.mask_margin)
    order = sorted(frames.items())
    with closing(reader.pictures(order)) as pictures:
        for done, picture in enumerate(pictures, 1):
            tracker.follow(picture)
            report.progress(done, len(order), "frames")
            report.check()
    return tracker.result()


@dataclass(frozen=True, eq=False)
class _Step:
    """What one frame says of the live tracks.

    `searched` (n,) are those that the search found, `good` those that have a mark there, `sigma`
    is their expected error in working px. When the frame is not `usable` the marks are too poor to
    start the next frame's search from.
    """

    picture: Picture
    found: Registration
    searched: Booleans
    good: Booleans
    sigma: Floats
    soft: bool
    usable: bool


class _Tracker:
    def __init__(self, sizes: Sizes, settings: TrackSettings) -> None:
        self._sizes = sizes
        self._settings = settings
        self._window = Window(settings.radius)
        self._live = Live.none(self._window)
        self._marks = MarkLog()
        self._log = FaultLog()
        self._births = Births(settings.patches)
        self._before: Picture | None = None
        self._next_id = 0
        self._detected = (0, 0)
        self._noise = 1.0
        self._usual = np.zeros((2, 6), np.float32)
        self._exposures = Exposures(self._window, settings.steps)
        self._carried = np.zeros((0, 2), np.float32)
        self._usual_scatter = 0.0
        self._smear = 0.0
        self._adrift = False

    def result(self) -> Tracking:
        tracks = self._marks.tracks(self._sizes, self._settings.shortest)
        return Tracking(
            tracks=tracks,
            patches=self._births.patches(tracks, self._sizes, self._settings.mask_margin),
            faults=self._log.faults(self._noise),
        )

    def follow(self, picture: Picture) -> None:
        before, self._before = self._before, picture
        if before is None:
            self._noise = image_noise(picture.coarse)
        self._log.sees(picture, before, self._noise)
        if before is None:
            self._log.tracks(1.0, 0.0)
            self._detect(picture)
        elif repeats(before, picture, self._noise):
            self._log.duplicates[-1] = True
            self._log.tracks(1.0, 0.0)
            self._marks.repeat(picture.number, before.number)
        else:
            self._advance(before, picture)
        self._log.features.append(len(self._live))

    def _advance(self, before: Picture, picture: Picture) -> None:
        """Finds the live tracks in the next frame."""
        step = self._step(before, picture)
        live, good = self._live, step.good
        kept = good[live.missed == 0] if (live.missed == 0).any() else good
        survival = float(kept.mean()) if len(kept) else 0.0
        motion = moved(step.found.center, step.found.shape, live.offset) - live.position
        typical = float(np.median(np.hypot(*motion[good].T))) if good.any() else 0.0
        self._log.tracks(survival, typical / float(self._sizes.working_scale[0]))
        if self._log.is_cut(survival):
            self._log.cuts[-1] = True
            self._live = Live.none(self._window)
            self._detect(picture)
        else:
            self._keep(step, motion)
            self._detect_when_due(picture, step.soft)

    def _step(self, before: Picture, picture: Picture) -> _Step:
        sharpness, live = self._log.softness(), self._live
        center, searched = self._searched(before, picture)
        motion = self._exposures.middle(live, center - live.center)
        if self._adrift and sharpness > _BLIND:
            searched = np.zeros(len(live), bool)
        center, shape, clear = self._found_again(picture, center, searched, sharpness)
        start = Start(picture.working, center, shape, motion, searched)
        found, error = self._exposures.register(live, start)
        soft = is_soft(sharpness)
        good = self._good(found, center, searched, soft) & clear
        good &= visible(found.center, self._sizes, picture.ignored, self._settings.radius)
        scatter = self._scatter(found, good, sharpness)
        sigma = np.hypot(error, scatter)
        usable = scatter < _SMEARED or float(np.median(found.correlation)) > _ALIKE
        return _Step(picture, found, searched, good, sigma, soft, usable)

    def _found_again(
        self, picture: Picture, center: Floats, searched: Booleans, sharpness: float
    ) -> tuple[Floats, Floats, Booleans]:
        """The warps (centers, shapes) to register from, lost tracks looked for widely; False where
        such a one may be in two places."""
        live = self._live
        shape, clear = live.shape.copy(), np.ones(len(live), bool)
        lost = np.flatnonzero((live.missed > 0) | (self._adrift & ~searched))
        if len(lost) and sharpness > _BLIND:
            smooth = smoothed(picture.working)
            again, sure = found_widely(smooth, live.wide.take(lost), center[lost], shape[lost])
            center[lost], shape[lost], clear[lost] = again.center, again.shape, sure
        return center, shape, clear

    def _scatter(self, found: Registration, good: Booleans, sharpness: float) -> float:
        """Px by which marks of a blurred frame scatter more than those of sharp ones did.

        A patch does not tell how badly a streak holds its place along itself; its neighbors do.
        """
        live = self._live
        fresh = good & (live.missed == 0)
        if fresh.sum() < _SUPPORT:
            return self._smear if sharpness < _BLIND else 0.0
        motion = (moved(found.center, found.shape, live.offset) - live.position)[fresh]
        odd = motion - applied(self._usual, live.position[fresh])
        scatter = float(np.median(np.abs(odd))) / MEDIAN_OF_ABSOLUTE
        self._smear = 0.0
        if is_soft(sharpness):
            excess = float(np.sqrt(max(0.0, scatter**2 - self._usual_scatter**2)))
            self._smear = min(excess, _WORST)
        else:
            self._usual_scatter = scatter
        return self._smear

    def _searched(self, before: Picture, picture: Picture) -> tuple[Floats, Booleans]:
        """Where to register the patches from, (n, 2), and which of them the search found.

        The others went on as before, but for what changed in the motion of the whole picture.
        """
        live, start = self._live, self._live.position
        guess = live.motion + self._jump(before, picture)
        motion, sure = self._motion(before, picture, start, guess)
        usual = self._usual
        if sure.sum() >= _SUPPORT:
            self._usual = whole_motion(start[sure], motion[sure])
            if sure.mean() < _STARTLED:
                again = np.flatnonzero(~sure)
                guess = applied(self._usual, start[again])
                motion[again], sure[again] = self._motion(before, picture, start[again], guess)
                self._usual = whole_motion(start[sure], motion[sure])
        sure &= live.missed == 0
        self._carried = live.motion + applied(self._usual - usual, start)
        motion[~sure] = self._carried[~sure]
        return live.center + motion, sure

    def _motion(
        self, before: Picture, picture: Picture, start: Floats, guess: Floats
    ) -> tuple[Floats, Booleans]:
        """What the search says: motions (n, 2) in working px, and which of them are sure."""
        scale, origin = self._sizes.coarse_scale, self._sizes.to_coarse(start)
        there, sure = search(
            before.coarse, picture.coarse, origin, origin + guess * scale, self._settings
        )
        return (there - origin) / scale, sure

    def _jump(self, before: Picture, picture: Picture) -> Floats:
        """(2,) by how much the whole picture moved otherwise than its tracks did before."""
        shift = whole_shift(before, picture)
        if shift is None or not len(self._live):
            return np.zeros(2, np.float32)
        jump = shift / self._sizes.coarse_scale - np.median(self._live.motion, axis=0)
        large = np.hypot(*(jump * self._sizes.coarse_scale)) > _JUMP
        return np.asarray(jump * large, dtype=np.float32)

    def _good(
        self, found: Registration, center: Floats, searched: Booleans, soft: bool
    ) -> Booleans:
        settings = self._settings
        least = _SOFT_CORRELATION if soft else settings.correlation
        most = settings.correction * (2.0 if soft else 1.0)
        corrected = np.hypot(*(found.center - center).T)
        determinant = determinants(found.shape)
        good = found.correlation > np.where(searched, least, max(least, _LOST))
        good &= corrected < np.where(searched, most, 2 * most)
        good &= (determinant > 0.1) & (determinant < 10) & (found.gain > 0.1)
        return np.asarray(good)

    def _keep(self, step: _Step, motion: Floats) -> None:
        """Notes the marks and moves the live tracks on; ends those lost."""
        live, found = self._live, step.found
        good = step.good & step.usable
        self._adrift = not step.usable
        there = live.position + motion
        self._marks.add(
            step.picture.number, live.id[step.good], there[step.good], step.sigma[step.good]
        )
        live.motion = np.where(good[:, None], motion, self._carried)
        live.center = np.where(good[:, None], found.center, live.center + self._carried)
        live.shape = np.where(good[:, None, None], found.shape, live.shape)
        live.missed = np.where(step.good, 0, live.missed + 1)
        size = np.sqrt(np.abs(determinants(found.shape)))
        if not step.soft:
            outgrown = (size < _SCALES[0]) | (size > _SCALES[1])
            faded = found.correlation < self._settings.renew
            worn = np.flatnonzero(good & step.searched & (outgrown | faded))
            live.renew(worn, step.picture.working, self._window)
            whole = live.center[worn].astype(np.int64)
            self._exposures.sources.put(live.row[worn], step.picture.working, whole, known=True)
        most = _SOFT_MISSES if step.soft else self._settings.misses
        inside = visible(live.center, self._sizes, None, self._settings.radius)
        self._live = live.only((live.missed < most) & inside)

    def _detect_when_due(self, picture: Picture, soft: bool) -> None:
        when, count = self._detected
        waited = len(self._log.numbers) - when
        few = len(self._live) < _FEW * count
        if (waited >= self._settings.redetect and not soft) or (few and waited >= 2):
            self._detect(picture)

    def _detect(self, picture: Picture) -> None:
        """Starts tracks in the cells without one."""
        settings = self._settings
        self._noise = 0.8 * self._noise + 0.2 * image_noise(picture.coarse)
        self._live = self._live.thinned(max(self._sizes.working) / settings.cells / 3)
        strength = corner_strength(picture.coarse)
        cell = max(4, round(max(self._sizes.coarse) / settings.cells))
        live = self._sizes.to_coarse(self._live.position)
        least = settings.strength * self._noise
        corners = new_corners(strength, self._allowed(picture), live, cell, _WEAKEST * least)
        column, row = corners.astype(np.int64).T
        strong = int((strength[row, column] > least).sum())
        room = min(max(strong, _ENOUGH - len(live)), settings.live - len(live))
        corners = corners[: max(0, room)]
        self._start(picture, np.rint(self._sizes.from_coarse(corners)).astype(np.int64))
        self._detected = (len(self._log.numbers), len(self._live))

    def _allowed(self, picture: Picture) -> Booleans:
        """Where in the coarse picture a track may start."""
        width, height = self._sizes.coarse
        scale = float(self._sizes.coarse_scale.max())
        border = max(3, round((self._settings.radius + 4) * scale))
        allowed = np.zeros((height, width), bool)
        allowed[border:-border, border:-border] = True
        return allowed if picture.ignored is None else allowed & (picture.ignored == 0)

    def _start(self, picture: Picture, corners: Integers) -> None:
        ids = np.arange(self._next_id, self._next_id + len(corners))
        self._next_id += len(corners)
        values = cut_out(picture.working, corners, PATCH_REACH)
        position = corners.astype(np.float32)
        sources = self._exposures.sources
        rows = sources.free(len(ids), self._live.row)
        sources.put(rows, picture.working, corners, known=len(self._live) > 0)
        born = Live.born(ids, rows, position, applied(self._usual, position), values, self._window)
        self._births.add(picture.number, ids, position, values)
        self._marks.add(picture.number, ids, position, born.patches.unit * np.float32(self._noise))
        self._live = self._live.joined(born)
        if self._births.full:
            self._births.prune(self._marks.lengths(self._next_id), self._live.id)
