# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine of multi-view stereo does, in two passes over all views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .views import DepthMap, View


class Stereo(Protocol):
    """Finds depth. Sources are the views that a view is matched with, see `source_views`."""

    def photometric(
        self, view: View, sources: Sequence[View], prior: DepthMap | None = None
    ) -> DepthMap:
        """Depth by likeness alone, from a `prior` where that has depth (of any size)."""

    def geometric(
        self, view: View, own: DepthMap, sources: Sequence[tuple[View, DepthMap]]
    ) -> DepthMap:
        """Better depth from the first pass's maps of the view and of its sources; confidence tells
        how many of those agree."""
