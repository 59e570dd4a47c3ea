# SPDX-License-Identifier: GPL-3.0-or-later
"""A dense mesh in a real Blender with a window: made from the panel, then looked at."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from backend.dense import DenseRecord

from .pictures import keep_pictures
from .real_blender import RealBlender
from .solved_shot import solved_shot


def test_an_artist_makes_a_dense_mesh(installed: RealBlender, tmp_path: Path) -> None:
    shot = solved_shot(tmp_path / "sh070", 16)
    told = installed.play("dense.py", tmp_path, shot.path, seconds=900)
    keep_pictures(tmp_path, told.get("pictures", {}), installed.version)
    assert told["ok"], told.get("error", "") + told["log"][-3000:]
    assert "Traceback" not in told["log"], told["log"]
    assert (told["reason"], told["touched"]) == ("", [])
    record = DenseRecord.load(shot.dense.record)
    assert told["faces"] == record.faces > 1000
    assert told["uvs"] == 1
    assert told["draws"]["SHOTGOPHER_PT_dense"] > 2
    assert (told["catcher"], told["holdout"], told["rendered"]) == (
        [True, False], [False, True], [False, False],
    )  # fmt: skip
    assert told["in_place"]
    _looks_like_the_plate(tmp_path / "dense_as_shot.png", told["middle"])


def _looks_like_the_plate(picture: Path, middle: list[int]) -> None:
    """The middle of the camera view shows the texture: many colors, no gray or pink surface."""
    x, y = middle
    shown = cv2.imread(str(picture))[y - 60 : y + 60, x - 60 : x + 60]
    hue, saturation, _value = cv2.split(cv2.cvtColor(shown, cv2.COLOR_BGR2HSV))
    assert (saturation > 60).mean() > 0.2
    assert np.std(hue[saturation > 60].astype(float)) > 10
