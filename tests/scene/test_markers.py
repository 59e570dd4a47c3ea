# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracks as markers of the movie clip: where they land, and what of the artist's edits is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from shot_gopher.backend.jobs import Request
from shot_gopher.backend.shot import Shot
from shot_gopher.backend.tracks import TrackEdits, Tracks, tracks_digest
from shot_gopher.operators.scene import markers
from shot_gopher.operators.scene.shot import import_shot

from .tracked import COUNT, FIRST, LENS, tracked_shot, tracks_of, true_pixels

SIZE = np.array([LENS.width, LENS.height])


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return tracked_shot(tmp_path / "shot")


@pytest.fixture
def clip(shot: Shot) -> bpy.types.MovieClip:
    return import_shot(bpy.context, shot).clip


def edits(clip: bpy.types.MovieClip, shot: Shot) -> TrackEdits:
    return markers.edits_of(clip, Tracks.load(shot.tracks), shot.load_plate())[0]


def delete(clip: bpy.types.MovieClip, *names: str) -> None:
    """What the artist's X key does."""
    with markers._clip_editor(clip):
        for track in clip.tracking.tracks:
            track.select = track.name in names
        bpy.ops.clip.delete_track()


def test_an_import_shows_the_tracks_of_the_solve(clip: bpy.types.MovieClip) -> None:
    names = [track.name for track in clip.tracking.tracks]
    assert sorted(names) == [f"T{number:06d}" for number in range(1, 60)]


def test_blenders_camera_sees_each_point_at_its_marker(shot: Shot) -> None:
    result = import_shot(bpy.context, shot)
    scene, worst = bpy.context.scene, 0.0
    for frame in (FIRST, FIRST + 5, FIRST + COUNT - 1):
        scene.frame_set(frame)
        for track in result.clip.tracking.tracks:
            marker = track.markers.find_frame(frame - FIRST + 1)
            if marker is None or marker.mute:
                continue
            place = result.points.data.vertices[int(track.name[1:]) - 1].co
            seen = world_to_camera_view(scene, result.camera, Vector(place))
            worst = max(worst, np.abs((np.array(seen)[:2] - marker.co) * SIZE).max())
    assert 0 < worst < 0.001


def test_blenders_own_solver_agrees(clip: bpy.types.MovieClip) -> None:
    """With the lens known, exact marks leave no error; 0.1 px beside would leave 0.0004 px."""
    settings = clip.tracking.settings
    settings.use_keyframe_selection = False
    active = clip.tracking.objects.active
    active.keyframe_a, active.keyframe_b = 1, COUNT
    for name in ("focal_length", "principal_point", "radial_distortion"):
        if hasattr(settings, f"refine_intrinsics_{name}"):
            setattr(settings, f"refine_intrinsics_{name}", False)
    with markers._clip_editor(clip):
        bpy.ops.clip.solve_camera()
    assert clip.tracking.reconstruction.is_valid
    assert clip.tracking.reconstruction.average_error < 1e-4


def test_markers_are_exact_to_the_last_bit_that_blender_has(
    clip: bpy.types.MovieClip, shot: Shot
) -> None:
    pixels = true_pixels(60)
    for track in clip.tracking.tracks:
        for marker in track.markers:
            true = pixels[int(track.name[1:]) - 1, marker.frame - 1]
            if not marker.mute:
                found = [marker.co[0] * SIZE[0], (1 - marker.co[1]) * SIZE[1]]
                assert np.abs(found - true).max() < 1e-4
    assert not edits(clip, shot)


def test_a_track_is_off_where_it_has_no_mark(tmp_path: Path) -> None:
    shot = tracked_shot(tmp_path / "shot")
    frames = np.array([2, 3, 4, 8, 9])
    tracks_of(
        np.array([7]), np.array([0.3]), np.zeros(5, np.int64), frames, np.full((5, 2), 90.0)
    ).save(shot.tracks)
    (track,) = import_shot(bpy.context, shot).clip.tracking.tracks
    told = {marker.frame: marker.mute for marker in track.markers}
    on = dict.fromkeys((3, 4, 5, 9, 10), False)
    assert told == on | {2: True, 6: True, 11: True}


def many(count: int) -> Tracks:
    """Short tracks crowd the left upper corner; a few long ones lie elsewhere; errors rise."""
    rng = np.random.default_rng(3)
    places = np.where(
        np.arange(count)[:, None] % 10, rng.uniform(0, 60, (count, 2)), rng.uniform(70, 350, 2)
    )
    places[::10] = rng.uniform([70, 50], [640, 360], (len(places[::10]), 2))
    lengths = np.where(np.arange(count) % 10, 3, COUNT)
    track = np.repeat(np.arange(count), lengths)
    frame = np.concatenate([np.arange(length) for length in lengths])
    return tracks_of(np.arange(count), np.linspace(0, 2, count), track, frame, places[track])


def test_the_worst_and_those_from_all_over_are_chosen(tmp_path: Path) -> None:
    plate = tracked_shot(tmp_path / "shot", images=False).load_plate()
    tracks = many(1000)
    tracks.manual[3] = True
    tracks.errors[999] = markers.UNUSED
    tracks.track[tracks.track == 998] = 997
    chosen = markers.chosen(tracks, plate, 200)
    assert chosen.sum() == 200
    assert chosen[3], "the artist's own"
    assert not chosen[999], "without a point"
    assert not chosen[998], "without a mark"
    assert chosen[960:998].all(), "the worst"
    assert chosen[::10].sum() > 90, "long ones away from the crowd"
    assert markers.chosen(tracks, plate, 5000).sum() == 998


def test_tracks_that_are_not_shown_are_not_deleted(tmp_path: Path) -> None:
    shot = tracked_shot(tmp_path / "shot")
    clip = import_shot(bpy.context, shot, most_tracks=10).clip
    assert len(clip.tracking.tracks) == 10
    assert not edits(clip, shot)
    name = clip.tracking.tracks[4].name
    delete(clip, name)
    assert edits(clip, shot).deleted == (int(name[1:]),)


def test_a_moved_marker_is_told_and_a_touched_one_is_not(
    clip: bpy.types.MovieClip, shot: Shot
) -> None:
    track = clip.tracking.tracks["T000005"]
    before = track.markers[2].co.copy()
    track.markers[2].co = before + Vector((0.009 / 640, 0))
    assert not edits(clip, shot)
    track.markers[2].co = before + Vector((0.5 / 640, 0.25 / 360))
    told = edits(clip, shot)
    assert (told.deleted, list(told.marks)) == ((), [5])
    pixels = true_pixels(60)[4]
    assert told.marks[5][FIRST + 2] == pytest.approx(tuple(pixels[2] + [0.5, -0.25]), abs=1e-3)
    assert told.marks[5][FIRST + 3] == pytest.approx(tuple(pixels[3]), abs=1e-3)


def test_muted_marks_are_gone_and_a_track_without_any_is_deleted(
    clip: bpy.types.MovieClip, shot: Shot
) -> None:
    clip.tracking.tracks["T000005"].markers[0].mute = True
    for marker in clip.tracking.tracks["T000006"].markers:
        marker.mute = True
    clip.tracking.tracks["T000007"].hide = True
    told = edits(clip, shot)
    assert told.deleted == (6,)
    assert sorted(told.marks[5]) == list(range(FIRST + 1, FIRST + COUNT))
    assert list(told.marks) == [5]


def own_track(clip: bpy.types.MovieClip, name: str = "corner") -> bpy.types.MovieTrackingTrack:
    track = clip.tracking.tracks.new(name=name, frame=1)
    for number in range(2, 8):
        track.markers.insert_frame(number, co=(0.25, 0.75))
    track.markers[0].co = (0.25, 0.5)
    return track


def test_own_tracks_get_new_ids_that_they_keep(clip: bpy.types.MovieClip, shot: Shot) -> None:
    own_track(clip)
    tracks, plate = Tracks.load(shot.tracks), shot.load_plate()
    told, new = markers.edits_of(clip, tracks, plate)
    assert new == {"corner": 61}
    assert told.marks[61][FIRST] == pytest.approx((160, 180))
    assert told.marks[61][FIRST + 6] == pytest.approx((160, 90))
    assert len(told.marks[61]) == 7
    markers.remember(clip, new)
    own_track(clip, "other")
    told, new = markers.edits_of(clip, tracks, plate)
    assert (sorted(told.marks), new) == ([61, 62], {"other": 62})
    tracks.edited(told).save(shot.tracks)
    markers.remember(clip, new)
    assert not edits(clip, shot)


def test_importing_the_refined_solve_keeps_the_markers(
    clip: bpy.types.MovieClip, shot: Shot
) -> None:
    delete(clip, "T000002")
    own_track(clip)
    tracks, plate = Tracks.load(shot.tracks), shot.load_plate()
    told, new = markers.edits_of(clip, tracks, plate)
    markers.remember(clip, new)
    refined = tracks.edited(told)
    refined.errors[:] = 0.1
    refined.errors[0] = 9.0
    refined.save(shot.tracks)
    clip.tracking.tracks["T000009"].markers[1].co[0] += 0.01
    assert import_shot(bpy.context, shot).clip == clip
    names = {track.name for track in clip.tracking.tracks}
    assert "corner" in names
    assert "T000002" not in names
    assert tuple(clip.tracking.tracks["T000001"].color) == (1, 0, 1)
    assert tuple(clip.tracking.tracks["T000003"].color) == (0, 1, 0)
    assert list(edits(clip, shot).marks) == [9], "an edit made while the refinement ran is lost"


def test_another_solve_brings_its_own_markers_and_own_tracks_stay(
    clip: bpy.types.MovieClip, tmp_path: Path
) -> None:
    own_track(clip)
    (tmp_path / "new").mkdir()
    new = tracked_shot(tmp_path / "new" / "shot", points=40, first_id=3, shift=4.0)
    old = tmp_path / "shot"
    (new.path / "colmap" / "tracks.npz").replace(old / "colmap" / "tracks.npz")
    shot = Shot(old)
    assert not markers.belong_together(clip, Tracks.load(shot.tracks), shot.load_plate())
    import_shot(bpy.context, shot)
    names = {track.name for track in clip.tracking.tracks}
    assert names == {f"T{number:06d}" for number in range(3, 42)} | {"corner"}
    told = edits(clip, shot)
    assert (told.deleted, list(told.marks)) == ((), [43])


def test_tracks_of_an_object_are_left_alone(clip: bpy.types.MovieClip, shot: Shot) -> None:
    """The artist also tracks a prop, and works on that one when the tracks are shown again."""
    prop = clip.tracking.objects.new("prop")
    prop.tracks.new(name="T000001", frame=1).select = True
    assert clip.tracking.objects.active == prop
    markers.show_tracks(clip, Tracks.load(shot.tracks), shot.load_plate(), 10)
    assert len(clip.tracking.tracks) == 10
    assert [track.name for track in prop.tracks] == ["T000001"]
    assert clip.tracking.objects.active == prop


def refine() -> str:
    """Presses Refine; the job cannot run here, for want of an environment."""
    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(RuntimeError) as told:
        bpy.ops.shot_gopher.refine()
    return str(told.value)


def test_refine_writes_the_edits_and_starts_its_job(
    settings: Any, shot: Shot, tmp_path: Path
) -> None:
    settings.shot = str(shot.path)
    (shot.path / "source" / "stage.json").write_text(json.dumps({"fingerprint": "x"}))
    bpy.ops.shot_gopher.camera_import()
    clip = bpy.data.movieclips[0]
    delete(clip, "T000004")
    own_track(clip)
    assert "online access is off" in refine()
    told = TrackEdits.load(shot.track_edits)
    assert (told.deleted, list(told.marks)) == ((4,), [61])
    assert told.base == tracks_digest(shot.tracks)
    (job,) = (tmp_path / "home" / "jobs").iterdir()
    request = Request.load(job / "request.json")
    assert [(stage.name, stage.options["refine"]) for stage in request.stages] == [("colmap", True)]


def test_refine_says_that_markers_are_of_an_earlier_solve(settings: Any, shot: Shot) -> None:
    settings.shot = str(shot.path)
    bpy.ops.shot_gopher.camera_import()
    tracks = Tracks.load(shot.tracks)
    replace(tracks, pixel=tracks.pixel + 3).save(shot.tracks)
    assert "of an earlier solve" in refine()
    assert not shot.track_edits.exists()
    bpy.ops.shot_gopher.tracks_show()
    assert "online access is off" in refine()


def test_refine_without_tracks_says_so(settings: Any, shot: Shot) -> None:
    settings.shot = str(shot.path)
    shot.tracks.unlink()
    assert "has no tracks" in refine()
