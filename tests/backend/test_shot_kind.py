# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of shot is named for what it is, whoever walks through it."""

from __future__ import annotations

import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from backend.solve import Motion
from backend.tracks import Tracks
from backend.worker.engines.solving.shot_kind import Kind, classify
from tests.backend.synthetic_tracks import (
    HEIGHT,
    WIDTH,
    Cameras,
    panning,
    scattered,
    tracks_of,
    turns,
    unsteady,
    with_actor,
)
from tests.data_folder import shared_data

COUNT = 60
STILL = np.zeros((COUNT, 3))
SHARE = np.linspace(0, 1, COUNT)[:, None]
FOCAL = np.full(COUNT, 1000.0)
LOCKED = np.tile(np.eye(3), (COUNT, 1, 1))
SCENE = scattered(1200, 3, 15)
TURNS, LEVEL = np.zeros(COUNT), np.arange(COUNT) / 6


def plane(count=1200):
    """A floor seen from above."""
    rng = np.random.default_rng(3)
    return np.stack(
        [rng.uniform(-6, 6, count), np.full(count, 1.5), rng.uniform(1, 14, count)], axis=1
    )


def with_car(points):
    """The points (n, p, 3), every tenth of them on a car that drives by."""
    moving = np.tile(points, (COUNT, 1, 1))
    car = np.random.default_rng(6).uniform([-3, -1, 5], [0, 1, 7], (len(points) // 10, 3))
    moving[:, ::10] = car + SHARE[:, :, None] * [3.0, 0, 0.5]
    return moving


def off_the_axis(rotations, meters):
    """Where a lens is that stands before the axis it turns about."""
    return np.einsum("nji,j->ni", rotations, [0, 0, meters])


def rolled(pixels, readout=0.5):
    """What a rolling shutter makes of the pixels: lower rows are read out later."""
    return (
        pixels + np.gradient(pixels, axis=0) * ((pixels[..., 1:] - HEIGHT / 2) / HEIGHT) * readout
    )


def unsteady_pan():
    speed = 1 + 0.8 * np.sin(LEVEL)
    return turns(28 * (np.cumsum(speed) / speed.sum() - 0.5), 2 * np.sin(0.7 * LEVEL), TURNS)


pan = Cameras(panning(COUNT), STILL, FOCAL)
locked = Cameras(LOCKED, STILL, FOCAL)
dolly = Cameras(unsteady(COUNT), SHARE * [0, 0, 1.2], FOCAL)
sideways = Cameras(unsteady(COUNT), SHARE * [0.7, 0, 0], FOCAL)
walking = Cameras(
    turns(TURNS, -35 + np.sin(LEVEL), np.sin(0.8 * LEVEL)), SHARE * [0.4, 0, 1.0], FOCAL
)
zooming = FOCAL * (1 + 0.5 * SHARE[:, 0])
far = np.concatenate([SCENE[:600], scattered(600, 500, 1000, seed=9)])
late = np.clip(2 * SHARE - 1, 0, 1) * [0.7, 0, 0.3]

TRIPOD = {
    "a pan": pan.pixels(SCENE),
    "a small pan": replace(pan, rotations=panning(COUNT, 4.0)).pixels(SCENE),
    "a bent lens": replace(pan, k1=-0.12).pixels(SCENE),
    "an actor": with_actor(pan.pixels(SCENE), 0.15),
    "a crowd": with_actor(pan.pixels(SCENE), 0.22),
    "a car": pan.pixels(with_car(SCENE)),
    "off the axis, far scene": Cameras(
        pan.rotations, off_the_axis(pan.rotations, 0.08), FOCAL
    ).pixels(scattered(1200, 20, 100)),
    "a rolling shutter": rolled(Cameras(unsteady_pan(), STILL, FOCAL).pixels(SCENE)),
    "a handheld rolling shutter": rolled(Cameras(unsteady(COUNT, 1.5), STILL, FOCAL).pixels(SCENE)),
}
MOVING = {
    "a dolly": dolly.pixels(SCENE),
    "a dolly with a big actor": with_actor(dolly.pixels(SCENE), 0.4),
    "a slow move": replace(dolly, centers=SHARE * [0, 0, 0.15]).pixels(SCENE),
    "a slow slide": replace(sideways, centers=SHARE * [0.1, 0, 0]).pixels(SCENE),
    "a pan on the move": replace(pan, centers=SHARE * [0.5, 0, 0]).pixels(SCENE),
    "far scenery": sideways.pixels(far),
    "stands, then goes": replace(sideways, centers=late).pixels(SCENE),
    "pans, then goes": replace(pan, centers=late).pixels(SCENE),
    "dolly and zoom": replace(dolly, focal=zooming).pixels(SCENE),
    "a bent lens": replace(dolly, k1=-0.12).pixels(SCENE),
}


def named(pixels, life=50, **wish):
    return classify(tracks_of(pixels, life=life), range(1, COUNT + 1), WIDTH, HEIGHT, **wish)


class TestTripod:
    @pytest.mark.parametrize("name", TRIPOD)
    def test_a_turning_camera_is_named(self, name):
        verdict = named(TRIPOD[name])
        assert verdict.kind is Kind.TRIPOD, verdict
        assert verdict.motion is Motion.TRIPOD
        assert not verdict.refusal
        assert not verdict.zooms

    def test_the_reason_gives_the_share(self):
        assert named(TRIPOD["a pan"]).reason == (
            "Turning alone explains 100% of what moves in the picture: solved as a tripod shot."
        )

    @pytest.mark.parametrize("camera", [pan, locked])
    def test_a_zooming_one_is_named_so(self, camera):
        verdict = named(replace(camera, focal=zooming).pixels(SCENE))
        assert verdict.kind is Kind.TRIPOD
        assert verdict.zooms
        assert 0.1 < verdict.figures.zoom < 0.6

    def test_a_zoom_ruled_out_is_not_a_tripod_shot(self):
        verdict = named(replace(pan, focal=zooming).pixels(SCENE), zoom="fixed")
        assert verdict.kind is not Kind.TRIPOD

    def test_a_lens_off_the_axis_close_to_things_gets_a_warning(self):
        centers = off_the_axis(pan.rotations, 0.08)
        verdict = named(Cameras(pan.rotations, centers, FOCAL).pixels(SCENE))
        assert verdict.kind is Kind.TRIPOD
        assert "axis" in verdict.warning
        assert not named(TRIPOD["a pan"]).warning

    def test_the_focal_length_is_about_right(self):
        assert named(TRIPOD["a pan"]).figures.focal == pytest.approx(1000, rel=0.08)

    def test_a_free_solve_asked_for_is_warned_of(self):
        assert "100%" in named(TRIPOD["a pan"]).against("free")
        assert named(TRIPOD["a pan"]).against("tripod") == ""


class TestMoving:
    @pytest.mark.parametrize("name", MOVING)
    def test_a_traveling_camera_is_named(self, name):
        verdict = named(MOVING[name])
        assert verdict.kind is Kind.MOVING, verdict
        assert verdict.motion is Motion.MOVING
        assert not verdict.refusal

    def test_it_is_sure_of_parallax(self):
        verdict = named(MOVING["a dolly"])
        assert verdict.reason.startswith("Near and far move apart")
        assert not verdict.warning

    def test_a_tripod_solve_asked_for_is_warned_of(self):
        verdict = named(MOVING["a dolly"])
        assert "travel" in verdict.against("tripod")
        assert verdict.against("free") == ""

    def test_a_false_solve_of_a_pan_is_doubted(self):
        """A moving solve forced upon a pan, that found next to no travel."""
        assert "uncertain" in named(TRIPOD["a pan"]).doubt(0.05)
        assert named(MOVING["a dolly"]).doubt(0.05) == ""


class TestOtherKinds:
    @pytest.mark.parametrize("share", [0.0, 0.2, 0.4])
    def test_a_locked_off_shot_is_refused(self, share):
        verdict = named(with_actor(locked.pixels(SCENE), share))
        assert verdict.kind is Kind.STATIC
        assert "stands still" in verdict.refusal

    @pytest.mark.parametrize("focal", [None, 1000.0])
    def test_one_plane_is_named(self, focal):
        verdict = named(walking.pixels(plane()), focal=focal)
        assert verdict.kind is Kind.PLANAR
        assert verdict.motion is Motion.MOVING
        assert "Enter the focal length" in verdict.refusal
        assert "focal length" in verdict.warning

    def test_a_floor_with_things_on_it_is_no_plane(self):
        things = plane()
        things[::2, 1] = np.random.default_rng(4).uniform(0.7, 1.5, len(things[::2]))
        assert named(walking.pixels(things)).kind is Kind.MOVING

    def test_few_points_are_too_little(self):
        verdict = named(dolly.pixels(SCENE[:60]))
        assert verdict.kind is Kind.TOO_LITTLE_TEXTURE
        assert "Too little texture" in verdict.refusal

    def test_rough_points_are_worth_less(self):
        """The edges of a bare room: some points, none of them sharp."""
        pixels = dolly.pixels(SCENE[:200])
        good = tracks_of(pixels, life=50)
        rough = replace(good, sigma=good.sigma * 3)
        kinds = [
            classify(tracks, range(1, COUNT + 1), WIDTH, HEIGHT).kind for tracks in (good, rough)
        ]
        assert kinds == [Kind.MOVING, Kind.TOO_LITTLE_TEXTURE]

    def test_points_in_one_corner_are_too_little(self):
        pixels = locked.pixels(scattered(300, 3, 15, 3.0, 3.0)) + SHARE[:, :, None] * 40
        assert named(pixels).kind is Kind.TOO_LITTLE_TEXTURE

    def test_points_that_do_not_last_are_too_little(self):
        verdict = named(dolly.pixels(SCENE), life=4)
        assert verdict.kind is Kind.TOO_LITTLE_TEXTURE
        assert "few frames" in verdict.refusal

    def test_nothing_tracked_is_told(self):
        none = np.zeros(0, dtype=np.int64)
        tracks = Tracks(
            ids=none, manual=none.astype(bool), errors=np.zeros(0), track=none, frame=none,
            pixel=np.zeros((0, 2)), sigma=np.zeros(0, np.float32),
        )  # fmt: skip
        verdict = classify(tracks, range(1, COUNT + 1), WIDTH, HEIGHT)
        assert verdict.kind is Kind.TOO_LITTLE_TEXTURE


class TestClassify:
    def test_it_is_quick_and_does_not_grow_with_the_plate(self):
        """Under a second of one core, with room for a loaded machine."""
        count = 1000
        cameras = Cameras(panning(count, 120), np.zeros((count, 3)), np.full(count, 1000.0))
        tracks = tracks_of(cameras.pixels(scattered(2000, 3, 15, 120)), life=60)
        before = time.process_time()
        verdict = classify(tracks, range(1, count + 1), WIDTH, HEIGHT)
        assert time.process_time() - before < 3
        assert verdict.kind is Kind.TRIPOD

    def test_sizes_scale_with_the_plate(self):
        """The same shot at three times the size is the same kind."""
        for pixels, kind in ((MOVING["a slow move"], Kind.MOVING), (TRIPOD["a pan"], Kind.TRIPOD)):
            tracks = tracks_of(pixels, life=50)
            large = replace(tracks, pixel=tracks.pixel * 3, sigma=tracks.sigma * 3)
            verdict = classify(large, range(1, COUNT + 1), 3 * WIDTH, 3 * HEIGHT)
            assert verdict.kind is kind

    def test_frame_numbers_may_begin_anywhere(self):
        tracks = tracks_of(TRIPOD["a pan"], life=50, first=1001)
        verdict = classify(tracks, range(1001, 1001 + COUNT), WIDTH, HEIGHT)
        assert verdict.kind is Kind.TRIPOD

    def test_only_the_frames_asked_for_count(self):
        """A locked-off shot before and after the pan, in the same tracks."""
        before, after = locked.pixels(SCENE[::-1]), locked.pixels(SCENE)
        tracks = tracks_of(np.concatenate([before, TRIPOD["a pan"], after]), life=50)
        verdict = classify(tracks, range(COUNT + 1, 2 * COUNT + 1), WIDTH, HEIGHT)
        assert verdict.kind is Kind.TRIPOD
        assert verdict.figures.tracks == pytest.approx(
            named(TRIPOD["a pan"]).figures.tracks, rel=0.1
        )
        assert classify(tracks, range(1, COUNT + 1), WIDTH, HEIGHT).kind is Kind.STATIC

    def test_squeezed_pixels_are_taken_into_account(self):
        squeezed = replace(pan, focal=FOCAL / 2, aspect=2.0).pixels(SCENE)
        verdict = named(squeezed, aspect=2.0)
        assert verdict.kind is Kind.TRIPOD
        assert verdict.figures.fine_share > 0.9

    def test_the_figures_can_be_stored(self):
        stored = named(TRIPOD["a pan"]).to_json()
        assert stored["kind"] == "tripod"
        assert stored["figures"]["turn_share"] == 1.0


def followed(path, count):
    """Plain Lucas-Kanade tracks of a clip's first frames, shrunk to at most 640 px."""
    film = cv2.VideoCapture(str(path))
    before, marks, live, ids, fresh = None, [], np.zeros((0, 1, 2), np.float32), [], 0
    for index in range(count):
        _good, image = film.read()
        shrink = 640 / max(image.shape[:2])
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if shrink < 1:
            gray = cv2.resize(gray, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        if before is not None and len(live):
            moved, found, _e = cv2.calcOpticalFlowPyrLK(before, gray, live, None, maxLevel=4)
            back, again, _e = cv2.calcOpticalFlowPyrLK(gray, before, moved, None, maxLevel=4)
            good = (found & again)[:, 0] > 0
            good &= np.linalg.norm(back - live, axis=2)[:, 0] < 0.3
            live, ids = moved[good], [id_ for id_, keep in zip(ids, good, strict=True) if keep]
        if index % 4 == 0:
            free = np.full(gray.shape, 255, np.uint8)
            for x, y in live[:, 0]:
                cv2.circle(free, (int(x), int(y)), 12, 0, -1)
            new = cv2.goodFeaturesToTrack(gray, 700 - min(len(live), 680), 0.005, 12, mask=free)
            if new is not None:
                live = np.concatenate([live, new])
                ids += range(fresh, fresh + len(new))
                fresh += len(new)
        frame = index + 1
        marks += [(id_, frame, *at) for id_, at in zip(ids, (live[:, 0] + 0.5), strict=True)]
        before = gray
    table = np.array(sorted(marks))
    table = table[np.bincount(table[:, 0].astype(int))[table[:, 0].astype(int)] >= 4]
    names, track = np.unique(table[:, 0].astype(int), return_inverse=True)
    tracks = Tracks(
        ids=names, manual=np.zeros(len(names), bool), errors=np.full(len(names), -1.0),
        track=track, frame=table[:, 1].astype(int), pixel=table[:, 2:],
        sigma=np.full(len(table), 0.05, np.float32),
    )  # fmt: skip
    return tracks, gray.shape[1], gray.shape[0]


@pytest.mark.parametrize(
    ("clip", "kind"),
    [
        ("nodal/trees_rotation.mp4", Kind.TRIPOD),
        ("nodal/rollercoaster_pan.mp4", Kind.TRIPOD),
        ("nodal/planar_grass.mp4", Kind.PLANAR),
        ("static/dog_park.mp4", Kind.STATIC),
        ("plates/gopro_walk.mp4", Kind.MOVING),
    ],
)
def test_real_clips_are_named(clip, kind):
    tracks, width, height = followed(shared_data(clip), 40)
    verdict = classify(tracks, range(1, 41), width, height)
    assert verdict.kind is kind, verdict


def test_a_clip_near_the_line_is_named_moving_or_doubted():
    """A hand that hardly moves before a bed on which children jump."""
    tracks, width, height = followed(shared_data("plates/bedroom.mp4"), 40)
    verdict = classify(tracks, range(1, 41), width, height)
    assert verdict.kind is Kind.MOVING or verdict.warning
