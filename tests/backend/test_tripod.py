# SPDX-License-Identifier: GPL-3.0-or-later
"""The tripod solve against cameras that are known exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.camera import rotations_from_quaternions
from backend.errors import Canceled, SolveError
from backend.solve import Grade, Motion
from backend.tracks import UNUSED
from backend.worker.engines.solving import tripod_adjustment as adjustment
from backend.worker.engines.solving.tripod import TripodLens, solve_tripod
from backend.worker.engines.solving.tripod_model import (
    Free,
    Marks,
    Turn,
    linearized,
    unbent,
    unit,
)
from backend.worker.engines.solving.tripod_parts import redirected
from backend.worker.engines.tracking import TrackSettings, track
from backend.worker.projection import project_observations
from tests.backend.synthetic_tracks import (
    HEIGHT,
    WIDTH,
    Cameras,
    panning,
    scattered,
    tracks_of,
    turns,
    with_actor,
)
from tests.backend.textured_room import room_shot, turning
from tests.backend.textured_room import track as true_track

COUNT = 40
SCENE = scattered(1300, 3, 15)
FOCAL = np.full(COUNT, 1100.0)
PAN = Cameras(panning(COUNT), np.zeros((COUNT, 3)), FOCAL)
ZOOM = replace(PAN, focal=1100 * (1 + 0.4 * np.linspace(0, 1, COUNT) ** 2))


class Quiet:
    """A report that nobody listens to."""

    def check(self) -> None: ...
    def status(self, text: str) -> None: ...
    def progress(self, done: int, total: int, unit: str) -> None: ...
    def warning(self, text: str) -> None: ...


def solve(tracks, count=COUNT, report=None, **lens):
    frames = range(1, count + 1)
    return solve_tripod(tracks, frames, WIDTH, HEIGHT, TripodLens(**lens), report or Quiet())


def apart(solved, cameras):
    """The one turn (3, 3) between the worlds, and the RMS angle in degrees that it leaves."""
    true = cameras.rotations[solved.frames - 1]
    u, _s, vt = np.linalg.svd(np.einsum("nji,njk->ik", solved.rotations, true))
    left = solved.rotations @ (u @ vt) @ np.swapaxes(true, 1, 2)
    vectors = [left[:, i, j] - left[:, j, i] for i, j in ((2, 1), (0, 2), (1, 0))]
    return u @ vt, float(np.degrees(np.sqrt((np.square(vectors) / 4).sum(axis=0).mean())))


def turned(solved, cameras):
    """(RMS angle in degrees, slip in px) once the one turn of the world is taken out."""
    world, angle = apart(solved, cameras)
    true = cameras.rotations[solved.frames - 1]
    points = scattered(600, 4.99, 5.01, 50, seed=77)
    lens = solved.lenses[0]
    named = lens.named()
    shown = Cameras(
        solved.rotations @ world,
        np.zeros((len(solved.frames), 3)),
        np.array([one.focal[0] for one in solved.lenses]) * np.ones(len(solved.frames)),
        named.get("k", named.get("k1", 0.0)),
        named.get("k2", 0.0),
        lens.focal[1] / lens.focal[0],
    ).pixels(points)
    truth = replace(cameras, rotations=true, focal=cameras.focal[solved.frames - 1])
    truth = replace(truth, centers=truth.centers[: len(true)]).pixels(points)
    inside = ((truth > 0) & (truth < 2 * np.array([WIDTH, HEIGHT]) / 2)).all(axis=2)
    return angle, float(np.sqrt(((shown - truth)[inside] ** 2).sum(axis=1).mean()))


class TestRotations:
    def test_a_noisy_pan_comes_out_to_a_thousandth_of_a_degree(self):
        angle, slip = turned(solve(tracks_of(PAN.pixels(SCENE), life=30)), PAN)
        assert angle < 0.002
        assert slip < 0.05

    def test_without_noise_it_is_exact(self):
        solved = solve(tracks_of(PAN.pixels(SCENE), noise=1e-6))
        angle, slip = turned(solved, PAN)
        assert angle < 1e-5
        assert slip < 1e-3
        assert solved.mean_error < 1e-3

    def test_actors_are_dropped_by_majority(self):
        pixels = with_actor(PAN.pixels(SCENE), 0.2)
        solved = solve(tracks_of(pixels, life=30))
        angle, slip = turned(solved, PAN)
        assert angle < 0.003
        assert slip < 0.08
        assert np.mean(solved.errors == UNUSED) == pytest.approx(0.35, abs=0.15)

    def test_a_pan_all_around_holds_together(self):
        """No track spans more than a fraction of the shot, and the blocks of images are joined."""
        count = 200
        cameras = Cameras(panning(count, 330), np.zeros((count, 3)), np.full(count, 1100.0))
        points = scattered(5000, 3, 15, 200)
        solved = solve(tracks_of(cameras.pixels(points), life=40), count)
        angle, slip = turned(solved, cameras)
        assert len(solved.frames) == count
        assert angle < 0.01
        assert slip < 0.1

    def test_frames_without_tracks_are_named_not_made_up(self):
        tracks = tracks_of(PAN.pixels(SCENE), life=30)
        hidden = (tracks.frame < 20) | (tracks.frame > 24)
        tracks = replace(
            tracks,
            **{
                name: getattr(tracks, name)[hidden] for name in ("track", "frame", "pixel", "sigma")
            },
        )
        solved = solve(tracks)
        assert solved.absent == (20, 21, 22, 23, 24)
        assert turned(solved, PAN)[0] < 0.005
        assert "20-24" in " ".join(solved.quality("").advice)

    def test_of_two_pieces_the_longer_is_solved(self):
        """A cut that no track crosses: two pieces that nothing ties together."""
        tracks = tracks_of(PAN.pixels(SCENE), life=30)
        parts = np.where(tracks.frame <= 25, tracks.track, tracks.track + len(tracks.ids))
        ids, track_index = np.unique(parts, return_inverse=True)
        cut = replace(
            tracks, ids=ids, manual=np.zeros(len(ids), bool), errors=np.zeros(len(ids)),
            track=track_index,
        )  # fmt: skip
        order = np.lexsort((cut.frame, cut.track))
        cut = replace(
            cut, track=cut.track[order], frame=cut.frame[order], pixel=cut.pixel[order],
            sigma=cut.sigma[order],
        )  # fmt: skip
        solved = solve(cut)
        assert solved.frames.tolist() == list(range(1, 26))
        assert solved.absent == tuple(range(26, 41))

    def test_nothing_to_hold_on_to_is_refused(self):
        with pytest.raises(SolveError, match="do not hold together"):
            solve(tracks_of(PAN.pixels(SCENE[:6])))

    def test_a_cancel_gets_through(self):
        class Stopping(Quiet):
            def check(self) -> None:
                raise Canceled

        with pytest.raises(Canceled):
            solve(tracks_of(PAN.pixels(SCENE)), report=Stopping())


class TestLens:
    def test_the_focal_length_is_found_within_what_it_says(self):
        solved = solve(tracks_of(PAN.pixels(SCENE), life=30))
        off = solved.lenses[0].focal[0] / 1100 - 1
        assert abs(off) < 0.0005
        assert abs(off) < 5 * solved.focal_sigma + 1e-5
        assert solved.lenses[0].model == "SIMPLE_RADIAL"
        assert solved.lenses[0].is_pinhole

    def test_a_known_one_is_kept(self):
        solved = solve(tracks_of(PAN.pixels(SCENE)), known=1111.0)
        assert solved.lenses[0].focal == (1111.0, 1111.0)
        assert solved.focal_sigma == 0.0

    def test_a_small_pan_tells_that_it_does_not_know(self):
        still = replace(
            PAN, rotations=turns(*(np.linspace(0, 0.01, COUNT) * k for k in (1, 0.2, 0)))
        )
        solved = solve(tracks_of(still.pixels(SCENE)))
        quality = solved.quality("It turns.")
        assert solved.focal_sigma > 0.02
        assert "focal length is uncertain" in quality.advice[0]
        assert quality.grade is not Grade.GOOD

    @pytest.mark.parametrize(("k1", "k2"), [(-0.1, 0.0), (0.06, 0.0), (-0.2, 0.15)])
    def test_distortion_is_found(self, k1, k2):
        bent = replace(PAN, k1=k1, k2=k2)
        solved = solve(tracks_of(bent.pixels(SCENE), life=30))
        assert turned(solved, bent)[1] < 0.5
        assert solved.lenses[0].named().get("k", k1) == pytest.approx(k1, abs=0.003)
        assert solved.lenses[0].model == ("RADIAL" if k2 else "SIMPLE_RADIAL")

    def test_none_is_solved_when_none_is_wanted(self):
        bent = replace(PAN, k1=-0.05)
        solved = solve(tracks_of(bent.pixels(SCENE)), distortion="none")
        assert solved.lenses[0].is_pinhole

    def test_a_squeeze_is_kept_or_solved(self):
        wide = replace(PAN, focal=FOCAL / 2, aspect=2.0)
        given = solve(tracks_of(wide.pixels(SCENE), life=30), aspect=2.0)
        assert given.lenses[0].model == "PINHOLE"
        assert given.lenses[0].focal == pytest.approx((550.0, 1100.0), rel=0.001)
        off = replace(wide, aspect=1.95)
        found = solve(tracks_of(off.pixels(SCENE), life=30), aspect=2.0, distortion="anamorphic")
        assert found.lenses[0].model == "OPENCV"
        assert found.lenses[0].focal == pytest.approx((550.0, 1072.5), rel=0.001)

    @pytest.mark.parametrize("zoom", ["auto", "zoom"])
    def test_a_zoom_gets_a_focal_length_a_frame(self, zoom):
        solved = solve(tracks_of(ZOOM.pixels(SCENE), life=30), zoom=zoom)
        focal = np.array([lens.focal[0] for lens in solved.lenses])
        assert solved.zooms
        assert focal == pytest.approx(ZOOM.focal, rel=0.001)
        assert turned(solved, ZOOM)[1] < 0.1

    def test_a_lens_that_does_not_zoom_gets_one(self):
        assert not solve(tracks_of(PAN.pixels(SCENE), life=30), zoom="auto").zooms
        assert not solve(tracks_of(ZOOM.pixels(SCENE), life=30), zoom="fixed").zooms


class TestReconstruction:
    @pytest.mark.parametrize("cameras", [PAN, replace(PAN, k1=-0.1), ZOOM])
    def test_colmap_projects_the_points_where_they_were_seen(self, cameras):
        solved = solve(tracks_of(cameras.pixels(SCENE), life=30))
        names = {frame: f"frame_{frame:04d}.png" for frame in range(1, COUNT + 1)}
        model = solved.reconstruction(names)
        errors = project_observations(model, model.observations).error
        assert errors.mean() == pytest.approx(solved.mean_error, rel=1e-3)
        assert errors.mean() < 0.2
        assert model.names == tuple(names.values())
        assert not model.translations.any()
        assert len(model.cameras) == (COUNT if cameras is ZOOM else 1)
        found = rotations_from_quaternions(model.quaternions)
        assert np.abs(found - solved.rotations).max() < 1e-9

    def test_points_carry_the_numbers_of_their_tracks(self):
        tracks = tracks_of(PAN.pixels(SCENE), life=30)
        solved = solve(replace(tracks, ids=3 * tracks.ids + 7))
        model = solved.reconstruction({frame: str(frame) for frame in range(1, COUNT + 1)})
        assert model.points.ids.tolist() == (3 * solved.used + 8).tolist()
        assert (solved.errors[solved.used] >= 0).all()

    def test_the_quality_says_what_it_is(self):
        solved = solve(tracks_of(PAN.pixels(SCENE), life=30))
        quality = solved.quality("Turning explains it.")
        assert quality.motion is Motion.TRIPOD
        assert quality.reason == "Turning explains it."
        assert quality.grade is Grade.GOOD
        assert quality.parallax == 0.0
        assert 0.9 < quality.coverage <= 1.0


class TestAdjustment:
    def test_the_derivatives_are_right(self):
        rng = np.random.default_rng(1)
        marks = Marks(np.arange(6), np.zeros(6, np.int64), np.zeros((6, 2)), np.ones(6))
        spots = rng.uniform(-0.4, 0.4, (6, 2))
        directions = unit(np.concatenate([spots, np.ones((6, 1))], axis=1))
        turn = Turn(
            turns(*rng.uniform(-5, 5, (3, 1))), np.array([900.0]), directions, -0.1, 0.05, 1.3
        )
        free = Free(k1=True, k2=True, aspect=True)
        linear, step = linearized(turn, marks, free), 1e-6

        def moved(images=(0, 0, 0), tracks=(0, 0), lens=(0, 0, 0, 0)):
            after = adjustment._moved(
                turn, free, np.array([images], float), np.tile(np.array(tracks, float), (6, 1)),
                np.array(lens, float),
            )  # fmt: skip
            return (after.project(marks) - turn.project(marks)) / step

        for axis in range(3):
            images = step * np.eye(3)[axis]
            assert moved(images=images) == pytest.approx(linear.by_image[..., axis], abs=1e-2)
        for axis in range(2):
            tracks = step * np.eye(2)[axis]
            assert moved(tracks=tracks) == pytest.approx(linear.by_track[..., axis], abs=1e-2)
        for axis in range(4):
            lens = step * np.eye(4)[axis]
            assert moved(lens=lens) == pytest.approx(linear.by_lens[..., axis], abs=1e-2)

    @pytest.mark.parametrize("zoom", [False, True])
    def test_blocks_of_images_give_what_one_block_gives(self, monkeypatch, zoom):
        monkeypatch.setattr(adjustment, "BLOCK", 9)
        cameras = ZOOM if zoom else PAN
        tracks = tracks_of(cameras.pixels(SCENE[::3]), life=30)
        center = np.array([WIDTH, HEIGHT]) / 2
        marks = Marks(
            tracks.track, tracks.frame - 1, tracks.pixel - center, np.full(len(tracks.frame), 100.0)
        )
        marks = adjustment.pieces_of(marks, COUNT)
        spans = [np.ptp(marks.image[marks.track == piece] // 9) for piece in range(40)]
        assert max(spans) == 1
        start = Turn(cameras.rotations, cameras.focal * 1.01, np.zeros((0, 3)))
        start = redirected(start, marks, int(marks.track.max()) + 1, 2)
        free = Free(k1=True, zoom=zoom)
        blocks = adjustment.adjust(start, marks, free, 3.0, 8)
        monkeypatch.setattr(adjustment, "BLOCK", 64)
        whole = adjustment.adjust(start, marks, free, 3.0, 8)
        assert np.abs(whole.turn.rotations - blocks.turn.rotations).max() < 1e-8
        assert blocks.turn.focal == pytest.approx(whole.turn.focal, rel=1e-8)
        assert blocks.covariance == pytest.approx(whole.covariance, rel=1e-5)
        assert blocks.focal_variance == pytest.approx(whole.focal_variance, rel=1e-5)
        assert whole.turn.focal == pytest.approx(cameras.focal, rel=0.003)

    def test_the_lens_can_be_undone(self):
        rng = np.random.default_rng(2)
        u = rng.uniform(-0.5, 0.5, (50, 2))
        s = (u * u).sum(axis=1, keepdims=True)
        for k1, k2 in ((-0.2, 0.05), (0.3, 0.0), (0.0, 0.0)):
            bent = u * (1 + k1 * s + k2 * s * s)
            assert unbent(bent, k1, k2) == pytest.approx(u, abs=1e-9)


def test_a_plate_is_solved_from_its_pictures(tmp_path):
    """Rendered, tracked by the project's own tracker, and solved."""
    count, width, height = 24, 640, 360
    camera = true_track(turning, count, width, height)
    shot = room_shot(tmp_path / "shot", camera)
    frames = {number: shot.frame_file(number) for number in range(1, count + 1)}
    found = track(frames, {}, width, height, TrackSettings(), Quiet())
    solved = solve_tripod(found.tracks, list(frames), width, height, TripodLens(), Quiet())
    local = camera.matrices[:, :3, :3] @ np.diag([1.0, -1.0, -1.0])
    cameras = Cameras(np.swapaxes(local, 1, 2), np.zeros((count, 3)), camera.focal[:, 0])
    assert apart(solved, cameras)[1] < 0.005
    assert solved.lenses[0].focal[0] == pytest.approx(camera.focal[0, 0], rel=0.002)
    assert len(solved.frames) == count
