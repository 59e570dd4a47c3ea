# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion and a body come back from their files as they were, and what is damaged is refused."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.body import RestBody
from backend.camera import Similarity
from backend.dense import Place
from backend.errors import FormatError
from backend.motion import MocapRecord, Motion
from backend.smplx import JOINTS, PARENTS

PLACE = Place(12.5, Similarity(2.0, np.eye(3), np.array([1.0, 2.0, 3.0])))


def motion(frames: int = 4) -> Motion:
    random = np.random.default_rng(0)
    return Motion(
        person="person_00",
        gender="female",
        frames=np.arange(1001, 1001 + frames),
        fps=Fraction(24000, 1001),
        rotations=random.normal(size=(frames, 55, 3)),
        translation=random.normal(size=(frames, 3)),
        betas=random.normal(size=10),
        pelvis=random.normal(size=3),
        camera_rotation=random.normal(size=(frames, 3)),
        camera_translation=random.normal(size=(frames, 3)),
        scale=0.7,
        place=PLACE,
        confidence=np.full(frames, 0.5),
        contact=random.random((frames, 4)),
        keypoints=random.random((frames, 17, 3)),
    )


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Place):
        return one.to_text() == other.to_text()
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else bool(one == other)


def test_a_motion_comes_back(tmp_path: Path) -> None:
    for before in (motion(), replace(motion(), keypoints=None)):
        before.save(tmp_path / "motion.npz")
        after = Motion.load(tmp_path / "motion.npz")
        for field in fields(Motion):
            assert same(getattr(before, field.name), getattr(after, field.name)), field.name


def test_its_file_says_what_is_in_it(tmp_path: Path) -> None:
    motion().save(tmp_path / "motion.npz")
    with np.load(tmp_path / "motion.npz", allow_pickle=False) as content:
        assert content["joint_names"].tolist() == list(JOINTS)
        assert str(content["fps"]) == "24000/1001"
        assert "radians" in str(content["units"])
        assert "z up" in str(content["axes"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rotations", np.zeros((4, 54, 3))),
        ("translation", np.full((4, 3), np.nan)),
        ("frames", np.array([1, 3, 2, 4])),
        ("betas", np.array(["tall"])),
        ("gender", np.array("other")),
        ("format", np.array("something")),
        ("scale", np.float64(0)),
        ("fps", np.array("1/0")),
    ],
)
def test_what_is_damaged_is_refused(tmp_path: Path, name: str, value: np.ndarray) -> None:
    motion().save(tmp_path / "motion.npz")
    with np.load(tmp_path / "motion.npz") as content:
        arrays = {**content, name: value}
    np.savez(tmp_path / "motion.npz", **arrays)
    with pytest.raises(FormatError, match=r"motion\.npz"):
        Motion.load(tmp_path / "motion.npz")


def test_pickles_are_never_read(tmp_path: Path) -> None:
    motion().save(tmp_path / "motion.npz")
    with np.load(tmp_path / "motion.npz") as content:
        arrays = {**content, "betas": np.array([{"a": 1}], dtype=object)}
    np.savez(tmp_path / "motion.npz", **arrays)
    with pytest.raises(FormatError):
        Motion.load(tmp_path / "motion.npz")


def test_a_part_of_it_has_the_frames_asked_for() -> None:
    part = motion().between(1002, 1003)
    assert part.frames.tolist() == [1002, 1003]
    assert np.array_equal(part.rotations, motion().rotations[1:3])
    assert np.array_equal(part.betas, motion().betas)


def test_a_record_comes_back(tmp_path: Path) -> None:
    offered = Place(12.5, Similarity(1.0, np.eye(3), np.zeros(3)))
    for other in (None, offered):
        before = MocapRecord(
            "gvhmr", ("a", "b"), 0.5, "From feet", PLACE, ("A note.",), other, {"x": 1}
        )
        before.save(tmp_path / "mocap.json")
        after = MocapRecord.load(tmp_path / "mocap.json")
        assert after.facts == ("2 people", "From feet", "A note.")
        assert (after.engine, after.people, after.details) == ("gvhmr", ("a", "b"), {"x": 1})
        assert (after.offered is None) == (other is None)
        assert after.place.to_text() == PLACE.to_text()


def test_a_body_comes_back_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    body = RestBody(
        vertices=np.eye(3),
        faces=np.array([[0, 1, 2]], np.int32),
        joints=np.zeros((55, 3)),
        movers=np.zeros((3, 4), np.uint8),
        weights=np.ones((3, 4), np.float32),
        uv=np.zeros((0, 3, 2), np.float32),
    )
    body.save(tmp_path / "body.npz")
    after = RestBody.load(tmp_path / "body.npz")
    assert all(same(getattr(body, f.name), getattr(after, f.name)) for f in fields(RestBody))
    replace(body, faces=np.array([[0, 1, 3]], np.int32)).save(tmp_path / "body.npz")
    with pytest.raises(FormatError, match="not there"):
        RestBody.load(tmp_path / "body.npz")


def test_each_joint_comes_after_its_parent() -> None:
    assert len(JOINTS) == len(PARENTS) == len(set(JOINTS)) == 55
    assert all(parent < joint for joint, parent in enumerate(PARENTS))
    sides = {name: JOINTS[PARENTS[place]] for place, name in enumerate(JOINTS) if place}
    for name, parent in sides.items():
        mirrored = name.replace("left", "right")
        assert sides[mirrored] == parent.replace("left", "right")
