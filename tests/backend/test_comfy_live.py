# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every ComfyUI server: our stand-in here, a real one where one is named.

`python3 -m tests.comfyui_live URL` names one (SHOT_GOPHER_COMFYUI). Workflows run where the server
has their nodes and weights; what masks and depth look like is then not judged, only that they come.
"""

from __future__ import annotations

import os
import uuid

import cv2
import numpy as np
import pytest

from backend.comfyui import ComfySettings, check, node_classes, why_not
from backend.errors import ComfyError
from backend.events import EventWriter
from backend.prompts import Point, Prompt, PromptedObject, Prompts
from backend.shot import Shot
from backend.worker.comfy.fill import start
from backend.worker.comfy.session import saved, session
from backend.worker.engines.comfy_depth import ComfyDepth
from backend.worker.engines.comfy_inpainting import ComfyInpainter
from backend.worker.engines.comfy_masks import ComfyPrompts, ComfyText
from backend.worker.engines.depth_models import Frame
from backend.worker.engines.inpainting import InpaintSettings
from backend.worker.engines.masking import Clip
from backend.worker.image_files import write_png
from backend.worker.report import Report

from .comfy_server import ComfyServer

LIVE = os.environ.get("SHOT_GOPHER_COMFYUI", "")
SIZE = (96, 64)
NUMBERS = range(11, 14)
THROUGH = {
    "clip": {"class_type": "LoadVideo", "inputs": {"file": "<clip>"}},
    "frames": {"class_type": "GetVideoComponents", "inputs": {"video": ["clip", 0]}},
    "save": {
        "class_type": "SaveImage",
        "inputs": {"images": ["frames", 0], "filename_prefix": "<job>/through/frame"},
    },
}


@pytest.fixture(scope="module")
def url():
    if LIVE:
        yield LIVE
        return
    server = ComfyServer()
    yield server.url
    server.stop()


@pytest.fixture
def report(tmp_path):
    return Report(EventWriter(tmp_path / "events.jsonl"), tmp_path / "cancel")


@pytest.fixture
def clip(tmp_path):
    files = {number: tmp_path / f"frame_{number:04d}.png" for number in NUMBERS}
    for number, file in files.items():
        write_png(file, picture(number))
    return Clip(files, SIZE, NUMBERS[0])


def picture(number: int) -> np.ndarray:
    image = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
    image[20:44, 10 + number : 40 + number] = (250, 0, 0)
    return image


def needs(url: str, stage: str) -> None:
    lacking = why_not(url, stage)
    if lacking:
        pytest.skip(" ".join(lacking))


def test_the_server_is_one_that_can_be_used(url):
    server = check(url)
    assert server.version[0].isdigit()
    assert server.memory_free > 0
    assert "LoadVideo" in node_classes(url)


def test_frames_go_through_the_server_unchanged_and_in_order(url, report, clip):
    """Twice, so that its cache and its counter of files have their say."""
    for _time in range(2):
        with session(report, ComfySettings(url)) as opened:
            filled = opened.put(start(THROUGH), "<clip>", list(clip.files.values()))
            images = saved(opened.run(filled, 3), filled, 3)[()]
            for number, image in zip(clip.files, images, strict=True):
                data = np.frombuffer(opened.client.view(image), np.uint8)
                np.testing.assert_array_equal(cv2.imdecode(data, 1)[:, :, ::-1], picture(number))


def test_a_job_that_never_was_is_neither_queued_nor_known(url, report):
    with session(report, ComfySettings(url)) as opened:
        job = str(uuid.uuid4())
        assert not opened.client.is_queued(job)
        assert opened.client.history(job) is None
        opened.client.cancel(job)


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        ({"1": {"class_type": "NoSuchNodeAtAll", "inputs": {}}}, "NoSuchNodeAtAll"),
        ({"1": {"class_type": "SaveImage", "inputs": {"filename_prefix": "a"}}}, "images"),
    ],
)
def test_the_server_itself_refuses_what_is_wrong(url, report, graph, said):
    with session(report, ComfySettings(url)) as opened, pytest.raises(ComfyError, match=said):
        opened.client.submit(graph, str(uuid.uuid4()))


def test_text_roto_gives_every_frame(url, report, clip, tmp_path):
    needs(url, "roto")
    found = list(ComfyText(Shot(tmp_path), ComfySettings(url)).find(clip, ["red box"], 0.3, report))
    assert [masks.frame for masks in found] == list(clip.files)


def test_prompts_give_every_frame(url, report, clip, tmp_path):
    needs(url, "interactive")
    said = PromptedObject("box", {NUMBERS[1]: Prompt((Point(35.0, 30.0),))})
    tracked = ComfyPrompts(Shot(tmp_path), ComfySettings(url)).track(clip, Prompts((said,)), report)
    assert [masks.frame for masks in tracked] == list(clip.files)


def test_depth_gives_every_frame(url, report, clip, tmp_path):
    needs(url, "depth")
    engine = ComfyDepth(Shot(tmp_path), report, ComfySettings(url))
    found = engine.estimate([Frame(number, file) for number, file in clip.files.items()])
    assert len(found) == len(clip.files)
    assert all(np.isfinite(each.depth).all() for each in found)


def test_clean_plate_gives_every_frame(url, report, clip, tmp_path):
    needs(url, "cleanplate")
    masks = {number: tmp_path / f"mask_{number}.png" for number in NUMBERS}
    for number, file in masks.items():
        cv2.imwrite(str(file), (picture(number)[:, :, 0] > 200).astype(np.uint8) * 255)
    settings = InpaintSettings(0.5, 16, 20)
    engine = ComfyInpainter(Shot(tmp_path), settings, report, ComfySettings(url))
    found = dict(engine.fill(clip.files, masks, SIZE))
    assert list(found) == list(clip.files)
    assert {frame.shape for frame in found.values()} == {(*SIZE[::-1], 3)}
