# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed extension in a Blender with a window, used as an artist does.

With SHOT_GOPHER_PICTURES=DIR the pictures of the sidebar are kept there; docs/images are such.
"""

from __future__ import annotations

from pathlib import Path

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
    assert set(told["draws"]) == {*panels, "SHOTGOPHER_AP_preferences"}
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
