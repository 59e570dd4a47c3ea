# SPDX-License-Identifier: GPL-3.0-or-later
"""A frame of the plate as it was shot or with its lens taken out, and where rays fall in it."""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np

from ..camera import Array
from ..lens import bend
from ..overlay import AS_SHOT, BOTH, UNDISTORTED
from ..reconstruction import CameraModel
from ..shot import Plate
from ..solve import Solve
from ..undistorted import UndistortedPlate, pinhole_focal
from .drawing import Picture
from .frame_lenses import FrameLenses
from .lens_maps import LensMaps, undistorted_plate

_NOWHERE = -1e4
"""Where to look for a pixel that the plate does not show."""


class PlateView(Protocol):
    """`title` says which plate it is; `size` is width and height of its picture."""

    title: str
    size: tuple[int, int]

    def show(self, frame: int, picture: Picture) -> Picture:
        """What this view makes of the plate's picture."""

    def pixels(self, frame: int, slopes: Array) -> Array:
        """(m, 2) where rays with slopes (m, 2) fall in it."""


def views_of(plate: Plate, solve: Solve, wanted: str) -> list[PlateView]:
    """The views that an overlay asks for by its option `plate`, from left to right."""
    lenses = FrameLenses(solve)
    views: list[PlateView] = []
    if wanted in (AS_SHOT, BOTH):
        views.append(_AsShot(plate, lenses))
    if wanted in (UNDISTORTED, BOTH):
        views.append(_Undistorted(undistorted_plate(solve), lenses))
    return views


class _AsShot:
    title = "as shot"

    def __init__(self, plate: Plate, lenses: FrameLenses) -> None:
        self.size = (plate.width, plate.height)
        self._lenses = lenses

    def show(self, _frame: int, picture: Picture) -> Picture:
        return picture

    def pixels(self, frame: int, slopes: Array) -> Array:
        lens = self._lenses.at(frame)
        return bend(lens, slopes) * (np.array(self.size) / (lens.width, lens.height))


class _Undistorted:
    title = "undistorted"

    def __init__(self, plate: UndistortedPlate, lenses: FrameLenses) -> None:
        self.size = (plate.width, plate.height)
        self._plate = plate
        self._lenses = lenses
        self._known: tuple[CameraModel, tuple[Any, Any]] | None = None

    def show(self, frame: int, picture: Picture) -> Picture:
        """What the plate does not show is black."""
        lens = self._lenses.at(frame)
        if self._known is None or self._known[0] != lens:
            self._known = (lens, self._places(lens))
        fitting = resized(picture, (lens.width, lens.height))
        return cv2.remap(fitting, *self._known[1], interpolation=cv2.INTER_LINEAR).astype(np.uint8)

    def _places(self, lens: CameraModel) -> tuple[Any, Any]:
        # cv2 counts from the center of the first pixel, COLMAP from its corner.
        found = LensMaps(lens, self._plate).undistort() - 0.5
        places = np.nan_to_num(found, nan=_NOWHERE).astype(np.float32)
        return places[..., 0].copy(), places[..., 1].copy()

    def pixels(self, frame: int, slopes: Array) -> Array:
        focal = pinhole_focal(np.array(self._lenses.at(frame).focal))
        found: Array = slopes * focal + np.array(self.size) / 2
        return found


def resized(picture: Picture, size: tuple[int, int]) -> Picture:
    """The picture with that width and height; itself when it has them already."""
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    method = cv2.INTER_AREA if picture.shape[1] > size[0] else cv2.INTER_LINEAR
    return cv2.resize(picture, size, interpolation=method).astype(np.uint8)
