# SPDX-License-Identifier: GPL-3.0-or-later
"""The small picture that a stage leaves of what it made: a contact sheet beside its output."""

from __future__ import annotations

from dataclasses import dataclass

from .shot import Shot
from .stages import STAGES

PREVIEW = "preview.jpg"


@dataclass(frozen=True)
class Preview:
    """A picture's file, and what tells it from an older one of that name."""

    path: str
    changed: int


def find_previews(shot: Shot) -> dict[str, Preview]:
    """Those that are there, by the names of their stages: in the first folder that each makes."""
    found = {}
    for stage in STAGES.values():
        for folder in stage.makes[:1]:
            file = shot.output(folder) / PREVIEW
            try:
                found[stage.name] = Preview(str(file), file.stat().st_mtime_ns)
            except OSError:
                continue
    return found
