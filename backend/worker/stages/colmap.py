# SPDX-License-Identifier: GPL-3.0-or-later
"""Solves the camera of a shot and writes it in every form that is asked for.

What an engine returns is in a world of its own; here it gets the shot's world, its gaps are filled
inside the solved range, and every frame is named for what it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...camera import (
    PLATE,
    UNDISTORTED_PLATE,
    Array,
    CameraTrack,
    Integers,
    filled_gaps,
    matrices_from_colmap,
    rotations_from_quaternions,
)
from ...dense_files import write_mesh
from ...errors import Remedy, SolveError
from ...formats import write_cameras
from ...formats.colmap import read_model, write_model
from ...plates import ranges
from ...reconstruction import Observations, Reconstruction
from ...shot import Plate, Shot, frame_number
from ...solve import FrameSolve, FrameState, Motion, Solve
from ...stages import ColmapOptions
from ...survey import world_for
from ...tracks import Tracks, pending_edits
from ..blockout import blockout
from ..contact_sheet import FramePoints, write_contact_sheet
from ..engines import CameraSolver, Prior, Solution, SolveInput
from ..engines.sift import SiftSolver
from ..engines.tracks_solver import TrackSolver
from ..frame_lenses import FrameLenses
from ..lens_maps import LensMaps, undistorted_plate
from ..masks import find_masks, missing_masks
from ..projection import Projections, project_observations
from ..report import Context, Report
from ..solve_plot import write_solve_plot
from ..stmap_files import write_stmaps
from ..undistorted import write_undistorted_proxies

WORK = "work"


def run(context: Context[ColmapOptions]) -> None:
    """Solves the camera into the shot's `colmap` and `camera` folders. Raises SolveError."""
    # A refinement adjusts the tracks of the last solve, whichever engine made that.
    tracked = context.options.engine == "tracks" or context.options.refine
    solver: CameraSolver = TrackSolver() if tracked else SiftSolver()
    plate = context.shot.load_plate()
    frames = _frames(context.shot, plate)
    work = context.part.folder("colmap") / WORK
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    warnings: list[str] = []
    masks = _masks(context, frames, warnings)
    task = SolveInput(
        frames=frames,
        width=plate.width,
        height=plate.height,
        masks=masks,
        options=context.options,
        work=work,
        aspect=context.options.squeeze or float(plate.pixel_aspect),
        hint=plate.focal_hint or None,
        prior=_prior(context.shot) if context.options.refine else None,
    )
    solution = solver.solve(task, context.report)
    context.report.status("Writing the solve")
    solved = _Solved.of(solution.reconstruction)
    solve = _solve(context, solver.name, plate, solution, solved, warnings)
    _write(context, frames, solved, solve, solution.tracks)
    shutil.rmtree(work)
    context.record.update(_record(solver.name, solution, solve))


def _prior(shot: Shot) -> Prior:
    """The last solve with its tracks as the artist left them. Raises SolveError, FormatError."""
    if not shot.tracks.is_file():
        raise SolveError(
            "There are no tracks to refine: track the camera first.", Remedy.TRACK_CAMERA
        )
    tracks = Tracks.load(shot.tracks).edited(pending_edits(shot))
    return Prior(read_model(shot.sparse, observations=True), tracks)


def _frames(shot: Shot, plate: Plate) -> dict[int, Path]:
    frames = {number: shot.frame_file(number) for number in plate.frames}
    absent = [number for number, path in frames.items() if not path.is_file()]
    if absent:
        raise SolveError(
            f"Frames of the plate are missing from the shot ({ranges(absent)}): set it up again.",
            Remedy.SET_UP_SHOT,
        )
    return frames


def _masks(
    context: Context[ColmapOptions], frames: Mapping[int, Path], warnings: list[str]
) -> dict[int, Path]:
    if not context.options.use_masks:
        return {}
    masks = find_masks(context.shot.masks)
    absent = missing_masks(masks, frames)
    if absent:
        _warn(
            f"{len(absent)} frames have no mask and are tracked whole: {ranges(absent)}.",
            warnings,
            context.report,
        )
    return masks


def _warn(text: str, warnings: list[str], report: Report) -> None:
    warnings.append(text)
    report.warning(text)


@dataclass(frozen=True, eq=False)
class _Solved:
    """A reconstruction with what can be read from it: n frames, m observations."""

    model: Reconstruction
    seen: Observations
    projections: Projections
    numbers: Integers
    rotations: Array

    @classmethod
    def of(cls, model: Reconstruction) -> _Solved:
        if model.observations is None:
            raise ValueError("a solver must return observations")
        return cls(
            model=model,
            seen=model.observations,
            projections=project_observations(model, model.observations),
            numbers=np.array([frame_number(name) for name in model.names], dtype=np.int64),
            rotations=rotations_from_quaternions(model.quaternions),
        )

    @property
    def centers(self) -> Array:
        centers: Array = -np.einsum("nji,nj->ni", self.rotations, self.model.translations)
        return centers

    def counts(self) -> NDArray[np.intp]:
        """How many points each frame sees."""
        return np.bincount(self.seen.image, minlength=len(self.numbers))

    def errors(self) -> Array:
        """The mean reprojection error of each frame in px."""
        sums = np.bincount(self.seen.image, self.projections.error, len(self.numbers))
        errors: Array = sums / np.maximum(self.counts(), 1)
        return errors


def _solve(
    context: Context[ColmapOptions],
    engine: str,
    plate: Plate,
    solution: Solution,
    solved: _Solved,
    warnings: list[str],
) -> Solve:
    points = solved.model.points.positions
    world, note = world_for(context.shot, solved.numbers, solved.centers, solved.rotations, points)
    lenses = [solved.model.cameras[id_] for id_ in solved.model.camera_ids.tolist()]
    lens = lenses[0]
    count = len(solved.numbers)
    track = CameraTrack(
        frames=solved.numbers,
        matrices=matrices_from_colmap(solved.rotations, solved.model.translations, world),
        focal=np.array([each.focal for each in lenses]),
        center=np.array([each.center for each in lenses]),
        solved=np.ones(count, dtype=np.bool_),
        width=lens.width,
        height=lens.height,
        fps=plate.fps,
        fits=PLATE if lens.is_pinhole else UNDISTORTED_PLATE,
    )
    track = filled_gaps(track, np.array(plate.frames, dtype=np.int64))
    frames = _frame_solves(plate, track, solved)
    _warn_of_gaps(frames, warnings, context.report)
    return Solve(
        engine=engine,
        camera=lens,
        world=world,
        world_note=note,
        track=track,
        frames=frames,
        point_count=len(solved.model.points.ids),
        mean_error=float(solved.projections.error.mean()),
        max_error=float(solved.errors().max()),
        quality=solution.quality,
        warnings=(*warnings, *solution.warnings),
    )


def _frame_solves(plate: Plate, track: CameraTrack, solved: _Solved) -> tuple[FrameSolve, ...]:
    index = {int(number): position for position, number in enumerate(solved.numbers)}
    tracked = set(track.frames.tolist())
    errors, counts = solved.errors(), solved.counts()

    def one(number: int) -> FrameSolve:
        if number in index:
            position = index[number]
            error, count = float(errors[position]), int(counts[position])
            return FrameSolve(number, FrameState.SOLVED, error, count)
        state = FrameState.INTERPOLATED if number in tracked else FrameState.UNSOLVED
        return FrameSolve(number, state)

    return tuple(one(number) for number in plate.frames)


def _warn_of_gaps(frames: tuple[FrameSolve, ...], warnings: list[str], report: Report) -> None:
    numbers = {
        state: [frame.frame for frame in frames if frame.state is state] for state in FrameState
    }
    between, outside = numbers[FrameState.INTERPOLATED], numbers[FrameState.UNSOLVED]
    if between:
        text = f"{len(between)} frames have no pose of their own; it is interpolated from their "
        _warn(f"{text}neighbors: {ranges(between)}.", warnings, report)
    if outside:
        text = f"{len(outside)} frames outside the solved range have no camera: "
        _warn(f"{text}{ranges(outside)}.", warnings, report)
    if len(numbers[FrameState.SOLVED]) < len(frames) / 2:
        _warn(
            f"Only {len(numbers[FrameState.SOLVED])} of {len(frames)} frames were solved. Try "
            "-q high, or masks over moving people and things.",
            warnings,
            report,
        )


def _write(
    context: Context[ColmapOptions],
    frames: Mapping[int, Path],
    solved: _Solved,
    solve: Solve,
    tracks: Tracks | None,
) -> None:
    colmap = context.part.folder("colmap")
    sparse = colmap / "sparse" / "0"
    sparse.mkdir(parents=True, exist_ok=True)
    write_model(solved.model, sparse)
    if tracks is not None:
        tracks.save(colmap / context.shot.tracks.name)
    camera = context.part.folder("camera")
    solve.save(camera)
    _write_lens(context, solve, camera)
    context.report.check()
    sheet, plot = context.shot.contact_sheet.name, context.shot.solve_plot.name
    write_contact_sheet(camera / sheet, frames, _frame_points(solved), solve)
    write_solve_plot(camera / plot, solve, tracks)
    context.report.result("colmap/sparse/0", "colmap")
    _write_blockout(context, solved, solve)
    context.report.result("camera/solve.json", "solve")
    context.report.result(f"camera/{sheet}", "contact_sheet")
    context.report.result(f"camera/{plot}", "solve_plot")


def _write_blockout(context: Context[ColmapOptions], solved: _Solved, solve: Solve) -> None:
    """A rough mesh over the points, where these lie at a distance and are enough."""
    if solve.quality.motion is Motion.TRIPOD:
        return
    rough = blockout(solved.model)
    if rough is not None:
        name = context.shot.blockout.name
        write_mesh(context.part.folder("colmap") / name, rough)
        context.report.result(f"colmap/{name}", "blockout")


def _write_lens(context: Context[ColmapOptions], solve: Solve, camera: Path) -> None:
    """The cameras for either plate, what takes one to the other, and undistorted proxies.

    The maps of a zoom are as many as its frames: they come with the undistorted plate.
    """
    shot, report, lenses = context.shot, context.report, FrameLenses(solve)
    size = undistorted_plate(solve)
    size.save(camera / shot.undistorted_file.name)
    write_cameras(solve.track, size, camera)
    if size.cut:
        report.warning("The lens sees so far to the side that the undistorted plate is cut.")
    if not size.is_plate and not lenses.change:
        maps = LensMaps(solve.camera, size)
        write_stmaps(maps, lambda direction: camera / shot.stmap(direction).name)
    if not solve.camera.is_pinhole:
        report.status("Undistorting the proxies")
        proxies = camera / shot.undistorted_proxies.name
        before = solve.frames[0].frame - 1
        write_undistorted_proxies(
            lambda number: lenses.at(before + number), shot.proxies, proxies, report
        )


def _frame_points(solved: _Solved) -> dict[int, FramePoints]:
    order = np.argsort(solved.seen.image, kind="stable")
    bounds = np.searchsorted(solved.seen.image[order], np.arange(len(solved.numbers) + 1))
    tracks = solved.model.points.tracks[solved.seen.point]
    points = {}
    for position, number in enumerate(solved.numbers.tolist()):
        mine = order[bounds[position] : bounds[position + 1]]
        points[number] = FramePoints(
            solved.projections.pixel[mine], solved.projections.depth[mine], tracks[mine]
        )
    return points


def _record(engine: str, solution: Solution, solve: Solve) -> dict[str, object]:
    return {
        "engine": engine,
        "registered": len(solve.numbers(FrameState.SOLVED)),
        "interpolated": len(solve.numbers(FrameState.INTERPOLATED)),
        "unsolved": len(solve.numbers(FrameState.UNSOLVED)),
        "mean_error_px": solve.mean_error,
        "max_error_px": solve.max_error,
        "points": solve.point_count,
        **solution.record,
    }
