# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed extension in a Blender with a window, used as an artist does.

With SHOT_GOPHER_PICTURES=DIR the pictures of the sidebar are kept there; docs/images are such.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from backend.locations import recent_shots_file
from tests.backend.movies import write_images

from .pictures import keep_pictures
from .real_blender import RealBlender
from .solved_shot import solved_shot

LONGEST = 400
"""Seconds for the whole scenario, the installation of the environment included."""


def test_an_artist_tracks_a_shot(
    blender: RealBlender, plate: Path, still_plate: Path, tmp_path: Path
) -> None:
    told = blender.play("artist.py", tmp_path, plate, still_plate, seconds=LONGEST)
    keep_pictures(tmp_path, told.get("pictures", {}), blender.version)
    assert told["ok"], told.get("error", "") + told["log"][-3000:]
    assert "Traceback" not in told["log"], told["log"]
    assert told["trouble"] == ""
    assert told["touched"] == []
    panels = {f"SHOTGOPHER_PT_{name}" for name in ("shot", "stages", "results")}
    # The solve leaves a blockout mesh, which the panel of the dense mesh tells of.
    others = {"SHOTGOPHER_AP_preferences", "SHOTGOPHER_PT_dense"}
    assert set(told["draws"]) == panels | others
    assert min(told["draws"][panel] for panel in panels) > 10, told["draws"]
    assert told["failure"].endswith((".", "!")), told["failure"]
    assert any("24 of 24" in line for line in told["solve"]), told["solve"]


def test_a_job_outlives_a_blender_that_dies(
    blender: RealBlender, plate: Path, tmp_path: Path
) -> None:
    evening, morning = tmp_path / "evening", tmp_path / "morning"
    reports = []
    for folder in (evening, morning):
        folder.mkdir()
        told = blender.play("overnight.py", folder, tmp_path / "shot.blend", plate, seconds=LONGEST)
        assert told["ok"], told.get("error", "") + told["log"][-3000:]
        reports.append(told)
    assert reports[0]["job"] == reports[1]["job"]
    assert reports[1]["camera"].startswith("sh030")


def test_an_artist_refines_a_solve(blender: RealBlender, tmp_path: Path) -> None:
    shot = solved_shot(tmp_path / "sh040")
    told = blender.play("refine.py", tmp_path, shot.path, seconds=LONGEST)
    keep_pictures(tmp_path, told.get("pictures", {}), blender.version)
    assert told["ok"], told.get("error", "") + told["log"][-3000:]
    assert "Traceback" not in told["log"], told["log"]
    assert (told["trouble"], told["touched"]) == ("", [])
    assert told["refined"] == ["DONE", ""]
    clip_panels = {"SHOTGOPHER_PT_refine_clip", "SHOTGOPHER_PT_survey_clip"}
    assert clip_panels <= set(told["draws"]), told["draws"]


def test_an_artist_drops_plates(blender: RealBlender, plate: Path, tmp_path: Path) -> None:
    """With the drag-and-drop protocol of X11, from another program."""
    recent_shots_file(blender.home).unlink(missing_ok=True)
    write_images(tmp_path / "in", "sh050.{:04d}.png", range(1001, 1009))
    images = sorted((tmp_path / "in").iterdir())
    told = blender.play("drop.py", tmp_path, plate, *images, seconds=LONGEST)
    keep_pictures(tmp_path, told.get("pictures", {}), blender.version)
    assert told["ok"], told.get("error", "") + told["log"][-3000:]
    assert "Traceback" not in told["log"], told["log"]
    assert (told["trouble"], told["touched"]) == ("", [])


def test_an_artist_checks_a_track(blender: RealBlender, tmp_path: Path) -> None:
    shot = solved_shot(tmp_path / "sh050")
    told = blender.play("check.py", tmp_path, shot.path, seconds=LONGEST)
    keep_pictures(tmp_path, told.get("pictures", {}), blender.version)
    assert told["ok"], told.get("error", "") + told["log"][-3000:]
    assert "Traceback" not in told["log"], told["log"]
    assert (told["trouble"], told["touched"]) == ("", [])
    assert told["gone"] == f"The shot folder {shot.path} is gone."
    # With a software renderer, whose work is in it, on a machine that does other things too.
    assert told["milliseconds"] < 12
    off, on, moved, hung = (
        cv2.imread(str(tmp_path / f"{name}.png")).astype(int)
        for name in ("off", "on", "moved", "hung")
    )
    green, red = (0, 1), (0, 2)
    assert _share(off, told["places"], green) < 0.1
    assert _share(on, told["places"], green) > 0.95
    assert _share(hung, told["hung_places"], green) > 0.95
    assert _share(moved, told["moved_places"], red) > 0.9


def _share(picture: np.ndarray, places: list[list[float]], channels: tuple[int, int]) -> float:
    """Of the places in the middle, those where the second channel is far over the first."""
    low, high = channels
    seen = [picture[round(y), round(x)] for x, y in places if 340 < x < 980 and 240 < y < 590]
    return float(np.mean([pixel[high] - pixel[low] > 90 > pixel[3 - high] for pixel in seen]))
