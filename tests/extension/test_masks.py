# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks in a real Blender with a window: the panel, the thread that edits, and what is shown."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from backend.shot import FRAME_PATTERN

from .pictures import keep_pictures
from .real_blender import RealBlender
from .solved_shot import solved_shot


def test_an_artist_grows_masks(installed: RealBlender, tmp_path: Path) -> None:
    shot = solved_shot(tmp_path / "sh060")
    actor, plate = shot.roto / "actor", shot.load_plate()
    actor.mkdir(parents=True)
    mask = np.zeros((plate.height, plate.width), np.uint8)
    mask[100:180, 160:320] = 255
    for number in plate.frames:
        cv2.imwrite(str(actor / f"{FRAME_PATTERN.format(number)}.png"), mask)
    told = installed.play("masks.py", tmp_path, shot.path, seconds=200)
    keep_pictures(tmp_path, told.get("pictures", {}), installed.version)
    assert told["ok"], told.get("error", "") + told["log"][-3000:]
    assert "Traceback" not in told["log"], told["log"]
    assert (told["trouble"], told["touched"], told["notes"]) == ("", [], [])
    assert told["draws"]["SHOTGOPHER_PT_masks"] > 3
    first = f"{FRAME_PATTERN.format(plate.first_frame)}.png"
    before, grown = (
        cv2.imread(str(shot.roto / name / first), cv2.IMREAD_GRAYSCALE)
        for name in ("actor", "actor.previous")
    )
    assert (before == mask).all()
    assert grown[94, 240] == grown[185, 240] == 255 > grown[93, 240]
