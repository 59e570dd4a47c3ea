# SPDX-License-Identifier: GPL-3.0-or-later
"""SAM 3 and SAM 2.1 in the worker: real architectures and loading, small random weights."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend import locations, outputs
from backend.errors import MaskError, ModelError, PlateError, Remedy, UsageError
from backend.models import ModelStore
from backend.outputs import Freshness
from backend.prompts import Point, Prompt, PromptedObject, Prompts
from backend.shot import Shot, read_json
from backend.stages import STAGES, InteractiveOptions
from tests.backend.roto_shots import (
    FIRST,
    SIZE,
    block,
    clip_of,
    make_shot,
    paint,
    read,
    report_in,
    run_stage,
    warnings_in,
    write_found,
)
from tests.environments import ROOT

from . import sam_measures, tiny_sam

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning")]
torch = tiny_sam.torch
INSIDE = Prompt((Point(20.0, 50.0),))


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    tiny_sam.save_sam3(folder / "sam3", **sam_measures.STEADY)
    tiny_sam.save_sam2(folder / "sam2-tiny")
    return folder


@pytest.fixture
def home(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """A machine on which the artist has named folders with both models."""
    monkeypatch.setenv(locations.HOME_VARIABLE, str(tmp_path / "home"))
    store = ModelStore(locations.home())
    for name in ("sam3", "sam2-tiny"):
        store.choose(name, weights / name)
    return store


def test_what_is_forgotten_changes_nothing(weights: Path, tmp_path: Path) -> None:
    clip = clip_of(make_shot(tmp_path, 40))
    report = report_in(tmp_path)
    ours = sam_measures.our_growth(weights / "sam3", clip, ["a", "b"], report, since=20)
    stock = sam_measures.stock_growth(weights / "sam3", clip, ["a", "b"], since=20)
    assert len({frame for frame, _track in ours.masks}) == 40
    assert sam_measures.same_masks(ours, stock)
    assert ours.per_object_frame <= stock.per_object_frame / 10


def test_both_ways_from_a_start_frame(weights: Path, tmp_path: Path) -> None:
    from backend.worker.engines.sam3_text import Sam3Text

    shot = make_shot(tmp_path, 6)
    found = list(
        Sam3Text(weights / "sam3").find(
            clip_of(shot, FIRST + 2), ["a", "b"], sam_measures.THRESHOLD, report_in(tmp_path)
        )
    )
    order = [masks.frame - FIRST for masks in found]
    assert order == [2, 3, 4, 5, 1, 0]
    tracks = [{(each.instance, each.label) for each in masks.found} for masks in found]
    last = max(track for seen in tracks[:4] for track, _label in seen)
    # What was not seen in the start frame is a thing of its own on either side.
    assert all(each in tracks[0] or each[0] > last for each in tracks[4] | tracks[5])
    assert tracks[5]
    (slow,) = warnings_in(tmp_path)
    assert "no GPU" in slow


def test_ids_of_the_way_back() -> None:
    from backend.worker.engines.masking import Found, FrameMasks
    from backend.worker.engines.sam3_text import _renamed

    begun = FrameMasks(5, (Found("a", 0, block(10)), Found("a", 3, block(60))))
    back = [
        FrameMasks(5, (Found("a", 0, block(62)), Found("a", 1, block(10)))),
        FrameMasks(4, (Found("a", 0, block(58)), Found("a", 1, block(8)), Found("b", 2, block(9)))),
        FrameMasks(3, (Found("b", 2, block(9)),)),
    ]
    renamed = list(_renamed(iter(back), begun, last=7))
    assert [masks.frame for masks in renamed] == [4, 3]
    assert [each.instance for each in renamed[0].found] == [3, 0, 8]
    assert [each.instance for each in renamed[1].found] == [8]


def test_crossing_actors_keep_their_ids(tmp_path: Path) -> None:
    folder = tiny_sam.save_sam3(
        tmp_path / "sam3", score_threshold_detection=0.5, new_det_thresh=0.7
    )
    count = sam_measures.CrossingSam3.length
    shot = make_shot(tmp_path, count)
    masks = list(sam_measures.crossing(folder, clip_of(shot), report_in(tmp_path)))
    warned = write_found(shot, masks)
    folders = [shot.roto / "person_00", shot.roto / "person_01"]
    assert not (shot.roto / "person_02").exists()
    wrong, total = sam_measures.swaps(folders, count, FIRST)
    assert (wrong, total) == (0, 2 * count - 4)
    assert any("person_01 is not seen" in text for text in warned)


def test_nms_keeps_the_surest_of_those_that_overlap() -> None:
    from backend.worker.engines.sam3_patches import Kernel

    ious = torch.tensor([[1.0, 0.6, 0.0], [0.6, 1.0, 0.05], [0.0, 0.05, 1.0]])
    kept = Kernel().generic_nms(ious, torch.tensor([0.5, 0.9, 0.7]), 0.1, use_iou_matrix=True)
    assert kept.tolist() == [1, 2]


def test_pinholes_and_sprinkles_go() -> None:
    from backend.worker.engines.sam3_patches import without_speckles

    logits = torch.full((1, 1, 33, 33), -5.0)
    logits[0, 0, 5:25, 5:25] = 5.0
    whole = logits.clone() > 0
    logits[0, 0, 10:12, 10:12] = -5.0
    logits[0, 0, 30, 30] = 5.0
    assert torch.equal(without_speckles(logits) > 0, whole)


def test_overlaps_are_those_of_transformers() -> None:
    from backend.worker.engines.sam3_patches import mask_iou

    random = np.random.default_rng(1)
    one = torch.from_numpy(random.random((5, 20, 30)) > 0.7)
    other = torch.from_numpy(random.random((4, 20, 30)) > 0.4)
    one[0], other[0] = False, False
    expected = sam_measures._STOCK_IOU(one, other)
    assert torch.equal(mask_iou(one, other), expected)


@pytest.mark.parametrize("name", ["sam3", "sam2-tiny"])
def test_prompts_are_tracked_both_ways(name: str, weights: Path, tmp_path: Path) -> None:
    from backend.worker.engines.sam_tracker import Preview, SamTracker

    shot = make_shot(tmp_path, 9)
    paint(shot.path / "prompts", [7], block(40))
    prompts = Prompts(
        (
            PromptedObject("actor", {FIRST + 2: INSIDE, FIRST + 5: Prompt((Point(30.0, 50.0),))}),
            PromptedObject(
                "bag",
                {
                    FIRST + 6: Prompt(box=(60.0, 20.0, 100.0, 80.0)),
                    FIRST + 7: Prompt(mask=f"prompts/frame_{FIRST + 7}.png"),
                    FIRST + 99: INSIDE,
                },
            ),
        )
    )
    engine = SamTracker(name, weights / name, shot.path)
    found = list(engine.track(clip_of(shot), prompts, report_in(tmp_path)))
    assert sorted(masks.frame for masks in found) == list(range(FIRST, FIRST + 9))
    by_frame = {masks.frame - FIRST: {e.label: e.mask for e in masks.found} for masks in found}
    assert all(set(labels) == {"actor", "bag"} for labels in by_frame.values())
    (warning,) = warnings_in(tmp_path)
    assert f"{FIRST + 99}" in warning
    # A key is what the live preview shows, whatever is tracked around it.
    preview = Preview(name, weights / name, clip_of(shot), shot.path)
    assert np.array_equal(by_frame[2]["actor"], preview.masks(FIRST + 2, [INSIDE])[0])
    later = preview.masks(FIRST + 6, [prompts.objects[1].frames[FIRST + 6], Prompt()])
    assert np.array_equal(by_frame[6]["bag"], later[0])
    assert not later[1].any()
    drawn = block(40) > 0
    overlap = (drawn & (by_frame[7]["bag"] > 0)).sum() / (drawn | (by_frame[7]["bag"] > 0)).sum()
    assert overlap > 0.8


def test_points_outside_correct_what_was_tracked(weights: Path, tmp_path: Path) -> None:
    from backend.worker.engines.sam_tracker import SamTracker

    shot = make_shot(tmp_path, 7)
    engine = SamTracker("sam3", weights / "sam3", shot.path)

    def masks(frames: dict[int, Prompt]) -> list[Any]:
        prompts = Prompts((PromptedObject("actor", frames),))
        found = engine.track(clip_of(shot), prompts, report_in(tmp_path))
        return [each.found[0].mask for each in sorted(found, key=lambda each: each.frame)]

    outside = Prompt((Point(5.0, 5.0, False), Point(100.0, 80.0, False)))
    plain = masks({FIRST + 2: INSIDE})
    corrected = masks({FIRST + 2: INSIDE, FIRST + 4: outside})
    same = [np.array_equal(*pair) for pair in zip(plain, corrected, strict=True)]
    assert same == [True, True, True, True, False, False, False]


def test_an_object_needs_something_inside(weights: Path, tmp_path: Path) -> None:
    from backend.worker.engines.sam_tracker import SamTracker

    shot = make_shot(tmp_path, 2)
    prompts = Prompts((PromptedObject("actor", {FIRST: Prompt((Point(1.0, 1.0, False),))}),))
    engine = SamTracker("sam3", weights / "sam3", shot.path)
    with pytest.raises(UsageError, match="click inside it"):
        list(engine.track(clip_of(shot), prompts, report_in(tmp_path)))


def test_drawn_masks_lie_in_the_shot(weights: Path, tmp_path: Path) -> None:
    from backend.worker.engines.sam_tracker import SamTracker

    shot = make_shot(tmp_path, 2)
    paint(tmp_path, [0], block(40))
    prompts = Prompts((PromptedObject("actor", {FIRST: Prompt(mask=f"../frame_{FIRST}.png")}),))
    engine = SamTracker("sam2-tiny", weights / "sam2-tiny", shot.path)
    with pytest.raises(MaskError, match="not in the shot"):
        list(engine.track(clip_of(shot), prompts, report_in(tmp_path)))


def test_tracking_keeps_little(weights: Path, tmp_path: Path) -> None:
    from backend.worker.engines import sam_memory, sam_tracker

    shot = make_shot(tmp_path, 44)
    clip, sizes = clip_of(shot), []
    sam = sam_tracker._Sam("sam2-tiny", weights / "sam2-tiny", clip, 1)
    actor = PromptedObject("actor", {FIRST: INSIDE})
    tracked = sam_tracker._Tracked(sam, actor, shot.path, report_in(tmp_path))
    tracked.set_key(0)
    for place in range(44):
        tracked.step(place, reverse=False)
        sizes.append(sam_memory.state_bytes(tracked._session))
    assert sizes[20] == sizes[43] > 0


@pytest.mark.usefixtures("home")
def test_roto_from_words_to_folders(tmp_path: Path) -> None:
    shot = make_shot(tmp_path, 5)
    options = {"prompt": "person, bag,  person", "threshold": 0.1, "start": str(FIRST + 1)}
    warned = run_stage(shot, "roto", **options)
    assert "no GPU" in warned[0]
    record = read_json(shot.roto / "roto.json")
    assert record["engine"] == "sam3"
    assert {"roto/person", "roto/bag", "roto/mask", "roto/person_00"} <= set(record["results"])
    for step in range(5):
        union = read(shot.roto / "person", step) | read(shot.roto / "bag", step)
        assert np.array_equal(read(shot.masks, step), union)
        assert union.shape == SIZE[::-1]
    assert read(shot.masks, 0).any()
    stage = STAGES["roto"]
    from backend.options import from_mapping

    chosen: Any = from_mapping(stage.options, options)
    assert outputs.freshness(shot, stage, chosen, "") is Freshness.CURRENT


@pytest.mark.usefixtures("home")
def test_saved_prompts_are_tracked_without_a_window(tmp_path: Path) -> None:
    shot = make_shot(tmp_path, 5)
    Prompts((PromptedObject("Lead Actor", {FIRST + 1: INSIDE}),)).save(shot.prompts)
    assert run_stage(shot, "interactive") == []
    record = read_json(shot.roto / "interactive.json")
    assert record["engine"] == "sam2-tiny"
    assert set(record["labels"]) == {"Lead_Actor", "Lead_Actor_00"}
    assert read(shot.roto / "Lead_Actor", 4).any()
    assert shot.prompts.is_file()
    # Words find their masks beside it, and the prompts of both stay.
    run_stage(shot, "roto", prompt="bag", threshold=0.1)
    assert (shot.roto / "Lead_Actor_00").is_dir()
    stage = STAGES["interactive"]
    assert outputs.freshness(shot, stage, InteractiveOptions(), "") is Freshness.CURRENT


@pytest.mark.usefixtures("home")
def test_nothing_pointed_at(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="click on something"):
        run_stage(make_shot(tmp_path, 2), "interactive")


def test_a_missing_model_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(locations.HOME_VARIABLE, str(tmp_path / "home"))
    shot = make_shot(tmp_path, 2)
    with pytest.raises(ModelError, match="SAM 3 is not on this machine") as error:
        run_stage(shot, "roto", engine="embedded")
    assert error.value.remedy is Remedy.GET_MODEL
    assert not shot.roto.exists()


@pytest.mark.usefixtures("home")
def test_a_start_frame_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no frame 7"):
        run_stage(make_shot(tmp_path, 2), "roto", start="7")


@pytest.mark.usefixtures("home")
def test_a_frame_that_is_damaged(tmp_path: Path) -> None:
    shot = make_shot(tmp_path, 3)
    shot.frame_file(FIRST + 1).write_bytes(b"no picture")
    with pytest.raises(PlateError, match="set the shot up again"):
        run_stage(shot, "roto", threshold=0.1)
    assert not shot.roto.exists()


def conversing(shot: Shot, model: str, folder: Path) -> subprocess.Popen[str]:
    """The program that draws masks while an artist points."""
    program = ROOT / "backend" / "worker" / "preview_masks.py"
    command = [sys.executable, "-I", "-B", str(program), str(shot.path), model, str(folder)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )


@pytest.mark.usefixtures("home")
def test_masks_while_an_artist_points(tmp_path: Path) -> None:
    shot = make_shot(tmp_path, 3)

    def ask(**request: Any) -> dict[str, Any]:
        print(json.dumps(request), file=program.stdin, flush=True)
        return dict(json.loads(program.stdout.readline()))

    with conversing(shot, "auto", tmp_path / "drawn") as program:
        assert json.loads(program.stdout.readline()) == {"ready": True, "model": "sam2-tiny"}
        assert "error" in ask(nonsense=1)
        assert "no frame 7" in ask(id=1, frame=7, objects=[])["error"]
        said = [{"points": [[20, 50, 1]]}, {"box": [10, 30, 30, 70]}]
        answer = ask(id=2, frame=FIRST, objects=said)
        masks = [np.load(file, allow_pickle=False) for file in answer["masks"]]
        assert (answer["id"], answer["frame"], len(masks)) == (2, FIRST, 2)
        assert all(mask.shape == (96, 128) and mask.dtype == np.uint8 for mask in masks)
        assert ask(id=3, frame=FIRST + 1, objects=said)["id"] == 3
        program.stdin.close()
        assert program.wait(20) == 0


def test_masks_need_their_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(locations.HOME_VARIABLE, str(tmp_path / "home"))
    with conversing(make_shot(tmp_path, 2), "sam2-tiny", tmp_path / "drawn") as program:
        assert "models get sam2-tiny" in json.loads(program.stdout.readline())["error"]
        assert program.wait(20) == 1


def test_only_the_last_request_that_waits_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.worker import preview_masks

    def feed(lines: Any) -> None:
        for text in ('{"id": 1}\n', '{"id": 2}\n', '{"id": 3}\n', ""):
            lines.put(text)

    class AtOnce:
        def __init__(self, target: Any, args: Any, **_how: Any) -> None:
            self.start = lambda: target(*args)

    monkeypatch.setattr(preview_masks, "_feed", feed)
    monkeypatch.setattr(preview_masks.threading, "Thread", AtOnce)
    answered: Iterator[Any] = preview_masks._newest()
    assert list(answered) == [{"id": 3}]
