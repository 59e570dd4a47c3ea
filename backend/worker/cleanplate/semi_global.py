# SPDX-License-Identifier: GPL-3.0-or-later
"""Costs of labels by which neighbors are alike, but for jumps.

Semi-global matching (Hirschmüller, "Stereo Processing by Semiglobal Matching and Mutual
Information", PAMI 30 (2008) 328): along lines in four directions, to and fro, the least cost of
coming to each label at each node; a step of one label costs little, any jump the same.
"""

from __future__ import annotations

import numpy as np

from .hole_grid import Floats


def smoothed(costs: Floats, step: float, jump: float) -> Floats:
    """The mean cost (labels, n, m) of the best ways to each label of each node, of costs alike: a
    way costs `step` more for the next label and `jump` for any other."""
    total = np.zeros_like(costs)
    for axis in (1, 2):
        for way in (1, -1):
            lines = np.moveaxis(costs, axis, 0)[::way]
            np.moveaxis(total, axis, 0)[::way] += _along(lines, step, jump)
    return total / np.float32(4)


def _along(costs: Floats, step: float, jump: float) -> Floats:
    """The least cost of paths through costs (length, labels, width) that end at each label."""
    reached = np.empty_like(costs)
    reached[0] = costs[0]
    for index in range(1, len(costs)):
        before = reached[index - 1]
        least = before.min(axis=0)
        best = np.minimum(before, least + np.float32(jump))
        np.minimum(best[1:], before[:-1] + np.float32(step), out=best[1:])
        np.minimum(best[:-1], before[1:] + np.float32(step), out=best[:-1])
        reached[index] = costs[index] + best - least
    return reached
