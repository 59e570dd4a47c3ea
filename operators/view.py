# SPDX-License-Identifier: GPL-3.0-or-later
"""What panels draw: plain records, made from the shot folder and the jobs, away from any draw().

`read_shot` touches the disk and runs in a thread of the monitor; `compose` only thinks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import outputs
from ..backend.backgrounds import Background, find_backgrounds
from ..backend.camera import DEFAULT_SENSOR_WIDTH
from ..backend.clean_plate import clean_plate_facts
from ..backend.dense import DenseParts, find_parts, place_of
from ..backend.depth import depth_facts
from ..backend.errors import FormatError, PlateError, Remedy, ShotGopherError, UsageError
from ..backend.intake import missing_frames, summary
from ..backend.jobs import Job, JobState, Snapshot, Waiting
from ..backend.look import look_into
from ..backend.mask_folders import MaskFolder, find_mask_folders
from ..backend.motion import MocapRecord
from ..backend.options import from_mapping
from ..backend.outputs import Freshness
from ..backend.plates import plate_fingerprint, resolve_plate
from ..backend.previews import Preview, find_previews
from ..backend.recent import SHOWN, RecentShot, RecentShots, when
from ..backend.reconstruction import CameraModel
from ..backend.shot import Shot, folder_key, rate_text, read_json
from ..backend.solve import Motion, Quality
from ..backend.stages import STAGES, Stage
from ..backend.survey import is_of_this_solve
from .scene.stamp import Stamp, of_shot

_NO_DENSE = DenseParts()


class StageState(Enum):
    MISSING = "Not run yet"
    WAITING = "Waiting"
    RUNNING = "Running"
    DONE = "Done"
    STALE = "Out of date"
    FAILED = "Failed"


@dataclass(frozen=True)
class StageView:
    """One stage.

    `text` says more about its state and `count` how far it is, `waiting` what the artist is to do;
    `facts` are lines about its output, `preview` is a small picture of it; `job` is the id of the
    newest job that had to do with it.
    """

    state: StageState = StageState.MISSING
    text: str = ""
    count: str = ""
    fraction: float = 0.0
    facts: tuple[str, ...] = ()
    canceling: bool = False
    waiting: Waiting | None = None
    reason: str = ""
    remedy: Remedy | None = None
    job: str = ""
    log: str = ""
    preview: Preview | None = None


class SceneState(Enum):
    """What the scene shows of the shot's solve."""

    CURRENT = "current"
    MISSING = "missing"
    OLDER = "another solve"
    MOVED = "the same solve in another world"


@dataclass(frozen=True)
class SolveView:
    """What can be said of a solve: `grade` is "" where nothing is known.

    `lines` are figures, `advice` sentences; `world` says how the world was found and `told` is what
    the artist set of it.
    """

    grade: str = ""
    reason: str = ""
    advice: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    world: str = ""
    surveyed: bool = False
    tracks: bool = False
    plot: str = ""


@dataclass(frozen=True)
class BodiesView:
    """The people whose motion a shot has; `offers` whether they can tell the shot's scale."""

    people: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    offers: bool = False


@dataclass(frozen=True)
class ShotView:
    """Everything the panels show of one scene's shot."""

    folder: str = ""
    exists: bool = False
    plate_trouble: str = ""
    plate_lines: tuple[str, ...] = ()
    plate_fault: str = ""
    stages: Mapping[str, StageView] = field(
        default_factory=lambda: dict.fromkeys(STAGES, StageView())
    )
    solved: bool = False
    solve: SolveView = SolveView()
    scene: SceneState = SceneState.CURRENT
    dense: DenseParts = _NO_DENSE
    bodies: BodiesView = BodiesView()
    contact_sheet: str = ""
    backgrounds: tuple[Background, ...] = ()
    masks: tuple[MaskFolder, ...] = ()
    warnings: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def busy(self) -> bool:
        """A job of this shot is under way."""
        return any(
            stage.state in (StageState.RUNNING, StageState.WAITING)
            for stage in self.stages.values()
        )


@dataclass(frozen=True)
class RecentView:
    """One entry of the menu of recent shots."""

    folder: str
    text: str


@dataclass(frozen=True)
class PlateFacts:
    """What a look into a plate has told; `fault` is a sentence when it cannot be read."""

    lines: tuple[str, ...] = ()
    fault: str = ""


def look_at(plate: str, python: str) -> PlateFacts:
    """Looks into a plate with the worker's environment."""
    try:
        return PlateFacts(look_into(plate, Path(python)))
    except PlateError as error:
        return PlateFacts(fault=error.reason)


@dataclass(frozen=True)
class Query:
    """What has to be known to look at a shot: paths are absolute, "" where there is none.

    `shown` is what the scene has of shots, by their folders.
    """

    folder: str
    plate: str
    options: Mapping[str, Mapping[str, Any]]
    shown: Mapping[str, Stamp] = field(default_factory=dict)


@dataclass(frozen=True)
class OnDisk:
    """What a shot folder and the job store said at `time`. `jobs` are polled, oldest first.

    `unknown_plate` is a plate that only its names are known of, and its fingerprint.
    """

    folder: str
    freshness: Mapping[str, Freshness]
    time: float = 0.0
    facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    previews: Mapping[str, Preview] = field(default_factory=dict)
    exists: bool = False
    plate_trouble: str = ""
    plate_lines: tuple[str, ...] = ()
    unknown_plate: tuple[str, str] | None = None
    solve: SolveView = SolveView()
    scene: SceneState = SceneState.CURRENT
    dense: DenseParts = _NO_DENSE
    bodies: BodiesView = BodiesView()
    contact_sheet: str = ""
    backgrounds: tuple[Background, ...] = ()
    masks: tuple[MaskFolder, ...] = ()
    jobs: tuple[Job, ...] = ()


def read_recent(home: Path) -> tuple[RecentView, ...]:
    """The shots that were worked on lately and are there, newest first."""
    there = (shot for shot in RecentShots(home).all() if shot.exists)
    return tuple(RecentView(shot.folder, _recent_text(shot)) for shot in islice(there, SHOWN))


def _recent_text(shot: RecentShot) -> str:
    return f"{shot.name}   in {Path(shot.folder).parent.name}   {when(shot.used, time.time())}"


def read_shot(query: Query, jobs: Iterable[Job]) -> OnDisk:
    """Looks at the shot folder and at those of the jobs that ran or run for it."""
    if not query.folder:
        return OnDisk("", dict.fromkeys(STAGES, Freshness.MISSING))
    shot, now = Shot(Path(query.folder)), time.time()
    mine = jobs_of(query.folder, jobs)
    for job in mine:
        job.poll()
    plate, lines, trouble = _named_plate(query.plate)
    fresh = {
        stage.name: _freshness(shot, stage, query.options[stage.name], plate)
        for stage in STAGES.values()
    }
    sheet = shot.contact_sheet
    solve, dense, bodies = _solve(shot), find_parts(shot), _bodies(shot)
    return OnDisk(
        folder=query.folder,
        freshness=fresh,
        time=now,
        facts={
            "ingest": _plate_lines(shot),
            "colmap": solve.facts,
            "dense": dense.facts,
            # The notes after these are sentences, which the panel of bodies has room for.
            "mocap": bodies.facts[:2],
            "depth": depth_facts(shot.depth.record),
            "cleanplate": clean_plate_facts(outputs.recorded(shot, STAGES["cleanplate"])),
        },
        previews=find_previews(shot),
        exists=shot.path.is_dir(),
        plate_trouble=trouble,
        plate_lines=lines,
        unknown_plate=_unknown_plate(plate, fresh["ingest"]),
        solve=solve,
        scene=_scene_state(shot, of_shot(query.shown, query.folder)),
        dense=dense,
        bodies=bodies,
        contact_sheet=str(sheet) if sheet.is_file() else "",
        backgrounds=_backgrounds(shot),
        masks=_masks(shot),
        jobs=tuple(mine),
    )


def _named_plate(plate: str) -> tuple[str, tuple[str, ...], str]:
    """The plate as a job is given it, what its names tell, and what is wrong with it."""
    if not plate:
        return "", (), ""
    try:
        source = resolve_plate(plate)
    except ShotGopherError as error:
        return "", (), error.reason
    return str(source.path.absolute()), summary(source), ""


def _unknown_plate(plate: str, ingest: Freshness) -> tuple[str, str] | None:
    if not plate or ingest is Freshness.CURRENT:
        return None
    return plate, plate_fingerprint(plate)


def _freshness(shot: Shot, stage: Stage, options: Mapping[str, Any], plate: str) -> Freshness:
    recorded = outputs.recorded(shot, stage).get("inputs", {})
    try:
        today = from_mapping(stage.options, options)
        return outputs.freshness(shot, stage, today, plate or str(recorded.get("plate", "")))
    except (UsageError, AttributeError):
        return Freshness.STALE


def _plate_lines(shot: Shot) -> tuple[str, ...]:
    try:
        plate = shot.load_plate()
    except FormatError:
        return ()
    count = len(plate.frames)
    lines = [
        f"{count} frames, {plate.first_frame} to {plate.last_frame}",
        f"{plate.width} x {plate.height} px, {rate_text(plate.fps)} fps",
    ]
    return (*lines, *missing_frames(plate.missing))


def _backgrounds(shot: Shot) -> tuple[Background, ...]:
    try:
        return find_backgrounds(shot, shot.load_plate())
    except (ShotGopherError, OSError):
        return ()


def _masks(shot: Shot) -> tuple[MaskFolder, ...]:
    try:
        return find_mask_folders(shot)
    except OSError:
        return ()


def _bodies(shot: Shot) -> BodiesView:
    try:
        record = MocapRecord.load(shot.mocap.record)
    except FormatError:
        return BodiesView()
    return BodiesView(record.people, record.facts, _offers(shot, record))


def _offers(shot: Shot, record: MocapRecord) -> bool:
    """Whether the motion tells of another world than the shot has now."""
    try:
        step = None if record.offered is None else place_of(shot).step_to(record.offered)
    except ShotGopherError:
        return False
    return step is not None and not np.allclose(step.matrix(), np.eye(4), atol=1e-6)


def _solve(shot: Shot) -> SolveView:
    """What is told of the camera; nothing without one."""
    try:
        solve = read_json(shot.solve_file)
        return SolveView(
            facts=_solve_facts(solve),
            warnings=tuple(map(str, solve["warnings"])),
            world=str(solve["world"]["note"]),
            surveyed=shot.survey.is_file(),
            tracks=shot.tracks.is_file(),
            plot=str(shot.solve_plot) if shot.solve_plot.is_file() else "",
            **_quality(shot, solve),
        )
    except (FormatError, KeyError, TypeError, ValueError):
        return SolveView()


def _solve_facts(solve: Mapping[str, Any]) -> tuple[str, ...]:
    counts = {name: len(solve[name]) for name in ("solved", "interpolated", "unsolved")}
    lines = [
        f"{counts['solved']} of {sum(counts.values())} frames solved",
        f"Error {solve['mean_error_px']:.2f} px mean, {solve['max_error_px']:.2f} px worst",
        f"{solve['points']} points",
    ]
    if counts["interpolated"]:
        lines.insert(1, f"{counts['interpolated']} frames interpolated")
    return tuple(lines)


def _quality(shot: Shot, solve: Mapping[str, Any]) -> dict[str, Any]:
    """Grade, reason, advice and lines; {} for a solve that says nothing of its quality."""
    if "quality" not in solve:
        return {}
    quality = Quality.from_json(solve["quality"])
    tripod = quality.motion is Motion.TRIPOD
    move = "The camera only turns" if tripod else f"Parallax {quality.parallax:.1f}\u00b0"
    coverage = f"tracks cover {quality.coverage:.0%} of the picture"
    return {
        "grade": quality.grade.value,
        "reason": quality.reason,
        "advice": quality.advice,
        "lines": (_focal_line(shot, solve, quality.focal_sigma), f"{move}; {coverage}"),
    }


def _focal_line(shot: Shot, solve: Mapping[str, Any], sigma: float) -> str:
    """The focal length in mm of the sensor that the solve was told, and how sure it is."""
    camera = CameraModel.from_json(solve["camera"])
    options = outputs.recorded(shot, STAGES["colmap"]).get("options", {})
    sensor = float(options.get("sensor_width") or DEFAULT_SENSOR_WIDTH)
    length = f"Focal length {camera.focal[0] / camera.width * sensor:.1f} mm"
    if sigma <= 0:
        return f"{length}, as given"
    sure = next(word for least, word in _CERTAINTY if sigma <= least)
    return f"{length}, {sure} (\u00b1 {sigma:.1%})"


_CERTAINTY = (
    (0.003, "well known"),
    (0.01, "known"),
    (0.03, "roughly known"),
    (float("inf"), "uncertain"),
)
"""Standard deviation over focal length up to which a word holds."""


def _scene_state(shot: Shot, shown: Stamp | None) -> SceneState:
    """Compares what the scene shows with what the shot has."""
    camera = outputs.camera_digest(shot)
    if not camera or shown == Stamp("", ""):
        return SceneState.CURRENT
    if shown is None:
        return SceneState.MISSING
    if shown.camera == camera:
        return SceneState.CURRENT
    same = bool(shown.world) and is_of_this_solve(shot, shown.world)
    return SceneState.MOVED if same else SceneState.OLDER


def jobs_of(folder: str, jobs: Iterable[Job]) -> list[Job]:
    """Those of the jobs that work on the shot folder, which is absolute or ""."""
    return [job for job in jobs if folder and folder_key(job.request.shot) == folder_key(folder)]


def compose(disk: OnDisk, jobs: Sequence[Job], canceling: set[str]) -> ShotView:
    """The view of a shot from what was read and from its jobs as they are now, oldest first."""
    told: tuple[str, ...] = ()
    if jobs and not jobs[-1].snapshot.state.active:
        told = jobs[-1].snapshot.warnings
    return ShotView(
        folder=disk.folder,
        exists=disk.exists,
        plate_trouble=disk.plate_trouble,
        plate_lines=disk.plate_lines,
        stages={name: _stage_view(name, disk, jobs, canceling) for name in STAGES},
        solved=bool(disk.facts.get("colmap")),
        solve=disk.solve,
        scene=disk.scene,
        dense=disk.dense,
        bodies=disk.bodies,
        contact_sheet=disk.contact_sheet,
        backgrounds=disk.backgrounds,
        masks=disk.masks,
        warnings=tuple(dict.fromkeys((*disk.solve.warnings, *told))),
    )


_AS_ON_DISK = {
    Freshness.MISSING: StageView(StageState.MISSING),
    Freshness.CURRENT: StageView(StageState.DONE),
    Freshness.STALE: StageView(StageState.STALE, "Options or inputs have changed"),
}


def _stage_view(name: str, disk: OnDisk, jobs: Sequence[Job], canceling: set[str]) -> StageView:
    view = replace(
        _AS_ON_DISK[disk.freshness[name]],
        facts=disk.facts.get(name, ()),
        preview=disk.previews.get(name),
    )
    job = next((job for job in reversed(jobs) if name in job.snapshot.stages), None)
    if job is None:
        return view
    now = job.snapshot
    view = replace(view, job=now.id, log=str(job.log))
    # Before its first stage a job installs the environment: shown where the artist looks.
    distance = now.stages.index(name) - now.stages.index(now.stage or now.stages[0])
    if distance > 0 and now.state.active:
        return replace(view, state=StageState.WAITING, text="")
    # What has just been done is there, though the disk was not looked at since.
    if now.state.active if distance < 0 else _finished_since(now, disk):
        return replace(view, state=StageState.DONE, text="")
    if distance != 0:
        return view
    return _at_work(view, now, now.id in canceling)


def _finished_since(now: Snapshot, disk: OnDisk) -> bool:
    return now.state is JobState.FINISHED and now.updated > disk.time


def _at_work(view: StageView, now: Snapshot, canceling: bool) -> StageView:
    """The view of the stage that a job is at, or at which it ended."""
    if now.state.active:
        text, count = progress_text(now)
        if canceling:
            text = "Canceling..."
        elif now.waiting is not None:
            text = now.waiting.text
        running = replace(view, state=StageState.RUNNING, text=text, count=count)
        running = replace(running, waiting=now.waiting)
        return replace(running, fraction=now.fraction, canceling=canceling)
    if now.state in (JobState.FAILED, JobState.LOST):
        failed = replace(view, state=StageState.FAILED, text="")
        return replace(failed, reason=now.reason, remedy=now.remedy)
    if now.state is JobState.CANCELED and view.state is StageState.MISSING:
        return replace(view, text="Canceled")
    return view


def progress_text(now: Snapshot) -> tuple[str, str]:
    """What a running job does and how far it is: "Finding features", "12/80 frames  0:08 left"."""
    if now.state is JobState.STARTING or not now.status:
        return "Starting", ""
    count = f"{now.done}/{now.total} {now.unit}" if now.total else ""
    return now.status, "  ".join(part for part in (count, now.time_left(time.time())) if part)
