# SPDX-License-Identifier: GPL-3.0-or-later
"""The 2-D point tracker: long tracks, each registered to the patch of its birth.

`track` follows corners through a plate; `reacquire` looks for tracks again where a first solve
says that they should be.
"""

from __future__ import annotations

from .reacquire import Found, Wanted, reacquire
from .records import Faults, Patches, Tracking, TrackSettings
from .tracker import track

__all__ = [
    "Faults",
    "Found",
    "Patches",
    "TrackSettings",
    "Tracking",
    "Wanted",
    "reacquire",
    "track",
]
