# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion for other programs, .bvh: a tree of joints and their angles frame by frame, y up.

The text format of Biovision (Meredith and Maddock, "Motion capture file formats explained", 2001).
n frames, j joints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..atomic import write_text
from ..camera import Array

_ORDER = "Z X Y"
_LEAF = 0.5
"""How long the end of a joint without children is, as a share of the bone before it."""


@dataclass(frozen=True, eq=False)
class Skeleton:
    """
    names      (j,) the root first, every joint after its parent
    parents    (j,) places of parents, -1 for the root
    joints     (j, 3) where they are at rest
    rotations  (n, j, 3, 3) from each joint's parent, the root's from the world
    places     (n, 3) of the root
    """

    names: Sequence[str]
    parents: Sequence[int]
    joints: Array
    rotations: Array
    places: Array
    fps: Fraction


def write_bvh(skeleton: Skeleton, path: Path) -> None:
    """Raises OutputError."""
    rows = _rows(skeleton)
    head = [
        "HIERARCHY",
        *_tree(skeleton, 0, 0),
        "MOTION",
        f"Frames: {len(rows)}",
        f"Frame Time: {float(1 / skeleton.fps):.9f}",
    ]
    lines = [" ".join(f"{value:.6f}" for value in row) for row in rows.tolist()]
    write_text(path, "\n".join((*head, *lines)) + "\n")


def _tree(skeleton: Skeleton, joint: int, depth: int) -> Iterator[str]:
    indent, inside = "  " * depth, "  " * (depth + 1)
    parent = skeleton.parents[joint]
    offset = skeleton.joints[joint] - (skeleton.joints[parent] if parent >= 0 else 0)
    if parent < 0:
        offset = np.zeros(3)
    yield f"{indent}{'ROOT' if parent < 0 else 'JOINT'} {skeleton.names[joint]}"
    yield f"{indent}{{"
    yield f"{inside}OFFSET {_numbers(offset)}"
    angles = " ".join(f"{axis}rotation" for axis in _ORDER.split())
    moves = "6 Xposition Yposition Zposition " if parent < 0 else "3 "
    yield f"{inside}CHANNELS {moves}{angles}"
    children = [child for child, above in enumerate(skeleton.parents) if above == joint]
    for child in children:
        yield from _tree(skeleton, child, depth + 1)
    if not children:
        yield f"{inside}End Site"
        yield f"{inside}{{"
        yield f"{inside}  OFFSET {_numbers(_LEAF * offset)}"
        yield f"{inside}}}"
    yield f"{indent}}}"


def _numbers(values: Array) -> str:
    return " ".join(f"{value:.6f}" for value in values.tolist())


def _rows(skeleton: Skeleton) -> Array:
    """(n, 3 + 3 j) in the order of the tree."""
    angles = _angles(skeleton.rotations)
    order = list(_order(skeleton.parents, 0))
    rows: Array = np.hstack([skeleton.places, angles[:, order].reshape(len(angles), -1)])
    return rows


def _order(parents: Sequence[int], joint: int) -> Iterator[int]:
    yield joint
    for child in (child for child, above in enumerate(parents) if above == joint):
        yield from _order(parents, child)


def _angles(rotations: Array) -> Array:
    """(n, j, 3) degrees about z, x and y, in this order from left to right, without jumps of a
    whole turn."""
    x = np.arcsin(np.clip(rotations[..., 2, 1], -1, 1))
    z = np.arctan2(-rotations[..., 0, 1], rotations[..., 1, 1])
    y = np.arctan2(-rotations[..., 2, 0], rotations[..., 2, 2])
    found: Array = np.degrees(np.unwrap(np.stack([z, x, y], axis=-1), axis=0))
    return found
