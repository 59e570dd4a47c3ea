# SPDX-License-Identifier: GPL-3.0-or-later
"""How long dense stereo takes for a frame on an NVIDIA GPU."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.worker.dense.patchmatch.engine import PatchMatch
from backend.worker.dense.patchmatch.programs import gpu, has_cuda
from backend.worker.dense.source_views import select_sources
from backend.worker.dense.views import View
from tests.backend.textured_room import sideways, track
from tests.bench.figure import at_most
from tests.dense.room_views import views

SIZE = 1920, 1080
GOAL_SECONDS, TIMES = 0.5, 5


def cuda_figures(_folder: Path) -> list[dict[str, Any]]:
    """Raises RuntimeError where there is no GPU."""
    if not has_cuda():
        raise RuntimeError("There is no NVIDIA GPU, or the group cuda is not installed.")
    seen = views(track(lambda share: sideways(0.1 + 0.8 * share), 7, *SIZE))
    chosen = select_sources(seen)[3]
    others = [seen[place] for place in chosen]
    engine = PatchMatch(gpu())
    maps = [engine.photometric(one, [seen[3]]) for one in others]
    times = [_both(engine, seen[3], others, maps) for _ in range(TIMES + 1)][1:]
    how = (
        f"both passes of a frame of {SIZE[0]}x{SIZE[1]} with {len(others)} sources, one of which "
        f"is new to the GPU, median of {TIMES}; transfers are part of it, compiling is not"
    )
    return [at_most("stereo on CUDA", statistics.median(times), "s", GOAL_SECONDS, how)]


def _both(engine: PatchMatch, view: View, others: list[View], maps: list[Any]) -> float:
    """As going through a shot: the view and its last source are not there yet."""
    fresh = [*others[:-1], replace(others[-1], colors=others[-1].colors.copy())]
    own_view = replace(view, colors=view.colors.copy())
    began = time.monotonic()
    own = engine.photometric(own_view, fresh)
    last = replace(maps[-1], depth=maps[-1].depth.copy())
    engine.geometric(own_view, own, list(zip(fresh, [*maps[:-1], last], strict=True)))
    return time.monotonic() - began
