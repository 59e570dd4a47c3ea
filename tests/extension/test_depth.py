# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth and clean plate in a real Blender with a window: pressed in the panel, then looked at."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from .depth_shot import depth_shot
from .pictures import keep_pictures
from .real_blender import RealBlender


def test_an_artist_uses_depth_and_clean_plate(blender: RealBlender, tmp_path: Path) -> None:
    shot = depth_shot(tmp_path / "sh080")
    told = blender.play("depth.py", tmp_path, shot.path, seconds=600)
    keep_pictures(tmp_path, told.get("pictures", {}), blender.version)
    assert told["ok"], told.get("error", "") + told["log"][-3000:]
    assert "Traceback" not in told["log"], told["log"]
    assert told["touched"] == []
    assert len(told["icons"]) == 3
    assert all(told["icons"])
    for panel in ("depth", "clean_plate"):
        assert told["draws"][f"SHOTGOPHER_PT_{panel}"] > 2
    # How long drawing takes says more of the machine, which has no GPU here.
    assert told["known"] < 0.5
    plate = shown(tmp_path / "card.png", told["middle"])
    assert np.std(plate) > 10
    clean = shown(tmp_path / "clean.png", told["middle"])
    assert clean[..., 2].mean() < 0.5 * clean[..., 1].mean()
    assert plate[..., 2].mean() > 0.5 * plate[..., 1].mean()
    composite = cv2.imread(str(tmp_path / "composite.png"))
    green = (composite[..., 1] > 240) & (composite[..., [0, 2]] < 15).all(axis=2)
    assert green[:, :310].sum() > 1000
    assert green[95:190, 325:420].sum() < 50


def shown(picture: Path, middle: list[int]) -> np.ndarray:
    """The middle of the view in that picture, BGR."""
    x, y = middle
    return cv2.imread(str(picture))[y - 60 : y + 60, x - 60 : x + 60].astype(float)
