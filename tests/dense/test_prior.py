# SPDX-License-Identifier: GPL-3.0-or-later
"""A network's guess of depth: fitted to the solve's points, and filled in where stereo is blind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.worker.dense.prior import FILLED, filled, fitted
from backend.worker.dense.views import DepthMap, View
from tests.backend.textured_room import room, scene_points
from tests.dense.known_room import truth

POINTS = scene_points(room())


@pytest.fixture
def seen() -> tuple[View, DepthMap]:
    return truth()[4]


@pytest.mark.parametrize("inverse", [True, False])
def test_any_scale_and_shift_is_found(seen: tuple[View, DepthMap], inverse: bool) -> None:
    """With a tenth of the guess off by far, and noise of a percent."""
    view, known = seen
    random = np.random.default_rng(1)
    value = 1 / known.depth if inverse else known.depth
    guess = (value - (0.02 if inverse else 0.3)) / 3.7
    guess = 1 / guess if inverse else guess
    guess = guess * random.normal(1, 0.01, guess.shape)
    guess[random.random(guess.shape) < 0.1] *= 2
    found = fitted(guess.astype(np.float32), view, POINTS)
    assert found is not None
    assert np.median(np.abs(found.depth / known.depth - 1)) < 0.015
    angle = (found.normal * known.normal).sum(axis=2)
    assert (np.abs(np.linalg.norm(found.normal, axis=2) - 1) < 1e-4).all()
    flat = fitted(known.depth, view, POINTS)
    assert flat is not None
    assert np.median((flat.normal * known.normal).sum(axis=2)) > 0.999
    assert angle.shape == known.depth.shape


def test_a_guess_of_something_else_is_none(seen: tuple[View, DepthMap]) -> None:
    view, known = seen
    noise = np.random.default_rng(2).uniform(1, 9, known.depth.shape).astype(np.float32)
    assert fitted(noise, view, POINTS) is None
    assert fitted(1 / known.depth, view, POINTS) is None, "what is near is no longer near"
    assert fitted(known.depth, view, POINTS) is not None
    assert fitted(np.zeros_like(noise), view, POINTS) is None
    assert fitted(known.depth, view, POINTS[:5]) is None


def test_holes_are_filled_and_bent_to_what_is_around(seen: tuple[View, DepthMap]) -> None:
    """Stereo is blind in a square and wrong in another; the guess is 4 % too far off."""
    view, known = seen
    depth, confidence = known.depth.copy(), np.ones_like(known.depth)
    blind, wrong, masked = np.s_[20:40, 30:60], np.s_[50:60, 100:120], np.s_[70:80, 70:80]
    depth[blind], confidence[blind] = 0, 0
    depth[wrong], confidence[wrong] = 2.0, 0.2
    depth[masked], confidence[masked] = 0, 0
    usable = view.usable.copy()
    usable[masked] = False
    found = replace(known, depth=depth, confidence=confidence)
    prior = replace(known, depth=known.depth * np.float32(1.04))
    whole = filled(found, prior, replace(view, usable=usable))
    for hole in (blind, wrong):
        assert np.median(np.abs(whole.depth[hole] / known.depth[hole] - 1)) < 0.005
        assert np.unique(whole.confidence[hole]) == pytest.approx(FILLED)
    assert not whole.depth[masked].any()
    sure = confidence == 1
    np.testing.assert_array_equal(whole.depth[sure], known.depth[sure])
    np.testing.assert_array_equal(whole.confidence[sure], 1)


def test_what_agrees_with_the_guess_stays(seen: tuple[View, DepthMap]) -> None:
    view, known = seen
    doubted = replace(known, confidence=np.full_like(known.confidence, 0.3))
    whole = filled(doubted, replace(known, depth=known.depth * np.float32(1.005)), view)
    np.testing.assert_array_equal(whole.depth, known.depth)
