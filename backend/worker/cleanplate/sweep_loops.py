# SPDX-License-Identifier: GPL-3.0-or-later
"""The inner loop of the plane sweep: by how much frames differ where they see a node."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dense.compiled import compiled

CUT = 40.0
"""Levels of 255 beyond which a difference is no larger: another thing, a reflection."""


@compiled
def disagreement(
    first: int,
    last: int,
    slopes: Any,
    inverse: Any,
    own: Any,
    ring: Any,
    poses: Any,
    lenses: Any,
    pictures: Any,
    covered: Any,
    cost: Any,
    seen: Any,
) -> None:
    """For nodes from `first` to `last` of k, into cost (k,) and seen (k,): how much colors differ,
    and how many frames show it.

    slopes (k, 2) and inverse (k,), 1 / depth, say where a node is; own (k, 3) is the frame's color,
    which is to be met where ring (k,) is 1; elsewhere frames are to agree. Sources: poses (s, 3, 4)
    from the frame's camera, lenses (s, 3) focal length and center in pixels of pictures
    (s, h, w, 3), float32, and covered (s, h, w), 0 where the background is seen.
    """
    count, height, width = covered.shape
    samples = np.empty((count, 3), np.float32)
    away = np.empty(count)
    for node in range(first, last):
        number = 0
        for source in range(count):
            pose, lens = poses[source], lenses[source]
            x, y, w = slopes[node, 0], slopes[node, 1], inverse[node]
            depth = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] + pose[2, 3] * w
            if depth <= 1e-9:
                continue
            across = (pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] + pose[0, 3] * w) / depth
            down = (pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] + pose[1, 3] * w) / depth
            column = lens[0] * across + lens[1] - 0.5
            row = lens[0] * down + lens[2] - 0.5
            if column < 0 or row < 0 or column >= width - 1 or row >= height - 1:
                continue
            left, top = int(column), int(row)
            if (
                covered[source, top, left]
                or covered[source, top, left + 1]
                or covered[source, top + 1, left]
                or covered[source, top + 1, left + 1]
            ):
                continue
            right, under = np.float32(column - left), np.float32(row - top)
            for channel in range(3):
                above = pictures[source, top, left, channel] * (1 - right) + (
                    pictures[source, top, left + 1, channel] * right
                )
                below = pictures[source, top + 1, left, channel] * (1 - right) + (
                    pictures[source, top + 1, left + 1, channel] * right
                )
                samples[number, channel] = above * (1 - under) + below * under
            number += 1
        seen[node] = number
        if number and ring[node]:
            cost[node] = _from_own(samples, number, own[node], away)
            seen[node] += 1
        elif number:
            cost[node] = _spread(samples, number)


@compiled
def _from_own(samples: Any, number: int, own: Any, away: Any) -> float:
    """The mean of the smaller half of the distances from a color: something may hide the place in
    the other frames."""
    for index in range(number):
        away[index] = abs(samples[index, 0] - own[0])
        away[index] += abs(samples[index, 1] - own[1]) + abs(samples[index, 2] - own[2])
    half = (number + 1) // 2
    total = 0.0
    for taken in range(half):
        least = taken
        for index in range(taken + 1, number):
            if away[index] < away[least]:
                least = index
        away[taken], away[least] = away[least], away[taken]
        total += min(away[taken], CUT)
    return total / half


@compiled
def _spread(samples: Any, number: int) -> float:
    """The mean over samples (number, 3) of their distances from the mean."""
    total = 0.0
    red, green, blue = 0.0, 0.0, 0.0
    for index in range(number):
        red += samples[index, 0]
        green += samples[index, 1]
        blue += samples[index, 2]
    red, green, blue = red / number, green / number, blue / number
    for index in range(number):
        away = abs(samples[index, 0] - red)
        away += abs(samples[index, 1] - green) + abs(samples[index, 2] - blue)
        total += min(away, CUT)
    return total / number
