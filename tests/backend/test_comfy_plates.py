# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth and background from a stand-in of a ComfyUI server, and who is asked for them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from backend.comfyui import ComfySettings
from backend.errors import ComfyError, ModelError, PlateError, Remedy, UsageError
from backend.locations import HOME_VARIABLE
from backend.models import ModelStore
from backend.options import from_mapping
from backend.shot import Shot
from backend.stages import CleanPlateOptions, DepthOptions
from backend.worker.engines import choice
from backend.worker.engines.comfy_depth import ComfyDepth
from backend.worker.engines.comfy_inpainting import ComfyInpainter, inner_size
from backend.worker.engines.depth_models import Frame
from backend.worker.engines.inpainting import InpaintSettings
from backend.worker.image_files import write_png
from backend.workflows import copy_to

from .test_comfy_masks import (
    ACTOR,
    FIRST,
    HEIGHT,
    LAST,
    WIDTH,
    drawn,
    mask_of,
    report,
    server,
    settings,
)
from .test_models import downloaded

__all__ = ["report", "server"]

NUMBERS = tuple(range(FIRST, LAST + 1))
SIZE = (WIDTH, HEIGHT)
WHOLE = InpaintSettings(scale=1.0, refine_iterations=7, flow_frames=12)


@pytest.fixture
def shot(tmp_path):
    made = Shot(tmp_path / "shot")
    made.frames.mkdir(parents=True)
    for number in NUMBERS:
        write_png(made.frame_file(number), drawn(number))
    return made


def frames_of(shot):
    return [Frame(number, shot.frame_file(number)) for number in NUMBERS]


def clip_of(shot, folder):
    """Frames, and masks of the actor."""
    masks = {number: folder / f"mask_{number}.png" for number in NUMBERS}
    for number, file in masks.items():
        cv2.imwrite(str(file), mask_of(number, ACTOR).astype(np.uint8) * 255)
    return {number: shot.frame_file(number) for number in NUMBERS}, masks


def inputs_of(server, name):
    """What the nodes of a class were given, job by job."""
    graphs = [body["prompt"] for body in server.jobs.values()]
    return [
        node["inputs"] for graph in graphs for node in graph.values() if node["class_type"] == name
    ]


def test_depth_comes_as_floats_under_its_frames(server, shot, report, monkeypatch):
    monkeypatch.setattr("backend.worker.comfy.depth.FRAMES", 5)
    engine = ComfyDepth(shot, report, settings(server))
    assert (engine.together, engine.takes_poses, engine.meters) == (False, False, False)
    assert engine.model == "depth_anything_3_mono_large"
    found = engine.estimate(frames_of(shot))
    for number, each in zip(NUMBERS, found, strict=True):
        assert each.depth.dtype == np.float32
        np.testing.assert_allclose(each.depth, drawn(number)[:, :, 0] / 16.0)
    assert len(server.jobs) == 3


def test_the_server_is_held_from_call_to_call(server, shot, report):
    engine = ComfyDepth(shot, report, settings(server))
    for _again in range(2):
        engine.estimate(frames_of(shot)[:2])
    asked = [path for _time, _method, path in server.requests]
    assert asked.count("/object_info") == 1
    assert "/free" not in asked
    del engine
    assert [path for _time, _method, path in server.requests][-1] == "/free"


def test_depth_that_is_none_is_nothing(server, shot, report, monkeypatch):
    sky = np.array([[np.inf, np.nan, -1, 0, 2]], np.float32)
    told = lambda *_arguments: iter([(FIRST, sky)])  # noqa: E731
    monkeypatch.setattr("backend.worker.engines.comfy_depth.depth_maps", told)
    (found,) = ComfyDepth(shot, report, settings(server)).estimate(frames_of(shot)[:1])
    np.testing.assert_array_equal(found.depth, [[0, 0, 0, 0, 2]])


def test_whole_frames_come_back_with_the_hole_filled(server, shot, report, tmp_path, monkeypatch):
    monkeypatch.setattr("backend.worker.engines.comfy_inpainting._FRAMES", 10)
    files, masks = clip_of(shot, tmp_path)
    found = dict(ComfyInpainter(shot, WHOLE, report, settings(server)).fill(files, masks, SIZE))
    assert list(found) == list(NUMBERS)
    for number, frame in found.items():
        inside = mask_of(number, ACTOR)
        np.testing.assert_array_equal(frame[~inside], drawn(number)[~inside])
        assert (frame[inside] == 128).all()
    assert len(server.jobs) == 2


def test_frames_have_the_plates_size(server, shot, report, tmp_path):
    files, masks = clip_of(shot, tmp_path)
    half = InpaintSettings(0.5, 16, 20)
    found = dict(ComfyInpainter(shot, half, report, settings(server)).fill(files, masks, SIZE))
    assert {frame.shape for frame in found.values()} == {(HEIGHT, WIDTH, 3)}
    assert inner_size((1920, 1080), 0.5) == (960, 536)
    assert inner_size((8192, 4320), 1.0) == (2560, 1344)


def test_settings_reach_the_node_that_they_are_for(server, shot, report, tmp_path):
    files, masks = clip_of(shot, tmp_path)
    list(ComfyInpainter(shot, WHOLE, report, settings(server)).fill(files, masks, SIZE))
    (given,) = inputs_of(server, "ProPainterInpaint")
    assert (given["raft_iter"], given["neighbor_length"]) == (7, 12)
    assert (given["width"], given["height"]) == SIZE
    assert (given["ref_stride"], given["flow_mask_dilates"]) == (10, 8)


def test_a_workflow_of_the_shots_own_keeps_its_numbers(server, shot, report, tmp_path):
    copy_to(shot)
    file = shot.workflows / "03_cleanplate.json"
    graph = json.loads(file.read_text(encoding="utf-8"))
    usual = CleanPlateOptions()
    given = graph["inpaint"]["inputs"]
    assert given["raft_iter"] == usual.refine_iterations
    assert given["neighbor_length"] == usual.flow_frames
    given |= {"raft_iter": 3, "neighbor_length": 4, "width": 32, "height": 24}
    file.write_text(json.dumps(graph), encoding="utf-8")
    files, masks = clip_of(shot, tmp_path)
    list(ComfyInpainter(shot, WHOLE, report, settings(server)).fill(files, masks, SIZE))
    (sent,) = inputs_of(server, "ProPainterInpaint")
    assert {key: sent[key] for key in ("raft_iter", "neighbor_length", "width")} == {
        "raft_iter": 3, "neighbor_length": 4, "width": 32,
    }  # fmt: skip


def test_what_is_missing_is_told(server, shot, report, tmp_path):
    files, masks = clip_of(shot, tmp_path)
    engine = ComfyInpainter(shot, WHOLE, report, settings(server))
    with pytest.raises(PlateError, match="two frames or more"):
        next(engine.fill({FIRST: files[FIRST]}, masks, SIZE))
    server.play = "oom"
    with pytest.raises(ComfyError, match="ran out of memory"):
        next(engine.fill(files, masks, SIZE))
    assert server.jobs


# Who is asked


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    made = ModelStore(tmp_path / "home")
    ComfySettings("http://127.0.0.1:9").save(made.home)
    return made


def depth(store, shot, report, **options):
    return choice.depth_engine(from_mapping(DepthOptions, options), store, shot, report)


def inpainter(store, shot, report, **options):
    return choice.inpainter(from_mapping(CleanPlateOptions, options), store, shot, report)


def test_without_model_and_server_the_remedy_is_to_get_one(store, shot, report):
    for engine in ("auto", "embedded"):
        with pytest.raises(ModelError, match="models get da3-small") as caught:
            depth(store, shot, report, engine=engine)
        assert caught.value.remedy is Remedy.GET_MODEL
        for wish in ({"method": "propainter"}, {"unseen": "propainter"}):
            with pytest.raises(ModelError, match="models get propainter") as caught:
                inpainter(store, shot, report, engine=engine, **wish)
            assert caught.value.remedy is Remedy.GET_MODEL
        assert inpainter(store, shot, report, engine=engine) is None


def test_a_server_is_taken_where_there_is_no_model(store, server, shot, report):
    ComfySettings(server.url).save(store.home)
    for engine in ("auto", "comfyui"):
        assert depth(store, shot, report, engine=engine).name == "comfyui"
        assert depth(store, shot, report, engine=engine, model="da3-mono").name == "comfyui"
        found = inpainter(store, shot, report, engine=engine)
        assert found is not None
        assert found.name == "comfyui"
    assert inpainter(store, shot, report, engine="embedded") is None


def test_a_server_has_one_depth_model(store, server, shot, report):
    ComfySettings(server.url).save(store.home)
    with pytest.raises(ModelError, match="models get da3-base"):
        depth(store, shot, report, model="da3-base")
    with pytest.raises(UsageError, match="with Depth Anything 3 Mono: choose"):
        depth(store, shot, report, model="da3-base", engine="comfyui")


def test_depth_takes_the_only_model_that_is_here(store):
    assert choice.depth_model("auto", store) == "da3-small"
    downloaded(store, "da3-giant")
    assert choice.depth_model("auto", store) == "da3-giant"
    downloaded(store, "da3-mono")
    assert choice.depth_model("auto", store) == "da3-mono", "the other allows no paid work"
    assert choice.depth_model("da3-large", store) == "da3-large"
