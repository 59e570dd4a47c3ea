# SPDX-License-Identifier: GPL-3.0-or-later
"""Background from other frames, through the solved camera.

Where a hole's background is, in depth, the maps of keyframes tell (`background_cloud`), smoothly
continued where they tell nothing, and the frames that show it make it fine (`depth_sweep`). Each
pixel of the hole is looked up in the frames nearest in time that show it: inside of the picture,
not masked, nothing before it. Their colors are matched to the frame's by what surrounds the hole,
and blended without what most of them disagree with; grain is that of the nearest. A camera that
only turns needs no depth.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...camera import Array
from ...dense import place_of
from ...errors import Remedy, SolveError
from ...shot import Plate, Shot
from ..depth.shot_camera import ShotCamera
from ..frame_files import Pixels
from ..report import Report
from .around import fill_around
from .background_cloud import BackgroundCloud, find_clouds
from .blending import PROBES, Blend, Matched, Target, gain_of, grain_of
from .depth_sweep import FAR, Sweep
from .filling import Filling
from .hole_grid import Flags, Floats, HoleGrid
from .source_frames import Covered, Read, SourceFrames


class Projection:
    """Fills holes frame by frame, in any order, once it is prepared."""

    reads_frames = True

    def __init__(
        self,
        shot: Shot,
        plate: Plate,
        read: Read,
        covered: Covered,
        match_exposure: bool = True,
        grain: bool = True,
    ) -> None:
        """Raises SolveError without a camera, FormatError."""
        camera = ShotCamera.of(shot)
        if camera is None:
            raise SolveError(
                "Projection needs a solved camera: track it first, or take another method.",
                Remedy.TRACK_CAMERA,
            )
        size = plate.width, plate.height
        self._shot, self._turns = shot, camera.only_turns
        self._views = lru_cache(maxsize=None)(lambda number: camera.view(number, size))
        numbers = [number for number in plate.frames if self._views(number) is not None]
        self._match, self._grain = match_exposure, grain
        self._sources = SourceFrames(numbers, self._views, read, covered, size)
        self._cloud: BackgroundCloud | None = None

    def prepare(self, masks: Mapping[int, Path], folder: Path, report: Report) -> None:
        """Finds the depth of keyframes, in `folder`; see `background_cloud.find_clouds`."""
        if not self._turns:
            place = place_of(self._shot)
            self._cloud = BackgroundCloud(find_clouds(self._shot, place, masks, folder, report))

    def fill(self, number: int, frame: Pixels, holes: Flags) -> Filling:
        """See `filling.Filler`. A frame without a camera is not filled."""
        pixels = np.argwhere(holes)[:, ::-1] + 0.5
        view, grid = self._views(number), HoleGrid.of(holes)
        if view is None or grid is None:
            channels = 1 if frame.ndim == 2 else frame.shape[2]
            nothing = np.zeros((len(pixels), channels), np.float32)
            return Filling(nothing, np.zeros(len(pixels), np.bool_))
        target = Target(view, frame, grid)
        inverse = self._background(target)
        blend = Blend(target, pixels, grid.at_pixels(inverse, pixels), self._cloud)
        values = inverse[grid.nodes].astype(float)
        blend.look(self._sources, Matched(self._sources, target, values) if self._match else None)
        return blend.filling(grain_of(frame, grid) if self._grain else 0.0)

    def _background(self, target: Target) -> Floats:
        """1 / depth (n, m) at the grid's nodes."""
        if self._cloud is None:
            return np.ones(target.grid.nodes.shape, np.float32)
        inverse = self._cloud.inverse_depth(target.view, target.grid)
        unknown = inverse <= 0
        inverse[unknown] = fill_around(inverse, unknown)[:, 0]
        return self._sweep(target, inverse[target.grid.nodes].astype(float)).made_fine(inverse)

    def _sweep(self, target: Target, inverse: Array) -> Sweep:
        """In the frames that show the holes, whose nodes have about these 1 / depth (k,)."""
        inside = np.flatnonzero(target.grid.holes[target.grid.nodes])
        probes = inside[:: len(inside) // PROBES + 1]
        chosen = self._sources.spread(
            target.view, target.slopes[probes], 1 / np.maximum(inverse[probes], FAR)
        )
        matched = Matched(self._sources, target, inverse) if self._match else None
        sources = [
            self._sources.sweep_source(number, target.grid.step, gain_of(matched, number))
            for number in chosen
        ]
        return Sweep(target.view, target.grid, target.slopes, target.colors(), sources)
