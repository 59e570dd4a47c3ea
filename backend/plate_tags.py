# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of a plate say of its colors and of the camera that shot it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

FILM_WIDTH = 36.0
"""Width in mm of the picture that a 35 mm equivalent focal length refers to."""

_PLAUSIBLE = (0.2, 20.0)


@dataclass(frozen=True)
class PlateColor:
    """Colors as stored.

    space          a name of backend/color_spaces.py
    matrix, primaries, range    as the file says, "" where it does not; range is "full" or "limited"
    bits           a channel, of the plate; its frames have 8 or 16
    alpha          the plate has an alpha channel, which its frames leave out
    """

    space: str = "video"
    matrix: str = ""
    primaries: str = ""
    range: str = ""
    bits: int = 8
    alpha: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PlateColor:
        """Raises TypeError or ValueError for what is none."""
        return cls(**_typed(cls, data))


@dataclass(frozen=True)
class PlateCamera:
    """The camera by the plate's own metadata; "" and 0 for what is not told.

    Lengths in mm; `focal_35mm` is the focal length that shows as much on 35 mm film. `gamma` is
    the name of the color space the camera recorded in, of backend/color_spaces.py.
    """

    make: str = ""
    model: str = ""
    lens: str = ""
    focal: float = 0.0
    focal_35mm: float = 0.0
    sensor_width: float = 0.0
    gamma: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PlateCamera:
        """Raises TypeError or ValueError for what is none."""
        return cls(**_typed(cls, data))

    def focal_pixels(self, width: int, height: int) -> float:
        """The focal length in px of a picture of that size, 0 where it is not told or absurd.

        It is where a solve may start looking, no more: video shows a crop of the sensor that the
        metadata seldom tells.
        """
        longer = max(width, height)
        if self.focal_35mm > 0:
            found = self.focal_35mm / FILM_WIDTH * longer
        elif self.focal > 0 and self.sensor_width > 0:
            found = self.focal / self.sensor_width * longer
        else:
            return 0.0
        within = math.isfinite(found) and _PLAUSIBLE[0] <= found / longer <= _PLAUSIBLE[1]
        return found if within else 0.0


def _typed(record: type[PlateColor | PlateCamera], data: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a record's fields, each made of the type of its default."""
    known: dict[str, Any] = {field.name: type(field.default) for field in fields(record)}
    return {name: known[name](value) for name, value in data.items() if name in known}
