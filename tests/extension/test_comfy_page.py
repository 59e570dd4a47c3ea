# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks from a ComfyUI server's page: a real Blender, a worker, and a server that replays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest

from backend.comfyui import ComfySettings
from backend.locations import comfyui_file
from tests.backend.comfy_server import ComfyServer
from tests.backend.test_comfy_masks import press_run

from .pictures import keep_pictures
from .real_blender import RealBlender
from .solved_shot import solved_shot

FRAMES = 4


@pytest.fixture
def server(installed: RealBlender) -> Iterator[ComfyServer]:
    made = ComfyServer()
    ComfySettings(made.url).save(installed.home)
    yield made
    comfyui_file(installed.home).unlink()
    made.stop()


def _artist(server: ComfyServer, done: Path) -> None:
    """Presses Run on the page as soon as the workflow is there."""

    def until(there: Callable[[], bool]) -> None:
        give_up = time.monotonic() + 120
        while not there() and time.monotonic() < give_up:
            time.sleep(0.05)

    until(lambda: bool(server.userdata))
    press_run(server, {"car": (100, 100)})
    until(lambda: len(server.history) == len(server.jobs))
    time.sleep(2)
    done.touch()


def test_masks_are_made_on_the_page(
    blender: RealBlender, server: ComfyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    shot = solved_shot(tmp_path / "sh060", FRAMES)
    artist = threading.Thread(target=_artist, args=(server, tmp_path / "pressed"), daemon=True)
    artist.start()
    told = blender.play("comfy_page.py", tmp_path, shot.path, seconds=240)
    keep_pictures(tmp_path, told.get("pictures", {}), blender.version)
    assert told["ok"], told.get("error", "") + told["log"][-3000:]
    assert "Traceback" not in told["log"], told["log"]
    assert told["trouble"] == ""
    assert told["waiting"].startswith(f"On {server.url} open shotgopher_sh060")
    assert (tmp_path / "opened").read_text().strip() == server.url
    masks = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in (shot.roto / "car").iterdir()]
    assert len(masks) == FRAMES
    assert any(mask.any() for mask in masks)
