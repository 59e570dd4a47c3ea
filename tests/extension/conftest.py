# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the extension's zip once and installs it into real Blenders with empty profiles."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backend import locations
from backend.verbs.package import build, wheel_tools
from tests.backend.movies import write_movie
from tests.backend.textured_room import Move, picture, room, sideways, standing, track

from .real_blender import ROOT, TOOL, VERSIONS, RealBlender


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension's zip, built and validated by Blender's own tools."""
    return build(wheel_tools(Path(sys.executable)), ROOT, tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session", params=VERSIONS)
def blender(
    request: pytest.FixtureRequest, package: Path, tmp_path_factory: pytest.TempPathFactory
) -> RealBlender:
    """A real Blender with the extension enabled; its worker environment is kept between runs."""
    if not TOOL.is_file():
        pytest.skip("real-blender is not beside the project")
    version = request.param
    subprocess.run([str(TOOL), "install", version], cwd=ROOT, check=True, capture_output=True)
    home = locations.home() / "tests" / f"blender-{version}"
    for name in ("jobs", "locks"):
        shutil.rmtree(home / name, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    real = RealBlender(version, tmp_path_factory.mktemp(f"profile-{version}"), home)
    words = ("--command", "extension", "install-file", "--repo", "user_default", "--enable")
    installed = real.run(*words, package)
    assert installed.returncode == 0, installed.stdout
    prepared = real.script("prepare.py")
    assert prepared.returncode == 0, prepared.stdout
    return real


@pytest.fixture
def installed(blender: RealBlender) -> RealBlender:
    """The same with its worker environment, made by the extension itself."""
    words = ("--online-mode", "--command", "shot_gopher", "environment", "install")
    made = blender.run(*words, timeout=600)
    assert made.returncode == 0, made.stdout
    return blender


def _plate(folder: Path, name: str, move: Move, frames: int) -> Path:
    camera, planes = track(move, frames, 480, 270), room()
    pictures = (picture(planes, camera, index) for index in range(frames))
    return write_movie(folder / name, pictures, "-crf", "14", "-pix_fmt", "yuv420p")


@pytest.fixture(scope="session")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small movie of the textured room, made for a quick solve."""
    return _plate(tmp_path_factory.mktemp("plate"), "sh010.mp4", sideways, 24)


@pytest.fixture(scope="session")
def still_plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate whose camera stands still: it cannot be solved."""
    return _plate(tmp_path_factory.mktemp("plate"), "sh020.mp4", standing, 8)
