# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the solver for moving cameras, on tracks of cameras that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.accuracy import slip
from backend.camera import (
    rotations_from_vectors,
    vectors_from_rotations,
)
from backend.errors import SolveError
from backend.tracks import TrackEdits
from backend.worker.engines.solving import choosing, quality
from backend.worker.engines.solving.bundle import Settings, adjusted
from backend.worker.engines.solving.halves import compared
from backend.worker.engines.solving.lens import Lens
from backend.worker.engines.solving.linear import Freedom, groups_of, linearized
from backend.worker.engines.solving.marks import marks_of
from backend.worker.engines.solving.moving import LensWish, MovingSolve
from backend.worker.engines.solving.normal import NormalEquations
from backend.worker.engines.solving.presets import PRESETS
from backend.worker.engines.solving.scene import (
    project,
    unit,
)
from tests.backend import solving_shots as shots
from tests.backend.solving_shots import (
    HEIGHT,
    WIDTH,
    Made,
    Shot,
    camera_of,
    ignore,
    true_scene,
)


def solved(made: Made, wish: LensWish | None = None, aspect: float = 1.0, quality_: str = "medium"):
    numbers = made.truth.frames.tolist()
    marks = marks_of(made.tracks, numbers, WIDTH, HEIGHT, aspect)
    run = MovingSolve(marks, wish or LensWish(), PRESETS[quality_], ignore, made.tracks.manual)
    return run.run()


def slip_of(moving, made: Made, aspect: float = 1.0):
    scene = moving.done.scene
    assert scene.placed.all()
    return slip(made.truth, camera_of(scene, made, aspect), made.points)


@pytest.fixture(scope="module")
def dolly() -> Made:
    return shots.make(Shot(shots.dolly, points=2500))


def test_rotation_vectors_go_both_ways():
    turns = np.random.default_rng(1).normal(0, 0.8, (20, 3))
    assert vectors_from_rotations(rotations_from_vectors(turns)) == pytest.approx(turns)
    assert np.linalg.det(rotations_from_vectors(turns)) == pytest.approx(1)


def test_the_derivatives_are_those_of_the_projection(dolly):
    """Every column against central differences, with all of the lens free."""
    marks = marks_of(dolly.tracks, dolly.truth.frames.tolist(), WIDTH, HEIGHT, 1.0)
    scene = true_scene(dolly, marks)
    scene = replace(scene, lens=replace(scene.lens, ratio=1.1, k1=-0.1, k2=0.05))
    freedom = Freedom(focal=True, ratio=True, radial=2)
    group = groups_of(marks, np.flatnonzero(scene.usable(marks)))[0]
    linear = linearized(group, marks, scene, scene.poses, freedom, 1e9)
    frame = group.frames[group.frame]
    local = scene.local(frame, group.tracks[group.track])

    def lens_pixels(name: str, step: float) -> np.ndarray:
        lens = scene.lens
        if name in ("k1", "k2"):
            lens = replace(lens, **{name: getattr(lens, name) + step})
        elif name == "ratio":
            lens = replace(lens, ratio=lens.ratio * np.exp(step))
        else:
            lens = replace(lens, focal=lens.focal * np.exp(step))
        return project(local, lens, frame)

    def posed_pixels(index: int, step: float) -> np.ndarray:
        move = np.zeros(3)
        move[index % 3] = step
        if index < 3:
            return project(local @ rotations_from_vectors(move[None])[0].T, scene.lens, frame)
        weight = scene.points[group.tracks[group.track], 3:]
        return project(local + weight * move, scene.lens, frame)

    columns = [lambda step, index=index: posed_pixels(index, step) for index in range(6)]
    columns += [lambda step, name=name: lens_pixels(name, step) for name in freedom.shared]
    for index, pixels in enumerate(columns):
        expected = (pixels(1e-6) - pixels(-1e-6)) / 2e-6
        found = linear.rows[:, :, index] / marks.weight[group.marks][:, None]
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_the_normal_equations_are_solved_as_the_dense_ones_are():
    random = np.random.default_rng(2)
    frames, d, g = 130, 6, 2
    equations = NormalEquations(frames, d, g)
    dense = np.zeros((frames * d + g, frames * d + g))
    right = np.zeros(len(dense))
    for _ in range(60):
        first = int(random.integers(0, frames - 4))
        chosen = np.unique(random.integers(first, min(first + 60, frames), 5))
        rows = random.normal(size=(40, len(chosen) * d + g))
        index = np.concatenate(
            [(chosen[:, None] * d + np.arange(d)).ravel(), frames * d + np.arange(g)]
        )
        dense[np.ix_(index, index)] += rows.T @ rows
        gradient = random.normal(size=len(index))
        right[index] -= gradient
        equations.add(chosen, rows.T @ rows)
        equations.add_gradient(chosen, gradient)
    every = np.tile(np.eye(d), (frames, 1, 1))
    equations.add_frames(np.arange(frames), every, np.zeros((frames, d, g)), np.eye(g))
    equations.damp(0.0, 0.0)
    dense += np.eye(len(dense))
    steps, shared = equations.solve()
    expected = np.linalg.solve(dense, right)
    assert np.concatenate([steps.ravel(), shared]) == pytest.approx(expected)
    assert equations.shared_covariance() == pytest.approx(np.linalg.inv(dense)[-g:, -g:])


def test_an_adjustment_comes_back_from_far_off(dolly):
    marks = marks_of(dolly.tracks, dolly.truth.frames.tolist(), WIDTH, HEIGHT, 1.0)
    scene = true_scene(dolly, marks)
    random = np.random.default_rng(3)
    turned = rotations_from_vectors(random.normal(0, 0.003, (marks.frames, 3))) @ scene.rotation
    start = replace(scene, rotation=turned, lens=Lens.fixed(1130.0, marks.frames))
    result = adjusted(marks, start, Freedom(), Settings(30, tolerance=1e-7), ignore)
    assert result.scene.lens.focal[0] == pytest.approx(1100, rel=1e-3)
    assert slip(dolly.truth, camera_of(result.scene, dolly), dolly.points).rms < 0.05


def test_frames_that_are_held_do_not_move(dolly):
    marks = marks_of(dolly.tracks, dolly.truth.frames.tolist(), WIDTH, HEIGHT, 1.0)
    scene = true_scene(dolly, marks)
    held = np.zeros(marks.frames, dtype=bool)
    held[10:20] = True
    moved = adjusted(marks, scene, Freedom(focal=False), Settings(3), ignore, held).scene
    assert moved.rotation[10:20] == pytest.approx(scene.rotation[10:20], abs=1e-12)
    assert not np.allclose(moved.rotation[:10], scene.rotation[:10], atol=1e-9)


def test_far_points_are_as_good_as_near_ones(dolly):
    """A point without parallax keeps its direction, on either side of infinity."""
    marks = marks_of(dolly.tracks, dolly.truth.frames.tolist(), WIDTH, HEIGHT, 1.0)
    scene = true_scene(dolly, marks)
    far = scene.points.copy()
    far[:, 3] = np.where(np.arange(marks.tracks) % 2, 1e-9, -1e-9)
    pixels = project(
        replace(scene, points=unit(far)).local(marks.frame, marks.track), scene.lens, marks.frame
    )
    assert np.isfinite(pixels).all()


@pytest.mark.parametrize(
    ("shot", "limit"),
    [
        (Shot(shots.dolly), 0.12),
        (Shot(shots.orbit), 0.12),
        (Shot(shots.slow, points=2500, frames=100), 0.5),
        (Shot(shots.dolly, movers=0.3), 0.2),
        (Shot(shots.dolly, outliers=0.2), 0.2),
        (Shot(shots.orbit, focal=lambda _time: 4000.0), 0.5),
        (Shot(shots.orbit, focal=lambda _time: 500.0), 0.12),
        (Shot(shots.dolly, frames=10), 0.3),
    ],
    ids=["dolly", "orbit", "slow", "movers", "outliers", "tele", "wide", "short"],
)
def test_solves_what_it_is_made_for(shot, limit):
    made = shots.make(shot)
    found = slip_of(solved(made), made)
    assert found.rms < limit
    assert found.jitter < 0.05


@pytest.mark.parametrize("known", [None, 1100.0])
def test_what_moves_far_does_not_lead_a_camera_that_hardly_travels(known):
    """A third of the tracks move ten times as far as the camera: all of them together suit one
    camera to a third of a px, those that hold still suit theirs to a tenth."""
    made = shots.make(Shot(shots.slow, movers=0.35))
    assert slip_of(solved(made, LensWish(known=known)), made).rms < 0.2


def test_a_known_focal_length_is_kept(dolly):
    moving = solved(dolly, LensWish(known=1100.0))
    assert set(moving.done.scene.lens.focal.tolist()) == {1100.0}
    assert "focal" not in moving.done.sigmas
    assert slip_of(moving, dolly).rms < 0.1


@pytest.mark.parametrize(("k1", "k2"), [(0.0, 0.0), (-0.1, 0.0), (-0.25, 0.08)])
def test_as_many_coefficients_are_solved_as_the_lens_has(k1, k2):
    made = shots.make(Shot(shots.orbit, k1=k1, k2=k2, focal=lambda _time: 700.0))
    lens = solved(made).done.scene.lens
    assert lens.k1 == pytest.approx(k1, abs=0.003)
    assert lens.k2 == pytest.approx(k2, abs=0.003)
    assert (lens.k1 == 0, lens.k2 == 0) == (k1 == 0, k2 == 0)
    assert lens.focal[0] == pytest.approx(700, rel=0.003)


def test_a_zoom_is_found_and_followed():
    made = shots.make(
        Shot(shots.orbit, focal=lambda time: 900 * 1.6 ** (time * time * (3 - 2 * time)))
    )
    moving = solved(made)
    assert moving.done.scene.lens.focal == pytest.approx(made.truth.focal[:, 0], rel=0.01)
    assert slip_of(moving, made).rms < 0.3


def test_a_fixed_lens_is_not_taken_for_a_zoom(dolly):
    assert not solved(dolly).done.scene.lens.zooms


def test_pixels_that_are_not_square_are_solved_in_square_ones():
    made = shots.make(Shot(shots.orbit, squeeze=2.0))
    moving = solved(made, aspect=2.0)
    assert moving.done.scene.lens.focal[0] == pytest.approx(1100, rel=0.005)
    assert slip_of(moving, made, aspect=2.0).rms < 0.2


def test_an_anamorphic_lens_has_two_focal_lengths():
    made = shots.make(Shot(shots.orbit, squeeze=1.1))
    lens = solved(made, LensWish(distortion="anamorphic")).done.scene.lens
    assert lens.focal[0] == pytest.approx(1000, rel=0.005)
    assert lens.ratio == pytest.approx(1.1, rel=0.005)
    assert lens.camera(1000.0, (WIDTH, HEIGHT), 1.0).model == "OPENCV"


def test_the_lens_is_handed_out_as_the_simplest_model_that_holds_it():
    lens = Lens.fixed(1000.0, 1)
    size = (WIDTH, HEIGHT)
    assert lens.camera(1000.0, size, 1.0).model == "SIMPLE_PINHOLE"
    assert replace(lens, k1=0.1).camera(1000.0, size, 1.0).model == "SIMPLE_RADIAL"
    assert replace(lens, k1=0.1, k2=0.1).camera(1000.0, size, 1.0).model == "RADIAL"
    squeezed = replace(lens, k1=0.1).camera(1000.0, size, 2.0)
    assert squeezed.model == "OPENCV"
    assert squeezed.focal == (500.0, 1000.0)
    assert lens.camera(1000.0, size, 2.0).model == "PINHOLE"


def test_rays_are_the_inverse_of_the_projection():
    lens = Lens(np.full(1, 700.0), ratio=1.2, k1=-0.2, k2=0.05)
    random = np.random.default_rng(4)
    local = np.concatenate([random.uniform(-0.7, 0.7, (50, 2)), np.ones((50, 1))], axis=1)
    frame = np.zeros(50, dtype=np.int64)
    pixels = project(local, lens, frame)
    assert lens.rays(pixels, np.full(50, 700.0)) == pytest.approx(local, abs=1e-5)


def test_tracks_that_fit_nothing_are_no_camera():
    """Random marks have no two frames in common that start a scene."""
    made = shots.make(Shot(shots.dolly, frames=12, points=60, noise=400.0, outliers=0.0))
    with pytest.raises(SolveError, match="No camera could be solved"):
        solved(made)


def test_halves_say_what_the_slip_is():
    """The estimate lies within an order of the truth, for little and for much."""
    estimates = []
    for noise in (0.1, 1.0):
        made = shots.make(Shot(shots.dolly, points=800, noise=noise, outliers=0.0))
        moving = solved(made)
        done = moving.done
        halves = compared(done.marks, done.scene, done.freedom, moving.keys, ignore)
        true = slip_of(moving, made).rms
        assert true / 4 < halves.slip < max(12 * true, 0.3)
        estimates.append(halves.slip)
    assert estimates[1] > 3 * estimates[0]


def test_keyframes_come_with_motion_and_bounded_gaps(dolly):
    marks = marks_of(dolly.tracks, dolly.truth.frames.tolist(), WIDTH, HEIGHT, 1.0)
    keys = choosing.keyframes(marks, 0.03, 0.6, 12)
    assert keys[0] == 0
    assert keys[-1] == marks.frames - 1
    assert np.diff(keys).max() <= 12
    assert len(choosing.keyframes(marks, 0.01, 0.6, 12)) > len(keys)


def test_the_choice_of_tracks_is_spread_over_the_picture(dolly):
    marks = marks_of(dolly.tracks, dolly.truth.frames.tolist(), WIDTH, HEIGHT, 1.0)
    always = np.zeros(marks.tracks, dtype=bool)
    always[marks.lengths.argmin()] = True
    chosen = choosing.spread(marks, 150, always)
    part = marks.only(chosen[marks.track])
    assert 120 < len(part.track) / marks.frames < 220
    assert chosen[always].all()
    assert part.lengths[chosen].mean() > marks.lengths.mean()
    cells = (part.pixel / [WIDTH, HEIGHT] + 0.5) * [4, 3]
    held = np.bincount(cells.astype(int) @ [1, 4], minlength=12) / marks.frames
    assert (held[:12] > 3).all()


@pytest.mark.parametrize(
    ("change", "grade", "word"),
    [
        ({}, "good", ""),
        ({"focal_sigma": 0.04}, "fair", "focal length is uncertain by 4.0%"),
        ({"focal_sigma": 0.2}, "poor", "focal length"),
        ({"parallax": 0.1}, "poor", "parallax"),
        ({"error": 0.9}, "fair", "mask what moves"),
        ({"coverage": 0.1}, "poor", "holds tracks"),
        ({"slip": 5.0}, "poor", "slip of 5.0 px"),
        ({"unsolved": 0.4}, "fair", "no camera"),
        ({"still": 0.5}, "fair", "Only 50% of what was tracked holds still"),
        ({"still": 0.4}, "poor", "put masks"),
    ],
)
def test_a_grade_comes_with_advice(change, grade, word):
    figures = replace(quality.Figures(0.001, 8.0, 0.9, 0.2, ()), **change)
    found, advice = quality.graded(figures, focal_given=False)
    assert found.value == grade
    assert word in " ".join(advice)
    assert bool(advice) == bool(word)


def test_a_focal_length_that_was_given_is_not_advised_on():
    figures = quality.Figures(0.5, 8.0, 0.9, 0.2, ())
    assert quality.graded(figures, focal_given=True)[0].value == "good"


def test_marks_by_hand_weigh_as_their_sigma_says(dolly):
    """Sigma 0.25 against 0.1: half the weight of a tracked mark, whatever the unit."""
    id_ = int(dolly.tracks.ids[0])
    edited = dolly.tracks.edited(TrackEdits(marks={id_: {1: (100.0, 100.0), 2: (101.0, 100.0)}}))
    marks = marks_of(edited, dolly.truth.frames.tolist(), WIDTH, HEIGHT, 1.0)
    manual = edited.manual[marks.track]
    assert marks.weight[manual] == pytest.approx(0.4, rel=0.01)
    assert marks.weight[~manual] == pytest.approx(1.0)
