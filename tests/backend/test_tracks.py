# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracks: what a file keeps, what an artist's edits do, and what a damaged file says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.errors import FormatError
from backend.shot import Shot
from backend.tracks import MANUAL_SIGMA, UNUSED, TrackEdits, Tracks, pending_edits, tracks_digest


def three() -> Tracks:
    """Tracks 2, 5 and 9 with two, three and one marks."""
    return Tracks(
        ids=np.array([2, 5, 9]),
        manual=np.zeros(3, dtype=np.bool_),
        errors=np.array([0.1, 0.2, UNUSED]),
        track=np.array([0, 0, 1, 1, 1, 2]),
        frame=np.array([1001, 1002, 1001, 1002, 1003, 1002]),
        pixel=np.arange(12, dtype=np.float64).reshape(6, 2),
        sigma=np.full(6, 0.1, np.float32),
    )


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    tracks = three()
    tracks.save(tmp_path / "tracks.npz")
    again = Tracks.load(tmp_path / "tracks.npz")
    for name in ("ids", "manual", "errors", "track", "frame", "pixel", "sigma"):
        np.testing.assert_array_equal(getattr(again, name), getattr(tracks, name))
    assert again.lengths.tolist() == [2, 3, 1]


def test_edits_delete_correct_and_add_tracks() -> None:
    edits = TrackEdits((2,), {5: {1002: (1.5, 2.5)}, 7: {1001: (8.0, 9.0), 1003: (8.5, 9.5)}})
    edited = three().edited(edits)
    assert edited.ids.tolist() == [5, 7, 9]
    assert edited.manual.tolist() == [True, True, False]
    assert edited.track.tolist() == [0, 1, 1, 2]
    assert edited.frame.tolist() == [1002, 1001, 1003, 1002]
    assert edited.pixel.tolist() == [[1.5, 2.5], [8.0, 9.0], [8.5, 9.5], [10.0, 11.0]]
    assert edited.sigma[:3] == pytest.approx(MANUAL_SIGMA)
    assert edited.errors.tolist() == [UNUSED, UNUSED, UNUSED]


def test_a_track_left_without_marks_is_gone() -> None:
    assert three().edited(TrackEdits((), {5: {}})).ids.tolist() == [2, 9]


def test_edits_are_kept_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tracks" / "edits.json"
    assert not TrackEdits.load(path)
    edits = TrackEdits((3, 1), {12: {1001: (0.25, 7.0)}})
    edits.save(path)
    again = TrackEdits.load(path)
    assert again.deleted == (1, 3)
    assert again.marks == edits.marks


@pytest.mark.parametrize("text", ["", "{}", '{"deleted": 3, "marks": {}}'])
def test_damaged_edits_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "edits.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"edits\.json"):
        TrackEdits.load(path)


def test_a_damaged_file_of_tracks_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tracks.npz"
    with pytest.raises(FormatError, match=r"tracks\.npz"):
        Tracks.load(path)
    path.write_bytes(b"not a zip file")
    with pytest.raises(FormatError, match=r"tracks\.npz"):
        Tracks.load(path)
    np.savez(path, ids=np.array([{}], dtype=object))
    with pytest.raises(FormatError, match=r"tracks\.npz"):
        Tracks.load(path)
    bad = three()
    bad.track[0] = 7
    bad.save(path)
    with pytest.raises(FormatError, match="do not match"):
        Tracks.load(path)


def test_edits_of_other_tracks_are_over(tmp_path: Path) -> None:
    shot = Shot(tmp_path)
    shot.tracks.parent.mkdir()
    three().save(shot.tracks)
    edits = TrackEdits((2,), base=tracks_digest(shot.tracks))
    edits.save(shot.track_edits)
    assert pending_edits(shot).deleted == (2,)
    three().edited(edits).save(shot.tracks)
    assert not pending_edits(shot)
    TrackEdits((5,)).save(shot.track_edits)
    assert pending_edits(shot).deleted == (5,)
