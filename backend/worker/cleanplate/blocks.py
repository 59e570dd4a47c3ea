# SPDX-License-Identifier: GPL-3.0-or-later
"""Rectangles of a picture's pixels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

Block = tuple[slice, slice]
"""Rows and columns."""


def around(selected: Any, margin: int) -> Block | None:
    """The rows and columns of what is selected, (h, w) bool or uint8, and so much around it; None
    for nothing."""
    left, top, width, height = cv2.boundingRect(selected.view(np.uint8))
    if not width:
        return None
    rows = slice(max(top - margin, 0), top + height + margin)
    return rows, slice(max(left - margin, 0), left + width + margin)


def common_part(one: Block, other: Block) -> Block | None:
    """The rows and columns that both have; None for none."""
    rows, columns = (
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def within(block: Block, part: Block) -> Block:
    """A block's rows and columns within a part that holds it."""
    (rows, columns), (top, left) = block, (each.start for each in part)
    return (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
