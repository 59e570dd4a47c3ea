# SPDX-License-Identifier: GPL-3.0-or-later
"""The solver for plates: long point tracks, and one adjustment over all frames."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import SolveError
from ...plates import ranges
from ...solve import Grade, Motion, Quality
from ...tracks import Tracks
from ..report import Report
from . import Solution, SolveInput, diagnosis
from .joining import joined
from .solving import quality
from .solving.finish import Clock, Finished
from .solving.halves import compared
from .solving.marks import Marks, marks_of
from .solving.moving import LensWish, Moving, MovingSolve
from .solving.output import point_colors, reconstruction, with_errors
from .solving.presets import PRESETS
from .solving.refine import refined, scene_of
from .solving.shot_kind import Kind, Verdict, classify
from .solving.tripod import TripodLens, solve_tripod
from .tracking import Tracking, track

MIN_FRAMES = 5

_BRIDGED = 25
"""Marks below which a frame's pose counts as weakly held."""


class TrackSolver:
    """Long tracks, adjusted together: a traveling camera or one on a tripod."""

    name = "tracks"

    def solve(self, task: SolveInput, report: Report) -> Solution:
        if len(task.frames) < MIN_FRAMES:
            raise SolveError(
                f"This plate has {len(task.frames)} frames; a camera solve needs at least "
                f"{MIN_FRAMES}. Take in a longer part of the shot."
            )
        run = _Run(task, report)
        return run.solution() if task.prior is None else run.refined()


class _OtherKindError(Exception):
    """The shot that is being solved is none of a traveling camera."""


class _Run:
    """One solve, from frames to solution."""

    def __init__(self, task: SolveInput, report: Report) -> None:
        self.task, self.report = task, report
        self.preset = PRESETS[task.options.quality]
        self.numbers = sorted(task.frames)
        self.warnings: list[str] = []
        self.record: dict[str, Any] = {}

    def solution(self) -> Solution:
        """Tracks the plate and solves it as what it is."""
        tracking = self._tracked()
        tracks = self._joined(tracking)
        self._tell_faults(tracking)
        self.report.status("Solving the camera")
        verdict, moving = self._named_and_solved(tracking.tracks, tracks)
        if moving is None:
            return self._tripod(tracks, verdict.reason)
        return self._moving(moving, tracks, verdict)

    def refined(self) -> Solution:
        """Adjusts the prior solve to the edited tracks. Raises SolveError without one."""
        prior = self.task.prior
        if prior is None:
            raise SolveError("There is no solve to refine: track the camera first.")
        self.report.status("Adjusting the solve to the edited tracks")
        if not prior.reconstruction.translations.any():
            return self._tripod(prior.tracks, "The solve that is refined is one of a tripod shot.")
        marks = self._marks(prior.tracks)
        scene = scene_of(prior.reconstruction, prior.tracks, marks, self.numbers, self.task.aspect)
        clock = Clock()
        done = refined(
            marks, scene, self._wish(), self.preset, self.report.check, prior.tracks.manual, clock
        )
        self.record["solve_seconds"] = clock.seconds
        keys = np.flatnonzero(done.scene.placed)[:: self.preset.gap // 2].tolist()
        reason = "The solve that is refined is one of a traveling camera."
        return self._delivered(done, keys, marks, prior.tracks, reason)

    def _warn(self, text: str) -> None:
        if text:
            self.warnings.append(text)
            self.report.warning(text)

    def _tracked(self) -> Tracking:
        task = self.task
        self.report.status("Tracking points")
        before = time.process_time()
        settings = self.preset.track
        if task.options.max_size:
            settings = replace(settings, max_size=task.options.max_size)
        found = track(task.frames, task.masks, task.width, task.height, settings, self.report)
        self.record["track_seconds"] = round(time.process_time() - before, 3)
        self.record["tracks"] = len(found.tracks.ids)
        return found

    def _tell_faults(self, tracking: Tracking) -> None:
        """Warns of what is wrong with the plate."""
        faults = tracking.faults
        solved = np.isin(faults.frames, self.numbers)
        repeated = faults.frames[faults.duplicates & solved].tolist()
        if repeated:
            self._warn(
                f"{len(repeated)} frames repeat the frame before them ({ranges(repeated)}): the "
                "plate may have been converted from another frame rate."
            )
        if faults.interlaced:
            self._warn("The plate is interlaced: deinterlace it first for an exact solve.")

    def _joined(self, tracking: Tracking) -> Tracks:
        """The tracks joined across breaks; what lies beyond one and cannot be is left out."""
        task, before = self.task, time.process_time()
        links = self.preset.links_of(len(self.numbers))
        found = joined(tracking, task.frames, task.masks, links, MIN_FRAMES, self.report)
        self.numbers = found.numbers
        self._warn(found.warning)
        self.record.update(found.record)
        self.record["join_seconds"] = round(time.process_time() - before, 3)
        return found.tracks

    def _named_and_solved(self, plain: Tracks, tracks: Tracks) -> tuple[Verdict, Moving | None]:
        """What kind of shot it is by the tracks as they are without joins, and its solve where the
        camera travels.

        Both are made side by side, as most cameras travel. Raises SolveError.
        """
        moving, trouble = None, None
        with ThreadPoolExecutor(1, thread_name_prefix="kind") as thread:
            naming = thread.submit(self._verdict, plain)
            try:
                if self.task.options.move != "tripod":
                    moving = self._solved_unless(naming, tracks)
            except _OtherKindError:
                pass
            except SolveError as error:
                trouble = error
            verdict = naming.result()
        self._tell(verdict)
        if self._is_tripod(verdict):
            return verdict, None
        if trouble is not None:
            raise trouble
        return verdict, moving

    def _solved_unless(self, naming: Future[Verdict], tracks: Tracks) -> Moving:
        """Raises _OtherKindError as soon as the shot is named as none of a traveling camera."""

        def check() -> None:
            self.report.check()
            if naming.done() and (
                self._refused(naming.result()) or self._is_tripod(naming.result())
            ):
                raise _OtherKindError

        run = MovingSolve(self._marks(tracks), self._wish(), self.preset, check, tracks.manual)
        return run.run()

    def _verdict(self, tracks: Tracks) -> Verdict:
        """What kind of shot it is."""
        task = self.task
        before = time.thread_time()
        verdict = classify(
            tracks,
            self.numbers,
            task.width,
            task.height,
            focal=task.known_focal,
            aspect=task.aspect,
            zoom=task.options.zoom,
        )
        self.record["shot"] = verdict.to_json()
        self.record["kind_seconds"] = round(time.thread_time() - before, 3)
        return verdict

    def _refused(self, verdict: Verdict) -> bool:
        plane_with_lens = verdict.kind is Kind.PLANAR and self.task.known_focal is not None
        return bool(verdict.refusal) and not plane_with_lens

    def _tell(self, verdict: Verdict) -> None:
        """Warns of doubts. Raises SolveError for a shot that holds no camera move."""
        if self._refused(verdict):
            raise SolveError(verdict.refusal)
        self._warn(verdict.warning)
        self._warn(verdict.against(self.task.options.move))

    def _is_tripod(self, verdict: Verdict) -> bool:
        move = self.task.options.move
        return move == "tripod" or (move == "auto" and verdict.motion is Motion.TRIPOD)

    def _marks(self, tracks: Tracks) -> Marks:
        task = self.task
        return marks_of(tracks, self.numbers, task.width, task.height, task.aspect)

    def _wish(self) -> LensWish:
        task = self.task
        known, hint = task.known_focal, task.hint
        return LensWish(
            known=known * task.aspect if known else None,
            hint=hint * task.aspect if hint else None,
            zoom=task.options.zoom,
            distortion=task.options.distortion,
        )

    def _tripod(self, tracks: Tracks, reason: str) -> Solution:
        task, options = self.task, self.task.options
        self.report.status("Solving the turns of the camera")
        before = time.process_time()
        lens = TripodLens(
            known=task.known_focal,
            hint=task.hint,
            zoom=options.zoom,
            distortion=options.distortion,
            aspect=task.aspect,
        )
        solved = solve_tripod(tracks, self.numbers, task.width, task.height, lens, self.report)
        self.record["solve_seconds"] = {"tripod": round(time.process_time() - before, 3)}
        names = {number: path.name for number, path in task.frames.items()}
        images = [task.frames[number] for number in solved.frames.tolist()]
        seen = solved.marks
        colors = point_colors(
            seen.track, seen.image, seen.pixel, len(solved.used), images, self.report
        )
        return Solution(
            reconstruction=solved.reconstruction(names, colors.astype(np.float64)),
            quality=solved.quality(reason),
            tracks=replace(tracks, errors=solved.errors),
            warnings=tuple(self.warnings),
            record=self.record,
        )

    def _moving(self, solved: Moving, tracks: Tracks, verdict: Verdict) -> Solution:
        marks = self._marks(tracks)
        self.record.update(self._facts(solved))
        solution = self._delivered(solved.done, solved.keys, marks, tracks, verdict.reason)
        travel = diagnosis.travel_over_depth(solution.reconstruction)
        self._warn(verdict.doubt(travel))
        return replace(solution, warnings=tuple(self.warnings))

    def _delivered(
        self,
        done: Finished,
        keys: tuple[int, ...] | list[int],
        marks: Marks,
        tracks: Tracks,
        reason: str,
    ) -> Solution:
        task = self.task
        placed = done.scene.placed.sum()
        model = reconstruction(
            done.scene,
            done.all_marks,
            tracks,
            [task.frames[number] for number in self.numbers],
            (task.width, task.height),
            task.aspect,
            self.report,
        )
        diagnosis.refuse_stub(int(placed), len(model.points.ids), len(self.numbers))
        figures = self._figures(done, keys, marks)
        self.record["still"] = round(figures.still, 3)
        self.record["bridged"] = list(figures.bridged)
        self.record["expected_slip"] = round(figures.slip, 3)
        self.record["lens_sigmas"] = {name: float(value) for name, value in done.sigmas.items()}
        return Solution(
            reconstruction=model,
            quality=self._quality(figures, reason),
            tracks=with_errors(tracks, done.scene, marks),
            warnings=tuple(self.warnings),
            record=self.record,
        )

    def _quality(self, figures: quality.Figures, reason: str) -> Quality:
        grade, advice = quality.graded(figures, self.task.known_focal is not None)
        if grade is Grade.POOR:
            self._warn(f"This solve is poor. {' '.join(advice)}")
        return Quality(
            motion=Motion.MOVING,
            reason=reason,
            grade=grade,
            advice=advice,
            focal_sigma=figures.focal_sigma,
            parallax=figures.parallax,
            coverage=figures.coverage,
        )

    def _figures(
        self, done: Finished, keys: tuple[int, ...] | list[int], marks: Marks
    ) -> quality.Figures:
        counts = np.bincount(done.all_marks.frame, minlength=done.marks.frames)
        weak = done.scene.placed & (counts < _BRIDGED)
        halves = compared(done.marks, done.scene, done.freedom, keys, self.report.check)
        sigma = done.sigmas.get("focal", halves.focal if done.freedom.zoom else 0.0)
        return quality.Figures(
            focal_sigma=sigma,
            parallax=quality.parallax(done.scene, done.all_marks),
            coverage=_coverage(done),
            error=done.error,
            bridged=tuple(self.numbers[index] for index in np.flatnonzero(weak)),
            slip=halves.slip,
            unsolved=1 - float(done.scene.placed.sum()) / len(self.task.frames),
            still=len(done.all_marks.track) / max(int(done.scene.placed[marks.frame].sum()), 1),
        )

    def _facts(self, solved: Moving) -> dict[str, Any]:
        pair = solved.start.pair
        return {
            "keyframes": len(solved.keys),
            "initial_pair": [self.numbers[pair.first], self.numbers[pair.second]],
            "marks_adjusted": len(solved.done.marks.track),
            "zoom_gain": round(solved.zoom_gain, 4),
            "solve_seconds": solved.seconds,
        }


def _coverage(done: Finished) -> float:
    seen = done.all_marks.only(done.scene.usable(done.all_marks))
    size = np.array([seen.width, seen.height])
    images = max(int(done.scene.placed.sum()), 1)
    return quality.coverage(seen.frame, seen.pixel + size / 2, images, seen.width, seen.height)
