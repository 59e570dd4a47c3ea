# SPDX-License-Identifier: GPL-3.0-or-later
"""Body motion in a real Blender with a window: pressed in the panel, then looked at."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from .pictures import keep_pictures
from .real_blender import RealBlender
from .solved_shot import WORLD
from .walker_shot import walker_shot


def test_an_artist_brings_a_person_into_the_scene(
    blender: RealBlender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shot = walker_shot(tmp_path / "sh090", tmp_path, monkeypatch)
    monkeypatch.undo()
    told = blender.play("body.py", tmp_path, shot.path, seconds=300)
    keep_pictures(tmp_path, told.get("pictures", {}), blender.version)
    assert told["ok"], told.get("error", "") + told["log"][-3000:]
    assert "Traceback" not in told["log"], told["log"]
    assert (told["trouble"], told["touched"]) == ("", [])
    assert told["made"] == ["sh090 person_00 Armature", "sh090 person_00 Body"]
    assert told["draws"]["SHOTGOPHER_PT_bodies"] > 2
    # With a software renderer, whose work is in it, on a machine that does other things too.
    assert told["milliseconds"] < 12
    on, off = (
        cv2.imread(str(tmp_path / f"{name}.png")).astype(int) for name in ("body_on", "body_off")
    )
    for name, (x, y) in told["joints"].items():
        window = slice(round(y) - 3, round(y) + 4), slice(round(x) - 3, round(x) + 4)
        green = on[window][..., 1] - on[window][..., 2]
        assert green.max() > 60, f"{name}: its keypoint lies on it"
        assert (off[window][..., 1] - off[window][..., 2]).max() < 30
    for name, blue in (("left", 1), ("right", -1)):
        # The shin, away from the dots at both of its ends.
        (x, y), (u, v) = told["joints"][f"{name}_knee"], told["joints"][f"{name}_ankle"]
        color = on[round((y + v) / 2), round((x + u) / 2)]
        assert blue * (color[0] - color[2]) > 30, f"{name} bones have the color of their side"
    assert told["size_after"] == pytest.approx(told["size_before"] / WORLD.scale, rel=1e-3)
    assert told["size_undone"] == pytest.approx(told["size_before"])
    built = dict(zip(("abc", "usd"), told["built"], strict=True))
    names = [name for name in ("abc", "bvh", "fbx", "obj", "usd") if built.get(name, True)]
    assert told["files"] == [f"person_00.{name}" for name in names]
    assert all(built.values()) or "built without" in told["refused"]
