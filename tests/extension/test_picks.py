# SPDX-License-Identifier: GPL-3.0-or-later
"""Interactive roto in a real Blender: what is clicked on the plate is what is picked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from backend.prompts import Prompts

from .pictures import keep_pictures
from .real_blender import RealBlender
from .solved_shot import solved_shot

FRAMES = 12


def test_things_are_pointed_at_on_the_plate(blender: RealBlender, tmp_path: Path) -> None:
    shot = solved_shot(tmp_path / "sh060", FRAMES)
    told = blender.play(
        "picks.py", tmp_path, shot.path, seconds=120, flags=("--enable-event-simulate",)
    )
    keep_pictures(tmp_path, told.get("pictures", {}), blender.version)
    assert told["ok"], told.get("error", "") + told["log"][-3000:]
    assert "Traceback" not in told["log"], told["log"]
    assert (told["trouble"], told["touched"]) == ("", [])
    width, height = told["size"]
    plate = shot.load_plate()
    assert (width, height) == (plate.width, plate.height)
    (car,) = told["picked"]
    part, not_part, box, later = car["picks"]
    # The mouse is at whole pixels of the screen.
    close = 3 * width / 400
    first = plate.first_frame
    assert car["name"] == "car"
    assert [pick[0] for pick in car["picks"]] == [first, first, first, first + 3]
    assert [pick[1] for pick in car["picks"]] == ["POINT", "POINT", "BOX", "POINT"]
    assert part[2:4] == pytest.approx([width * 0.25, height * 0.25], abs=close)
    assert not_part[2:4] == pytest.approx([width * 0.5, height * 0.75], abs=close)
    assert (part[6], not_part[6], later[6]) == (True, False, True)
    corners = [width * 0.2, height * 0.2, width * 0.6, height * 0.5]
    assert box[2:6] == pytest.approx(corners, abs=close)
    assert told["undone"][0]["picks"] == car["picks"][:3]
    assert told["image"][2:4] == pytest.approx([width * 0.1, height * 0.9], abs=close)
    check_mask(tmp_path, told)
    kept = Prompts.load(shot.prompts).objects[0]
    assert sorted(kept.frames) == [first, first + 3]
    assert [point.inside for point in kept.frames[first].points] == [True, False]
    assert kept.frames[first].box == pytest.approx(corners, abs=close)


def check_mask(folder: Path, told: dict[str, Any]) -> None:
    """Inside the mask the plate has some of the object's color, outside and without none."""
    names = ("without", "with", "off")
    seen = {name: cv2.imread(str(folder / f"{name}.png"))[..., ::-1].astype(int) for name in names}
    color = 255 * np.array(told["color"])
    for where, (x, y) in told["mask"].items():
        before, after, off = (seen[name][y, x] for name in names)
        assert np.abs(before - off).max() < 3, (where, before, off)
        expected = before + 0.45 * (color - before) if where == "in" else before
        assert np.abs(after - expected).max() < 12, (where, before, after, expected)
