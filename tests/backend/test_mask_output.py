# SPDX-License-Identifier: GPL-3.0-or-later
"""The roto folder: which masks a stage writes, under which names, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.outputs import masks_digest
from backend.shot import Shot, read_json

from .roto_shots import FIRST, block, frames_of, make_shot, paint, read, write_found

NAMES = [f"frame_{FIRST + step:04d}.png" for step in range(6)]


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return make_shot(tmp_path, 6)


def folders(shot: Shot) -> list[str]:
    return sorted(entry.name for entry in shot.roto.iterdir() if entry.is_dir())


def pngs(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("*.png"))


def test_every_frame_has_a_mask_in_every_folder(shot: Shot) -> None:
    late, early = {3: block(60), 4: block(62)}, {1: block(10), 2: block(12)}
    # The engine may give its frames in any order, as one that goes both ways does.
    write_found(shot, reversed(frames_of(("person", 4, late), ("person", 9, early))))
    assert folders(shot) == ["mask", "person", "person_00", "person_01"]
    for name in folders(shot):
        assert pngs(shot.roto / name) == NAMES
        assert all(read(shot.roto / name, step).dtype == np.uint8 for step in range(6))
    assert np.array_equal(read(shot.roto / "person_00", 1), early[1])
    assert not read(shot.roto / "person_00", 3).any()
    assert np.array_equal(read(shot.roto / "person_01", 4), late[4])
    assert np.array_equal(read(shot.roto / "person", 3), late[3])
    assert np.array_equal(read(shot.masks, 2), early[2])
    assert not read(shot.masks, 0).any()


def test_a_label_without_instances(shot: Shot) -> None:
    both = frames_of(("person", 0, {0: block(10)}), ("person", 1, {0: block(60)}))
    write_found(shot, both, separate=False)
    assert folders(shot) == ["mask", "person"]
    assert np.array_equal(read(shot.roto / "person", 0), block(10) | block(60))
    assert list(read_json(shot.roto / "roto.json")["instances"]) == ["person"]


def test_labels_become_safe_folders(shot: Shot) -> None:
    warned = write_found(shot, frames_of(("mask", 0, {0: block(10)})), labels=["mask", "a/../b"])
    assert folders(shot) == ["a_b", "mask", "mask_", "mask__00"]
    assert warned == ["Nothing was found for 'a/../b'."]
    assert not read(shot.roto / "a_b", 0).any()


def test_what_others_made_stays(shot: Shot) -> None:
    paint(shot.roto / "hand", range(6), block(90))
    paint(shot.combined, range(6), block(40))
    shot.prompts.write_text('{"version": 1, "objects": []}')
    write_found(shot, frames_of(("bag", 0, {2: block(50)})), ["bag"], stage="interactive")
    before = (shot.roto / "bag_00" / NAMES[2]).read_bytes()
    warned = write_found(shot, frames_of(("person", 0, {1: block(10)})))
    assert warned == []
    assert folders(shot) == ["bag", "bag_00", "combined", "hand", "mask", "person", "person_00"]
    assert (shot.roto / "bag_00" / NAMES[2]).read_bytes() == before
    assert shot.prompts.is_file()
    assert (shot.roto / "interactive.json").is_file()
    assert np.array_equal(read(shot.masks, 1), block(10) | block(90))
    assert np.array_equal(read(shot.masks, 2), block(50) | block(90))


def test_the_last_run_is_replaced(shot: Shot) -> None:
    write_found(shot, frames_of(("person", 0, {1: block(10)}), ("person", 1, {1: block(50)})))
    warned = write_found(shot, frames_of(("ball", 0, {1: block(70)})), ["ball"])
    assert warned == []
    assert folders(shot) == ["ball", "ball_00", "mask"]
    assert np.array_equal(read(shot.masks, 1), block(70))


def test_masks_changed_by_hand_stay(shot: Shot) -> None:
    write_found(shot, frames_of(("person", 0, {1: block(10)}), ("person", 1, {1: block(50)})))
    paint(shot.roto / "person_00", [4], block(20))
    again = frames_of(("person", 5, {1: block(12)}))
    (warning,) = write_found(shot, again)
    assert "roto/person_v2" in warning
    assert folders(shot) == ["mask", "person_00", "person_v2", "person_v2_00"]
    assert np.array_equal(read(shot.roto / "person_00", 4), block(20))
    assert np.array_equal(read(shot.masks, 4), block(20))
    # What was written beside them is this stage's own, and is replaced by the next run.
    write_found(shot, again)
    assert folders(shot) == ["mask", "person_00", "person_v2", "person_v2_00"]


def test_a_hand_made_label_keeps_its_name(shot: Shot) -> None:
    paint(shot.roto / "person", range(6), block(90))
    (warning,) = write_found(shot, frames_of(("person", 0, {1: block(10)})))
    assert "did not make" in warning
    assert np.array_equal(read(shot.roto / "person", 1), block(90))
    assert np.array_equal(read(shot.roto / "person_v2_00", 1), block(10))


def test_a_painted_union_becomes_a_label(shot: Shot) -> None:
    paint(shot.masks, range(6), block(80))
    (warning,) = write_found(shot, frames_of(("person", 0, {1: block(10)})))
    assert "painted by hand" in warning
    assert np.array_equal(read(shot.roto / "mask_painted", 1), block(80))
    assert np.array_equal(read(shot.masks, 1), block(10) | block(80))


def test_the_same_masks_leave_a_solve_current(shot: Shot) -> None:
    masks = frames_of(("person", 0, {1: block(10)}))
    write_found(shot, masks)
    solved_with = masks_digest(shot)
    write_found(shot, masks)
    assert masks_digest(shot) == solved_with
    write_found(shot, frames_of(("person", 0, {1: block(11)})))
    assert masks_digest(shot) != solved_with


def test_actors_that_cross_keep_their_numbers(shot: Shot) -> None:
    """By the order from left to right, or by nearness and size, they would be exchanged."""
    right = {step: block(10 + 16 * step) for step in range(6)}
    left = {step: block(90 - 16 * step, height=32) for step in range(6) if step != 3}
    (warning, *_others) = write_found(shot, frames_of(("person", 0, right), ("person", 1, left)))
    assert warning == f"person_01 is not seen in frames {FIRST + 3}: check whether it is hidden."
    for step in range(6):
        assert np.array_equal(read(shot.roto / "person_00", step), right[step])
        there = left.get(step, np.zeros_like(right[0]))
        assert np.array_equal(read(shot.roto / "person_01", step), there)


def test_figures_and_remarks(shot: Shot) -> None:
    steady = {step: block(40, top=20, width=20) for step in range(6)}
    steady[4] = block(40, top=20, width=6)
    alone = {step: block(80, top=20, width=12) for step in (0, 1, 2, 5)}
    swallowed = {step: block(92, top=20, width=12) for step in range(3)} | {
        step: block(80, top=20, width=24) for step in (3, 4, 5)
    }
    things = (("person", 0, steady), ("person", 1, alone), ("person", 2, swallowed))
    warned = write_found(shot, frames_of(*things))
    told = read_json(shot.roto / "roto.json")["instances"]
    assert told["person_00"] == {
        "first": FIRST, "last": FIRST + 5, "frames": 6, "holes": "",
        "flicker": f"{FIRST + 4}-{FIRST + 5}", "touches": {}, "merges": {},
    }  # fmt: skip
    assert told["person_01"]["holes"] == f"{FIRST + 3}-{FIRST + 4}"
    assert told["person_01"]["merges"] == {"person_02": str(FIRST + 3)}
    assert told["person_01"]["touches"]["person_02"].startswith(f"{FIRST}-{FIRST + 2}")
    assert any("person_01 seems to become a part of person_02" in text for text in warned)
    assert any("person_00 flickers" in text for text in warned)


def test_leftovers_of_a_killed_run_are_dropped(shot: Shot, tmp_path: Path) -> None:
    paint(tmp_path / "shot" / "roto.part" / ".found" / "0-3", [0], block(5))
    write_found(shot, frames_of(("person", 0, {1: block(10)})))
    assert folders(shot) == ["mask", "person", "person_00"]
    assert not read(shot.roto / "person", 0).any()
