# SPDX-License-Identifier: GPL-3.0-or-later
"""People who are found without masks, and who is who from frame to frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.worker.engines.person_detector import PersonDetector, Track, join, named, overlap
from tests.models.tiny_bodies import SIZE, plate_camera, save_detector

SURE = np.ones(2)


def walk(count: int, hidden: range = range(0), swap: bool = False) -> list[Track]:
    """Two cross each other at different depths, the second one hidden for some frames."""
    tracks: list[Track] = []
    for frame in range(count):
        near = np.array([0.0 + 10 * frame, 0, 200 + 10 * frame, 500])
        far = np.array([700.0 - 10 * frame, 200, 760 - 10 * frame, 350])
        boxes = [near] if frame in hidden else [near, far]
        boxes = boxes[::-1] if swap and frame % 2 else boxes
        join(tracks, frame, np.array(boxes), SURE[: len(boxes)])
    return tracks


@pytest.mark.parametrize("swap", [False, True])
def test_people_who_cross_stay_who_they_are(swap: bool) -> None:
    near, far = named(walk(60, swap=swap), 540)
    assert (near.name, far.name) == ("person_00", "person_01")
    assert len(near.frames) == len(far.frames) == 60
    assert (np.diff(near.boxes[:, 0]) == 10).all()
    assert (np.diff(far.boxes[:, 0]) == -10).all()


def test_who_is_hidden_for_a_moment_is_the_same_afterwards() -> None:
    found = named(walk(60, range(30, 33)), 540)
    assert [len(each.frames) for each in found] == [60, 57]
    assert not {30, 31, 32} & set(found[1].frames.tolist())
    long = named(walk(100, range(30, 60)), 540)
    assert [len(each.frames) for each in long] == [100, 40, 30]


def test_passing_things_and_small_ones_are_nobody() -> None:
    assert named(walk(11), 540) == []
    assert [each.boxes[0, 3] for each in named(walk(60), 3000)] == [500]


def test_who_is_not_sure_begins_nothing_but_goes_on() -> None:
    tracks: list[Track] = []
    box = np.array([[0.0, 0, 10, 40]])
    join(tracks, 0, box, np.array([0.4]))
    assert not tracks
    join(tracks, 1, box, np.array([0.9]))
    join(tracks, 2, box, np.array([0.4]))
    join(tracks, 3, np.empty((0, 4)), np.empty(0))
    assert [list(track.boxes) for track in tracks] == [[1, 2]]


def test_what_boxes_share() -> None:
    one = np.array([0.0, 0, 10, 10])
    assert overlap(one, one) == 1
    assert overlap(one, one + np.array([5, 0, 5, 0])) == pytest.approx(1 / 3)
    assert overlap(one, one + 20) == 0
    assert overlap(one * 0, one * 0) == 0


def test_boxes_are_in_the_plate(tmp_path: Path) -> None:
    """The real network with random weights: it sees whatever."""
    detector = PersonDetector.load(save_detector(tmp_path / "weights"))
    camera = plate_camera(tmp_path, 3)
    told = []
    people = detector.people(camera, lambda *each: told.append(each))
    assert told == [(1, 3, "frames"), (2, 3, "frames"), (3, 3, "frames")]
    assert people == [], "three frames are nobody"
    random = np.random.default_rng(0)
    picture = random.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    boxes, sure = detector.boxes(picture)
    assert boxes.shape == (len(sure), 4)
    assert (np.diff(sure) <= 0).all()
    assert (boxes >= 0).all()
    assert (boxes <= np.array([*SIZE, *SIZE])).all()
