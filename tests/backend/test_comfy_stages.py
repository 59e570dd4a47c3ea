# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages that make masks, with a ComfyUI server as their engine."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from backend.comfyui import ComfySettings
from backend.errors import ComfyError
from backend.locations import HOME_VARIABLE
from backend.shot import Plate, Shot, read_json, write_json
from backend.worker.image_files import write_png
from tests.backend.roto_shots import run_stage
from tests.backend.test_comfy_masks import (
    ACTOR,
    BAG,
    EXTRA,
    FIRST,
    HEIGHT,
    LAST,
    WIDTH,
    boxes,
    drawn,
    mask_of,
    press_run,
)

from .comfy_server import ComfyServer

NUMBERS = tuple(range(FIRST, LAST + 1))


@pytest.fixture
def server(tmp_path, monkeypatch):
    made = ComfyServer()
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    ComfySettings(made.url).save(tmp_path / "home")
    yield made
    made.stop()


@pytest.fixture
def shot(tmp_path):
    made, count = Shot(tmp_path / "shot"), len(NUMBERS)
    made.frames.mkdir(parents=True)
    for number in NUMBERS:
        write_png(made.frame_file(number), drawn(number))
    times = tuple(index / 24 for index in range(count))
    plate = Plate(
        "plate.mov", "movie", WIDTH, HEIGHT, Fraction(24), NUMBERS, tuple(range(count)), times
    )
    write_json(made.plate_file, plate.to_json())
    write_json(made.path / "source" / "stage.json", {"fingerprint": "plate"})
    return made


def masks_in(shot, folder):
    found = {}
    for number in NUMBERS:
        image = cv2.imread(
            str(shot.roto / folder / f"frame_{number:04d}.png"), cv2.IMREAD_GRAYSCALE
        )
        found[number] = image > 0
    return found


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("engine", ["auto", "comfyui"])
def test_roto_by_words_fills_the_folders(shot, engine):
    """The worker has no model here, so automatic takes the server."""
    run_stage(shot, "roto", prompt="red, g", engine=engine)
    assert read_json(shot.roto / "roto.json")["engine"] == "comfyui"
    for folder, color in (("red_00", ACTOR), ("red_01", EXTRA), ("g_00", BAG)):
        for number, mask in masks_in(shot, folder).items():
            np.testing.assert_array_equal(mask, mask_of(number, color))


def test_masks_drawn_on_the_page_fill_the_folders(server, shot, monkeypatch):
    monkeypatch.setattr("backend.worker.comfy.page.ASK_EVERY", 0.05)
    kept = server.userdata
    monkeypatch.setattr(
        "backend.worker.engines.comfy_masks.put_on_page",
        _pressing(server, {"a": boxes(FIRST)[BAG]}),
    )
    run_stage(shot, "interactive", engine="comfyui", wait=10.0)
    assert list(kept) == ["workflows/shotgopher_shot.json"]
    assert read_json(shot.roto / "interactive.json")["engine"] == "comfyui page"
    for number, mask in masks_in(shot, "object").items():
        np.testing.assert_array_equal(mask, mask_of(number, BAG))


def _pressing(server, where):
    """The artist presses Run as soon as the workflow is on the page."""
    from backend.worker.comfy.page import put_on_page

    def put(*arguments):
        page = put_on_page(*arguments)
        press_run(server, where)
        return page

    return put


def test_a_failure_leaves_the_masks_that_were_there(server, shot):
    run_stage(shot, "roto", prompt="red", engine="comfyui")
    before = masks_in(shot, "red_00")
    server.play = "oom"
    with pytest.raises(ComfyError, match="ran out of memory"):
        run_stage(shot, "roto", prompt="g", engine="comfyui")
    after = masks_in(shot, "red_00")
    assert all((after[number] == before[number]).all() for number in NUMBERS)
    assert not (shot.roto / "g").exists()
