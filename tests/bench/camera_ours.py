# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's own camera solve, as a child of the camera bench."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.errors import SolveError
from backend.events import EventWriter
from backend.stages import ColmapOptions
from backend.worker.engines import CameraSolver, Solution, SolveInput
from backend.worker.projection import project_observations
from backend.worker.report import Report
from tests.bench.camera_child import Answer, Job, answer, measured
from tests.bench.camera_judge import camera_track, judge, path_error, solved_lens


def solve(job: Job, folder: Path) -> Answer:
    """Solves the plate. `named` is the sentence of a solver that says what is wrong with it."""
    work = folder / "work"
    work.mkdir()
    task = SolveInput(
        frames={int(number): Path(path) for number, path in job["frames"].items()},
        width=job["width"],
        height=job["height"],
        masks={int(number): Path(path) for number, path in job["masks"].items()},
        options=ColmapOptions(**job["options"]),
        work=work,
        aspect=job["aspect"],
        hint=job["hint"],
    )
    report = Report(EventWriter(folder / "events.jsonl"), folder / "cancel")
    solver, told = _solver(job["options"].get("engine", "tracks")), Answer()
    try:
        with measured(told):
            solution = solver.solve(task, report)
    except SolveError as error:
        return told | {"named": str(error)}
    return told | _described(solution) | _judged(solution, job)


def _solver(engine: str) -> CameraSolver:
    if engine == "sift":
        from backend.worker.engines.sift import SiftSolver

        return SiftSolver()
    from backend.worker.engines.tracks_solver import TrackSolver

    return TrackSolver()


def _described(solution: Solution) -> Answer:
    model, quality = solution.reconstruction, solution.quality
    errors = project_observations(model, model.observations).error
    sums = np.bincount(model.observations.image, errors, len(model.names))
    counts = np.bincount(model.observations.image, minlength=len(model.names))
    return {
        "registered": len(model.names),
        "mean_error": float(errors.mean()),
        "worst_frame_error": float((sums / np.maximum(counts, 1)).max()),
        "motion": quality.motion.value,
        "grade": quality.grade.value,
        "said": [quality.reason, *quality.advice, *solution.warnings],
        "focal_sigma": quality.focal_sigma,
        "record": {key: repr(value) for key, value in solution.record.items()},
    }


def _judged(solution: Solution, job: Job) -> Answer:
    model = solution.reconstruction
    track, told = camera_track(model), Answer()
    if job["truth"]:
        told |= judge(job["truth"], track, solved_lens(model))
    if job["poses"]:
        told["path_error"] = path_error(job["poses"], track)
    return told


if __name__ == "__main__":
    answer(solve)
