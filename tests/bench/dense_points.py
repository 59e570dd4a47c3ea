# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth and points on the processor: how near the truth, how far off as a whole, how long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backend.worker.dense.fusion import fuse
from tests.bench.dense_maps import SCENES, Found, found
from tests.bench.dense_scores import cloud_score
from tests.bench.figure import at_least, at_most
from tests.dense.shift import shift_of

GOAL_OF_PERFECT, GOAL_SECONDS, GOAL_SHIFT = 0.95, 40.0, 0.05


def point_figures(_folder: Path) -> list[dict[str, Any]]:
    return [figure for name in SCENES for figure in _of_scene(name, found(name))]


def _of_scene(name: str, of: Found) -> list[dict[str, Any]]:
    own = cloud_score(fuse(of.sources, of.maps.__getitem__).positions, of.truth)
    perfect = cloud_score(fuse(of.sources, of.truth.maps.__getitem__).positions, of.truth)
    how = (
        f"F1 {own.f1:.3f} (precision {own.precision:.3f}, recall {own.recall:.3f}, median error "
        f"{1000 * own.median:.1f} mm) of {perfect.f1:.3f} with the true depth maps fused alike; "
        f"{len(of.rendered.views)} frames of 480x270, at 2 pixels' width"
    )
    count = f"{len(of.rendered.views)} frames, both passes, all threads, without compiling"
    return [
        at_least(f"points, {name}", own.f1 / perfect.f1, "of perfect", GOAL_OF_PERFECT, how),
        at_most(f"stereo, {name}", of.seconds, "CPU s/Mpx", GOAL_SECONDS, count),
        *_shift_figures(name, of),
    ]


def _shift_figures(name: str, of: Found) -> list[dict[str, Any]]:
    truth = {known.number: known for known in of.rendered.truth}
    shifts = [
        shift_of(view, depth, truth[number], [of.maps[n][0] for n in of.sources[number]])
        for number, (view, depth) in of.maps.items()
    ]
    how = f"median over {len(shifts)} frames, confident pixels away from edges"
    return [
        at_most(
            f"shift {way}, {name}",
            abs(float(np.median([getattr(shift, way) for shift in shifts]))),
            "px", GOAL_SHIFT, how,
        )
        for way in ("right", "down")
    ]  # fmt: skip
