# SPDX-License-Identifier: GPL-3.0-or-later
"""One pixel's turn, for numba: planes of neighbors and small changes are tried, the best is kept.

Pixels of one color of a checkerboard read those of the other, so a pass gives the same result in
any order of pixels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .layout import (
    BEST,
    CHOSEN,
    CLOSE,
    DISTANT,
    GEOMETRIC,
    HALF,
    ONE,
    PARABOLA,
    PRIOR,
    SEED,
    SMOOTH,
    STEP,
    THOROUGH,
    TWO,
    ZERO,
)
from .matching import (
    GRAIN,
    TOO_MUCH,
    evaluate,
    fill_patch,
    match,
    mean_of_best,
    ranked,
    reprojected,
    view_cost,
)
from .planes import Real, allowed, centered, facing_normal, mixed, seeded

REGIONS = 8
TRIES = 13
"""8 neighbors' planes, the slope of the neighbors' depths, 1 random depth, and 3 for a parabola
through the cost. Small random changes besides these found nothing more, at a sixth of the time."""
BRANCHES = 5
ARM = 12
"""Steps along each of the four long strips of the sampling pattern, every other pixel."""
ALIKE = np.float32(0.03)
"""Planes that differ by less, in pixels in the source views, are not tried again."""
BETTER = np.float32(0.0005)
EFFECTIVE = 10
"""So many of a patch's samples err on their own."""
SURE, DOUBTFUL = np.float32(0.3), np.float32(1.0)
"""Pixels of doubt up to which a depth is as good as its likeness, and from which it is none."""
CONSISTENT = np.float32(1.0)
SAME_DEPTH = np.float32(0.01)


def beside(x: Any, y: Any, along: Any, lateral: Any, direction: Any) -> Any:
    """A pixel so far along one of four directions and beside it."""
    if direction == 0:
        return x + along, y + lateral
    if direction == 1:
        return x - along, y + lateral
    if direction == 2:
        return x + lateral, y + along
    return x + lateral, y - along


def best_of_region(x: Any, y: Any, region: Any, thorough: Any, costs: Any) -> Any:
    """The pixel of the other color with the lowest cost in a V near the pixel (regions 0 to 3) or
    on a strip (4 to 7): adaptive checkerboard sampling (Xu and Tao, section 3.1). V and strip of
    a direction are one region when not thorough. -1 for none."""
    height, width = costs.shape
    found_x, found_y, lowest = -1, -1, TOO_MUCH
    first = BRANCHES if region > 3 else 0
    last = BRANCHES if region < 4 and thorough else BRANCHES + ARM
    for k in range(first, last):
        along, lateral = 3 + 2 * (k - BRANCHES), 0
        if k < BRANCHES:
            along = (k + 3) >> 1
            lateral = along - 1 if k & 1 else 1 - along
        at_x, at_y = beside(x, y, along, lateral, region & 3)
        if 0 <= at_x < width and 0 <= at_y < height and costs[at_y, at_x] < lowest:
            lowest = costs[at_y, at_x]
            found_x, found_y = at_x, at_y
    return found_x, found_y


def neighbors_slope(x: Any, y: Any, planes: Any) -> Any:
    """How inverse depth grows to the right and down by four pixels 3 away; False at the edge."""
    height, width = planes.shape[0], planes.shape[1]
    if x < 3 or y < 3 or x + 3 >= width or y + 3 >= height:
        return False, ZERO, ZERO
    left, right = planes[y, x - 3, 0], planes[y, x + 3, 0]
    above, below = planes[y - 3, x, 0], planes[y + 3, x, 0]
    if min(left, right) <= ZERO or min(above, below) <= ZERO:
        return False, ZERO, ZERO
    return True, (right - left) / np.float32(6), (below - above) / np.float32(6)


def propose(
    k: Any,
    x: Any,
    y: Any,
    best: Any,
    state: Any,
    thorough: Any,
    planes: Any,
    costs: Any,
    settings: Any,
) -> Any:
    """Whether there is a k-th plane to try, and the plane (w, gx, gy)."""
    w, gx, gy = best
    if k < REGIONS:
        from_x, from_y = best_of_region(x, y, k, thorough, costs)
        if from_x < 0 or planes[from_y, from_x, 0] <= ZERO:
            return False, w, gx, gy
        gx, gy = planes[from_y, from_x, 1], planes[from_y, from_x, 2]
        right, below = np.float32(x - from_x), np.float32(y - from_y)
        return True, planes[from_y, from_x, 0] + gx * right + gy * below, gx, gy
    if k == REGIONS:
        there, gx, gy = neighbors_slope(x, y, planes)
        return there, w, gx, gy
    share = (centered(state) + ONE) / TWO
    return True, settings[DISTANT] + share * (settings[CLOSE] - settings[DISTANT]), ZERO, ZERO


def alike(first: Any, second: Any, settings: Any) -> Any:
    """Whether two planes show nearly the same over a patch."""
    slopes = abs(first[1] - second[1]) + abs(first[2] - second[2])
    return abs(first[0] - second[0]) + np.float32(5) * slopes < ALIKE * settings[STEP]


def restraint(
    x: Any, y: Any, w: Real, weakness: Real, planes: Any, prior: Any, settings: Any
) -> Real:
    """What a depth costs that leaves the coarser level's and the neighbors' planes, where the
    patch has little texture: 0 where it has plenty."""
    if weakness < np.float32(0.02):
        return ZERO
    height, width = planes.shape[0], planes.shape[1]
    cost = ZERO
    if settings[PRIOR] > ZERO and prior[y, x, 0] > ZERO:
        cost += settings[PRIOR] * min(abs(w - prior[y, x, 0]) / (TWO * settings[STEP]), ONE)
    apart, count = ZERO, 0
    for k in range(4):
        at_x, at_y = beside(x, y, 1, 0, k)
        if 0 <= at_x < width and 0 <= at_y < height and planes[at_y, at_x, 0] > ZERO:
            reached = planes[at_y, at_x, 0]
            reached += planes[at_y, at_x, 1] * np.float32(x - at_x)
            reached += planes[at_y, at_x, 2] * np.float32(y - at_y)
            apart += min(abs(w - reached) / settings[STEP], ONE)
            count += 1
    return weakness * (cost + settings[SMOOTH] * apart / np.float32(max(count, 1)))


def choose_views(
    x: Any, y: Any, wanted: Any, merit: Any, view_costs: Any, planes: Any, scores: Any
) -> Any:
    """A bit for each of the `wanted` views that match best here and at the four neighbors, those
    with more parallax first; all views for 0."""
    height, width, views = view_costs.shape
    if wanted == 0 or wanted >= views:
        return (1 << views) - 1
    for view in range(views):
        total, count = view_costs[y, x, view], 1
        for k in range(4):
            at_x, at_y = beside(x, y, 1, 0, k)
            if 0 <= at_x < width and 0 <= at_y < height and planes[at_y, at_x, 0] > ZERO:
                total += view_costs[at_y, at_x, view]
                count += 1
        scores[view] = (total / np.float32(count) + np.float32(0.05)) / merit[view]
    chosen = 0
    for _ in range(wanted):
        lowest, found = np.float32(1e9), 0
        for view in range(views):
            if (chosen >> view) & 1 == 0 and scores[view] < lowest:
                lowest, found = scores[view], view
        chosen |= 1 << found
    return chosen


def stored_cost(x: Any, y: Any, chosen: Any, count: Any, view_costs: Any) -> Real:
    """The cost of the pixel's plane by the costs that its views had."""
    first, second, third = TOO_MUCH, TOO_MUCH, TOO_MUCH
    for view in range(view_costs.shape[2]):
        if (chosen >> view) & 1:
            first, second, third = ranked(view_costs[y, x, view], first, second, third)
    return mean_of_best(first, second, third, count)


def score_pixel(
    x: Any, y: Any, image: Any, scene: Any, field: Any, patch: Any, settings: Any
) -> None:
    """Fills in the costs of the pixel's plane in all views."""
    planes, costs, view_costs, _ = field
    views = view_costs.shape[2]
    plane = (planes[y, x, 0], planes[y, x, 1], planes[y, x, 2])
    if math.isnan(image[y, x]) or plane[0] <= ZERO:
        planes[y, x, 0] = ZERO
        costs[y, x] = TOO_MUCH
        for view in range(views):
            view_costs[y, x, view] = ONE
        return
    moments = fill_patch(x, y, image, patch)
    for view in range(views):
        view_costs[y, x, view] = view_cost(x, y, plane, view, scene, patch, moments, settings)
    costs[y, x] = stored_cost(x, y, (1 << views) - 1, views, view_costs)


def update_pixel(
    x: Any,
    y: Any,
    image: Any,
    scene: Any,
    field: Any,
    merit: Any,
    patch: Any,
    scores: Any,
    settings: Any,
    numbers: Any,
) -> None:
    """Tries planes at a pixel and keeps the best, with its costs."""
    planes, costs, view_costs, prior = field
    if math.isnan(image[y, x]) or planes[y, x, 0] <= ZERO:
        return
    views = view_costs.shape[2]
    moments = fill_patch(x, y, image, patch)
    weakness = np.float32(4) * GRAIN / (moments[1] + np.float32(4) * GRAIN)
    chosen = choose_views(x, y, numbers[CHOSEN], merit, view_costs, planes, scores)
    count = views if numbers[CHOSEN] == 0 else min(views, numbers[CHOSEN])
    start = (planes[y, x, 0], planes[y, x, 1], planes[y, x, 2])
    best = start
    lowest = stored_cost(x, y, chosen, count, view_costs)
    lowest += restraint(x, y, start[0], weakness, planes, prior, settings)
    thorough, last = numbers[THOROUGH] > 0, numbers[PARABOLA] > 0
    state = seeded(x, y, numbers[SEED])
    middle, before, after, center = lowest, ZERO, ZERO, best
    aside = np.float32(0.3) * settings[STEP]
    for k in range(TRIES):
        if not thorough and (4 <= k < REGIONS or k == REGIONS + 1):
            continue
        if k > REGIONS + 1 and not last:
            continue
        state = mixed(state)
        there: Any = True
        if k <= REGIONS + 1:
            there, w, gx, gy = propose(k, x, y, best, state, thorough, planes, costs, settings)
        else:
            if k == REGIONS + 2:
                middle, center = lowest, best
                w = center[0] - aside
            elif k == REGIONS + 3:
                w = center[0] + aside
            else:
                bend = before + after - TWO * middle
                there = bend > np.float32(1e-6) and max(before, after) < TOO_MUCH
                there = there and min(before, after) > middle
                w = center[0] + aside * HALF * (before - after) / max(bend, np.float32(1e-6))
            gx, gy = center[1], center[2]
        if not there or not allowed(x, y, w, gx, gy, settings):
            continue
        plane = (w, gx, gy)
        if k <= REGIONS and alike(plane, best, settings):
            continue
        extra = restraint(x, y, w, weakness, planes, prior, settings)
        beside_it = REGIONS + 2 <= k <= REGIONS + 3
        bound = TOO_MUCH if beside_it else lowest - extra
        cost = extra + evaluate(x, y, plane, chosen, count, bound, scene, patch, moments, settings)
        if k == REGIONS + 2:
            before = cost
        elif k == REGIONS + 3:
            after = cost
        if cost < lowest - (BETTER if k <= REGIONS + 1 else ZERO):
            lowest, best = cost, plane
    if best[0] != start[0] or best[1] != start[1] or best[2] != start[2]:
        planes[y, x, 0], planes[y, x, 1], planes[y, x, 2] = best
        # After the last pass these are computed anew.
        for view in range(0 if last else views):
            view_costs[y, x, view] = view_cost(x, y, best, view, scene, patch, moments, settings)
    costs[y, x] = lowest


def steepness(
    x: Any,
    y: Any,
    plane: Any,
    worst: Real,
    scene: Any,
    patch: Any,
    moments: Any,
    scores: Any,
    settings: Any,
) -> Real:
    """How much the cost grows within a pixel to either side, the mean over the views whose cost,
    in `scores`, is no more than `worst`: next to nothing along an edge or a smooth shade."""
    stack, cameras, _, _ = scene
    w, gx, gy = plane
    rise, count = ZERO, 0
    for view in range(stack.shape[0]):
        if scores[view] <= worst and scores[view] < ONE:
            for side in range(2):
                aside = settings[STEP] if side else -settings[STEP]
                cost = match(x, y, (w + aside, gx, gy), view, stack, cameras, patch, moments)
                rise += cost - scores[view]
                count += 1
    return rise / np.float32(max(count, 1))


def describe_pixel(
    x: Any,
    y: Any,
    planes: Any,
    image: Any,
    scene: Any,
    patch: Any,
    scores: Any,
    found: Any,
    settings: Any,
) -> None:
    """Writes the pixel's depth, normal and confidence; with maps of the source views, confidence
    is that of as many as agree. Doubt is depth's deviation in pixels in the source views: a cost
    that is off by its noise, over how steeply it grows."""
    depths, normals, confidences = found
    stack, cameras, maps, backs = scene
    w, gx, gy = planes[y, x, 0], planes[y, x, 1], planes[y, x, 2]
    depths[y, x], confidences[y, x] = ZERO, ZERO
    normals[y, x, 0], normals[y, x, 1], normals[y, x, 2] = ZERO, ZERO, ZERO
    if w <= ZERO:
        return
    views = stack.shape[0]
    moments = fill_patch(x, y, image, patch)
    first, second, third = TOO_MUCH, TOO_MUCH, TOO_MUCH
    agreeing, seen = 0, 0
    for view in range(views):
        cost = match(x, y, (w, gx, gy), view, stack, cameras, patch, moments)
        scores[view] = cost
        first, second, third = ranked(cost, first, second, third)
        seen += 1 if cost < ONE else 0
        if settings[GEOMETRIC] > ZERO:
            off, apart = reprojected(x, y, w, view, cameras, maps, backs)
            agreeing += 1 if off < CONSISTENT and apart < SAME_DEPTH else 0
    if seen == 0:
        return
    cost = mean_of_best(first, second, third, min(views, max(seen, 2)))
    confidence = max(ZERO, min(ONE, (np.float32(0.7) - cost) / np.float32(0.6)))
    if settings[GEOMETRIC] > ZERO:
        confidence *= np.float32(min(agreeing, BEST)) / np.float32(min(views, BEST))
    if confidence > ZERO:
        noise = max(cost, GRAIN / (moments[1] + GRAIN))
        rise = steepness(x, y, (w, gx, gy), third, scene, patch, moments, scores, settings)
        doubt = math.sqrt(noise / (np.float32(2 * EFFECTIVE) * max(rise, np.float32(1e-4))))
        confidence *= max(ZERO, min(ONE, (DOUBTFUL - doubt) / (DOUBTFUL - SURE)))
    depths[y, x], confidences[y, x] = ONE / w, confidence
    nx, ny, nz = facing_normal(x, y, w, gx, gy, settings)
    normals[y, x, 0], normals[y, x, 1], normals[y, x, 2] = nx, ny, nz
