# SPDX-License-Identifier: GPL-3.0-or-later
"""What networks see of a person, and the joints that ViTPose finds there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.errors import ModelError, Remedy
from backend.smplx import KEYPOINTS
from backend.worker.engines.person_crops import cut, in_batches, windows_around
from backend.worker.engines.room import OutOfRoomError
from backend.worker.engines.vit_pose import SIZE, VitPose, peaks
from tests.models.tiny_bodies import save_vit_pose


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> VitPose:
    return VitPose.load(save_vit_pose(tmp_path_factory.mktemp("pose")))


def pictures(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8) for _ in range(count)]


def test_a_window_is_a_square_that_shows_more_than_the_person() -> None:
    boxes = np.array([[10.0, 20, 30, 100], [0, 0, 80, 40]])
    np.testing.assert_allclose(
        windows_around(boxes, 1.0), [[20, 60, 96, 96], [40, 20, 128, 128]], rtol=1e-12
    )
    wide = windows_around(boxes * [1, 0.5, 1, 0.5], 0.5)
    np.testing.assert_allclose(wide, [[20, 30, 96, 48], [40, 10, 128, 64]], rtol=1e-12)


@pytest.mark.parametrize("side", [30.0, 100.0, 700.0])
def test_the_first_and_last_pixel_show_the_windows_edges(side: float) -> None:
    """A plate whose colors are its coordinates."""
    y, x = np.indices((900, 1200)).astype(np.float64)
    plate = np.stack([(x + 0.5) / 5, (y + 0.5) / 5, x * 0 + 77], axis=2)
    window = np.array([601.3, 450.7, side, side * 1.25])
    seen = cut(plate.round().astype(np.uint8), window, (64, 80))
    assert seen.shape == (80, 64, 3)
    along = np.linspace(-0.5, 0.5, 64) * side + 601.3
    down = np.linspace(-0.5, 0.5, 80) * side * 1.25 + 450.7
    inner = slice(1, -1)
    assert np.abs(seen[inner, inner, 0] - along[inner] / 5).max() < 1.1
    assert np.abs(seen[inner, inner, 1] - down[inner, None] / 5).max() < 1.1
    assert abs((seen[..., 0] - along / 5).mean()) < 0.1, "not half a pixel off"
    assert (seen[..., 2] == 77).all()


def test_what_is_outside_of_the_plate_is_black() -> None:
    plate = np.full((60, 80, 3), 200, np.uint8)
    half = cut(plate, np.array([0.0, 30, 40, 40]), (40, 40))
    assert (half[:, :18] == 0).all()
    assert (half[:, 22:] == 200).all()
    assert not cut(plate, np.array([-500.0, 30, 40, 40]), (40, 40)).any()
    assert not cut(plate, np.array([500.0, 30, 40, 40]), (40, 40)).any()


def test_peaks_are_found_between_samples() -> None:
    y, x = np.mgrid[:64, :48]
    places = np.array([[20.3, 31.7], [5.0, 5.4], [40.49, 57.2]])
    maps = [0.8 * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 8) for a, b in places]
    found = peaks(np.array([maps]))[0]
    assert np.abs(found[:, :2] - places).max() < 0.03
    assert np.abs(found[:, 2] - 0.8).max() < 0.03
    assert (peaks(np.zeros((1, 1, 64, 48)))[..., 2] == 0).all()


def test_a_mirror_image_has_the_mirrored_joints(tiny: VitPose) -> None:
    seen = pictures(3)
    straight, mirrored = tiny.joints(seen), tiny.joints([each[:, ::-1] for each in seen])
    turned = {"left": "right", "right": "left"}
    names = ["_".join(turned.get(word, word) for word in name.split("_")) for name in KEYPOINTS]
    other = [KEYPOINTS.index(name) for name in names]
    assert straight.shape == (3, 17, 3)
    np.testing.assert_allclose(1 - mirrored[:, other, 0], straight[..., 0], atol=1e-3)
    np.testing.assert_allclose(mirrored[:, other, 1], straight[..., 1], atol=1e-3)
    assert straight[..., :2].std() > 0.05


def test_joints_do_not_depend_on_who_else_is_looked_at(tiny: VitPose) -> None:
    seen = pictures(6)
    together = tiny.joints(seen)
    alone = np.concatenate([tiny.joints([each]) for each in seen])
    np.testing.assert_allclose(together, alone, atol=1e-3)


def test_a_network_of_many_data_sets_is_asked_for_the_first(tmp_path: Path) -> None:
    poses = VitPose.load(save_vit_pose(tmp_path, experts=3))
    assert np.isfinite(poses.joints(pictures(2))).all()


def test_weights_for_other_joints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="of 21 joints") as caught:
        VitPose.load(save_vit_pose(tmp_path, joints=21))
    assert caught.value.remedy is Remedy.GET_MODEL


def test_fewer_are_looked_at_where_memory_asks_for_it() -> None:
    asked = []

    def see(part: list[int]) -> np.ndarray:
        asked.append(len(part))
        if len(part) > 3:
            raise OutOfRoomError
        return np.array(part)

    assert in_batches(list(range(10)), 8, see).tolist() == list(range(10))
    assert asked == [8, 4, 2, 2, 2, 2, 2]
    with pytest.raises(ModelError, match="no room to look at even one"):
        in_batches([1] * 4, 1, lambda part: see([*part, 1, 1, 1]))
