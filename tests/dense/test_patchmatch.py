# SPDX-License-Identifier: GPL-3.0-or-later
"""PatchMatch against the exact depth of a room of textured planes."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.errors import UsageError
from backend.worker.dense.patchmatch.engine import PatchMatch
from backend.worker.dense.patchmatch.levels import level_sizes
from backend.worker.dense.patchmatch.programs import processor
from backend.worker.dense.patchmatch.recent import Recent
from backend.worker.dense.source_views import select_sources
from backend.worker.dense.views import DepthMap, View
from tests.backend.textured_room import looking, room, sideways, track

from . import simulated_cuda
from .room_views import seen_by, true_map, views
from .shift import shift_of, shifted

WIDTH, HEIGHT, COUNT = 240, 135, 5
MIDDLE = 2
HIDDEN = (slice(40, 70), slice(90, 130))
"""Rows and columns that the masked view says are not usable."""


@dataclass(frozen=True, eq=False)
class Found:
    """The middle view's maps of both passes beside the truth."""

    views: list[View]
    sources: list[int]
    engine: PatchMatch
    photometric: DepthMap
    geometric: DepthMap
    truth: DepthMap
    seen: np.ndarray


@pytest.fixture(scope="module")
def found() -> Found:
    seen = views(track(past_boxes, COUNT, WIDTH, HEIGHT))
    sources = select_sources(seen)
    engine = PatchMatch(processor())
    maps = {
        index: engine.photometric(seen[index], [seen[other] for other in sources[index]])
        for index in (MIDDLE, *sources[MIDDLE])
    }
    pairs = [(seen[other], maps[other]) for other in sources[MIDDLE]]
    geometric = engine.geometric(seen[MIDDLE], maps[MIDDLE], pairs)
    truth = true_map(seen[MIDDLE], room())
    by = [seen_by(seen[MIDDLE], truth.depth, other, room()) for other, _ in pairs]
    twice = np.sum(by, axis=0) >= 2
    return Found(seen, sources[MIDDLE], engine, maps[MIDDLE], geometric, truth, twice)


def past_boxes(share: float) -> np.ndarray:
    return sideways(0.15 + 0.7 * share)


def test_depth_is_right_where_two_views_see_and_where_it_is_sure(found: Found) -> None:
    """Patches reach over the boxes' edges, so some of what is seen is wrong near those."""
    error = _error(found, found.geometric)
    sure = found.geometric.confidence > 0.5
    assert found.seen.mean() > 0.9
    assert (error[found.seen] < 0.01).mean() > 0.8
    assert np.median(error[found.seen]) < 0.0025
    assert sure[found.seen].mean() > 0.68
    assert (error[sure] < 0.01).mean() > 0.94


def _error(found: Found, one: DepthMap) -> np.ndarray:
    return np.abs(one.depth / found.truth.depth - 1)


def test_the_second_pass_is_better_than_the_first(found: Found) -> None:
    first, second = (_error(found, one) for one in (found.photometric, found.geometric))
    assert np.median(second) < 0.9 * np.median(first)
    assert (second < 0.01).mean() > (first < 0.01).mean()


def test_normals_are_of_length_1_and_face_the_camera(found: Found) -> None:
    normal = found.geometric.normal
    there = found.geometric.depth > 0
    assert np.allclose(np.linalg.norm(normal, axis=-1), there, atol=1e-4)
    angle = np.degrees(np.arccos(np.clip((normal * found.truth.normal).sum(-1), -1, 1)))
    assert np.median(angle[found.geometric.confidence > 0.5]) < 15


def test_confidence_tells_right_from_wrong(found: Found) -> None:
    error = _error(found, found.geometric)
    wrong, right = error > 0.03, error < 0.005
    confidence = found.geometric.confidence
    assert 0 <= confidence.min() <= confidence.max() <= 1
    assert np.median(confidence[right]) > 0.7
    assert np.median(confidence[wrong]) < 0.2


@pytest.fixture(scope="module")
def cornered() -> list[tuple[View, DepthMap, DepthMap, list[View]]]:
    """Three views of the room's corner, where three walls slope in three ways: what was found, the
    truth, and the sources."""
    seen = views(track(into_corner, 5, 240, 135))
    chosen = [[seen[other] for other in others] for others in select_sources(seen)]
    engine = PatchMatch(processor())
    maps = {
        one.number: engine.photometric(one, others)
        for one, others in zip(seen, chosen, strict=True)
    }
    return [
        (
            one,
            engine.geometric(one, maps[one.number], [(o, maps[o.number]) for o in others]),
            true_map(one, room()),
            others,
        )
        for one, others in list(zip(seen, chosen, strict=True))[1:4]
    ]


def into_corner(share: float) -> np.ndarray:
    return looking(np.array([0.5 + 0.5 * share, 4.0 + 0.5 * share, 1.9]), 48 + 6 * share, -22)


def test_nothing_is_shifted_by_a_part_of_a_pixel(
    cornered: list[tuple[View, DepthMap, DepthMap, list[View]]],
) -> None:
    shifts = [shift_of(*one) for one in cornered]
    for found in shifts:
        assert found.pixels > 10000
        assert abs(found.along) < 0.01
    means = np.mean([(one.right, one.down) for one in shifts], axis=0)
    assert np.abs(means).max() < 0.05


@pytest.mark.parametrize("truly", [(0.5, -0.5), (0.0, 0.0)])
def test_a_shift_is_told_as_large_as_it_is(
    truly: tuple[float, float], cornered: list[tuple[View, DepthMap, DepthMap, list[View]]]
) -> None:
    """Of exact depth, and of exact depth with noise as in patches that overlap."""
    told = []
    for index, (view, _, truth, sources) in enumerate(cornered):
        moved = shifted(truth, view, *truly)
        exact = shift_of(view, moved, truth, sources)
        assert (exact.right, exact.down) == pytest.approx(truly, abs=1e-3)
        grain = np.random.default_rng(index).normal(size=moved.depth.shape)
        grain = 0.002 * 12 * cv2.GaussianBlur(grain, (0, 0), 3.5)
        noisy = shift_of(view, replace(moved, depth=moved.depth * (1 + grain)), truth, sources)
        told.append((noisy.right, noisy.down))
    assert np.mean(told, axis=0) == pytest.approx(truly, abs=0.06)


def test_masked_pixels_are_neither_matched_nor_matched_with(found: Found) -> None:
    """A view whose masked part shows something else entirely: as if it were not there."""
    usable = np.ones((HEIGHT, WIDTH), bool)
    usable[HIDDEN] = False
    view = replace(found.views[MIDDLE], usable=usable, number=100)
    sources = [_defaced(found.views[other]) for other in found.sources[:3]]
    result = found.engine.photometric(view, sources)
    assert not result.depth[HIDDEN].any()
    assert not result.normal[HIDDEN].any()
    assert not result.confidence[HIDDEN].any()
    bare = [replace(source, colors=np.zeros_like(source.colors)) for source in sources]
    for source, other in zip(bare, sources, strict=True):
        source.colors[other.usable] = other.colors[other.usable]
    again = found.engine.photometric(view, [replace(one, number=one.number + 9) for one in bare])
    fair = again.confidence > 0
    assert np.allclose(again.depth[fair], result.depth[fair], rtol=1e-5)


def _defaced(source: View) -> View:
    """With noise in a masked square."""
    usable, colors = source.usable.copy(), source.colors.copy()
    usable[32:64, 64:96] = False
    colors[32:64, 64:96] = np.random.default_rng(1).integers(0, 255, (32, 32, 3))
    return replace(source, usable=usable, colors=colors, number=source.number + 200)


def test_a_wall_without_texture_has_no_confidence(found: Found) -> None:
    gray = [_grain(found.views[other]) for other in (MIDDLE, *found.sources[:3])]
    result = found.engine.photometric(gray[0], gray[1:])
    assert result.confidence.mean() < 0.03


def _grain(view: View) -> View:
    grain = np.random.default_rng(view.number).normal(120, 1.5, view.colors.shape)
    return replace(view, colors=grain.astype(np.uint8), number=view.number + 300)


def test_a_smooth_shade_has_no_confidence(found: Found) -> None:
    """It is alike at any depth."""
    shaded = [_shade(found.views[other]) for other in (MIDDLE, *found.sources[:3])]
    result = found.engine.photometric(shaded[0], shaded[1:])
    assert result.confidence.mean() < 0.1


def _shade(view: View) -> View:
    even = np.linspace(10, 245, view.size[0])[None, :, None]
    grain = np.random.default_rng(view.number).normal(0, 0.5, view.colors.shape)
    return replace(view, colors=(even + grain).astype(np.uint8), number=view.number + 400)


def test_what_was_made_of_an_object_is_kept_for_it_alone() -> None:
    class Thing:
        pass

    recent: Recent[int] = Recent(2)
    first, second, third = Thing(), Thing(), Thing()
    assert [recent.get(first, lambda: 1), recent.get(second, lambda: 2)] == [1, 2]
    assert [recent.get(first, lambda: 3), recent.get(third, lambda: 4)] == [1, 4]
    assert [recent.get(second, lambda: 5), recent.get(third, lambda: 6)] == [5, 4]
    held = weakref.ref(first)
    del first
    assert held() is None


def test_the_same_twice_is_the_same(found: Found) -> None:
    sources = [found.views[other] for other in found.sources]
    again = found.engine.photometric(found.views[MIDDLE], sources)
    assert np.array_equal(again.depth, found.photometric.depth)


def test_sources_see_the_same_from_another_place(found: Found) -> None:
    away = replace(found.views[0], rotation=np.diag([-1.0, 1.0, -1.0]) @ found.views[0].rotation)
    beside = replace(found.views[MIDDLE], number=50)
    chosen = select_sources([*found.views, away, beside])[MIDDLE]
    assert len(chosen) == COUNT - 1
    assert not {MIDDLE, COUNT, COUNT + 1} & set(chosen)


def test_views_that_do_not_fit_are_told(found: Found) -> None:
    small = replace(found.views[0], colors=found.views[0].colors[:99], usable=np.ones((99, 240)))
    with pytest.raises(UsageError, match="same size"):
        found.engine.photometric(found.views[1], [found.views[2], small])
    with pytest.raises(UsageError, match="16 others"):
        found.engine.photometric(found.views[1], found.views[:1] * 17)
    assert not found.engine.photometric(found.views[1], []).depth.any()


def test_levels_end_before_they_are_too_small() -> None:
    assert level_sizes((1921, 1080)) == [(1921, 1080), (961, 540), (481, 270), (241, 135)]
    assert level_sizes((100, 60)) == [(100, 60)]


def test_both_machines_find_the_same(found: Found, tmp_path: Path) -> None:
    """CUDA's programs in numba's simulator, beside the processor's."""
    file, root = tmp_path / "simulated.npz", Path(__file__).resolve().parents[2]
    answer = subprocess.run(
        [sys.executable, "-B", "-m", "tests.dense.simulated_cuda", str(file)],
        cwd=root,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    own = simulated_cuda.both_passes(found.engine)
    assert (own.depth > 0).mean() > 0.3
    with np.load(file) as simulated:
        for name in ("depth", "normal", "confidence"):
            same = np.isclose(simulated[name], getattr(own, name), rtol=1e-3, atol=1e-3)
            assert same.mean() > 0.97, name
