# SPDX-License-Identifier: GPL-3.0-or-later
"""The undistorted plate, and which camera fits which plate.

The undistorted plate is what an ideal pinhole would have shot: square pixels, the optical axis in
the middle, as large in the middle as the plate is, and as wide and high as it takes to hold all of
it. So any program can take its camera, and nothing of the plate is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .camera import DISTORTED_PLATE, PLATE, UNDISTORTED_PLATE, Array, CameraTrack
from .errors import FormatError
from .shot import CAMERA, CAMERA_PLATE, CAMERA_UNDISTORTED, read_json, write_json

_LARGEST = 10**5


def pinhole_focal(focal: Array) -> Array:
    """(...,) the focal length in px of the square pixels that take the place of fx, fy (..., 2).

    The longer of the two: a squeezed plate is stretched, and never loses lines or columns.
    """
    longest: Array = focal.max(axis=-1)
    return longest


@dataclass(frozen=True)
class UndistortedPlate:
    """Size in px, beside that of the plate it comes from.

    is_plate  the plate as shot is such a picture already
    cut       the corners reach so far out that not all of the plate is held
    """

    width: int
    height: int
    plate_width: int
    plate_height: int
    is_plate: bool = False
    cut: bool = False

    def camera(self, track: CameraTrack) -> CameraTrack:
        """The pinhole for the undistorted plate that has the pose and focal length of `track`.

        A track for a plate of another size gets an undistorted plate of that size. The focal
        length in mm stays; it is the film that is larger.
        """
        share = track.width / self.plate_width
        width, height = round(self.width * share), round(self.height * share)
        focal = pinhole_focal(track.focal)
        film = track.sensor_width * track.focal[0, 0] / focal[0] * width / track.width
        return replace(
            track,
            focal=np.stack([focal, focal], axis=1),
            center=np.tile([width / 2, height / 2], (len(focal), 1)),
            width=width,
            height=height,
            sensor_width=float(film),
            fits=PLATE if self.is_plate else UNDISTORTED_PLATE,
        )

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> UndistortedPlate:
        """Raises FormatError."""
        return cls.from_json(read_json(path))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> UndistortedPlate:
        """Raises FormatError."""
        names = ("width", "height", "plate_width", "plate_height")
        try:
            width, height, plate_width, plate_height = (int(data[name]) for name in names)
            is_plate, cut = bool(data["is_plate"]), bool(data["cut"])
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"The undistorted plate's size is damaged: {error!r}.") from error
        if not all(0 < size < _LARGEST for size in (width, height, plate_width, plate_height)):
            raise FormatError("The undistorted plate's size is none.")
        return cls(width, height, plate_width, plate_height, is_plate, cut)


def cameras_by_plate(track: CameraTrack, undistorted: UndistortedPlate) -> dict[str, CameraTrack]:
    """The cameras that are exported, by the names of their files.

    `track` is the camera as the scene has it: the plate's size, principal point and shape of
    pixels. It fits the plate with the distortion taken out in place, as Blender shows it, and it
    is the one for the plate as shot in a program that puts the lens onto what it renders.
    """
    shot_with = PLATE if track.fits == PLATE else DISTORTED_PLATE
    return {
        CAMERA: track,
        CAMERA_PLATE: replace(track, name=f"{track.name}_plate", fits=shot_with),
        CAMERA_UNDISTORTED: replace(undistorted.camera(track), name=f"{track.name}_undistorted"),
    }
