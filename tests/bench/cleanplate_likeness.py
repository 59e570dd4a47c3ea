# SPDX-License-Identifier: GPL-3.0-or-later
"""How like the clean plates of rendered shots are to the same shots without their actor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench.cleanplate_shots import LABEL, Likeness, Rendered, likeness, rendered_shot
from tests.bench.cleanplate_stage import run_clean_plate
from tests.bench.figure import at_least, at_most

MEDIAN_GOAL, PROJECT_GOAL = 45.0, 32.0


def median_figures(folder: Path) -> list[dict[str, Any]]:
    rendered = rendered_shot("static", folder / "shot", solved=False)
    return _figures("median", rendered, folder, MEDIAN_GOAL, "a still camera, no noise")


def project_figures(folder: Path) -> list[dict[str, Any]]:
    rendered = rendered_shot("moving", folder / "shot", solved=True)
    told = "a moving camera with its true poses, a sensor's noise, the truth without noise"
    return _figures("project", rendered, folder, PROJECT_GOAL, told)


def _figures(
    method: str, rendered: Rendered, folder: Path, goal: float, told: str
) -> list[dict[str, Any]]:
    record = run_clean_plate(rendered.shot, folder, method=method, labels=LABEL, unseen="around")
    found = likeness(rendered, rendered.shot.clean_plate)
    width, height = rendered.size
    how = (
        f"{rendered.spec.shot.count} frames {width}x{height}, {told}; PSNR over the "
        f"{found.replaced} replaced pixels of all frames against the render without the actor, "
        f"{record['seen']:.4%} of them shown by other frames"
    )
    return [
        at_least(f"{method}, PSNR in holes", min(found.decibels, 99.0), "dB", goal, how),
        _untouched(method, found),
    ]


def _untouched(method: str, found: Likeness) -> dict[str, Any]:
    how = f"of {found.kept} pixels outside of all masks, feather included, in all frames"
    return at_most(f"{method}, pixels changed outside", found.changed, "pixels", 0, how)
