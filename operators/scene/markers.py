# SPDX-License-Identifier: GPL-3.0-or-later
"""The solve's 2-D tracks as markers of the plate's movie clip, and what the artist made of them.

Blender counts a clip's frames from 1 for its first file, wherever the clip starts in the scene. It
counts positions in widths and heights from the lower left corner of the picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from ...backend.camera import Array, Integers
from ...backend.errors import BlenderError
from ...backend.shot import Plate
from ...backend.spread import turns
from ...backend.tracks import UNUSED, Marks, TrackEdits, Tracks

MOST_TRACKS = 500
"""Tracks that are shown unless the artist wants more."""
MOVED = 0.01
"""Px from which on a mark counts as moved: far over what 32-bit markers lose."""
KNOWN = "shot_gopher_tracks"
"""Custom property of the clip: which of its tracks are which of the solve's, as JSON."""

_WORST_SHARE = 0.2
_CELLS = 8
_EPOCHS = 4

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Known:
    """Names of the clip's tracks with the ids they have in the solve.

    `found` were put there from the solve, `own` are the artist's, known since a refinement.
    """

    found: Mapping[str, int]
    own: Mapping[str, int]

    @classmethod
    def of(cls, clip: bpy.types.MovieClip) -> Known | None:
        """None when no tracks were ever shown in the clip."""
        text = clip.get(KNOWN)
        return cls(**json.loads(text)) if isinstance(text, str) else None

    @property
    def all(self) -> dict[str, int]:
        return {**self.found, **self.own}

    def save(self, clip: bpy.types.MovieClip) -> None:
        clip[KNOWN] = json.dumps({"found": dict(self.found), "own": dict(self.own)})


def track_name(id_: int) -> str:
    return f"T{id_:06d}"


# Which tracks to show


def chosen(tracks: Tracks, plate: Plate, most: int) -> Bools:
    """(t,) the tracks worth looking at: the artist's own, the worst, and the longest all over.

    Long ones are taken in turns from the cells of the picture and from the parts of the shot.
    Tracks that the solve has no point for are left out, and those without marks.
    """
    marked = tracks.lengths > 0
    wanted = tracks.manual & marked
    used = (tracks.errors != UNUSED) & marked & ~wanted
    room = max(0, most - int(wanted.sum()))
    by_error = np.argsort(np.where(used, -tracks.errors, np.inf), kind="stable")
    wanted[by_error[: min(int(room * _WORST_SHARE), int(used.sum()))]] = True
    rest = np.flatnonzero(used & ~wanted)
    turn = turns(_cells(tracks, plate)[rest], tracks.lengths[rest])
    wanted[rest[np.argsort(turn, kind="stable")][: max(0, most - int(wanted.sum()))]] = True
    return wanted


def _cells(tracks: Tracks, plate: Plate) -> Integers:
    """(t,) a number for the place in picture and time that a track has its middle in."""
    counts = np.maximum(tracks.lengths, 1)
    shares = [
        np.bincount(tracks.track, values, len(tracks.ids)) / counts
        for values in (
            tracks.pixel[:, 0] / plate.width,
            tracks.pixel[:, 1] / plate.height,
            _times(tracks),
        )
    ]
    parts = zip(shares, (_CELLS, _CELLS, _EPOCHS), strict=True)
    x, y, time = (np.clip((share * cut).astype(np.int64), 0, cut - 1) for share, cut in parts)
    return (time * _CELLS + y) * _CELLS + x


def _times(tracks: Tracks) -> Array:
    """(m,) from 0 at the first frame to under 1 at the last."""
    first = tracks.frame.min(initial=0)
    span = tracks.frame.max(initial=0) - first + 1
    times: Array = (tracks.frame - first) / span
    return times


# Into the clip


def show_tracks(clip: bpy.types.MovieClip, tracks: Tracks, plate: Plate, most: int) -> int:
    """Puts the solve's tracks into the clip in place of those put there before.

    The artist's own tracks stay. Returns how many are shown.
    """
    before = Known.of(clip)
    if before is not None:
        _remove(clip, before.found)
    shown = tracks.only(chosen(tracks, plate, most))
    own = _own_of(before, clip, tracks)
    known = {id_: name for name, id_ in own.items()}
    found = {}
    bounds = np.searchsorted(shown.track, np.arange(len(shown.ids) + 1))
    for index, id_ in enumerate(shown.ids.tolist()):
        if id_ not in known:
            marks = slice(bounds[index], bounds[index + 1])
            track = _new_track(clip, id_, shown.frame[marks], shown.pixel[marks], plate)
            found[track.name] = id_
    Known(found, own).save(clip)
    color_by_error(clip, tracks)
    _hide_muted(clip)
    return len(found) + len(own)


def _own_of(before: Known | None, clip: bpy.types.MovieClip, tracks: Tracks) -> dict[str, int]:
    """The artist's tracks that these tracks have, too."""
    if before is None:
        return {}
    manual = set(tracks.ids[tracks.manual].tolist())
    return {
        name: id_
        for name, id_ in before.own.items()
        if id_ in manual and clip.tracking.tracks.get(name) is not None
    }


def _new_track(
    clip: bpy.types.MovieClip, id_: int, frames: Integers, pixels: Array, plate: Plate
) -> bpy.types.MovieTrackingTrack:
    numbers, places, muted = _with_ends(frames, pixels, plate)
    track = clip.tracking.tracks.new(name=track_name(id_), frame=int(numbers[0]))
    insert = track.markers.insert_frame
    for number in numbers.tolist():
        insert(number)
    co = np.stack([places[:, 0] / plate.width, 1 - places[:, 1] / plate.height], axis=1)
    track.markers.foreach_set("co", co.astype(np.float32).ravel())
    track.markers.foreach_set("mute", muted)
    track.markers.foreach_set("is_keyed", np.zeros(len(numbers), dtype=np.bool_))
    return track


def _with_ends(frames: Integers, pixels: Array, plate: Plate) -> tuple[Integers, Array, Bools]:
    """Clip frames, pixels and mutes of a track's markers.

    Blender shows a track at its last marker for ever, so one that is muted follows each stretch of
    marks, and one precedes the first.
    """
    numbers = frames - plate.first_frame + 1
    ends = np.append(np.diff(numbers) > 1, frames[-1] < plate.last_frame)
    after = np.flatnonzero(ends)
    before = np.array([0] if numbers[0] > 1 else [], dtype=np.int64)
    all_numbers = np.concatenate([numbers[before] - 1, numbers, numbers[after] + 1])
    source = np.concatenate([before, np.arange(len(numbers)), after])
    muted = np.ones(len(source), dtype=np.bool_)
    muted[len(before) : len(before) + len(numbers)] = False
    order = np.argsort(all_numbers, kind="stable")
    return all_numbers[order], pixels[source[order]], muted[order]


def color_by_error(clip: bpy.types.MovieClip, tracks: Tracks) -> None:
    """Colors the known tracks: green as good as the middle one, yellow worse, pink four times.

    Blender's own average error of a track cannot be set, and its red is for muted markers.
    """
    known = Known.of(clip)
    if known is None:
        return
    errors = dict(zip(tracks.ids.tolist(), tracks.errors.tolist(), strict=True))
    used = tracks.errors[tracks.errors != UNUSED]
    middle = float(np.median(used)) if len(used) else 1.0
    for name, id_ in known.all.items():
        track = clip.tracking.tracks.get(name)
        if track is not None:
            error = errors.get(id_, UNUSED)
            track.use_custom_color = True
            track.color = _GRAY if error == UNUSED else _color(error / max(middle, 1e-6))


def _hide_muted(clip: bpy.types.MovieClip) -> None:
    """Leaves the tracks that are not seen at a frame out of the clip's editors."""
    for screen in bpy.data.screens:
        for space in (space for area in screen.areas for space in area.spaces):
            if space.type == "CLIP_EDITOR" and space.clip in (clip, None):
                space.show_disabled = False


_GRAY = (0.4, 0.4, 0.4)


def _color(ratio: float) -> tuple[float, float, float]:
    badness = min(max((ratio - 1) / 3, 0.0), 1.0)
    return min(1.0, 2 * badness), min(1.0, 2 - 2 * badness), max(0.0, 2 * badness - 1)


def _remove(clip: bpy.types.MovieClip, names: Iterable[str]) -> None:
    """Deletes tracks, which only an operator of the clip editor can."""
    gone = set(names)
    with _clip_editor(clip):
        for track in clip.tracking.tracks:
            track.select = track.name in gone
            if track.select:
                track.hide = False
        if any(track.select for track in clip.tracking.tracks):
            bpy.ops.clip.delete_track()


@contextmanager
def _clip_editor(clip: bpy.types.MovieClip) -> Iterator[None]:
    """A context in which operators work on the clip's tracks; any area lends itself to that."""
    window, area = _area()
    kind = area.type
    area.type = "CLIP_EDITOR"
    space, tracking = area.spaces.active, clip.tracking
    before, mode, index = space.clip, space.mode, tracking.active_object_index
    space.clip, space.mode = clip, "TRACKING"
    # Operators work on the tracks of the active object; the solve's are the camera's.
    cameras = [place for place, each in enumerate(tracking.objects) if each.is_camera]
    tracking.active_object_index = cameras[0]
    region = next(region for region in area.regions if region.type == "WINDOW")
    try:
        with bpy.context.temp_override(window=window, area=area, region=region):
            yield
    finally:
        tracking.active_object_index = index
        space.mode, space.clip = mode, before
        area.type = kind


def _area() -> tuple[bpy.types.Window, bpy.types.Area]:
    """A clip editor where there is one, else the largest area."""
    places = [
        (window, area)
        for window in bpy.context.window_manager.windows
        for area in window.screen.areas
    ]
    if not places:
        raise BlenderError("The tracks cannot be shown: this Blender has no window.")
    return max(
        places, key=lambda place: (place[1].type == "CLIP_EDITOR", place[1].width * place[1].height)
    )


# What the artist made of them


def edits_of(
    clip: bpy.types.MovieClip, tracks: Tracks, plate: Plate
) -> tuple[TrackEdits, dict[str, int]]:
    """What differs in the clip from the tracks, and the ids of tracks that are new, by name.

    Tracks that were never shown in the clip are not missing from it.
    """
    known = Known.of(clip) or Known({}, {})
    now = dict(_read(clip, plate))
    index = {id_: place for place, id_ in enumerate(tracks.ids.tolist())}
    marks: dict[int, Marks] = {}
    deleted = []
    for name, id_ in known.all.items():
        if id_ not in index:
            if now.get(name):
                marks[id_] = now[name]
        elif not now.get(name):
            deleted.append(id_)
        elif _differs(now[name], tracks, index[id_]):
            marks[id_] = now[name]
    free = 1 + max([*tracks.ids.tolist(), *known.all.values()], default=0)
    strangers = [name for name, its in now.items() if name not in known.all and len(its) > 1]
    new = {name: free + place for place, name in enumerate(strangers)}
    marks |= {id_: now[name] for name, id_ in new.items()}
    return TrackEdits(tuple(deleted), marks), new


def remember(clip: bpy.types.MovieClip, new: Mapping[str, int]) -> None:
    """Notes the ids that the artist's new tracks were given."""
    known = Known.of(clip) or Known({}, {})
    Known(known.found, {**known.own, **new}).save(clip)


def belong_together(clip: bpy.types.MovieClip, tracks: Tracks, plate: Plate) -> bool:
    """Whether the clip's markers are of these tracks, edits aside, not of another solve's."""
    known = Known.of(clip)
    if known is None:
        return False
    now = dict(_read(clip, plate))
    index = {id_: place for place, id_ in enumerate(tracks.ids.tolist())}
    there = [(name, index[id_]) for name, id_ in known.found.items() if now.get(name)
             and id_ in index]  # fmt: skip
    same = sum(_shares_a_mark(now[name], tracks, place) for name, place in there)
    return 2 * same > len(there) if there else not known.found


def _read(clip: bpy.types.MovieClip, plate: Plate) -> Iterator[tuple[str, Marks]]:
    """The marks of each of the clip's tracks by plate frame; muted ones are none."""
    for track in clip.tracking.tracks:
        count = len(track.markers)
        co, numbers = np.empty(2 * count, dtype=np.float32), np.empty(count, dtype=np.int32)
        muted = np.empty(count, dtype=np.bool_)
        track.markers.foreach_get("co", co)
        track.markers.foreach_get("frame", numbers)
        track.markers.foreach_get("mute", muted)
        places = co.astype(np.float64).reshape(-1, 2) + track.offset
        pixels = np.stack([places[:, 0] * plate.width, (1 - places[:, 1]) * plate.height], axis=1)
        frames = numbers.astype(np.int64) + plate.first_frame - 1
        inside = ~muted & np.isin(frames, plate.frames)
        yield track.name, _marks(frames[inside], pixels[inside])


def _marks(frames: Integers, pixels: Array) -> Marks:
    return {frame: (x, y) for frame, (x, y) in zip(frames.tolist(), pixels.tolist(), strict=True)}


def _marks_of(tracks: Tracks, place: int) -> tuple[list[int], Array]:
    first, last = np.searchsorted(tracks.track, [place, place + 1])
    return tracks.frame[first:last].tolist(), tracks.pixel[first:last]


def _differs(now: Marks, tracks: Tracks, place: int) -> bool:
    frames, pixels = _marks_of(tracks, place)
    if sorted(now) != frames:
        return True
    moved = np.array([now[frame] for frame in frames]) - pixels
    return bool(np.abs(moved).max() > MOVED)


def _shares_a_mark(now: Marks, tracks: Tracks, place: int) -> bool:
    frames, pixels = _marks_of(tracks, place)
    return any(
        frame in now and np.abs(np.array(now[frame]) - pixel).max() <= MOVED
        for frame, pixel in zip(frames, pixels, strict=True)
    )


def selected_ids(clip: bpy.types.MovieClip) -> list[int]:
    """The solve's ids of the selected tracks."""
    known = Known.of(clip)
    ids = known.all if known else {}
    return [ids[track.name] for track in clip.tracking.tracks if track.select and track.name in ids]
