# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks from a ComfyUI server, frame by frame, by engines that stages take."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from backend.comfyui import ComfySettings
from backend.errors import ComfyError, FormatError, UsageError
from backend.events import GO_ON, Event, EventReader, EventWriter
from backend.prompts import Point, Prompt, PromptedObject, Prompts
from backend.shot import Shot
from backend.worker.comfy import footage
from backend.worker.comfy.client import Clock
from backend.worker.engines.comfy_masks import ComfyPage, ComfyPrompts, ComfyText, pointed
from backend.worker.engines.masking import Clip
from backend.worker.image_files import write_png
from backend.worker.report import Report
from backend.workflows import copy_to

from .comfy_server import ComfyServer

WIDTH, HEIGHT = 64, 48
FIRST, LAST = 1001, 1012
ACTOR, EXTRA, BAG = (250, 0, 0), (150, 0, 0), (0, 250, 0)


@pytest.fixture
def server():
    made = ComfyServer()
    yield made
    made.stop()


@pytest.fixture
def report(tmp_path):
    return Report(EventWriter(tmp_path / "events.jsonl"), tmp_path / "cancel")


def boxes(number: int) -> dict[tuple[int, int, int], tuple[int, int]]:
    """Where things are, left and top: the extra comes in frame 1005, the bag leaves after 1008."""
    step = number - FIRST
    found = {ACTOR: (2 + 3 * step, 4)}
    if number >= 1005:
        found[EXTRA] = (50 - 3 * (step - 4), 24)
    if number <= 1008:
        found[BAG] = (4 + 2 * step, 36)
    return found


def drawn(number: int) -> np.ndarray:
    image = np.full((HEIGHT, WIDTH, 3), 16, np.uint8)
    image[0, 0] = (0, 0, 100 + number % 100)
    for color, (left, top) in boxes(number).items():
        image[top : top + 8, left : left + 8] = color
    return image


def mask_of(number: int, color: tuple[int, int, int]) -> np.ndarray:
    return (drawn(number) == color).all(axis=2)


@pytest.fixture(scope="module")
def shot(tmp_path_factory):
    made = Shot(tmp_path_factory.mktemp("shots") / "shot")
    made.frames.mkdir(parents=True)
    for number in range(FIRST, LAST + 1):
        write_png(made.frame_file(number), drawn(number))
    return made


def clip_of(shot: Shot, start: int = FIRST) -> Clip:
    files = {number: shot.frame_file(number) for number in range(FIRST, LAST + 1)}
    return Clip(files, (WIDTH, HEIGHT), start)


def settings(server: ComfyServer) -> ComfySettings:
    return ComfySettings(server.url)


def shorten(monkeypatch, frames: int) -> None:
    monkeypatch.setattr(footage, "_FEWEST", 1)
    monkeypatch.setattr(footage, "_MOST", frames)


@pytest.mark.parametrize("start", [FIRST, 1006, LAST])
@pytest.mark.parametrize("longest", [100, 5])
def test_text_finds_each_thing_in_its_frames_under_one_id(
    server, shot, report, monkeypatch, start, longest
):
    """Whole or in legs, from either end or the middle."""
    shorten(monkeypatch, longest)
    clip = clip_of(shot, start)
    found = list(ComfyText(shot, settings(server)).find(clip, ["red", "g"], 0.4, report))
    assert sorted(masks.frame for masks in found) == list(clip.files)
    ids: dict[tuple[str, int], set[tuple[int, int, int]]] = {}
    for masks in found:
        seen = {ACTOR: "red", EXTRA: "red", BAG: "g"}
        expected = {color: seen[color] for color in boxes(masks.frame)}
        assert len(masks.found) == len(expected)
        for thing in masks.found:
            assert set(np.unique(thing.mask)) == {0, 255}
            color = tuple(int(v) for v in drawn(masks.frame)[thing.mask > 0][0])
            assert expected[color] == thing.label
            np.testing.assert_array_equal(thing.mask > 0, mask_of(masks.frame, color))
            ids.setdefault((thing.label, thing.instance), set()).add(color)
    assert set(ids) == {("red", 0), ("red", 1), ("g", 0)}
    assert all(len(colors) == 1 for colors in ids.values())
    tracked = [s for job in server.jobs.values() for s in job["prompt"].values()
               if s["class_type"] == "SAM3_VideoTrack"]  # fmt: skip
    assert {each["inputs"]["detection_threshold"] for each in tracked} == {0.4}
    assert server.freed == 1


def test_every_job_has_its_own_folder(server, shot, report):
    for _time in range(2):
        list(ComfyText(shot, settings(server)).find(clip_of(shot), ["r"], 0.5, report))
    prefixes = [
        {s["inputs"]["filename_prefix"].split("/")[1] for s in body["prompt"].values()
         if "filename_prefix" in s["inputs"]}
        for body in server.jobs.values()
    ]  # fmt: skip
    assert [prefix for (prefix,) in prefixes] == list(server.jobs)
    assert len(set(server.jobs)) == 2


def test_frames_reach_the_server_bit_by_bit(shot, tmp_path):
    movie = tmp_path / "frames.mov"
    numbers = [1005, 1004, 1003]
    footage.write_movie([shot.frame_file(number) for number in numbers], movie)
    with av.open(str(movie)) as opened:
        decoded = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
    assert len(decoded) == 3
    for number, frame in zip(numbers, decoded, strict=True):
        np.testing.assert_array_equal(frame, drawn(number))


def test_deep_frames_reach_the_server_bit_by_bit(tmp_path):
    deep = np.random.default_rng(1).integers(0, 65536, (8, 10, 3), np.uint16)
    write_png(tmp_path / "frame_1.png", deep)
    footage.write_movie([tmp_path / "frame_1.png"], tmp_path / "frames.mov")
    with av.open(str(tmp_path / "frames.mov")) as opened:
        (frame,) = opened.decode(video=0)
        np.testing.assert_array_equal(frame.to_ndarray(format="rgb48le"), deep)


def test_a_large_range_goes_in_several_files(server, shot, report, monkeypatch):
    monkeypatch.setattr(footage, "_ROOM", 0.3)
    server.max_upload = 5000
    found = list(ComfyText(shot, settings(server)).find(clip_of(shot), ["g"], 0.5, report))
    assert len(server.uploads) > 2
    assert [masks.frame for masks in found] == list(range(FIRST, LAST + 1))
    for masks in found:
        assert len(masks.found) == (1 if masks.frame <= 1008 else 0)
        for thing in masks.found:
            np.testing.assert_array_equal(thing.mask > 0, mask_of(masks.frame, BAG))


def prompts_of(*objects: PromptedObject) -> Prompts:
    return Prompts(tuple(objects))


def middle(number: int, color: tuple[int, int, int]) -> Point:
    left, top = boxes(number)[color]
    return Point(left + 4.0, top + 4.0)


@pytest.mark.parametrize("longest", [100, 4])
def test_prompts_are_tracked_both_ways(server, shot, report, monkeypatch, longest):
    shorten(monkeypatch, longest)
    left, top = boxes(1006)[BAG]
    box = Prompt(box=(left, top, left + 8.0, top + 8.0))
    prompts = prompts_of(
        PromptedObject("actor", {1006: Prompt((middle(1006, ACTOR),))}),
        PromptedObject("bag", {1006: box}),
    )
    found = list(ComfyPrompts(shot, settings(server)).track(clip_of(shot), prompts, report))
    assert [masks.frame for masks in found] == list(range(FIRST, LAST + 1))
    for masks in found:
        by_name = {thing.label: thing for thing in masks.found}
        assert set(by_name) == ({"actor", "bag"} if masks.frame <= 1008 else {"actor"})
        assert by_name["actor"].instance == 0
        np.testing.assert_array_equal(by_name["actor"].mask > 0, mask_of(masks.frame, ACTOR))
        if "bag" in by_name:
            np.testing.assert_array_equal(by_name["bag"].mask > 0, mask_of(masks.frame, BAG))


def test_a_correction_takes_the_frames_that_are_nearest_to_it(server, shot, report):
    """The second key frame says it is another thing: the frames around it follow it."""
    prompts = prompts_of(
        PromptedObject(
            "thing",
            {1002: Prompt((middle(1002, ACTOR),)), 1010: Prompt((middle(1010, EXTRA),))},
        )
    )
    found = list(ComfyPrompts(shot, settings(server)).track(clip_of(shot), prompts, report))
    assert [masks.frame for masks in found] == list(range(FIRST, LAST + 1))
    for masks in found:
        (thing,) = masks.found
        color = ACTOR if masks.frame <= 1006 else EXTRA
        np.testing.assert_array_equal(thing.mask > 0, mask_of(masks.frame, color))
    assert len(server.jobs) == 4


def test_a_drawn_mask_is_a_prompt(server, shot, report):
    (shot.roto / "drawn").mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(shot.roto / "drawn" / "a.png"), mask_of(1004, ACTOR).astype(np.uint8) * 255)
    prompts = prompts_of(PromptedObject("a", {1004: Prompt(mask="roto/drawn/a.png")}))
    found = list(ComfyPrompts(shot, settings(server)).track(clip_of(shot), prompts, report))
    for masks in found:
        np.testing.assert_array_equal(masks.found[0].mask > 0, mask_of(masks.frame, ACTOR))
    outside = prompts_of(PromptedObject("a", {1004: Prompt(mask="../../secret.png")}))
    with pytest.raises(UsageError, match="not in the shot"):
        list(ComfyPrompts(shot, settings(server)).track(clip_of(shot), outside, report))


def test_clicking_on_nothing_is_told(server, shot, report, tmp_path):
    nothing = Prompt((Point(60.0, 2.0), Point(60.0, 2.0, False)))
    prompts = prompts_of(PromptedObject("ghost", {1003: nothing}))
    found = list(ComfyPrompts(shot, settings(server)).track(clip_of(shot), prompts, report))
    assert not any(masks.found for masks in found)
    events = EventReader(tmp_path / "events.jsonl").poll()
    warnings = [each["text"] for each in events if each["event"] == Event.WARNING.value]
    assert warnings == ["Nothing was found for 'ghost' in frame 1003: click on it once more there."]


def test_a_prompt_outside_the_plate_is_told(server, shot, report):
    prompts = prompts_of(PromptedObject("a", {7: Prompt((Point(1.0, 1.0),))}))
    with pytest.raises(UsageError, match="no frame 7"):
        list(ComfyPrompts(shot, settings(server)).track(clip_of(shot), prompts, report))
    assert not server.requests


def test_points_outside_are_not_undone_by_a_box():
    inputs = {"bboxes": {}, "positive_coords": "+", "negative_coords": "-", "threshold": 0.5}
    inside, outside = Point(1.0, 2.0), Point(3.0, 4.0, False)
    box = (10.0, 12.0, 30.0, 20.0)
    assert set(pointed(inputs, Prompt((inside, outside), box))) == {
        "positive_coords", "negative_coords", "threshold",
    }  # fmt: skip
    both = pointed(inputs, Prompt((inside,), box))
    assert both["bboxes"] == {"x": 10, "y": 12, "width": 20, "height": 8}
    assert "negative_coords" not in both
    assert set(pointed(inputs, Prompt((), box))) == {"bboxes", "threshold"}


def test_the_shots_own_workflow_wins_with_its_numbers(server, report, tmp_path):
    shot = Shot(tmp_path / "own")
    shot.frames.mkdir(parents=True)
    for number in (1, 2):
        write_png(shot.frame_file(number), drawn(FIRST + number))
    copy_to(shot)
    file = shot.workflows / "02_segmentation.json"
    graph = json.loads(file.read_text(encoding="utf-8"))
    graph["track"]["inputs"] |= {"detection_threshold": 0.25, "max_objects": 3}
    graph["17"] = graph.pop("track")
    graph["select"]["inputs"]["track_data"] = ["17", 0]
    file.write_text(json.dumps(graph), encoding="utf-8")
    clip = Clip({n: shot.frame_file(n) for n in (1, 2)}, (WIDTH, HEIGHT), 1)
    (first, _second) = ComfyText(shot, settings(server)).find(clip, ["red", "g"], 0.9, report)
    assert {thing.label for thing in first.found} == {"red", "g"}
    (sent,) = server.jobs.values()
    nodes = sent["prompt"].values()
    tracked = [node["inputs"] for node in nodes if node["class_type"] == "SAM3_VideoTrack"]
    assert {(each["detection_threshold"], each["max_objects"]) for each in tracked} == {(0.25, 3)}
    assert sum(node["class_type"] == "SaveImage" for node in nodes) == 6


def test_a_workflow_that_cannot_be_filled_in_is_told(server, report, tmp_path, shot):
    own = Shot(tmp_path / "own")
    own.workflows.mkdir(parents=True)
    file = own.workflows / "02_segmentation.json"
    file.write_text('{"nodes": [], "links": []}', encoding="utf-8")
    with pytest.raises(FormatError, match=r"Export \(API\)"):
        ComfyText(own, settings(server))
    file.write_text('{"1": {"class_type": "SaveImage", "inputs": {}}}', encoding="utf-8")
    with pytest.raises(FormatError, match="<clip>, <prompt>, <job>"):
        list(ComfyText(own, settings(server)).find(clip_of(shot), ["r"], 0.5, report))


def test_masks_of_another_size_are_refused(server, shot, report):
    clip = clip_of(shot)
    wrong = Clip(clip.files, (WIDTH * 2, HEIGHT), clip.start)
    with pytest.raises(ComfyError, match="64 x 48 for a plate of 128 x 48"):
        list(ComfyText(shot, settings(server)).find(wrong, ["r"], 0.5, report))


def test_frames_left_out_are_noticed(server, shot, report):
    server.play = "short"
    with pytest.raises(ComfyError, match="11 images of 12 frames"):
        list(ComfyText(shot, settings(server)).find(clip_of(shot), ["r"], 0.5, report))


def test_legs_share_a_frame_and_leave_none_out():
    frames = list(range(1, 24))
    legs = footage.chunks(frames, 5)
    assert all(len(leg) <= 5 for leg in legs)
    assert all(before[-1] == after[0] for before, after in itertools.pairwise(legs))
    assert sorted({number for leg in legs for number in leg}) == frames
    assert footage.chunks(frames, 23) == [tuple(frames)]


def test_a_server_is_given_what_its_memory_holds(shot):
    files = list(clip_of(shot).files.values())
    assert footage.longest_job(files, (1920, 1080), 32 << 30, 100 << 20) == 345
    assert footage.longest_job(files, (1920, 1080), 1 << 30, 100 << 20) == footage._FEWEST
    assert Path(files[0]).stat().st_size > 0


def press_run(server: ComfyServer, boxes_of: dict[str, tuple[int, int]]) -> dict:
    """What the page does with the workflow that was put there: back to API form, and queued."""
    (kept,) = server.userdata.values()
    page = json.loads(kept)
    wires = {number: [str(source), output] for number, source, output, *_to in page["links"]}
    graph = {}
    for node in page["nodes"]:
        said = server.classes[node["type"]]["input"]
        named = {**said.get("required", {}), **said.get("optional", {})}
        kinds = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
        widgets = [
            name for name, how in named.items()
            if (isinstance(how[0], list) or how[0] in kinds) and not how[-1].get("forceInput")
        ]  # fmt: skip
        inputs = dict(zip(widgets, node["widgets_values"], strict=True))
        linked = {each["name"]: wires[each["link"]] for each in node["inputs"] if each["link"]}
        graph[str(node["id"])] = {"class_type": node["type"], "inputs": inputs | linked}
        if node["type"] == "PrimitiveBoundingBox":
            left, top = boxes_of.popitem()[1]
            inputs.update(x=left, y=top, width=8, height=8)
            graph[str(node["id"])]["inputs"] = inputs
    job = f"the page's {len(server.jobs)}"
    server.submit({"prompt": graph, "prompt_id": job, "client_id": "page"})
    return graph


@pytest.fixture
def page(server, monkeypatch):
    """The page's side of it: told what to do, the artist presses Run for the bag. Returns what the
    artist was told."""
    told = []
    monkeypatch.setattr("backend.worker.comfy.page.ASK_EVERY", 0.05)

    def tell(_report, *words):
        told.append(words)
        press_run(server, {"bag": boxes(FIRST)[BAG]})

    monkeypatch.setattr(Report, "waiting", tell)
    monkeypatch.setattr(
        Report, "status", lambda report, text: tell(report, text) if "press Run" in text else None
    )
    return told


def until(done):
    give_up = time.monotonic() + 20
    while not done():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_masks_made_on_the_page_are_collected(server, shot, report, page):
    engine = ComfyPage(shot, 10.0, settings(server))
    found = list(engine.track(clip_of(shot), prompts_of(PromptedObject("bag")), report))
    assert [words for (words,) in page] == [
        f"On {server.url} open shotgopher_shot under Workflows, set the boxes and press Run"
    ]
    assert list(server.userdata) == ["workflows/shotgopher_shot.json"]
    assert [masks.frame for masks in found] == list(range(FIRST, LAST + 1))
    for masks in found:
        assert len(masks.found) == (1 if masks.frame <= 1008 else 0)
        for thing in masks.found:
            assert (thing.label, thing.instance) == ("bag", 0)
            np.testing.assert_array_equal(thing.mask > 0, mask_of(masks.frame, BAG))


def test_an_artist_tries_on_the_page_until_the_masks_are_good(server, shot, tmp_path):
    """The first press of the button comes too early, and the first masks are of another thing."""
    report = Report(EventWriter(tmp_path / "events.jsonl"), tmp_path / "cancel", attended=True)
    button = tmp_path / GO_ON

    def tried(color):
        press_run(server, {"bag": boxes(FIRST)[color]})
        until(lambda: len(server.history) == len(server.jobs))

    steps = iter([button.touch, lambda: tried(ACTOR), lambda: tried(BAG), button.touch])
    clock = Clock(itertools.count(step=100.0).__next__, lambda _seconds: next(steps)())
    engine = ComfyPage(shot, 10.0, settings(server), clock)
    (first, *_rest) = engine.track(clip_of(shot), prompts_of(PromptedObject("bag")), report)
    np.testing.assert_array_equal(first.found[0].mask > 0, mask_of(FIRST, BAG))
    records = EventReader(tmp_path / "events.jsonl").poll()
    (asked,) = [each for each in records if each["event"] == Event.WAITING]
    assert (asked["button"], asked["link"]) == ("Take Masks", server.url)
    (warned,) = [each["text"] for each in records if each["event"] == Event.WARNING]
    assert warned.startswith("Nothing was made on the page yet")


def test_a_page_that_nobody_uses_is_given_up(server, shot, report, monkeypatch):
    monkeypatch.setattr("backend.worker.comfy.page.ASK_EVERY", 0.05)
    engine = ComfyPage(shot, 0.3, settings(server))
    with pytest.raises(ComfyError, match=r"No masks came .* in 0\.3 seconds"):
        list(engine.track(clip_of(shot), prompts_of(PromptedObject("bag")), report))
    assert not server.jobs
