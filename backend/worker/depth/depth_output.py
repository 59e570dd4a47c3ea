# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes depth at the plate's size: steady, with the plate's edges, to be used and to be seen."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ...atomic import write_bytes
from ...depth import NOTHING
from ...errors import OutputError, PlateError, Remedy
from ...shot import DepthFolder
from ..dense.map_files import write_map
from ..frame_files import read_colors
from ..report import Report
from ..threads import threads
from .agreement import Agreement, Maps
from .enlarging import Bytes, enlarged
from .geometry import MapView
from .line import Floats
from .shot_camera import ShotCamera
from .steadying import AROUND, alike, flicker, steadied

_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
_KEPT = 4 * AROUND + 8
"""Maps that are kept for the neighbors, of all threads together."""
_ENDS = (0.002, 0.998)
"""Shares of the pixels that are nearer than white and not so far as black."""
_LOOKED_AT, _COMPARED = 200, 24
"""Frames for the range, and pairs for what is alike, at most."""
_STEP = 8

Flags = NDArray[np.bool_]
Look = tuple[MapView, Floats, Flags]


class DepthOutput:
    """Writes a shot's depth into `folder`, frame by frame."""

    def __init__(
        self, maps: Maps, camera: ShotCamera | None, agreement: Agreement, folder: DepthFolder
    ) -> None:
        self._maps, self._camera, self._agreement = maps, camera, agreement
        self._folder = folder
        self._lock = threading.Lock()
        self._steady: dict[int, Look] = {}
        self._flickers: dict[int, float] = {}
        # Beside each other in the plate, which may hold every second frame alone.
        self._after = dict(itertools.pairwise(maps.numbers))
        self._before = {later: number for number, later in self._after.items()}
        self._look = lru_cache(maxsize=_KEPT)(self._loaded)
        self.near, self.far = self._range()
        self._alike = self._measured()

    @property
    def flicker(self) -> float | None:
        """The median over neighboring frames; None where no camera tells."""
        found = [value for value in self._flickers.values() if np.isfinite(value)]
        return float(np.median(found)) if found else None

    def write(self, report: Report) -> None:
        """Writes what is not there yet. Raises PlateError for a frame that is gone, OutputError."""
        report.status("Writing depth")
        numbers = self._maps.numbers
        with threads(self._write, numbers) as finished:
            for done, _ in enumerate(finished, 1):
                report.progress(done, len(numbers), "frames")

    def _range(self) -> tuple[float, float]:
        """The depths of white and of black."""
        numbers = self._maps.numbers
        chosen = numbers[:: len(numbers) // _LOOKED_AT + 1]
        lines = self._agreement.lines
        samples = [lines[n].depth(self._maps.estimates.load(n)[::_STEP, ::_STEP]) for n in chosen]
        known = np.concatenate([depth[depth > 0] for depth in samples])
        if not len(known):
            return 1.0, 2.0
        near, far = (float(value) for value in np.quantile(known, _ENDS))
        return near, max(far, near * (1 + 1e-3))

    def _measured(self) -> float:
        """Within what share of depth neighbors are alike, by some of them."""
        numbers = self._maps.numbers
        pairs = list(itertools.pairwise(numbers))
        looks = [
            (self._loaded(one), self._loaded(other))
            for one, other in pairs[:: len(pairs) // _COMPARED + 1]
        ]
        return alike([flicker(one, other) for one, other in looks if one and other])

    def _loaded(self, number: int) -> Look | None:
        """A frame's depth by its line; None for a frame without a camera."""
        depth = self._depth(number)
        size = depth.shape[1], depth.shape[0]
        view = self._camera.view(number, size) if self._camera else None
        return None if view is None else (view, depth, self._maps.still.at(number, size))

    def _depth(self, number: int) -> Floats:
        return self._agreement.lines[number].depth(self._maps.estimates.load(number))

    def _write(self, number: int) -> None:
        depth = self._steady_depth(number)
        image, exr = self._folder.image(number), self._folder.map(number)
        if image.is_file() and exr.is_file():
            return
        large = enlarged(depth, self._colors(number))
        write_map(exr, np.where(large > 0, large, np.float32(NOTHING)))
        write_bytes(image, self._png(large))

    def _steady_depth(self, number: int) -> Floats:
        own = self._look(number)
        if own is None:
            return self._depth(number)
        depth = steadied(number, self._neighbors(number), self._seen, self._alike)
        self._compare(number, (own[0], depth, own[2]))
        return depth

    def _seen(self, number: int) -> Look:
        look = self._look(number)
        assert look is not None
        return look

    def _neighbors(self, number: int) -> Sequence[int]:
        """The frames around one that have a camera."""
        near = (n for n in self._maps.numbers if 0 < abs(n - number) <= AROUND)
        return [n for n in near if self._look(n) is not None]

    def _compare(self, number: int, look: Look) -> None:
        """Measures the flicker from a frame to each of those beside it that was there first."""
        beside = self._before.get(number), self._after.get(number)
        with self._lock:
            self._steady[number] = look
            there = {n: self._steady[n] for n in beside if n is not None and n in self._steady}
        for other, seen in there.items():
            self._flickers[min(number, other)] = (
                flicker(look, seen) if number < other else flicker(seen, look)
            )
        with self._lock:
            for each in (number, *there):
                if self._is_compared(each):
                    self._steady.pop(each, None)

    def _is_compared(self, number: int) -> bool:
        """With both of those beside it, as far as there are any."""
        firsts = {self._before.get(number), number if number in self._after else None} - {None}
        return firsts <= self._flickers.keys()

    def _colors(self, number: int) -> Bytes:
        file = self._maps.shot.frame_file(number)
        colors = read_colors(file)
        if colors is None:
            raise PlateError(
                f"{file} is missing or damaged: set the shot up again.", Remedy.SET_UP_SHOT
            )
        return colors

    def _png(self, depth: Floats) -> memoryview:
        near, far = 1 / self.near, 1 / self.far
        inverse = 1 / np.where(depth > 0, depth, np.float32(NOTHING))
        levels = np.clip((inverse - far) / (near - far), 0, 1) * 65535
        done, png = cv2.imencode(".png", np.rint(levels).astype(np.uint16), _PNG)
        if not done:
            raise OutputError("Depth cannot be written: the plate is too large for a PNG.")
        return png.data
