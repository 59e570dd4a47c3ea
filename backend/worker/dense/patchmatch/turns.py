# SPDX-License-Identifier: GPL-3.0-or-later
"""What each program does at one pixel, all with the same arguments: numba takes no others."""

from __future__ import annotations

from typing import Any

from .layout import FINER, PROGRAM, SCORE, START, UPDATE
from .planes import finer_pixel, start_pixel
from .propagation import describe_pixel, score_pixel, update_pixel

# ruff: noqa: ARG001


def start(
    x: Any, y: Any, patch: Any, scores: Any, image: Any, stack: Any, cameras: Any, merit: Any,
    maps: Any, backs: Any, planes: Any, costs: Any, view_costs: Any, prior: Any, confidence: Any,
    settings: Any, numbers: Any,
) -> None:  # fmt: skip
    """Planes from depths, which are in `costs`, and normals in `prior`, or at random."""
    start_pixel(x, y, planes, costs, prior, settings, numbers)


def finer(
    x: Any, y: Any, patch: Any, scores: Any, image: Any, stack: Any, cameras: Any, merit: Any,
    maps: Any, backs: Any, planes: Any, costs: Any, view_costs: Any, prior: Any, confidence: Any,
    settings: Any, numbers: Any,
) -> None:  # fmt: skip
    """Planes from those of the coarser level, which are in `prior`."""
    finer_pixel(x, y, planes, prior, settings)


def score(
    x: Any, y: Any, patch: Any, scores: Any, image: Any, stack: Any, cameras: Any, merit: Any,
    maps: Any, backs: Any, planes: Any, costs: Any, view_costs: Any, prior: Any, confidence: Any,
    settings: Any, numbers: Any,
) -> None:  # fmt: skip
    """Costs of the planes."""
    scene = (stack, cameras, maps, backs)
    score_pixel(x, y, image, scene, (planes, costs, view_costs, prior), patch, settings)


def update(
    x: Any, y: Any, patch: Any, scores: Any, image: Any, stack: Any, cameras: Any, merit: Any,
    maps: Any, backs: Any, planes: Any, costs: Any, view_costs: Any, prior: Any, confidence: Any,
    settings: Any, numbers: Any,
) -> None:  # fmt: skip
    """Better planes."""
    scene = (stack, cameras, maps, backs)
    field = (planes, costs, view_costs, prior)
    update_pixel(x, y, image, scene, field, merit, patch, scores, settings, numbers)


def describe(
    x: Any, y: Any, patch: Any, scores: Any, image: Any, stack: Any, cameras: Any, merit: Any,
    maps: Any, backs: Any, planes: Any, costs: Any, view_costs: Any, prior: Any, confidence: Any,
    settings: Any, numbers: Any,
) -> None:  # fmt: skip
    """Depth of the planes into `costs`, their normals into `prior`, and confidence."""
    scene = (stack, cameras, maps, backs)
    found = (costs, prior, confidence)
    describe_pixel(x, y, planes, image, scene, patch, scores, found, settings)


def each(
    x: Any, y: Any, patch: Any, scores: Any, image: Any, stack: Any, cameras: Any, merit: Any,
    maps: Any, backs: Any, planes: Any, costs: Any, view_costs: Any, prior: Any, confidence: Any,
    settings: Any, numbers: Any,
) -> None:  # fmt: skip
    """The turn of the program that `numbers` tells."""
    scene, field = (stack, cameras, maps, backs), (planes, costs, view_costs, prior)
    if numbers[PROGRAM] == START:
        start_pixel(x, y, planes, costs, prior, settings, numbers)
    elif numbers[PROGRAM] == FINER:
        finer_pixel(x, y, planes, prior, settings)
    elif numbers[PROGRAM] == SCORE:
        score_pixel(x, y, image, scene, field, patch, settings)
    elif numbers[PROGRAM] == UPDATE:
        update_pixel(x, y, image, scene, field, merit, patch, scores, settings, numbers)
    else:
        found = (costs, prior, confidence)
        describe_pixel(x, y, planes, image, scene, patch, scores, found, settings)
