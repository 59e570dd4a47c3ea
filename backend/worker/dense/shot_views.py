# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot's keyframes as stereo sees them: undistorted, smaller, without what masks select."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...camera import Array, CameraTrack, with_opencv_axes
from ...depth import NOTHING
from ...errors import PlateError, Remedy, SolveError
from ...formats.colmap import read_model
from ...lens import bend
from ...reconstruction import CameraModel
from ...shot import Plate, Shot
from ...solve import FrameState, Motion, Solve, solve_of
from ...undistorted import pinhole_focal
from ..frame_files import read_colors
from ..frame_lenses import FrameLenses
from ..lens_maps import everywhere
from ..masks import colmap_mask, find_masks, read_mask
from .keyframes import choose_keyframes
from .map_files import read_map
from .views import Floats, View

_NEAR, _FAR = 0.6, 1.6
"""How much nearer and farther than the solve's points there may be something."""
_FEWEST = 3


@dataclass(frozen=True, eq=False)
class ShotViews:
    """The keyframes of a solved shot.

    `camera` is the pinhole of the undistorted pictures, at their size, in the frames that are
    keyframes; `points` (p, 3) are the solve's in the shot's world; `masks` are files by frame.
    """

    shot: Shot
    plate: Plate
    lenses: FrameLenses
    camera: CameraTrack
    points: Array
    masks: Mapping[int, Path]

    @classmethod
    def of(
        cls,
        shot: Shot,
        longest: int,
        most: int,
        use_masks: bool,
        keyframes: Sequence[int] | None = None,
    ) -> ShotViews:
        """At most `most` keyframes whose longer side has `longest` pixels at most, 0 for the
        plate's own size; or those frames that are named. Raises SolveError for a camera that does
        not travel, FormatError."""
        plate, solve = shot.load_plate(), solve_of(shot)
        points = solve.world.apply(read_model(shot.sparse).points.positions)
        track = _solved(solve)
        if solve.quality.motion is Motion.TRIPOD or len(track.frames) < _FEWEST:
            raise SolveError(
                "A camera that only turns tells no depth: a mesh needs one that travels."
            )
        camera = _pinhole(track, _size(plate, longest))
        if keyframes is None:
            chosen = choose_keyframes(camera, points, most)
        else:
            chosen = np.flatnonzero(np.isin(camera.frames, keyframes))
        masks = find_masks(shot.masks) if use_masks else {}
        return cls(shot, plate, FrameLenses(solve), camera.only(chosen), points, masks)

    def with_masks(self, masks: Mapping[int, Path]) -> ShotViews:
        """The same with other masks, by frame number."""
        return replace(self, masks=masks)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The plate's frame numbers, ascending."""
        return tuple(map(int, self.camera.frames))

    def load(self, number: int) -> View:
        """Raises PlateError for a frame, SolveError for a mask that is missing or damaged."""
        positions = self._positions(number)
        colors, usable = self._colors(number, positions), self._usable(number, positions)
        return replace(self.outline(number), colors=colors, usable=usable)

    def guess(self, number: int) -> Floats | None:
        """(h, w) what the depth stage says of a frame, 0 where nothing; None where it was not run.
        Raises FormatError for a damaged file."""
        file = self.shot.depth.map(number)
        if not file.is_file():
            return None
        positions = self._positions(number)
        size = self.camera.width, self.camera.height
        found = _looked_up(read_map(file), positions, size, cv2.INTER_NEAREST)
        inside = ((positions > 0) & (positions < 1)).all(axis=2)
        guess: Floats = np.where(inside & (found > 0) & (found < NOTHING), found, 0)
        return guess

    def outline(self, number: int) -> View:
        """The view with its camera but without its picture; it takes no memory."""
        index = self.numbers.index(number)
        rotation, translation = self._pose(index)
        near, far = self._range(index)
        size = self.camera.height, self.camera.width
        return View(
            number=number,
            colors=np.broadcast_to(np.uint8(0), (*size, 3)),
            usable=np.broadcast_to(np.True_, size),
            focal=(float(self.camera.focal[index, 0]), float(self.camera.focal[index, 1])),
            center=(float(self.camera.center[index, 0]), float(self.camera.center[index, 1])),
            rotation=rotation,
            translation=translation,
            near=near,
            far=far,
        )

    @cached_property
    def _matrices(self) -> Array:
        """(n, 4, 4) camera to world in the axes of stereo."""
        return with_opencv_axes(self.camera.matrices)

    def _pose(self, index: int) -> tuple[Array, Array]:
        matrix = self._matrices[index]
        rotation = matrix[:3, :3].T
        return rotation, -rotation @ matrix[:3, 3]

    def _range(self, index: int) -> tuple[float, float]:
        """Between what depths the points lie that the frame sees, with a margin."""
        rotation, translation = self._pose(index)
        depths = (self.points @ rotation.T + translation)[:, 2]
        with np.errstate(invalid="ignore"):
            pixels = self.camera.project(self.points, index)
            size = self.camera.width, self.camera.height
            inside = ((pixels > 0) & (pixels < size)).all(axis=1)
        known = depths[inside] if inside.any() else np.abs(depths)
        nearest, farthest = np.quantile(known, (0.005, 0.995))
        return float(nearest * _NEAR), float(farthest * _FAR)

    def _positions(self, number: int) -> NDArray[np.float32]:
        """(h, w, 2) where each pixel of the view lies in the frame, over the frame's size."""
        lens, index = self.lenses.at(number), self.numbers.index(number)
        focal = (float(self.camera.focal[index, 0]), float(self.camera.focal[index, 1]))
        return _bent(lens, focal, (self.camera.width, self.camera.height))

    def _colors(self, number: int, positions: NDArray[np.float32]) -> NDArray[np.uint8]:
        file = self.shot.frame_file(number)
        picture = read_colors(file)
        if picture is None:
            raise PlateError(
                f"{file} is missing or damaged: set the shot up again.", Remedy.SET_UP_SHOT
            )
        size = self.camera.width, self.camera.height
        return np.asarray(_looked_up(picture, positions, size, cv2.INTER_LINEAR), np.uint8)

    def _usable(self, number: int, positions: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Inside of the frame, and not masked."""
        usable: NDArray[np.bool_] = ((positions > 0) & (positions < 1)).all(axis=2)
        if number in self.masks:
            size = self.plate.width, self.plate.height
            kept = colmap_mask(read_mask(self.masks[number], size))
            view = self.camera.width, self.camera.height
            usable &= _looked_up(kept, positions, view, cv2.INTER_LINEAR) == 255
        return usable


def _solved(solve: Solve) -> CameraTrack:
    """The frames that were solved: interpolated ones are not exact enough."""
    numbers = set(solve.numbers(FrameState.SOLVED))
    indices = [place for place, frame in enumerate(solve.track.frames) if int(frame) in numbers]
    return solve.track.only(np.array(indices, int))


def _size(plate: Plate, longest: int) -> tuple[int, int]:
    """Width and height of the views; pixels are square."""
    aspect = float(plate.pixel_aspect)
    width, height = plate.width * max(1.0, aspect), plate.height * max(1.0, 1 / aspect)
    scale = min(1.0, longest / max(width, height)) if longest else 1.0
    return max(1, round(width * scale)), max(1, round(height * scale))


def _pinhole(track: CameraTrack, size: tuple[int, int]) -> CameraTrack:
    """The centered pinhole with square pixels that has the track's pose and focal length."""
    scaled = track.resized(*size)
    focal = pinhole_focal(scaled.focal)[:, None] * np.ones(2)
    center: Array = np.full_like(focal, 0.5) * np.array(size, float)
    return replace(scaled, focal=focal, center=center)


@lru_cache(maxsize=2)
def _bent(
    lens: CameraModel, focal: tuple[float, float], size: tuple[int, int]
) -> NDArray[np.float32]:
    middle = np.array(size) / 2

    def warp(pixels: Array) -> Array:
        return bend(lens, (pixels - middle) / focal) / (lens.width, lens.height)

    return everywhere(warp, *size).astype(np.float32)


def _looked_up(
    picture: Any, positions: NDArray[np.float32], size: tuple[int, int], way: int
) -> Any:
    """The picture at positions (h, w, 2) over its size; made smaller first, so that nothing is
    skipped."""
    height, width = picture.shape[:2]
    if width > size[0]:
        smaller = cv2.INTER_NEAREST_EXACT if way == cv2.INTER_NEAREST else cv2.INTER_AREA
        picture = cv2.resize(picture, size, interpolation=smaller)
        width, height = size
    # OpenCV counts pixels from the center of the first one.
    places: Any = positions * np.array([width, height], np.float32) - np.float32(0.5)
    one_map: Any = None
    return cv2.remap(picture, places, one_map, way, borderMode=cv2.BORDER_REPLICATE)
