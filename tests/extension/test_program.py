# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed extension in Blenders without a window: command line, scripts, enabling."""

from __future__ import annotations

import json
from pathlib import Path

from .real_blender import ROOT, RealBlender

COMMAND = ("--command", "shot_gopher")


def test_enabling_again_and_again_leaves_nothing(blender: RealBlender) -> None:
    answer = blender.script("enabling.py")
    assert answer.returncode == 0, answer.stdout
    assert "clean" in answer.stdout
    assert "Traceback" not in answer.stdout


def test_the_command_line_is_there(blender: RealBlender) -> None:
    answer = blender.run(*COMMAND, "stages")
    assert answer.returncode == 0, answer.stdout
    assert "colmap" in answer.stdout
    assert "--colmap-quality" in answer.stdout


def test_wrong_use_exits_with_two(blender: RealBlender) -> None:
    answer = blender.run(*COMMAND, "run", "nowhere.mp4", "-s", "sorcery")
    assert answer.returncode == 2, answer.stdout
    assert "There is no stage 'sorcery'" in answer.stdout


def test_without_network_the_job_says_what_is_missing(
    blender: RealBlender, plate: Path, tmp_path: Path
) -> None:
    bare = RealBlender(blender.version, blender.resources, tmp_path / "home")
    answer = bare.run(*COMMAND, "run", plate, "--shot", tmp_path / "shot", "-s", "ingest")
    assert answer.returncode == 1, answer.stdout
    assert "online access is off" in answer.stdout


def test_a_script_gets_the_reason_as_an_exception(blender: RealBlender, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no movie at all")
    answer = blender.script("track.py", broken, tmp_path / "shot", tmp_path / "told.json")
    assert answer.returncode == 0, answer.stdout
    told = json.loads((tmp_path / "told.json").read_text())
    assert "broken.mp4" in told["error"], told
    assert not (tmp_path / "shot" / "source").exists()


def test_a_script_tracks_and_the_command_line_goes_on(
    blender: RealBlender, plate: Path, tmp_path: Path
) -> None:
    """The documented script waits for its results; the command line finds them up to date."""
    blend = tmp_path / "sh010.blend"
    words = ("-b", "--online-mode", "--python-exit-code", "1", "--python")
    answer = blender.run(*words, ROOT / "docs" / "track_plate.py", "--", plate, blend)
    assert answer.returncode == 0, answer.stdout
    assert blend.is_file()
    again = tmp_path / "again.blend"
    words = ("--online-mode", *COMMAND, "run", plate, "--shot", blend.with_suffix(""))
    answer = blender.run(*words, "-s", "ingest,colmap", "--blend", again)
    assert answer.returncode == 0, answer.stdout
    assert "Set Up: up to date" in answer.stdout
    assert "Track Camera: up to date" in answer.stdout
    assert again.is_file()
    review = tmp_path / "review.mp4"
    answer = blender.run(*COMMAND, "overlay", blend.with_suffix(""), review)
    assert answer.returncode == 0, answer.stdout
    assert review.stat().st_size > 10_000


def test_ctrl_c_cancels_the_job(blender: RealBlender, plate: Path, tmp_path: Path) -> None:
    words = ("--online-mode", *COMMAND, "run", plate, "--shot", tmp_path / "shot", "-s", "colmap")
    status, output = blender.interrupt("Extracting", *words)
    assert status == 130, output
    assert "Traceback" not in output
    assert not (tmp_path / "shot" / "source").exists()
