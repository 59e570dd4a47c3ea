# SPDX-License-Identifier: GPL-3.0-or-later
"""What shows by eye whether a track holds: solved points where the plate has them and where not.

Of each frame the points that its tracks see, where the solved camera shows them, how far that is
from the plate, and the cameras of the frames around. Blender's view and the review movie draw the
same of it. n points of a frame. Pixels are of the solved lens's plate, (0, 0) at the corner of the
first one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from .camera import Array, CameraTrack, Integers, with_opencv_axes
from .formats.colmap import read_model
from .frusta import DEPTH_SHARE, EDGES, pyramids
from .lens import bend, straighten
from .overlay import MOST, STRONGEST
from .reconstruction import Observations, Points, Reconstruction
from .shot import Shot, frame_number
from .solve import FrameState, Solve, solve_of
from .spread import turns
from .tracks import Tracks, point_ids

SLIP_FACTOR = 10.0
"""How many times as long as it is the way from a point to its track is drawn."""

GOOD_ERROR, BAD_ERROR = 0.5, 2.0
"""Px; green up to the first, red from the second, through yellow between them."""
_GREEN, _YELLOW, _RED = (0.15, 0.9, 0.25), (1.0, 0.85, 0.1), (1.0, 0.15, 0.1)

_CELLS_ACROSS = 16
_NEIGHBORS = 48
"""Frames before and after whose cameras are drawn."""
_PYRAMID_STEP = 4
_NEAREST = 6.0
"""Heights of a pyramid that a neighbor must lie ahead: nearer ones would fill the picture."""


@dataclass(frozen=True, eq=False)
class Seen:
    """The points that one frame's tracks see, the strongest from all over the picture first.

    index      of the frame in the camera track, None where the frame has no camera
    positions  (n, 3) in the shot's world
    slopes     (n, 2) of the rays from the solved camera to the points (see lens.py)
    tracked    (n, 2) of the rays through the places where the plate's tracks have them
    pixel      (n, 2) those places
    error      (n,) px from there to where the solved camera shows the points, the lens included
    """

    frame: int
    state: FrameState
    index: int | None
    positions: Array
    slopes: Array
    tracked: Array
    pixel: Array
    error: Array

    @classmethod
    def nothing(cls, frame: int, state: FrameState, index: int | None) -> Seen:
        none = np.zeros((0, 2))
        return cls(frame, state, index, np.zeros((0, 3)), none, none, none, np.zeros(0))

    def strongest(self, count: int) -> Seen:
        return replace(
            self,
            positions=self.positions[:count],
            slopes=self.slopes[:count],
            tracked=self.tracked[:count],
            pixel=self.pixel[:count],
            error=self.error[:count],
        )


@dataclass(frozen=True, eq=False)
class TrackCheck:
    """A solve made ready to be looked at, frame by frame.

    `pyramids` (f, 5, 3) are those of the track's frames (see frusta.py), `depth` how far the points
    typically are from the camera. All in the shot's world.
    """

    solve: Solve
    seen: Mapping[int, Seen]
    depth: float
    pyramids: Array

    def at(self, frame: int, count: int = STRONGEST) -> Seen | None:
        """What that plate frame sees; None for a frame that the plate does not have."""
        found = self.seen.get(frame)
        return found and found.strongest(count)

    def neighbors(self, index: int) -> Array:
        """(k, 2, 3) lines of the cameras before and after a frame of the track, as it sees them.

        Every few frames a pyramid, and the path; what lies behind or just before the lens is left
        out, and there is nothing to see of a camera that only turns.
        """
        track = self.solve.track
        if not track.travels:
            return np.zeros((0, 2, 3))
        first, last = max(0, index - _NEIGHBORS), min(len(track.frames), index + _NEIGHBORS + 1)
        near = self.pyramids[first:last]
        ahead = _depths(track, index, near)
        shown = ahead.min(axis=1) > _NEAREST * DEPTH_SHARE * self.depth
        path = np.stack([near[:-1, 0], near[1:, 0]], axis=1)[shown[:-1] & shown[1:]]
        chosen = shown & (track.frames[first:last] % _PYRAMID_STEP == 0)
        lines = near[chosen][:, EDGES].reshape(-1, 2, 3)
        return np.concatenate([path, lines])


def read_check(shot: Shot) -> TrackCheck:
    """Reads a tracked shot. Raises SolveError when it is none, FormatError."""
    solve = solve_of(shot)
    model = read_model(shot.sparse, observations=True)
    positions = solve.world.apply(model.points.positions)
    marks = dict(_observed(model)) | _between(shot, solve, model)
    rank = _by_strength(model.points)
    places = {number: place for place, number in enumerate(solve.track.frames.tolist())}
    seen = {}
    for frame in solve.frames:
        index = places.get(frame.frame)
        seen[frame.frame] = nothing = Seen.nothing(frame.frame, frame.state, index)
        if index is not None and frame.frame in marks:
            point, pixel = marks[frame.frame]
            seen[frame.frame] = _seen(nothing, solve, index, positions[point], pixel, rank[point])
    depth = _depth(solve.track, seen)
    return TrackCheck(solve, seen, depth, pyramids(solve.track, depth * DEPTH_SHARE))


_Marks = tuple[Integers, Array]
"""Indices of points (k,) and the pixels (k, 2) where a frame has them."""


def _observed(model: Reconstruction) -> Iterator[tuple[int, _Marks]]:
    """What the solve was made from, by frame."""
    seen = model.observations
    if seen is None:
        raise ValueError("the model was read without observations")
    seen = _sorted(seen)
    bounds = np.searchsorted(seen.image, np.arange(len(model.names) + 1))
    for image, name in enumerate(model.names):
        number = frame_number(name)
        if number is not None:
            mine = slice(bounds[image], bounds[image + 1])
            yield number, (seen.point[mine], seen.pixel[mine])


def _sorted(seen: Observations) -> Observations:
    if (np.diff(seen.image) >= 0).all():
        return seen
    order = np.argsort(seen.image, kind="stable")
    return Observations(seen.image[order], seen.point[order], seen.pixel[order])


def _between(shot: Shot, solve: Solve, model: Reconstruction) -> dict[int, _Marks]:
    """The marks in frames whose pose is interpolated, which no solve was made from."""
    wanted = solve.numbers(FrameState.INTERPOLATED)
    ids = model.points.ids
    if not wanted or not len(ids) or not shot.tracks.is_file():
        return {}
    tracks = Tracks.load(shot.tracks)
    order, mine = np.argsort(ids), point_ids(tracks.ids)
    place = order[np.searchsorted(ids, mine, sorter=order).clip(max=len(ids) - 1)]
    known = (ids[place] == mine)[tracks.track] & np.isin(tracks.frame, wanted)
    point, frame, pixel = place[tracks.track[known]], tracks.frame[known], tracks.pixel[known]
    return {number: (point[frame == number], pixel[frame == number]) for number in wanted}


def _by_strength(points: Points) -> Integers:
    """(p,) rank of each point: the more frames have it the stronger, then the less it errs."""
    ranks = np.empty(len(points.ids), dtype=np.int64)
    ranks[np.lexsort((points.errors, -points.tracks))] = np.arange(len(points.ids))
    return ranks


def _seen(
    frame: Seen, solve: Solve, index: int, positions: Array, pixel: Array, rank: Integers
) -> Seen:
    lens = solve.camera_at(index)
    ahead = np.flatnonzero(_depths(solve.track, index, positions) > 0)
    first = ahead[_spread(pixel[ahead], rank[ahead], lens.width)][:MOST]
    slopes = slopes_to(solve.track, index, positions[first])
    return replace(
        frame,
        positions=positions[first],
        slopes=slopes,
        tracked=straighten(lens, pixel[first], slopes),
        pixel=pixel[first],
        error=np.hypot(*(bend(lens, slopes) - pixel[first]).T),
    )


def slopes_to(track: CameraTrack, index: int, positions: Array) -> Array:
    """(m, 2) slopes of the rays from the camera in a frame of the track to points ahead of it."""
    camera = with_opencv_axes(track.matrices[index : index + 1])[0]
    local = (positions - camera[:3, 3]) @ camera[:3, :3]
    slopes: Array = local[..., :2] / local[..., 2:]
    return slopes


def _depths(track: CameraTrack, index: int, positions: Array) -> Array:
    """(...,) how far points (..., 3) lie ahead of the camera in a frame of the track."""
    camera = track.matrices[index]
    depths: Array = (camera[:3, 3] - positions) @ camera[:3, 2]
    return depths


def _spread(pixel: Array, rank: Integers, width: int) -> Integers:
    """An order in which the cells of the picture take turns, each giving its strongest first."""
    across, down = np.floor(pixel * (_CELLS_ACROSS / width)).astype(np.int64).T
    order: Integers = np.lexsort((rank, turns(down * (_CELLS_ACROSS + 1) + across, -rank)))
    return order


def _depth(track: CameraTrack, seen: Mapping[int, Seen]) -> float:
    depths = [
        _depths(track, one.index, one.positions) for one in seen.values() if one.index is not None
    ]
    every = np.concatenate(depths) if depths else np.zeros(0)
    return float(np.median(every)) if len(every) else 1.0


# How it looks


def error_colors(error: Array) -> Array:
    """(n, 3) red, green and blue from 0 to 1, as a screen takes them, for errors (n,) in px."""
    middle = (GOOD_ERROR + BAD_ERROR) / 2
    places = (GOOD_ERROR, middle, BAD_ERROR)
    columns = zip(_GREEN, _YELLOW, _RED, strict=True)
    return np.stack([np.interp(error, places, column) for column in columns], axis=-1)


LEGEND: Mapping[str, float] = {
    f"under {GOOD_ERROR:g} px": GOOD_ERROR,
    f"{(GOOD_ERROR + BAD_ERROR) / 2:g} px": (GOOD_ERROR + BAD_ERROR) / 2,
    f"{BAD_ERROR:g} px and over": BAD_ERROR,
}
"""What a legend says, and the error whose color it says it of."""


def slip_ends(points: Array, tracked: Array, factor: float) -> Array:
    """(n, 2) where lines end that begin at the points (n, 2) and show their slip `factor` times."""
    ends: Array = points + factor * (tracked - points)
    return ends


def sentence(seen: Seen, solve: Solve) -> str:
    """What is said of a frame as a whole: the mean error over all its points, or its state."""
    if seen.state is FrameState.SOLVED:
        error = next(frame.error for frame in solve.frames if frame.frame == seen.frame)
        return f"mean error {error:.2f} px"
    if seen.state is FrameState.INTERPOLATED:
        return "not solved: interpolated"
    return "not solved"
