# SPDX-License-Identifier: GPL-3.0-or-later
"""What a camera solver returns and a COLMAP folder holds, as plain arrays.

Poses are COLMAP's: world-to-camera, camera axes x right, y down, z forward. n images, p points,
m observations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .camera import Array, Integers
from .errors import FormatError

PARAMETERS: dict[str, tuple[str, ...]] = {
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
    "OPENCV_FISHEYE": ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4"),
    "FULL_OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    "FOV": ("fx", "fy", "cx", "cy", "omega"),
    "SIMPLE_RADIAL_FISHEYE": ("f", "cx", "cy", "k"),
    "RADIAL_FISHEYE": ("f", "cx", "cy", "k1", "k2"),
    "THIN_PRISM_FISHEYE": (
        "fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "sx1", "sy1",
    ),
    "RAD_TAN_THIN_PRISM_FISHEYE": (
        "fx", "fy", "cx", "cy", "k0", "k1", "k2", "k3", "k4", "k5", "p0", "p1", "s0", "s1", "s2",
        "s3",
    ),
    "SIMPLE_DIVISION": ("f", "cx", "cy", "k"),
    "DIVISION": ("fx", "fy", "cx", "cy", "k"),
    "SIMPLE_FISHEYE": ("f", "cx", "cy"),
    "FISHEYE": ("fx", "fy", "cx", "cy"),
    "EUCM": ("fx", "fy", "cx", "cy", "alpha", "beta"),
    "EQUIRECTANGULAR": ("w", "h"),
}  # fmt: skip
"""Camera models by name and their parameters in order, as in COLMAP's src/colmap/sensor/models.h.
The order of the models is that of COLMAP's model ids, from 0."""

MODEL_NAMES = tuple(PARAMETERS)

_ZERO_MAKES_PINHOLE: dict[str, tuple[str, ...]] = {
    "SIMPLE_PINHOLE": (),
    "PINHOLE": (),
    "SIMPLE_RADIAL": ("k",),
    "RADIAL": ("k1", "k2"),
    "OPENCV": ("k1", "k2", "p1", "p2"),
    "FULL_OPENCV": ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    "FOV": ("omega",),
    "SIMPLE_DIVISION": ("k",),
    "DIVISION": ("k",),
    "EUCM": ("alpha",),
}
"""The parameters that must be zero for a model to be a pinhole; the fisheyes never are."""


@dataclass(frozen=True)
class CameraModel:
    """A lens as COLMAP knows it. Pixels; (0, 0) is the corner of the first pixel."""

    model: str
    width: int
    height: int
    params: tuple[float, ...]

    def named(self) -> dict[str, float]:
        return dict(zip(PARAMETERS[self.model], self.params, strict=True))

    @property
    def focal(self) -> tuple[float, float]:
        """fx, fy. Raises FormatError for a panorama, which has none."""
        named = self._lens()
        return (named["f"], named["f"]) if "f" in named else (named["fx"], named["fy"])

    def with_focal(self, fx: float, fy: float) -> CameraModel:
        """The same lens zoomed: another focal length, everything else as it is."""
        values = self.named() | ({"f": fx} if "f" in self.named() else {"fx": fx, "fy": fy})
        return replace(self, params=tuple(values[name] for name in PARAMETERS[self.model]))

    @property
    def center(self) -> tuple[float, float]:
        """cx, cy. Raises FormatError for a panorama, which has none."""
        named = self._lens()
        return named["cx"], named["cy"]

    def _lens(self) -> dict[str, float]:
        named = self.named()
        if "cx" not in named:
            raise FormatError(
                f"The camera is a panorama ({self.model}) and has no focal length: "
                "solve flat views cut from it instead."
            )
        return named

    @property
    def is_pinhole(self) -> bool:
        """True when the lens does not distort: its pinhole then fits the plate as it was shot."""
        must_be_zero = _ZERO_MAKES_PINHOLE.get(self.model)
        named = self.named()
        return must_be_zero is not None and all(named[name] == 0 for name in must_be_zero)

    def distortion(self) -> dict[str, float]:
        """The parameters that are neither focal length nor principal point."""
        return {k: v for k, v in self.named().items() if k not in ("f", "fx", "fy", "cx", "cy")}

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "width": self.width,
            "height": self.height,
            "params": list(self.params),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CameraModel:
        params = tuple(float(value) for value in data["params"])
        return cls(str(data["model"]), int(data["width"]), int(data["height"]), params)


@dataclass(frozen=True, eq=False)
class Points:
    """A sparse cloud: positions (p, 3), colors (p, 3) uint8 sRGB, errors (p,) px, tracks (p,).

    `errors` is the mean reprojection error of a point, `tracks` how many images see it.
    """

    ids: NDArray[np.uint64]
    positions: Array
    colors: NDArray[np.uint8]
    errors: Array
    tracks: Integers


@dataclass(frozen=True, eq=False)
class Observations:
    """Which image sees which point where: image and point are indices, not COLMAP's ids.

    image (m,), point (m,), pixel (m, 2).
    """

    image: Integers
    point: Integers
    pixel: Array


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """One solved model. Images in the order of their names; `camera_ids` (n,) index `cameras`.

    quaternions (n, 4) w, x, y, z and translations (n, 3) take the world into the camera.
    `observations` is None where a reader was not asked for it.
    """

    cameras: Mapping[int, CameraModel]
    names: tuple[str, ...]
    camera_ids: Integers
    quaternions: Array
    translations: Array
    points: Points
    observations: Observations | None = None
