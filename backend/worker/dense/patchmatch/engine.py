# SPDX-License-Identifier: GPL-3.0-or-later
"""PatchMatch as an engine of stereo: what runs at which size, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from ....errors import UsageError
from ..stereo import Stereo
from ..views import DepthMap, Floats, View
from . import layout
from .levels import Doubles, gray_levels, intrinsics, level_sizes, parallax, warp
from .programs import Arrays, Machine, gpu, has_cuda, processor
from .recent import Recent

Size = tuple[int, int]

REMEMBERED = 12
"""So many views are kept in gray at all sizes, since neighbors share their sources."""


@dataclass(frozen=True)
class Pass:
    """One turn of both colors of the checkerboard.

    chosen     how many views match a pixel; 0 for all
    thorough   whether all regions of neighbors, and a random depth, are tried
    parabola   whether depth is set to the bottom of the cost's parabola
    """

    chosen: int = layout.BEST
    thorough: bool = False
    parabola: bool = False


COARSEST = (*[Pass(0, thorough=True)] * 4, Pass(thorough=True), Pass(parabola=True))
FINER = (Pass(), Pass(parabola=True))
CONSISTENT = (Pass(), Pass(parabola=True))
PRIOR = 0.15
SMOOTH = 0.15
GEOMETRIC = 0.1
"""Costs where texture is weak (see propagation.restraint), and of a pixel of reprojection."""


class PatchMatch(Stereo):
    """Runs on one machine, the GPU where there is one unless told otherwise. Not for several
    threads at once."""

    def __init__(self, machine: Machine | None = None) -> None:
        self._machine = machine or (gpu() if has_cuda() else processor())
        self._grays: Recent[list[Any]] = Recent(REMEMBERED)
        self._maps: Recent[Any] = Recent(self._machine.maps)

    @property
    def machine(self) -> str:
        """The name of where it runs."""
        return self._machine.name

    def photometric(
        self, view: View, sources: Sequence[View], prior: DepthMap | None = None
    ) -> DepthMap:
        """See Stereo. Raises UsageError when the sources differ in size or are too many."""
        _check(sources)
        if not sources:
            return _nothing(view)
        last: Arrays | None = None
        for level in reversed(range(len(level_sizes(view.size)))):
            arrays = self._begin(view, sources, level)
            if last is None:
                arrays = self._started(arrays, prior)
                passes = COARSEST
            else:
                arrays = self._refined(arrays, last)
                passes = FINER
            self._sweep(arrays, passes, level)
            last = arrays
        assert last is not None
        return self._described(view, last)

    def geometric(
        self, view: View, own: DepthMap, sources: Sequence[tuple[View, DepthMap]]
    ) -> DepthMap:
        """See Stereo. Raises UsageError as `photometric` does."""
        views = [source for source, _ in sources]
        _check(views)
        if not sources:
            return _nothing(view)
        arrays = self._begin(view, views, 0)
        arrays = self._started(arrays, own, seeded=False)
        arrays = self._with_maps(arrays, view, sources)
        self._sweep(arrays, CONSISTENT, 0)
        return self._described(view, arrays)

    def _gray(self, view: View) -> list[Any]:
        """The view in gray at all sizes, on the machine."""

        def made() -> list[Any]:
            return [self._floats(gray) for gray in gray_levels(view, level_sizes(view.size))]

        return self._grays.get(view, made)

    def _begin(self, view: View, sources: Sequence[View], level: int) -> Arrays:
        """Images, cameras and room for what is found, at a level."""
        size = level_sizes(view.size)[level]
        others = level_sizes(sources[0].size)
        other_level = min(level, len(others) - 1)
        other, grays = others[other_level], (self._gray(source)[other_level] for source in sources)
        warps = np.stack([warp(view, source, size, other) for source in sources])
        middle = (1 / view.near + 1 / view.far) / 2
        moves = np.maximum(parallax(warps, size, middle), 1e-9)
        merit = np.clip(np.sqrt(moves / np.median(moves)), 0.5, 1.5)
        machine, shape = self._machine, (size[1], size[0])
        return Arrays(
            image=self._gray(view)[level],
            stack=self._stacked(grays, (len(sources), other[1], other[0])),
            cameras=self._floats(warps),
            merit=self._floats(merit),
            maps=self._floats(np.zeros((1, 1, 1, 3))),
            backs=self._floats(np.zeros((1, 12))),
            planes=machine.empty((*shape, 3)),
            costs=machine.empty(shape),
            view_costs=machine.empty((*shape, len(sources))),
            prior=machine.empty((*shape, 3)),
            confidence=machine.empty(shape),
            settings=_settings(view, size, 1 / float(np.median(moves))),
            numbers=np.zeros(layout.NUMBERS, np.int32),
        )

    def _stacked(self, parts: Iterable[Any], shape: tuple[int, ...]) -> Any:
        """One array of parts, of which only one at a time is needed."""
        stack = self._machine.empty(shape)
        for index, part in enumerate(parts):
            self._machine.copy(stack[index], part)
        return stack

    def _floats(self, values: Doubles | Floats) -> Any:
        return self._machine.array(np.asarray(values, np.float32))

    def _run(self, name: str, arrays: Arrays, **numbers: int) -> None:
        """Runs a program with numbers by their names in layout, the color -1 without one."""
        row = np.zeros(layout.NUMBERS, np.int32)
        row[layout.COLOR] = -1
        for key, value in numbers.items():
            row[getattr(layout, key)] = value
        settings = self._floats(arrays.settings)
        self._machine.run(name, replace(arrays, settings=settings, numbers=self._ints(row)))

    def _ints(self, row: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        found: np.ndarray = self._machine.array(row)  # type: ignore[type-arg]
        return found

    def _started(self, arrays: Arrays, known: DepthMap | None, seeded: bool = True) -> Arrays:
        """Planes from a depth map; when seeded, at random where it has none, and they hold back
        those that come after where the map has some."""
        depth, normal = _resized(known, arrays.planes.shape[:2])
        begun = replace(arrays, costs=self._floats(depth), prior=self._floats(normal))
        if not seeded:
            self._run("start", begun)
            return arrays
        self._run("start", begun, SEED=1)
        self._run("start", replace(begun, planes=arrays.prior))
        return _set(arrays, layout.PRIOR, PRIOR)

    def _refined(self, arrays: Arrays, coarser: Arrays) -> Arrays:
        """Planes from the coarser level's."""
        self._run("finer", replace(arrays, prior=coarser.planes))
        self._machine.copy(arrays.prior, arrays.planes)
        return _set(arrays, layout.PRIOR, PRIOR)

    def _with_maps(
        self, arrays: Arrays, view: View, sources: Sequence[tuple[View, DepthMap]]
    ) -> Arrays:
        """The sources' planes and the way back from them."""
        backs = np.stack([warp(source, view, source.size, view.size) for source, _ in sources])
        width, height = sources[0][0].size
        planes = (self._planes(arrays, source, found) for source, found in sources)
        maps = self._stacked(planes, (len(sources), height, width, 3))
        arrays = replace(arrays, maps=maps, backs=self._floats(backs))
        return _set(arrays, layout.GEOMETRIC, GEOMETRIC)

    def _planes(self, arrays: Arrays, source: View, known: DepthMap) -> Any:
        """A source's depth map as planes, on the machine."""

        def made() -> Any:
            shape = (source.size[1], source.size[0])
            depth, normal = _resized(known, shape)
            there = replace(
                arrays,
                planes=self._machine.empty((*shape, 3)),
                costs=self._floats(depth),
                prior=self._floats(normal),
                settings=_settings(source, source.size, 1.0),
            )
            self._run("start", there)
            return there.planes

        return self._maps.get(known, made)

    def _sweep(self, arrays: Arrays, passes: Sequence[Pass], level: int) -> None:
        self._run("score", arrays)
        for index, one in enumerate(passes):
            for color in (0, 1):
                self._run(
                    "update", arrays, COLOR=color, SEED=100 * level + 2 * index + color + 2,
                    CHOSEN=one.chosen, THOROUGH=one.thorough, PARABOLA=one.parabola,
                )  # fmt: skip

    def _described(self, view: View, arrays: Arrays) -> DepthMap:
        self._run("describe", arrays)
        depth, normal, confidence = (
            self._machine.fetched(part) for part in (arrays.costs, arrays.prior, arrays.confidence)
        )
        return DepthMap(view.number, depth, normal, confidence)


def _settings(view: View, size: Size, step: float) -> Floats:
    settings = np.zeros(layout.SETTINGS, np.float32)
    settings[[layout.CLOSE, layout.DISTANT]] = 1 / view.near, 1 / view.far
    settings[layout.STEP] = step
    settings[layout.SMOOTH] = SMOOTH
    settings[layout.FOCAL_X : layout.CENTER_Y + 1] = intrinsics(view, size)
    return settings


def _set(arrays: Arrays, place: int, value: float) -> Arrays:
    settings = arrays.settings.copy()
    settings[place] = value
    return replace(arrays, settings=settings)


def _resized(known: DepthMap | None, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """(h, w) depth and (h, w, 3) normal at a size, 0 without a map."""
    if known is None:
        return np.zeros(shape, np.float32), np.zeros((*shape, 3), np.float32)
    if known.depth.shape == shape:
        return known.depth, known.normal
    size = (shape[1], shape[0])
    return _nearest(known.depth, size), _nearest(known.normal, size)


def _nearest(values: Floats, size: Size) -> Floats:
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_NEAREST_EXACT), np.float32)


def _check(sources: Sequence[View]) -> None:
    if len(sources) > layout.MOST_VIEWS:
        raise UsageError(f"A view can be matched with {layout.MOST_VIEWS} others at most.")
    if len({source.size for source in sources}) > 1:
        raise UsageError("The images for dense stereo must all have the same size.")


def _nothing(view: View) -> DepthMap:
    shape = view.usable.shape
    return DepthMap(
        view.number,
        np.zeros(shape, np.float32),
        np.zeros((*shape, 3), np.float32),
        np.zeros(shape, np.float32),
    )
