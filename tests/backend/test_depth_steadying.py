# SPDX-License-Identifier: GPL-3.0-or-later
"""What a neighbor says of a depth counts by how much its own would change with it."""

from __future__ import annotations

import numpy as np
import pytest

from backend.reconstruction import CameraModel
from backend.worker.depth.geometry import MapView
from backend.worker.depth.steadying import steadied

WIDTH, HEIGHT = 32, 24


def view(number: int, forward: float) -> MapView:
    lens = CameraModel("PINHOLE", WIDTH, HEIGHT, (40.0, 40.0, WIDTH / 2, HEIGHT / 2))
    return MapView(number, (WIDTH, HEIGHT), lens, np.eye(3), np.array([0.0, 0.0, -forward]))


@pytest.mark.parametrize("error", [1.02, 0.98])
def test_a_camera_that_comes_nearer_sees_an_error_larger_and_takes_it_as_it_is(
    error: float,
) -> None:
    """A wall 2 away; the frames around stand halfway to it and know that it is 1 away."""
    still = np.ones((HEIGHT, WIDTH), bool)

    def load(number: int) -> tuple[MapView, np.ndarray, np.ndarray]:
        depth = 2.0 * error if number == 5 else 1.0
        wall = np.full((HEIGHT, WIDTH), depth, np.float32)
        return view(number, 0.0 if number == 5 else 1.0), wall, still

    around = [3, 4, 6, 7]
    found = steadied(5, around, load, 0.2)[HEIGHT // 2, WIDTH // 2] / 2
    one = steadied(5, [4], load, 0.2)[HEIGHT // 2, WIDTH // 2] / 2
    assert abs(np.log(found)) < 0.45 * abs(np.log(error))
    assert np.log(found) * np.log(error) > 0, "no neighbor leads beyond what it says"
    assert abs(np.log(found)) < abs(np.log(one)) < abs(np.log(error))


def test_what_is_far_off_is_another_thing() -> None:
    still = np.ones((HEIGHT, WIDTH), bool)

    def load(number: int) -> tuple[MapView, np.ndarray, np.ndarray]:
        wall = np.full((HEIGHT, WIDTH), 2.0 if number == 5 else 3.0, np.float32)
        return view(number, 0.0), wall, still

    assert steadied(5, [4, 6], load, 0.05)[HEIGHT // 2, WIDTH // 2] == pytest.approx(2.0)
