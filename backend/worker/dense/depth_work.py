# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of all keyframes, frame by frame: two passes of stereo, then what these could not see.

What is on disk is not made again.

<folder>/.first/     the first pass's maps
<folder>/.second/    the second pass's, or those of another engine
<folder>/depth/ ...  with the holes filled, which is what stays
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from ...shot import DenseFolder
from ..report import Report
from .flat_regions import filled_flat, planes_of
from .fusion import FusionOptions, Seen, fuse
from .map_files import read_maps, write_maps
from .prior import SURE, filled, fitted
from .shot_views import ShotViews
from .source_views import select_sources
from .stereo import Stereo
from .views import DepthMap, View

_FIRST, _SECOND = ".first", ".second"
_KEPT = 10
"""Views in memory: a view, its sources and some that the next one has too."""


class DepthWork:
    """Finds the depth of a shot's keyframes. `sources` are those that each is matched with;
    `matched` is where stereo leaves its maps."""

    def __init__(self, views: ShotViews, folder: DenseFolder, report: Report) -> None:
        self.views, self._report = views, report
        self._folder, self._first = folder, DenseFolder(folder.path / _FIRST)
        self.matched = DenseFolder(folder.path / _SECOND)
        self.sources = _sources(views)

    def missing(self) -> list[int]:
        """The frames whose depth is still to be found."""
        return [number for number in self.views.numbers if not self._folder.depth(number).is_file()]

    def unmatched(self) -> list[int]:
        """The frames that stereo has still to look at."""
        return [n for n in self.views.numbers if not self.matched.depth(n).is_file()]

    def match(self, engine: Stereo) -> None:
        """Both passes. Raises PlateError, SolveError, FormatError, OutputError."""
        self._report.status("Finding depth")
        load = lru_cache(maxsize=_KEPT)(self.views.load)
        total = 2 * len(self.views.numbers)
        for done, number in enumerate(self.views.numbers, 1):
            if not self._first.depth(number).is_file():
                sources = [load(other) for other in self.sources[number]]
                view = load(number)
                found = engine.photometric(view, sources, self._guess(view))
                write_maps(self._first, view, found)
            self._report.progress(done, total, "depth maps")
        maps = lru_cache(maxsize=_KEPT)(self._seen_in(self._first))
        for done, number in enumerate(self.views.numbers, len(self.views.numbers) + 1):
            if not self.matched.depth(number).is_file():
                view, own = maps(number)
                others = [maps(other) for other in self.sources[number]]
                write_maps(self.matched, view, engine.geometric(view, own, others))
            self._report.progress(done, total, "depth maps")

    def fill(self) -> None:
        """Fills what stereo could not see, by the depth stage's guess, and by planes where there is
        no texture. Raises as `match` does."""
        numbers, load = self.views.numbers, self._seen_in(self.matched)
        self._report.status("Looking for planes")
        sure = fuse(
            self.sources, load, FusionOptions(confidence=SURE),
            lambda done, total: self._report.progress(done, total, "frames"),
        )  # fmt: skip
        planes = planes_of(sure, [self.views.outline(number) for number in numbers])
        self._report.status("Filling what stereo could not see")
        for done, number in enumerate(numbers, 1):
            if not self._folder.depth(number).is_file():
                view, found = load(number)
                guess = self._guess(view)
                found = found if guess is None else filled(found, guess, view)
                write_maps(self._folder, view, filled_flat(found, view, planes))
            self._report.progress(done, len(numbers), "frames")
        for left in (self._first, self.matched):
            shutil.rmtree(left.path, ignore_errors=True)

    def seen(self, number: int) -> Seen:
        """A view with its depth."""
        return self._seen_in(self._folder)(number)

    def _seen_in(self, folder: DenseFolder) -> Callable[[int], Seen]:
        def load(number: int) -> Seen:
            view = self.views.load(number)
            return view, read_maps(folder, view)

        return load

    def _guess(self, view: View) -> DepthMap | None:
        """What the depth stage says of a view, None where it was not run or disagrees."""
        guess = self.views.guess(view.number)
        return None if guess is None else fitted(guess, view, np.asarray(self.views.points))


def _sources(views: ShotViews) -> Mapping[int, Sequence[int]]:
    outlines = [views.outline(number) for number in views.numbers]
    chosen = select_sources(outlines, views.points)
    return {
        number: [views.numbers[place] for place in places]
        for number, places in zip(views.numbers, chosen, strict=True)
    }
