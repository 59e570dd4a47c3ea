# SPDX-License-Identifier: GPL-3.0-or-later
"""Surveys a shot from the command line: `survey_shot.py SHOT TOLD.json`.

TOLD is a JSON text: floor, origin and axis_x, axis_y and distance as lists of point ids, meters;
or {"reset": true} or {"body": true}. Writes one JSON object: `note` and `scale` of the world, or
`error`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend.camera import Array
from backend.errors import ShotGopherError
from backend.shot import Shot
from backend.survey import (
    Axis,
    Constraints,
    Distance,
    Moved,
    apply,
    point_positions,
    reset,
    take_body,
)


def answer(shot: Shot, told: dict[str, Any]) -> dict[str, Any]:
    """Does what was asked; a failure becomes the answer's `error`."""
    try:
        moved = _moved(shot, told)
    except ShotGopherError as error:
        return {"error": error.reason}
    return {"note": moved.solve.world_note, "scale": moved.solve.world.scale}


def _moved(shot: Shot, told: dict[str, Any]) -> Moved:
    if told.get("reset"):
        return reset(shot)
    return take_body(shot) if told.get("body") else apply(shot, _constraints(shot, told))


def _constraints(shot: Shot, told: dict[str, Any]) -> Constraints:
    def positions(name: str) -> Array | None:
        return point_positions(shot, told[name]) if told.get(name) else None

    floor, origin, distance = positions("floor"), positions("origin"), positions("distance")
    axes = ((name, positions(f"axis_{name}")) for name in ("x", "y"))
    axis = next((Axis(name, *ends) for name, ends in axes if ends is not None), None)
    return Constraints(
        floor=floor,
        origin=None if origin is None else origin[0],
        axis=axis,
        distance=None if distance is None else Distance(told["meters"], *distance),
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answer(Shot(Path(sys.argv[1])), json.loads(sys.argv[2]))))
