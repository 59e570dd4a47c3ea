# SPDX-License-Identifier: GPL-3.0-or-later
"""The nearest points of a cloud, by a k-d tree (Bentley 1975) that lies in the points' own order.

Each node has the box around its points: surfaces are flat, and what is far from a large one is
still found without looking at much of it.
A grid of cells would need one size; a cloud is a hundred times denser near a camera than far away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled, in_spans
from .views import Floats

_LEAF = 12
_DEEPEST = 128
"""More than the halvings of any cloud, as every one leaves half of the points."""


@compiled
def _bound(points: Any, order: Any, low: int, high: int, box: Any) -> int:
    """Writes the least and the most of points low to high along each axis into `box` (6,), and
    gives the axis along which they reach farthest."""
    best, widest = 0, -1.0
    for axis in range(3):
        least = most = points[order[low], axis]
        for index in range(low + 1, high):
            value = points[order[index], axis]
            least, most = min(least, value), max(most, value)
        box[axis], box[3 + axis] = least, most
        if most - least > widest:
            best, widest = axis, most - least
    return best


@compiled
def _halve(points: Any, order: Any, low: int, high: int, axis: int) -> None:
    """Orders low to high so that the middle one has none greater before it (Hoare 1961)."""
    middle = (low + high) // 2
    first, last = low, high - 1
    while first < last:
        pivot = points[order[(first + last) // 2], axis]
        left, right = first, last
        while left <= right:
            while points[order[left], axis] < pivot:
                left += 1
            while points[order[right], axis] > pivot:
                right -= 1
            if left <= right:
                order[left], order[right] = order[right], order[left]
                left += 1
                right -= 1
        if middle <= right:
            last = right
        elif middle >= left:
            first = left
        else:
            return


@compiled
def _build(points: Any, order: Any, boxes: Any) -> None:
    """Halves each span of points across its box's longest side; node k's halves are 2 k and 2 k + 1
    and the whole is node 1."""
    lows, highs = np.empty(_DEEPEST, np.int64), np.empty(_DEEPEST, np.int64)
    nodes = np.empty(_DEEPEST, np.int64)
    lows[0], highs[0], nodes[0], depth = 0, points.shape[0], 1, 1
    while depth > 0:
        depth -= 1
        low, high, node = lows[depth], highs[depth], nodes[depth]
        axis = _bound(points, order, low, high, boxes[node])
        if high - low <= _LEAF:
            continue
        _halve(points, order, low, high, axis)
        middle = (low + high) // 2
        lows[depth], highs[depth], nodes[depth] = low, middle, 2 * node
        lows[depth + 1], highs[depth + 1], nodes[depth + 1] = middle, high, 2 * node + 1
        depth += 2


@compiled
def _outside(box: Any, asked: Any) -> float:
    """The square of the distance between a place and a box."""
    square = 0.0
    for axis in range(3):
        gap = max(box[axis] - asked[axis], asked[axis] - box[3 + axis], 0.0)
        square += gap * gap
    return square


@compiled
def _offer(point: Any, asked: Any, index: int, found: Any, squares: Any) -> None:
    """Puts a point among the nearest found so far, in order, when it is nearer than the last."""
    square = 0.0
    for axis in range(3):
        square += (point[axis] - asked[axis]) ** 2
    place = squares.shape[0] - 1
    if square >= squares[place]:
        return
    while place > 0 and squares[place - 1] > square:
        squares[place], found[place] = squares[place - 1], found[place - 1]
        place -= 1
    squares[place], found[place] = square, index


@compiled
def _search(
    points: Any, boxes: Any, asked: Any, start: int, end: int, found: Any, far: Any
) -> None:
    """The nearest of each of `asked` start to end: places in `found`, distances in `far`."""
    lows, highs = np.empty(_DEEPEST, np.int64), np.empty(_DEEPEST, np.int64)
    nodes, gaps = np.empty(_DEEPEST, np.int64), np.empty(_DEEPEST)
    for row in range(start, end):
        one, squares = asked[row], far[row]
        squares[:] = np.inf
        lows[0], highs[0], nodes[0], gaps[0], depth = 0, points.shape[0], 1, 0.0, 1
        while depth > 0:
            depth -= 1
            low, high, node = lows[depth], highs[depth], nodes[depth]
            if gaps[depth] >= squares[-1]:
                continue
            if high - low <= _LEAF:
                for index in range(low, high):
                    _offer(points[index], one, index, found[row], squares)
                continue
            middle = (low + high) // 2
            left, right = _outside(boxes[2 * node], one), _outside(boxes[2 * node + 1], one)
            # What is put last is looked at first: the half that is nearer.
            first = depth + 1 if left <= right else depth
            second = 2 * depth + 1 - first
            lows[first], highs[first], nodes[first], gaps[first] = low, middle, 2 * node, left
            lows[second], highs[second], gaps[second] = middle, high, right
            nodes[second] = 2 * node + 1
            depth += 2
        for place in range(squares.shape[0]):
            squares[place] = np.sqrt(squares[place])


@dataclass(frozen=True, eq=False)
class Tree:
    """Points (n, 3) in the tree's order; `order` (n,) tells where each stood before, `boxes` (k, 6)
    what each node's points reach from and to."""

    points: Floats
    order: NDArray[np.int64]
    boxes: Floats

    @classmethod
    def of(cls, points: Floats) -> Tree:
        """The tree of at least one point (n, 3)."""
        points = np.ascontiguousarray(points, np.float32)
        order = np.arange(len(points), dtype=np.int64)
        levels = max(math.ceil(math.log2(len(points) / _LEAF)), 0)
        boxes = np.empty((2 ** (levels + 1), 6), np.float32)
        _build(points, order, boxes)
        return cls(points[order], order, boxes)

    def nearest(self, asked: Floats, count: int = 1) -> tuple[NDArray[np.int64], Floats]:
        """For points (m, 3) the `count` nearest, the nearest first: their places in what the tree
        was made of and their distances, each (m, count); inf where there are not so many."""
        asked = np.ascontiguousarray(asked, np.float32)
        found = np.zeros((len(asked), count), np.int64)
        far = np.empty((len(asked), count), np.float32)
        in_spans(
            lambda start, end: _search(self.points, self.boxes, asked, start, end, found, far),
            len(asked),
        )
        return self.order[found], far


def spacing(tree: Tree, neighbors: int = 6) -> Floats:
    """(n,) how far each point of the tree, in the order it was made of, is from its neighbors: the
    distance of the sixth, which on a flat square grid is 1.4 times the grid's."""
    _found, far = tree.nearest(tree.points, neighbors + 1)
    spaced = np.empty(len(far), np.float32)
    spaced[tree.order] = np.where(np.isfinite(far), far, 0).max(axis=1)
    return spaced
