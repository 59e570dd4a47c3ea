# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedural walk: what tests of body motion take for the truth holds."""

from __future__ import annotations

import numpy as np

from backend.camera import Similarity
from backend.dense import Place
from backend.smplx import FEET, JOINTS
from tests.walking import forward, matrices, vectors, walk

_PLACE = Place(1.0, Similarity(1.0, np.eye(3), np.zeros(3)))


def test_feet_stand_still_on_the_ground_exactly_while_they_are_in_contact() -> None:
    person = walk(90)
    for column, joint in enumerate(FEET):
        stands = person.contact[:, column] > 0
        steps = np.linalg.norm(np.diff(person.joints[:, joint], axis=0), axis=1)
        assert steps[stands[1:] & stands[:-1]].max() < 1e-9
        assert steps[~stands[1:] & ~stands[:-1]].max() > 0.05
        assert np.ptp(person.joints[stands, joint, 2]) < 1e-9
    assert (person.contact.sum(axis=1) > 0).all()


def test_legs_keep_their_length_and_knees_bend_forward() -> None:
    person = walk(60)
    found, worlds = forward(person.rest, person.rotations, person.translation)
    np.testing.assert_allclose(found, person.joints)
    front = worlds[:, 0, :, 2]
    assert (front[:, 2] ** 2 < 1e-6).all(), "somebody who walks looks ahead, not up"
    for side in ("left", "right"):
        hip, knee, ankle = (
            person.joints[:, JOINTS.index(f"{side}_{name}")] for name in ("hip", "knee", "ankle")
        )
        bend = knee - 0.5 * (hip + ankle)
        assert ((bend * front).sum(axis=1) > 0).all()
    assert np.abs(person.rotations).max() < 2


def test_the_body_before_the_camera_is_the_one_in_the_world() -> None:
    person = walk(30)
    motion = person.motion("somebody", _PLACE, scale=3.0)
    turned = person.rotations.copy()
    turned[:, 0] = motion.camera_rotation
    seen, _worlds = forward(person.rest, turned, motion.camera_translation)
    pixels = np.einsum("ij,npj->npi", person.matrix, seen)
    np.testing.assert_allclose(
        pixels[..., :2] / pixels[..., 2:], person.project(person.joints), atol=1e-6
    )
    inside = (person.keypoints()[..., :2] > 0) & (person.keypoints()[..., :2] < person.size)
    assert inside.all()


def test_turns_go_both_ways() -> None:
    random = np.random.default_rng(0)
    long = random.normal(size=(500, 3))
    long *= random.uniform(0, np.pi, (500, 1)) / np.linalg.norm(long, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors(matrices(long)), long, atol=1e-6)
    assert np.allclose(vectors(np.eye(3)), 0)
