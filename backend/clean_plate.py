# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a clean plate: the notes of its stage in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_METHODS = {
    "project": "From other frames, projected",
    "median": "The median of all frames",
    "propainter": "Made up by ProPainter",
}


def clean_plate_facts(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Short lines for a panel, of the stage.json of a clean plate; what it does not say is left
    out. `seen` is the share of what was replaced that other frames show."""
    lines = []
    method = _METHODS.get(str(record.get("method", "")))
    if method is not None:
        lines.append(method)
    if isinstance(record.get("changed_frames"), int):
        lines.append(f"{record['changed_frames']} frames changed")
    if isinstance(record.get("seen"), (int, float)):
        lines.append(f"{record['seen']:.0%} of it is seen in other frames")
    if record.get("made_up_by"):
        lines.append(f"The rest is made up by {record['made_up_by']}")
    return tuple(lines)
