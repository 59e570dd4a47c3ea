# SPDX-License-Identifier: GPL-3.0-or-later
"""What is removed: labels and their mattes, the sizes of masks, how they are grown and faded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.errors import MaskError, UsageError
from backend.mask_folders import Edit
from backend.shot import Shot
from backend.worker.cleanplate.removal import TRACE, Removal, grown
from tests.backend.mask_shots import SIZE, make_shot, write_masks

FRAMES = (1001, 1002)
WIDTH, HEIGHT = SIZE


def spot(column: int, level: int = 255) -> np.ndarray:
    """A mask of one pixel."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10, column] = level
    return mask


def add(shot: Shot, folder: str, mask: np.ndarray, frames: tuple[int, ...] = FRAMES) -> None:
    write_masks(shot.path / folder, dict.fromkeys(frames, mask))


def removal(shot: Shot, labels: str = "", dilate: float = 0, feather: float = 0) -> Removal:
    return Removal.of(shot, shot.load_plate(), labels, dilate, feather)


def columns(shot: Shot, labels: str = "", number: int = 1001) -> list[int]:
    """Where something is removed."""
    return np.flatnonzero(removal(shot, labels).mask(number)[10]).tolist()


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return make_shot(tmp_path / "shot", FRAMES)


@pytest.fixture
def two(shot: Shot) -> Shot:
    """Two actors and a bag, as roto writes them."""
    add(shot, "roto/actor", spot(1) | spot(2))
    add(shot, "roto/actor_00", spot(1))
    add(shot, "roto/actor_01", spot(2))
    add(shot, "roto/bag", spot(5))
    add(shot, "roto/mask", spot(30))
    add(shot, "roto/combined", spot(31))
    return shot


def test_all_labels_are_removed_and_no_union(two: Shot) -> None:
    assert columns(two) == [1, 2, 5]


def test_a_union_without_labels_is_what_somebody_put_there(shot: Shot) -> None:
    add(shot, "roto/mask", spot(30))
    assert columns(shot) == [30]
    assert removal(shot).labels == ["mask"]


def test_a_label_names_its_instances_too(two: Shot) -> None:
    add(two, "roto/actor", spot(1))
    assert columns(two, "actor") == [1, 2]
    assert columns(two, "actor_01") == [2]
    assert columns(two, " bag ,actor_00") == [1, 5]


def test_an_unknown_label_is_told_with_those_there_are(two: Shot) -> None:
    with pytest.raises(UsageError, match=r"no masks 'bicycle'.*actor, actor_00, actor_01, bag"):
        removal(two, "bag, bicycle")


def test_a_matte_stands_in_for_the_mask_it_came_from(two: Shot) -> None:
    add(two, "matte/actor_00", spot(11))
    assert columns(two, "actor_00") == [11]
    assert columns(two) == [1, 2, 5, 11], "one actor has no matte, so the label's mask counts"


def test_mattes_of_all_instances_replace_the_labels_own_mask(two: Shot) -> None:
    add(two, "matte/actor_00", spot(11))
    add(two, "matte/actor_01", spot(12))
    assert columns(two) == [5, 11, 12]
    assert columns(two, "actor") == [11, 12]


def test_an_edited_mask_stays_beside_the_mattes(two: Shot) -> None:
    add(two, "matte/actor_00", spot(11))
    add(two, "matte/actor_01", spot(12))
    Edit("edit").save(two.roto / "actor")
    assert columns(two, "actor") == [1, 2, 11, 12]


def test_a_frame_without_a_matte_has_the_mask(two: Shot) -> None:
    add(two, "matte/actor_00", spot(11), (1002,))
    assert columns(two, "actor_00", 1001) == [1]
    assert columns(two, "actor_00", 1002) == [11]


def test_a_matte_alone_is_enough(shot: Shot) -> None:
    add(shot, "matte/hair_00", spot(7))
    assert columns(shot) == [7]


def test_no_masks_say_what_to_do(shot: Shot) -> None:
    add(shot, "roto/mask", spot(3))
    add(shot, "roto/actor", spot(3), (7,))
    with pytest.raises(MaskError, match="Roto by Text"):
        removal(shot)


def test_a_frame_without_a_mask_is_black(shot: Shot) -> None:
    add(shot, "roto/actor", spot(3), (1001,))
    assert not removal(shot, dilate=5, feather=3).mask(1002).any()


def test_a_mask_of_another_size_is_told(shot: Shot) -> None:
    add(shot, "roto/actor", np.zeros((HEIGHT, WIDTH + 1), np.uint8))
    with pytest.raises(MaskError, match=rf"{WIDTH + 1} x {HEIGHT} but the plate is {WIDTH} x"):
        removal(shot).mask(1001)


def test_all_of_a_soft_edge_is_removed_but_not_its_noise(shot: Shot) -> None:
    add(shot, "roto/actor", spot(3, TRACE) | spot(6, TRACE + 1) | spot(9, 128))
    assert columns(shot) == [6, 9]
    assert set(removal(shot).mask(1001)[10, [6, 9]].tolist()) == {255}


@pytest.mark.parametrize("dilate", [0, 1, 1.42, 2.5, 6])
def test_masks_grow_by_euclidean_distance(dilate: float) -> None:
    there = np.zeros((41, 61), bool)
    there[20, 30] = there[22, 41] = True
    rows, across = np.mgrid[:41, :61]
    nearest = np.minimum(np.hypot(rows - 20, across - 30), np.hypot(rows - 22, across - 41))
    assert np.array_equal(grown(there, dilate, 0) == 255, nearest <= dilate + 1e-6)
    assert not ((grown(there, dilate, 0) > 0) & (nearest > dilate + 1e-6)).any()


def test_masks_fade_outwards_only() -> None:
    there = np.zeros((9, 60), bool)
    there[:, :20] = True
    line = grown(there, 3, 10)[4].astype(float)
    assert (line[:23] == 255).all(), "20 selected, 3 grown"
    assert (line[33:] == 0).all()
    away = (np.arange(23, 33) - 22) / 10
    assert np.abs(line[23:33] - 255 * (1 - away**2 * (3 - 2 * away))).max() <= 0.6
    assert (np.diff(line) <= 0).all()


def test_masks_reach_the_frames_edges() -> None:
    there = np.zeros((20, 30), bool)
    there[0, 0] = there[19, 29] = True
    found = grown(there, 4, 2)
    assert found[4, 0] == found[0, 4] == found[15, 29] == 255
    assert not grown(np.zeros((20, 30), bool), 4, 2).any()
