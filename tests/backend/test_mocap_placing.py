# SPDX-License-Identifier: GPL-3.0-or-later
"""Scale, contacts, up, boxes and held feet, each by itself, on walks of formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.camera import Similarity
from backend.dense import Place
from backend.kinematics import joint_places, joint_turns, rotations_of, vectors_of
from backend.motion import Motion, follow, moved
from backend.smplx import FEET, JOINTS
from backend.worker.mocap.along_time import gaussian, lowest, stretches
from backend.worker.mocap.boxes import box_of, steady
from backend.worker.mocap.contacts import contact_from_heights, runs
from backend.worker.mocap.foot_lock import lock_feet
from backend.worker.mocap.placing import Root, before_camera, placed, refocused
from backend.worker.mocap.scale import pairs_of, scale_from_feet, scale_from_floor
from backend.worker.mocap.smoothing import smooth
from backend.worker.mocap.upright import mean_up, standing_world, up_of
from tests.bench.mocap_scale import TRUE_SCALE, seen_joints, simulated, views_of
from tests.walking import Walk, walk

PLACE = Place(1.0, Similarity(2.0, np.eye(3), np.array([1.0, 0, 0])))
TURN = rotations_of(np.array([[0.3, -2.0, 1.1]]))[0]


def test_placing_and_back_is_exact_at_any_scale() -> None:
    shot = walk(30)
    seen = Root(shot.seen_rotation, shot.seen_translation)
    for scale in (1e-3, 1.0, 250.0):
        views = views_of(shot, scale)
        root = placed(seen, views, shot.rest[0], scale)
        assert np.allclose(root.translation, shot.translation, atol=1e-9)
        back = before_camera(root, views, shot.rest[0], scale)
        assert np.allclose(back.translation, seen.translation, atol=1e-9)
        assert np.allclose(rotations_of(back.rotation), rotations_of(seen.rotation), atol=1e-9)


def test_a_moved_world_takes_the_body_along() -> None:
    shot = walk(20)
    motion, step = shot.motion("a", PLACE, 0.7), Similarity(1.7, TURN, np.array([3.0, -1, 2]))
    after = moved(motion, step)
    places, other = (
        each.scale * joint_places(each.rotations, shot.rest, each.translation)
        for each in (motion, after)
    )
    assert np.allclose(step.apply(places.reshape(-1, 3)), other.reshape(-1, 3), atol=1e-9)
    assert np.array_equal(after.camera_translation, motion.camera_translation)
    same = follow(after, PLACE)
    assert same is not None
    assert np.allclose(same.translation, motion.translation, atol=1e-9)
    assert follow(motion, replace(PLACE, solve=2.0)) is None


@pytest.mark.parametrize(("travel", "limit"), [(3.0, 0.03), (1.5, 0.04), (None, 0.02)])
def test_feet_tell_the_scale_in_spite_of_wrong_depth(travel: float | None, limit: float) -> None:
    found = [simulated(travel, seed) for seed in range(6)]
    errors = [abs(each.value / TRUE_SCALE - 1) for each in found if each is not None]
    assert len(errors) >= 5
    assert np.median(errors) < limit


@pytest.mark.parametrize("travel", [0.0, 0.01, 0.15])
def test_a_camera_that_stands_tells_no_scale(travel: float) -> None:
    shot, random = walk(120, travel=travel), np.random.default_rng(0)
    joints = seen_joints(shot, random)
    views = views_of(shot, TRUE_SCALE)
    assert (
        scale_from_feet(pairs_of(joints[:, FEET], joints[:, 0], shot.contact, views, 24.0)) is None
    )


def test_a_foot_that_is_said_to_stand_and_does_not_counts_little() -> None:
    shot, random = walk(240, travel=3.0), np.random.default_rng(0)
    joints, contact = seen_joints(shot, random), shot.contact.copy()
    contact[60:70] = 1.0
    found = scale_from_feet(
        pairs_of(joints[:, FEET], joints[:, 0], contact, views_of(shot, TRUE_SCALE), 24.0)
    )
    assert found is not None
    assert found.value == pytest.approx(TRUE_SCALE, rel=0.08)


def test_the_floor_tells_the_scale_where_the_camera_is_above_it() -> None:
    shot = walk(40)
    views = views_of(shot, TRUE_SCALE)
    ground = shot.joints[:, FEET[2]] * [1, 1, 0] - shot.camera_centers
    assert scale_from_floor(ground, views) == pytest.approx(TRUE_SCALE)
    below = replace(views, centers=views.centers * [1, 1, -1])
    assert scale_from_floor(ground, below) is None


def test_who_walks_stands_on_the_lower_foot() -> None:
    shot = walk(120)
    found = contact_from_heights(shot.joints[:, FEET, 2] + 3.0, shot.frames, 24.0)
    agree = (found > 0.5) == (shot.contact > 0.5)
    assert agree.mean() > 0.88
    assert [
        each.stop - each.start for each in runs(np.array([1, 1, 0, 1], bool), np.arange(4))
    ] == [
        2,
        1,
    ]
    gap = runs(np.ones(4, bool), np.array([1, 2, 5, 6]))
    assert [(each.start, each.stop) for each in gap] == [(0, 2), (2, 4)]


def test_up_is_told_whatever_way_the_models_world_looks() -> None:
    shot, random = walk(30), np.random.default_rng(0)
    standing = shot.rotations[:, 0]
    y_up = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    heading = random.uniform(0, 6, 30)
    about = rotations_of(np.stack([0 * heading, heading, 0 * heading], axis=1))
    upright = vectors_of(about @ y_up @ rotations_of(standing))
    tilted = vectors_of(TURN @ rotations_of(standing))
    up = up_of(tilted, upright)
    assert np.allclose(up, TURN[:, 2], atol=1e-9)
    up[:4] = random.normal(size=(4, 3))
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    assert mean_up(up) @ TURN[:, 2] > np.cos(np.radians(1))
    step = standing_world(TURN[:, 2], 0.5, [np.array([[4.0, 1, 2], [3, 3, 3]])])
    assert step.scale == 2
    assert np.allclose(step.rotation @ TURN[:, 2], [0, 0, 1])
    assert np.median(step.apply(np.array([[4.0, 1, 2], [3, 3, 3]]))[:, 2]) == pytest.approx(0)
    assert step.apply(np.zeros((1, 3)))[0, :2].tolist() == [0, 0]


def test_another_focal_length_moves_a_body_away_and_keeps_its_pixels() -> None:
    shot = walk(10)
    views = views_of(shot)
    given = np.tile(shot.matrix, (10, 1, 1))
    given[:, [0, 1], [0, 1]] *= 0.5
    seen = Root(shot.seen_rotation, shot.seen_translation)
    found = refocused(seen, shot.rest[0], given, views)
    before, after = (shot.rest[0] + each.translation for each in (seen, found))
    pixel = before[:, :2] / before[:, 2:] * given[0, 0, 0] + given[:, :2, 2]
    assert np.allclose(views.project(after[:, None])[:, 0], pixel)
    assert np.allclose(after[:, 2], 2 * before[:, 2])


def views_and_motion(drift: float = 0.0):  # type: ignore[no-untyped-def]
    shot = walk(80)
    motion, views = shot.motion("a", PLACE), views_of(shot)
    away = (motion.translation + shot.rest[0] - views.centers) * drift
    return shot, replace(motion, translation=motion.translation + away), views


def _places(motion: Motion, shot: Walk) -> np.ndarray:
    return joint_places(motion.rotations, shot.rest, motion.translation)


@pytest.mark.parametrize("most", [0.0, 1.0, 50.0])
def test_held_feet_and_smoothing_stay_within_the_picture(most: float) -> None:
    wander = 0.01 * np.sin(np.arange(80) / 7)[:, None]
    shot, motion, views = views_and_motion(wander)
    for found in (
        lock_feet(motion, shot.rest, views, most),
        smooth(motion, shot.rest, views, 8.0, most),
    ):
        before, after = (
            views.project(views.seen(joint_places(each.rotations, shot.rest, each.translation)))
            for each in (motion, found.motion)
        )
        off = np.linalg.norm(after - before, axis=2).max()
        assert off <= most + 1e-6
        assert found.off == pytest.approx(off, abs=1e-9)
        assert found.done == pytest.approx(1.0) if most == 50 else found.done < 1


def test_held_feet_do_not_move_and_point_where_they_did() -> None:
    wander = 0.01 * np.sin(np.arange(80) / 7)[:, None]
    shot, motion, views = views_and_motion(wander)
    found = lock_feet(motion, shot.rest, views, 100.0).motion
    places = joint_places(found.rotations, shot.rest, found.translation)
    for foot in (0, 1):
        for stretch in runs(shot.contact[:, foot] > 0.5, shot.frames, 3):
            assert np.ptp(places[stretch, FEET[foot]], axis=0).max() < 1e-6
    turns = [joint_turns(each.rotations)[:, FEET[0]] for each in (motion, found)]
    assert np.allclose(*turns, atol=1e-9)
    # Nothing is done far from a contact, and nothing jumps at its ends.
    held = shot.contact[:, 0] > 0.5
    near = np.convolve(held, np.ones(9), "same") > 0
    hip = JOINTS.index("left_hip")
    assert 0 < np.count_nonzero(~near) < 60
    assert np.array_equal(found.rotations[~near, hip], motion.rotations[~near, hip])
    shift = np.linalg.norm(places[:, FEET[0]] - _places(motion, shot)[:, FEET[0]], axis=1)
    assert np.abs(np.diff(shift)).max() < 0.5 * shift.max()
    arms = slice(16, 22)
    assert np.array_equal(found.rotations[:, arms], motion.rotations[:, arms])
    free = joint_places(motion.rotations, shot.rest, motion.translation)
    steps, before = (
        np.linalg.norm(np.diff(each[:, FEET[0]], axis=0), axis=1) for each in (places, free)
    )
    assert steps.max() < before.max() + 0.02


def test_jitter_is_taken_out_and_the_way_stays() -> None:
    shot, motion, views = views_and_motion()
    random = np.random.default_rng(0)
    shaken = replace(motion, rotations=motion.rotations + random.normal(0, 0.02, (80, 55, 3)))
    calm = smooth(shaken, shot.rest, views, 5.0, 1000.0).motion

    def shake(one):  # type: ignore[no-untyped-def]
        return np.abs(np.diff(one.rotations, 2, axis=0)).mean()

    assert shake(calm) < 0.35 * shake(shaken)
    assert np.abs(calm.translation - motion.translation)[5:-5].max() < 0.01


def test_filters_mind_ends_and_gaps() -> None:
    ramp = np.arange(20.0)[:, None]
    assert np.allclose(gaussian(ramp, 2.0)[7:13], ramp[7:13])
    frames = np.concatenate([np.arange(10), np.arange(30, 40)])
    step = np.repeat([0.0, 1.0], 10)[:, None]
    assert np.array_equal(gaussian(step, 2.0, frames), step)
    assert [(each.start, each.stop) for each in stretches(frames)] == [(0, 10), (10, 20)]
    assert lowest(np.array([3.0, 1, 3, 3, 3]), 1).tolist() == [1, 1, 1, 3, 3]


def test_specks_of_a_mask_make_no_box() -> None:
    mask = np.zeros((100, 200), np.uint8)
    mask[20:80, 50:90] = 255
    mask[5, 190] = 255
    assert box_of(mask) == (50, 20, 90, 80)
    mask[40:60, 95:110] = 200
    assert box_of(mask) == (50, 20, 110, 80)
    assert box_of(np.zeros((100, 200), np.uint8)) is None


def test_boxes_are_steadied_and_limbs_are_kept() -> None:
    boxes = np.tile([100.0, 50, 200, 350], (30, 1))
    boxes += np.random.default_rng(0).normal(0, 1, boxes.shape)
    boxes[12, 2] += 80
    found = steady(np.arange(30), boxes)
    assert found[12, 2] == boxes[12, 2]
    assert np.abs(np.diff(found[:, 1])).mean() < 0.5 * np.abs(np.diff(boxes[:, 1])).mean()
