# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist knows of the scene: its ground, its origin, an axis, a distance.

Each is told by points of the shot's world and moves that world: one similarity for the camera, the
points and all that comes later. `survey.json` keeps what was told, and where the cameras stood
then, so that a later solve lands in the same world. The solve's own files are rewritten with it.

n cameras, p points.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from . import locations
from .accuracy import best_similarity
from .camera import (
    Array,
    CameraTrack,
    Integers,
    Similarity,
    rotations_from_quaternions,
    with_opencv_axes,
)
from .errors import FormatError, JobError, UsageError
from .formats import write_all, write_cameras
from .formats.colmap import read_model
from .jobs import shot_lock_name
from .outputs import finish_update, recorded, updating
from .processes import FileLock
from .reconstruction import Reconstruction
from .shot import CAMERAS, Shot, frame_number, read_json, write_json
from .solve import Solve, solve_of
from .stages import STAGES
from .tracks import Tracks
from .undistorted import UndistortedPlate
from .world import guess_world

_AXES = {"x": 0, "y": 1}
_MOST_CAMERAS = 200
"""Cameras that are kept to align a later solve by."""
_THIN = 1e-3
"""Share of their spread by which points may lie on one line, or one above the other."""
_SAME_MARK = 0.01
"""Px within which a mark and an observation are one."""
_BODY_NOTE = "set by body motion: in meters, upright, people stand on the ground"
_STILL = 1e-4
"""Travel over depth under which camera positions say nothing about scale or direction."""


@dataclass(frozen=True, eq=False)
class Axis:
    """From `start` (3,) to `end` (3,) the world's axis `name`, "x" or "y", runs."""

    name: str
    start: Array
    end: Array


@dataclass(frozen=True, eq=False)
class Distance:
    """From `start` (3,) to `end` (3,) it is that many meters."""

    meters: float
    start: Array
    end: Array


@dataclass(frozen=True, eq=False)
class Constraints:
    """What was told, in points of the shot's world. None where nothing was.

    floor   (p, 3) points on the ground: one, which keeps what is up, or three and more
    origin  (3,)
    """

    floor: Array | None = None
    origin: Array | None = None
    axis: Axis | None = None
    distance: Distance | None = None

    def __bool__(self) -> bool:
        return bool(self.told)

    @property
    def told(self) -> tuple[str, ...]:
        """The names of what was told."""
        names = ("floor", "origin", "axis", "distance")
        return tuple(name for name in names if getattr(self, name) is not None)

    def with_changes(self, new: Constraints) -> Constraints:
        """These, where `new` says nothing else."""
        return replace(self, **{name: getattr(new, name) for name in new.told})

    def moved(self, step: Similarity) -> Constraints:
        """The same in a world that was moved by `step`."""
        axis, distance = self.axis, self.distance
        return Constraints(
            floor=None if self.floor is None else step.apply(self.floor),
            origin=None if self.origin is None else step.apply(self.origin),
            axis=axis and replace(axis, start=step.apply(axis.start), end=step.apply(axis.end)),
            distance=distance
            and replace(distance, start=step.apply(distance.start), end=step.apply(distance.end)),
        )

    def to_json(self) -> dict[str, Any]:
        axis, distance = self.axis, self.distance
        return {
            "floor": None if self.floor is None else self.floor.tolist(),
            "origin": None if self.origin is None else self.origin.tolist(),
            "axis": axis and {"name": axis.name} | _ends_to_json(axis),
            "distance": distance and {"meters": distance.meters} | _ends_to_json(distance),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Constraints:
        floor, origin = data["floor"], data["origin"]
        axis, distance = data["axis"], data["distance"]
        return cls(
            floor=None if floor is None else np.array(floor, dtype=np.float64).reshape(-1, 3),
            origin=None if origin is None else _point(origin),
            axis=axis and Axis(str(axis["name"]), _point(axis["from"]), _point(axis["to"])),
            distance=distance
            and Distance(
                float(distance["meters"]), _point(distance["from"]), _point(distance["to"])
            ),
        )


def _ends_to_json(ends: Axis | Distance) -> dict[str, Any]:
    return {"from": ends.start.tolist(), "to": ends.end.tolist()}


def _point(values: Any) -> Array:
    return np.array(values, dtype=np.float64).reshape(3)


@dataclass(frozen=True, eq=False)
class Survey:
    """The constraints and the cameras of the world that they made.

    frames (n,) and matrices (n, 4, 4), camera-to-world with OpenCV's axes; `depth` is how far the
    points typically are from the camera. All in the shot's world.
    """

    constraints: Constraints
    frames: Integers
    matrices: Array
    depth: float

    def save(self, path: Path) -> None:
        data = {"frames": self.frames.tolist(), "camera_to_world": self.matrices.tolist()}
        write_json(
            path,
            {"schema": 1} | self.constraints.to_json() | {"cameras": data | {"depth": self.depth}},
        )

    @classmethod
    def load(cls, path: Path) -> Survey | None:
        """None when nothing was told. Raises FormatError for a damaged file."""
        if not path.is_file():
            return None
        data = read_json(path)
        try:
            cameras = data["cameras"]
            frames = np.array(cameras["frames"], dtype=np.int64).reshape(-1)
            matrices = np.array(cameras["camera_to_world"], dtype=np.float64)
            survey = cls(
                constraints=Constraints.from_json(data),
                frames=frames,
                matrices=matrices.reshape(len(frames), 4, 4),
                depth=float(cameras["depth"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{path} is damaged: {error!r}.") from error
        return survey


# Telling


@dataclass(frozen=True, eq=False)
class Moved:
    """The solve in the shot's new world, and the `step` that took the old world to it."""

    solve: Solve
    step: Similarity


def apply(shot: Shot, told: Constraints) -> Moved:
    """Adds to what was told and moves the shot's world so that all of it holds.

    Raises UsageError when the points do not tell what they should, SolveError without a solve,
    FormatError, JobError while a job runs, OutputError.
    """
    with _exclusive(shot):
        before = Survey.load(shot.survey)
        known = before.constraints if before else Constraints()
        constraints = known.with_changes(told)
        solve = solve_of(shot)
        step = placement(constraints, solve.track.matrices[:, :3, 3])
        moved = _moved(solve, step, f"set by the artist: {', '.join(constraints.told)}")
        model = read_model(shot.sparse)
        survey = _survey_of(constraints.moved(step), moved, model)
        with updating(shot) as folder:
            _write(shot, moved, folder / shot.camera.name)
            survey.save(folder / shot.survey.name)
            _drop_others(shot)
    return Moved(moved, step)


def take_body(shot: Shot) -> Moved:
    """Makes the shot's world metric and upright, with its people on the ground, as body motion has
    told.

    What was told of the floor and of a distance is forgotten for it; the origin stays above or
    below itself, and an axis keeps its direction. Raises UsageError where no motion tells that, and
    as `apply` does.
    """
    from .motion import MocapRecord

    with _exclusive(shot):
        solve = solve_of(shot)
        record = MocapRecord.load(shot.mocap.record)
        if record.offered is None or record.place.solve != solve_time(shot):
            raise UsageError(
                "The body motion does not tell this shot's scale and ground: find it anew, or "
                "measure a distance."
            )
        step = between(solve.world, record.offered.world)
        before = Survey.load(shot.survey)
        known = (before.constraints if before else Constraints()).moved(step)
        constraints = Constraints(origin=_on_ground(known.origin), axis=known.axis)
        moved = replace(_moved(solve, step, _BODY_NOTE), world=record.offered.world)
        survey = _survey_of(constraints, moved, read_model(shot.sparse))
        with updating(shot) as folder:
            _write(shot, moved, folder / shot.camera.name)
            survey.save(folder / shot.survey.name)
            _drop_others(shot)
    return Moved(moved, step)


def _on_ground(origin: Array | None) -> Array | None:
    return None if origin is None else origin * [1, 1, 0]


def reset(shot: Shot) -> Moved:
    """Forgets what was told and goes back to the world that is found without it."""
    with _exclusive(shot):
        model = read_model(shot.sparse)
        rotations = rotations_from_quaternions(model.quaternions)
        found, note = guess_world(_centers(model), rotations, model.points.positions)
        return _replaced(shot, found, note, None)


def _replaced(shot: Shot, world: Similarity, note: str, told: dict[str, Any] | None) -> Moved:
    """Puts the shot into another world; `told` is the survey.json that belongs to it."""
    solve = solve_of(shot)
    step = between(solve.world, world)
    moved = replace(_moved(solve, step, note), world=world)
    with updating(shot) as folder:
        _write(shot, moved, folder / shot.camera.name)
        if told is None:
            shot.survey.unlink(missing_ok=True)
        else:
            write_json(folder / shot.survey.name, told)
        _drop_others(shot)
    return Moved(moved, step)


def snapshot(shot: Shot) -> str:
    """The world as it is now, to go back to with `restore`. Raises SolveError, FormatError."""
    solve = solve_of(shot)
    return json.dumps(
        {
            "solve": solve_time(shot),
            "world": solve.world.to_json(),
            "note": solve.world_note,
            "survey": read_json(shot.survey) if shot.survey.is_file() else None,
        }
    )


def restore(shot: Shot, text: str) -> Moved:
    """Goes back to the world of a `snapshot`. Raises UsageError when it is of another solve."""
    if not is_of_this_solve(shot, text):
        raise UsageError("The shot was solved anew since: this world is over.")
    with _exclusive(shot):
        before = json.loads(text)
        world = Similarity.from_json(before["world"])
        return _replaced(shot, world, str(before["note"]), before["survey"])


def is_of_this_solve(shot: Shot, text: str) -> bool:
    """Whether a `snapshot` can be gone back to."""
    return bool(json.loads(text)["solve"] == solve_time(shot))


def solve_time(shot: Shot) -> float:
    """When the solve was made: tells one from the next, whatever world it is in."""
    return float(recorded(shot, STAGES["colmap"]).get("finished", 0.0))


def point_positions(shot: Shot, ids: Sequence[int]) -> Array:
    """Points of the sparse model by their ids, in the shot's world. Raises UsageError."""
    solve, points = solve_of(shot), read_model(shot.sparse).points
    index = {int(id_): place for place, id_ in enumerate(points.ids.tolist())}
    absent = [str(id_) for id_ in ids if id_ not in index]
    if absent:
        raise UsageError(f"The solve has no point {', '.join(absent)}.")
    return solve.world.apply(points.positions[[index[id_] for id_ in ids]])


def track_positions(shot: Shot, ids: Sequence[int]) -> Array:
    """The points of tracks by the tracks' ids, in the shot's world. Raises UsageError."""
    solve, model = solve_of(shot), read_model(shot.sparse, observations=True)
    tracks = Tracks.load(shot.tracks)
    points = _points_of_tracks(model, tracks.only(np.isin(tracks.ids, ids)))
    absent = [str(id_) for id_ in ids if id_ not in points]
    if absent:
        raise UsageError(f"The solve has no point for track {', '.join(absent)}.")
    return solve.world.apply(model.points.positions[[points[id_] for id_ in ids]])


def _points_of_tracks(model: Reconstruction, tracks: Tracks) -> dict[int, int]:
    """The index of the point of each track, by the track's id: the one seen where its marks are."""
    seen = model.observations
    if seen is None:
        raise ValueError("the model was read without observations")
    frames = np.array([frame_number(name) for name in model.names], dtype=np.int64)
    frame, order = frames[seen.image], np.argsort(frames[seen.image], kind="stable")
    votes: dict[int, list[int]] = {}
    for track, number, pixel in zip(tracks.track, tracks.frame, tracks.pixel, strict=True):
        first, last = np.searchsorted(frame, [number, number + 1], sorter=order)
        there = order[first:last]
        near = np.abs(seen.pixel[there] - pixel).max(axis=1) < _SAME_MARK
        votes.setdefault(int(tracks.ids[track]), []).extend(seen.point[there[near]].tolist())
    return {id_: max(set(found), key=found.count) for id_, found in votes.items() if found}


@contextmanager
def _exclusive(shot: Shot) -> Iterator[None]:
    lock = FileLock(locations.locks_folder(locations.home()) / shot_lock_name(shot))
    if not lock.acquire():
        raise JobError("A job of this shot is running: wait for its end, then set this again.")
    try:
        yield
    finally:
        lock.release()


def recover(shot: Shot) -> None:
    """Finishes what a program that was killed left of a change; a running job has done so."""
    with suppress(JobError), _exclusive(shot):
        finish_update(shot)


def _moved(solve: Solve, step: Similarity, note: str) -> Solve:
    world = after(step, solve.world)
    matrices = solve.track.matrices.copy()
    matrices[:, :3, :3] = step.rotation @ matrices[:, :3, :3]
    matrices[:, :3, 3] = step.apply(matrices[:, :3, 3])
    track: CameraTrack = replace(solve.track, matrices=matrices)
    return replace(solve, world=world, world_note=note, track=track)


def after(second: Similarity, first: Similarity) -> Similarity:
    """First `first`, then `second`."""
    return Similarity(
        second.scale * first.scale,
        second.rotation @ first.rotation,
        second.apply(first.translation),
    )


def between(old: Similarity, new: Similarity) -> Similarity:
    """What takes the world `old` to the world `new`."""
    back = old.rotation.T / old.scale
    return after(new, Similarity(1 / old.scale, old.rotation.T, -back @ old.translation))


def _survey_of(constraints: Constraints, solve: Solve, model: Reconstruction) -> Survey:
    count = len(solve.track.frames)
    kept = np.unique(np.linspace(0, count - 1, min(count, _MOST_CAMERAS)).round().astype(int))
    return Survey(
        constraints=constraints,
        frames=solve.track.frames[kept],
        matrices=with_opencv_axes(solve.track.matrices[kept]),
        depth=solve.world.scale * _depth(_centers(model), model.points.positions),
    )


def _centers(model: Reconstruction) -> Array:
    rotations = rotations_from_quaternions(model.quaternions)
    centers: Array = -np.einsum("nji,nj->ni", rotations, model.translations)
    return centers


def _depth(centers: Array, points: Array) -> float:
    """How far the points typically are from the middle of the cameras."""
    if len(points) == 0:
        return 1.0
    return float(np.median(np.linalg.norm(points - centers.mean(axis=0), axis=1)))


def _write(shot: Shot, solve: Solve, folder: Path) -> None:
    """Everything of the camera folder that has the world in it."""
    folder.mkdir()
    solve.save(folder)
    if shot.undistorted_file.is_file():
        write_cameras(solve.track, UndistortedPlate.load(shot.undistorted_file), folder)
    else:
        write_all(solve.track, folder)


def _drop_others(shot: Shot) -> None:
    """Removes the camera files that only Blender writes: they show the world before."""
    for stem, extension in product(CAMERAS, ("abc", "usd")):
        shot.camera_file(extension, stem).unlink(missing_ok=True)


# The world that follows from what was told

_STAY = Similarity(1.0, np.eye(3), np.zeros(3))


def placement(constraints: Constraints, centers: Array) -> Similarity:
    """How the world must move for the constraints to hold; `centers` (n, 3) are the cameras'.

    The floor levels the world and puts it at Z = 0; the axis turns it about Z; the origin moves it,
    along the floor where there is one; the distance scales it. What is not told stays as it is.
    Raises UsageError.
    """
    step = _STAY
    for move in (_to_floor, _to_axis, _to_origin, _to_distance):
        now = constraints.moved(step)
        step = after(move(now, step.apply(centers)), step)
    return step


def _to_floor(now: Constraints, centers: Array) -> Similarity:
    if now.floor is None:
        return _STAY
    turn = _turn_between(_up_of(now.floor, centers), np.array([0.0, 0.0, 1.0]))
    height = float((now.floor @ turn.T)[:, 2].mean())
    return Similarity(1.0, turn, np.array([0.0, 0.0, -height]))


def _up_of(floor: Array, centers: Array) -> Array:
    """The normal of the plane nearest to the points, on the side of the cameras."""
    if len(floor) == 1:
        return np.array([0.0, 0.0, 1.0])
    middle = floor.mean(axis=0)
    _u, spread, axes = np.linalg.svd(floor - middle)
    if len(floor) < 3 or spread[1] < _THIN * spread[0]:
        raise UsageError(
            "These points do not tell a floor: choose one point, or three and more that do not "
            "lie on one line."
        )
    normal: Array = axes[2]
    heights = (centers - middle) @ normal
    return normal if np.median(heights) >= 0 else -normal


def _turn_between(start: Array, end: Array) -> Array:
    """The smallest turn (3, 3) that takes one direction to another (Rodrigues)."""
    cross, cosine = np.cross(start, end), float(start @ end)
    if cosine < -1 + 1e-9:
        # Any half turn about a level axis will do.
        side = np.cross(start, [1.0, 0, 0] if abs(start[0]) < 0.9 else [0, 1.0, 0])
        side /= np.linalg.norm(side)
        half: Array = 2 * np.outer(side, side) - np.eye(3)
        return half
    x, y, z = cross
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn: Array = np.eye(3) + k + k @ k / (1 + cosine)
    return turn


def _to_axis(now: Constraints, _centers: Array) -> Similarity:
    if now.axis is None:
        return _STAY
    way = now.axis.end - now.axis.start
    level = float(np.hypot(way[0], way[1]))
    if level <= _THIN * float(np.linalg.norm(way)) or level == 0:
        raise UsageError(
            "These two points do not tell an axis, because one is above the other: choose two "
            "that lie apart along the floor."
        )
    wanted = np.pi / 2 * _AXES[now.axis.name]
    angle = wanted - float(np.arctan2(way[1], way[0]))
    c, s = np.cos(angle), np.sin(angle)
    return Similarity(1.0, np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]), np.zeros(3))


def _to_origin(now: Constraints, _centers: Array) -> Similarity:
    if now.origin is None:
        return _STAY
    shift = -now.origin
    if now.floor is not None:
        shift[2] = 0.0
    return Similarity(1.0, np.eye(3), shift)


def _to_distance(now: Constraints, _centers: Array) -> Similarity:
    if now.distance is None:
        return _STAY
    length = float(np.linalg.norm(now.distance.end - now.distance.start))
    if length <= 0 or not now.distance.meters > 0:
        raise UsageError("A distance needs two points apart and a length over 0.")
    return Similarity(now.distance.meters / length, np.eye(3), np.zeros(3))


# A later solve of the same shot


def world_for(
    shot: Shot, frames: Integers, centers: Array, rotations: Array, points: Array
) -> tuple[Similarity, str]:
    """The world of a new solve, and in plain words how it was found.

    frames (n,), centers (n, 3) and rotations (n, 3, 3), world-to-camera, of the new cameras and
    points (p, 3), all in the solver's world. Where the artist has told something, the new cameras
    are laid over those of that world; else it is `guess_world`'s. Raises FormatError.
    """
    survey = Survey.load(shot.survey)
    if survey is not None:
        new, old = (np.intersect1d(frames, survey.frames, return_indices=True)[i] for i in (1, 2))
        if len(new):
            world = _aligned(survey, old, centers[new], rotations[new], _depth(centers, points))
            told = ", ".join(survey.constraints.told) or "by body motion"
            return world, f"laid over the world that was set by the artist: {told}"
    return guess_world(centers, rotations, points)


def _aligned(
    survey: Survey, old: Integers, centers: Array, rotations: Array, depth: float
) -> Similarity:
    """The similarity from the solver's cameras to the survey's `old` ones, one to one.

    Position and direction count together: each camera stands for its center and for points at the
    scene's depth before it.
    """
    target = survey.matrices[old]
    turn = _mean_turn(target[:, :3, :3] @ rotations)
    scale = _travel_scale(centers @ turn.T, target[:, :3, 3], depth, survey.depth)
    ahead = survey.depth * np.array([[0, 0, 0], [0, 0, 1], [0.5, 0, 1], [0, 0.5, 1]])
    source_points = centers[:, None] + (ahead / scale) @ rotations
    target_points = target[:, None, :3, 3] + ahead @ np.swapaxes(target[:, :3, :3], 1, 2)
    found = best_similarity(source_points.reshape(-1, 3), target_points.reshape(-1, 3))
    return found


def _mean_turn(turns: Array) -> Array:
    """The rotation nearest to all of `turns` (n, 3, 3): the chordal mean."""
    u, _sizes, v = np.linalg.svd(turns.sum(axis=0))
    mean: Array = (u * [1.0, 1.0, np.sign(np.linalg.det(u @ v))]) @ v
    return mean


def _travel_scale(centers: Array, target: Array, depth: float, target_depth: float) -> float:
    """Target's size over that of `centers`, by the cameras' travel; by the scene's depth on a
    tripod, where there is none."""
    a, b = centers - centers.mean(axis=0), target - target.mean(axis=0)
    travel, target_travel = (float(np.sqrt((each**2).sum(axis=1).mean())) for each in (a, b))
    if travel < _STILL * depth or target_travel < _STILL * target_depth:
        return target_depth / depth
    scale = float((a * b).sum() / (a * a).sum())
    # Paths that have nothing in common tell their size alone.
    return scale if scale > 0.5 * target_travel / travel else target_travel / travel
