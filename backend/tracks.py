# SPDX-License-Identifier: GPL-3.0-or-later
"""2-D point tracks of a plate: what the tracker finds, the artist edits and the solver adjusts.

t tracks, m marks (one position of one track in one frame). Pixels are of the plate; (0, 0) is the
corner of the first one, as in COLMAP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .camera import Array, Integers
from .errors import FormatError
from .shot import Shot, read_json, write_json

Floats = NDArray[np.float32]

UNUSED = -1.0
"""The error of a track that the solve has no point for."""


@dataclass(frozen=True, eq=False)
class Tracks:
    """All tracks of a plate, as flat arrays sorted by track, then frame.

    ids     (t,) int, ascending: a track's number for as long as it lives
    manual  (t,) bool: made or corrected by the artist
    errors  (t,) mean reprojection error in px, UNUSED where the solve has no point for the track
    track   (m,) index into the tracks
    frame   (m,) plate frame number
    pixel   (m, 2)
    sigma   (m,) float32, standard deviation expected of the position in px
    """

    ids: Integers
    manual: NDArray[np.bool_]
    errors: Array
    track: Integers
    frame: Integers
    pixel: Array
    sigma: Floats

    def __post_init__(self) -> None:
        counts = {len(self.track), len(self.frame), len(self.pixel), len(self.sigma)}
        if len(counts) != 1 or len({len(self.ids), len(self.manual), len(self.errors)}) != 1:
            raise ValueError("the arrays of the tracks differ in length")

    @property
    def lengths(self) -> Integers:
        """(t,) how many marks each track has."""
        return np.bincount(self.track, minlength=len(self.ids)).astype(np.int64)

    def only(self, keep: NDArray[np.bool_]) -> Tracks:
        """The tracks with `keep` (t,)."""
        marks = keep[self.track]
        index = np.cumsum(keep) - 1
        return Tracks(
            ids=self.ids[keep],
            manual=self.manual[keep],
            errors=self.errors[keep],
            track=index[self.track[marks]],
            frame=self.frame[marks],
            pixel=self.pixel[marks],
            sigma=self.sigma[marks],
        )

    def edited(self, edits: TrackEdits) -> Tracks:
        """The tracks as the artist left them."""
        deleted = np.isin(self.ids, list(edits.deleted))
        touched = np.isin(self.ids, list(edits.marks))
        kept = self.only(~deleted & ~touched)
        return _joined(kept, _of_marks(edits.marks))

    def save(self, path: Path) -> None:
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> Tracks:
        """Raises FormatError when the file is missing or does not hold tracks."""
        try:
            with np.load(path, allow_pickle=False) as data:
                tracks = cls(**{name: data[name].astype(kind) for name, kind in _ARRAYS.items()})
        except (OSError, KeyError, ValueError, BadZipFile) as error:
            raise FormatError(f"{path} does not hold tracks: {error!r}.") from error
        return tracks._checked(path)

    def _checked(self, path: Path) -> Tracks:
        known = (self.track >= 0) & (self.track < len(self.ids))
        if self.pixel.shape != (len(self.track), 2) or not known.all():
            raise FormatError(f"{path} does not hold tracks: its arrays do not match.")
        if not np.isfinite(self.pixel).all():
            raise FormatError(f"{path} does not hold tracks: some positions are not numbers.")
        return self


_ARRAYS: Mapping[str, Any] = {
    "ids": np.int64,
    "manual": np.bool_,
    "errors": np.float64,
    "track": np.int64,
    "frame": np.int64,
    "pixel": np.float64,
    "sigma": np.float32,
}

MANUAL_SIGMA = 0.25
"""Px; what a position placed by hand is taken to be good for."""

Marks = Mapping[int, tuple[float, float]]
"""Plate frame number -> pixel."""


@dataclass(frozen=True)
class TrackEdits:
    """What the artist changed: tracks deleted, and tracks whose marks are now these.

    `marks` has a track's whole new set of marks by its id; an id that the tracks do not have is a
    new track. `base` is the digest of the file of tracks that was edited, "" for any: ids mean
    nothing in the tracks of another solve.
    """

    deleted: tuple[int, ...] = ()
    marks: Mapping[int, Marks] = field(default_factory=dict)
    base: str = ""

    def __bool__(self) -> bool:
        return bool(self.deleted or self.marks)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        marks = {
            str(id_): {str(frame): list(pixel) for frame, pixel in sorted(track.items())}
            for id_, track in sorted(self.marks.items())
        }
        write_json(
            path,
            {"schema": 1, "base": self.base, "deleted": sorted(self.deleted), "marks": marks},
        )

    @classmethod
    def load(cls, path: Path) -> TrackEdits:
        """Nothing changed when there is no file. Raises FormatError for a damaged one."""
        if not path.is_file():
            return cls()
        data = read_json(path)
        try:
            return cls(
                deleted=tuple(int(id_) for id_ in data["deleted"]),
                marks={
                    int(id_): {int(frame): (float(x), float(y)) for frame, (x, y) in marks.items()}
                    for id_, marks in data["marks"].items()
                },
                base=str(data.get("base", "")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"{path} is damaged: {error!r}.") from error


def point_ids(track_ids: Integers) -> NDArray[np.uint64]:
    """The sparse model's ids of the points of tracks: COLMAP's are counted from 1."""
    return track_ids.astype(np.uint64) + np.uint64(1)


def tracks_digest(path: Path) -> str:
    """Tells one file of tracks from every other; "" when it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def pending_edits(shot: Shot) -> TrackEdits:
    """What the artist changed of the shot's tracks since they were written.

    Edits of other tracks, such as those of the solve before, are over. Raises FormatError.
    """
    edits = TrackEdits.load(shot.track_edits)
    return edits if edits.base in ("", tracks_digest(shot.tracks)) else TrackEdits()


def _of_marks(marks: Mapping[int, Marks]) -> Tracks:
    """Tracks made by hand."""
    ids = sorted(id_ for id_, track in marks.items() if track)
    rows = [
        (index, frame, *pixel)
        for index, id_ in enumerate(ids)
        for frame, pixel in sorted(marks[id_].items())
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Tracks(
        ids=np.array(ids, dtype=np.int64),
        manual=np.ones(len(ids), dtype=np.bool_),
        errors=np.full(len(ids), UNUSED),
        track=table[:, 0].astype(np.int64),
        frame=table[:, 1].astype(np.int64),
        pixel=table[:, 2:],
        sigma=np.full(len(table), MANUAL_SIGMA, dtype=np.float32),
    )


def _joined(first: Tracks, second: Tracks) -> Tracks:
    """Both sets of tracks, which share no id, in one, sorted."""
    ids = np.concatenate([first.ids, second.ids])
    order = np.argsort(ids)
    place = np.empty(len(ids), dtype=np.int64)
    place[order] = np.arange(len(ids))
    track = place[np.concatenate([first.track, second.track + len(first.ids)])]
    frame = np.concatenate([first.frame, second.frame])
    marks = np.lexsort((frame, track))
    joined = Tracks(
        ids=ids,
        manual=np.concatenate([first.manual, second.manual]),
        errors=np.concatenate([first.errors, second.errors]),
        track=track,
        frame=frame,
        pixel=np.concatenate([first.pixel, second.pixel]),
        sigma=np.concatenate([first.sigma, second.sigma]),
    )
    return replace(
        joined,
        ids=joined.ids[order],
        manual=joined.manual[order],
        errors=joined.errors[order],
        track=track[marks],
        frame=frame[marks],
        pixel=joined.pixel[marks],
        sigma=joined.sigma[marks],
    )
