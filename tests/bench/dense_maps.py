# SPDX-License-Identifier: GPL-3.0-or-later
"""The depth of a rendered scene by our stereo, found once for all parts of the bench."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from backend.worker.dense.flat_regions import filled_flat, planes_of
from backend.worker.dense.fusion import FusionOptions, Seen, fuse
from backend.worker.dense.patchmatch.engine import PatchMatch
from backend.worker.dense.patchmatch.programs import Machine, processor
from backend.worker.dense.prior import SURE
from backend.worker.dense.source_views import select_sources
from backend.worker.dense.views import DepthMap, View
from tests.bench.dense_scores import Truth, truth_of
from tests.environments import DEFAULT_BPY, ROOT, call, test_python
from tests.render.dense_scenes import DENSE_SCENES, Rendered, load, missing

SCENES = tuple(DENSE_SCENES)


@dataclass(frozen=True, eq=False)
class Found:
    """A scene with its truth, our depth maps by frame number, which views each was matched with,
    and processor seconds for a megapixel of a frame, both passes."""

    rendered: Rendered
    truth: Truth
    sources: Mapping[int, Sequence[int]]
    maps: Mapping[int, Seen]
    seconds: float


@cache
def scene(name: str) -> tuple[Rendered, Truth]:
    """Rendered now where it was not before."""
    if missing(name):
        call([str(test_python(DEFAULT_BPY)), "-B", "-m", "tests.render.render_dense", name], ROOT)
    rendered = load(name)
    return rendered, truth_of(rendered)


def sources_of(views: Sequence[View]) -> dict[int, list[int]]:
    chosen = select_sources(views)
    return {
        view.number: [views[place].number for place in places]
        for view, places in zip(views, chosen, strict=True)
    }


@cache
def found(name: str) -> Found:
    rendered, truth = scene(name)
    sources = sources_of(rendered.views)
    engine = PatchMatch(_warm(rendered, processor()))
    began = _processor_seconds()
    maps = filled_maps(both_passes(engine, rendered.views, sources), sources)
    seconds = _processor_seconds() - began
    pixels = sum(view.size[0] * view.size[1] for view in rendered.views) / 1e6
    return Found(rendered, truth, sources, maps, seconds / pixels)


def both_passes(
    engine: PatchMatch, views: Sequence[View], sources: Mapping[int, Sequence[int]]
) -> dict[int, Seen]:
    by_number = {view.number: view for view in views}
    first = {
        view.number: engine.photometric(view, [by_number[n] for n in sources[view.number]])
        for view in views
    }
    return {
        view.number: (view, _second(engine, view, first, by_number, sources[view.number]))
        for view in views
    }


def filled_maps(maps: Mapping[int, Seen], sources: Mapping[int, Sequence[int]]) -> dict[int, Seen]:
    """With planes where there is no texture, as the stage does."""
    sure = fuse(sources, maps.__getitem__, FusionOptions(confidence=SURE))
    planes = planes_of(sure, [view for view, _found in maps.values()])
    return {
        number: (view, filled_flat(found, view, planes)) for number, (view, found) in maps.items()
    }


def _second(
    engine: PatchMatch,
    view: View,
    first: Mapping[int, DepthMap],
    views: Mapping[int, View],
    others: Sequence[int],
) -> DepthMap:
    return engine.geometric(view, first[view.number], [(views[n], first[n]) for n in others])


def _warm(rendered: Rendered, machine: Machine) -> Machine:
    """Compiled, which takes seconds once and is no part of a frame's time."""
    engine, (one, other) = PatchMatch(machine), rendered.views[:2]
    own = engine.photometric(one, [other])
    engine.geometric(one, own, [(other, own)])
    return machine


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
