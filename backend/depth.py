# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a shot's depth maps: `depth.json`, and what is in the files beside it.

depth/exr/*.exr   32-bit floats in the channel Y: depth along the camera's view (z, no distance)
                  at each pixel of the plate as shot, NOTHING where there is no end to the view
depth/*.png       16 bits: 65535 at depth `near`, 0 from `far` on, even steps of 1 / depth
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .dense import Place
from .errors import FormatError
from .shot import read_json, write_json

NOTHING = 1e10
"""Depth of the sky: what Blender's own Z pass has where nothing is."""
SKY = 0.1 * NOTHING
"""No surface lies past this: what is farther is the sky, whatever rounding has made of it."""
SOLVE, METERS, RELATIVE = "solve", "meters", "relative"
"""Units: those of the solved camera's world, the model's meters, or none at all."""
_UNITS = {
    SOLVE: "In the units of the solved camera",
    METERS: "In meters, as the model guesses",
    RELATIVE: "In no units: near and far alone",
}
"""What a panel says of them."""


@dataclass(frozen=True, eq=False)
class DepthRecord:
    """depth.json.

    model, engine   what estimated depth, and what ran it
    units           SOLVE, METERS or RELATIVE
    place           the world that depth in units of the solve is measured in; else None
    near, far       depths between which depth/*.png goes from white to black
    frames          the plate's numbers of those that have depth
    flicker         how much depth of the same thing changes from frame to frame, as a share of it,
                    the camera's motion taken out; None where no camera tells
    details         anything else worth keeping
    """

    model: str
    engine: str
    units: str
    place: Place | None
    near: float
    far: float
    frames: tuple[int, ...]
    flicker: float | None = None
    details: Mapping[str, Any] | None = None

    @property
    def facts(self) -> tuple[str, ...]:
        """Short lines for a panel."""
        lines = [f"{len(self.frames)} frames with depth", _UNITS.get(self.units, self.units)]
        if self.flicker is not None:
            lines.append(f"Flicker {self.flicker:.1%} of depth")
        return tuple(lines)

    def save(self, path: Path) -> None:
        content = {
            "model": self.model,
            "engine": self.engine,
            "units": self.units,
            "near": self.near,
            "far": self.far,
            "frames": list(self.frames),
            "flicker": self.flicker,
            "details": dict(self.details or {}),
        }
        if self.place is not None:
            content |= {"solve": self.place.solve, "world": self.place.world.to_json()}
        write_json(path, content)

    @classmethod
    def load(cls, path: Path) -> DepthRecord:
        """Raises FormatError."""
        data = read_json(path)
        try:
            flicker = data["flicker"]
            return cls(
                model=str(data["model"]),
                engine=str(data["engine"]),
                units=str(data["units"]),
                place=Place.from_json(data) if data["units"] == SOLVE else None,
                near=float(data["near"]),
                far=float(data["far"]),
                frames=tuple(int(number) for number in data["frames"]),
                flicker=None if flicker is None else float(flicker),
                details=dict(data.get("details", {})),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{path.name} is damaged: {error!r}.") from error


def depth_facts(path: Path) -> tuple[str, ...]:
    """Short lines about the depth of that depth.json; () where there is none that is whole."""
    try:
        return DepthRecord.load(path).facts
    except FormatError:
        return ()
