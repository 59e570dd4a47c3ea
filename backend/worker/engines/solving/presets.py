# SPDX-License-Identifier: GPL-3.0-or-later
"""What the qualities mean: one row of tracker and solver settings each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..tracking import TrackSettings
from .mapping import MapSettings
from .whole import WholeSettings


@dataclass(frozen=True)
class Preset:
    """A keyframe comes every `motion` (share of the width), when less than `survival` of the
    tracks live on, or every `gap` frames. About `per_frame` marks a frame are adjusted.
    `links` frames over the shot are matched with each other where they share no tracks, in shots
    of at least `linked_from` frames.
    """

    track: TrackSettings
    motion: float = 0.03
    survival: float = 0.6
    gap: int = 12
    per_frame: int = 500
    links: int = 0
    linked_from: int = 0
    map: MapSettings = field(default_factory=MapSettings)
    whole: WholeSettings = field(default_factory=WholeSettings)

    def links_of(self, frames: int) -> int:
        """`links` for a shot of so many frames."""
        return self.links if frames >= self.linked_from else 0


PRESETS: Mapping[str, Preset] = {
    "low": Preset(
        TrackSettings(max_size=960, cells=32, steps=2),
        per_frame=400,
        map=MapSettings(starts=2, per_frame=200),
        whole=WholeSettings((3, 3)),
    ),
    "medium": Preset(TrackSettings(), links=16, linked_from=200),
    "high": Preset(
        TrackSettings(cells=64, redetect=2, live=4000),
        per_frame=1500,
        links=24,
        map=MapSettings(starts=6, per_frame=500),
        whole=WholeSettings((6, 8), tolerance=1e-4),
    ),
    "slow": Preset(
        TrackSettings(cells=56, steps=5),
        motion=0.015,
        survival=0.7,
        gap=16,
        per_frame=1200,
        links=24,
        map=MapSettings(starts=6, per_frame=500),
        whole=WholeSettings((8, 10), tolerance=1e-5),
    ),
}
