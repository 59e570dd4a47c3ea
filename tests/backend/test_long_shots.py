# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps the cost of a solve linear in the length of the shot, and its result the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.accuracy import slip
from backend.worker.engines.solving import choosing
from backend.worker.engines.solving.lens_choice import searched_focal
from backend.worker.engines.solving.linear import Freedom
from backend.worker.engines.solving.mapping import Mapper
from backend.worker.engines.solving.marks import marks_of
from backend.worker.engines.solving.moving import LensWish
from backend.worker.engines.solving.presets import PRESETS
from backend.worker.engines.solving.whole import Pieces
from backend.worker.engines.solving.window import Windows
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


@pytest.fixture(scope="module")
def dolly() -> Made:
    return shots.make(Shot(shots.dolly, points=1500, frames=100))


@pytest.fixture(scope="module")
def marks(dolly):
    return marks_of(dolly.tracks, dolly.truth.frames.tolist(), WIDTH, HEIGHT, 1.0)


def test_the_focal_is_found_on_stretches_of_a_long_scene(dolly, marks):
    """More placed frames than are searched, and a start 8 % off."""
    scene = true_scene(dolly, marks)
    true = float(scene.lens.focal[0])
    assert scene.placed.sum() > 64
    off = replace(scene, lens=replace(scene.lens, focal=scene.lens.focal * 1.08))
    found = searched_focal(marks, off, Freedom(focal=True), 0.5, ignore)
    assert found.placed.all()
    assert found.lens.focal == pytest.approx(true, rel=0.004)


def test_long_tracks_are_cut_into_pieces_and_joined_again(dolly, marks):
    away = (np.diff(marks.frame) > 12) & (np.diff(marks.track) == 0)
    marks = marks.only(~np.isin(marks.track, marks.track[1:][away]))
    scene = true_scene(dolly, marks)
    pieces = Pieces.of(marks, longest=20)
    first = np.full(pieces.marks.tracks, marks.frames)
    last = np.full(pieces.marks.tracks, -1)
    np.minimum.at(first, pieces.marks.track, pieces.marks.frame)
    np.maximum.at(last, pieces.marks.track, pieces.marks.frame)
    assert (last - first).max() < 20
    assert np.array_equal(pieces.tracks(pieces.marks).track, marks.track)
    counts = np.bincount(pieces.origin, minlength=marks.tracks)
    assert counts.max() > 1
    parted = pieces.scene(scene)
    assert np.array_equal(parted.errors(pieces.marks), scene.errors(marks))
    joined = pieces.joined(parted, scene)
    assert np.array_equal(joined.known, scene.known & (counts == 1))
    assert np.array_equal(joined.points, scene.points)


def test_a_track_that_was_found_again_stays_one_piece(marks):
    """The frames between count little: what links far frames must not be cut there."""
    frames = np.array([*range(10), *range(80, 90)])
    again = replace(
        marks,
        tracks=1,
        frame=frames,
        track=np.zeros(20, dtype=np.int64),
        pixel=np.zeros((20, 2)),
        weight=np.ones(20),
    )
    assert Pieces.of(again, longest=40).origin.tolist() == [0]
    assert Pieces.of(again, longest=20).origin.tolist() == [0, 0]


def test_a_window_is_the_shot_seen_through_it(dolly, marks):
    scene = true_scene(dolly, marks)
    frames = np.zeros(marks.frames, dtype=bool)
    frames[30:36] = True
    window = Windows(marks).around(np.array([32]), frames)
    assert window.frames.tolist() == list(range(30, 36))
    part = window.part(scene)
    seen = marks.only(frames[marks.frame] & np.isin(marks.track, window.tracks))
    assert np.array_equal(np.unique(marks.track[marks.frame == 32]), window.tracks)
    assert np.array_equal(part.errors(window.marks), scene.errors(seen))
    moved = window.back(scene, replace(part, translation=part.translation + 1))
    assert np.array_equal(moved.translation[frames], scene.translation[frames] + 1)
    assert np.array_equal(moved.translation[~frames], scene.translation[~frames])


def test_a_long_shot_is_mapped_from_a_stretch_of_it(dolly, marks, monkeypatch):
    """More keyframes than a start is chosen on; each is placed, and the path is the true one."""
    keys = range(0, marks.frames, 2)
    chosen_on: list[int] = []
    best = Mapper._best

    def watched(self, *arguments):
        chosen_on.append(len(self.keys))
        return best(self, *arguments)

    monkeypatch.setattr(Mapper, "_best", watched)
    settings = PRESETS["medium"].map
    thin = marks.only(choosing.spread(marks, settings.per_frame, dolly.tracks.manual)[marks.track])
    guesses = LensWish().guesses(marks.width)
    mapper = Mapper(thin, keys, guesses, Freedom(), settings, ignore)
    mapped = mapper.best()
    assert chosen_on == [48]
    assert len(keys) > 48
    assert mapped is not None
    assert mapped.scene.placed[list(keys)].all()
    found = slip(dolly.truth, camera_of(mapped.scene, dolly), dolly.points)
    assert found.rms < 0.5
