# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of a shot: fitted to the solve, steady, in files for use and for the eye.

The model is one that knows the room and is wrong as models are (`guessed_depth`): everything after
what it says is the stage itself.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from backend import outputs
from backend.camera import Similarity
from backend.depth import METERS, NOTHING, RELATIVE, SOLVE, DepthRecord
from backend.errors import FormatError, ModelError, PlateError
from backend.events import EventWriter
from backend.outputs import Freshness
from backend.shot import Shot, write_json
from backend.solve import Motion, solve_of
from backend.stages import STAGES, DepthOptions
from backend.worker.dense.map_files import read_map
from backend.worker.depth.depth_output import DepthOutput
from backend.worker.report import Context, Report
from backend.worker.stages import depth as stage
from tests.backend.guessed_depth import HEIGHT, WIDTH, RoomModel, true_maps, truth
from tests.backend.textured_room import make_shot, picture, room, track, turning
from tests.extension.solved_shot import WORLD, solved_shot

FRAMES = 16


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    return solved_shot(tmp_path_factory.mktemp("shots") / "sh010", FRAMES)


@pytest.fixture
def shot(solved: Shot, tmp_path: Path) -> Shot:
    shutil.copytree(solved.path, tmp_path / "sh010")
    return Shot(tmp_path / "sh010")


class Runs:
    """Runs the stage on a shot with a model."""

    def __init__(self, patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self._patch, self._folder = patch, tmp_path
        self.events = tmp_path / "events.jsonl"

    def __call__(self, shot: Shot, model: Any, **options: Any) -> DepthRecord:
        self._patch.setattr(stage.choice, "depth_engine", lambda *_: model)
        asked, kind = DepthOptions(**options), STAGES["depth"]
        report = Report(EventWriter(self.events), self._folder / "cancel")
        inputs = outputs.inputs_of(shot, kind, "")
        with outputs.writing(shot, kind, asked, inputs) as (part, record):
            stage.run(Context(shot, asked, "", "", part, report, record))
        return DepthRecord.load(shot.depth.record)

    def told(self) -> str:
        return self.events.read_text(encoding="utf-8")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    return Runs(monkeypatch, tmp_path)


def errors(shot: Shot, scale: float = WORLD.scale) -> np.ndarray:
    """By frame, what half of the pixels are off by, as a share of depth."""
    true = truth(FRAMES, 480, 270)
    return np.array(
        [
            np.median(np.abs(read_map(shot.depth.map(n)) / (scale * depth) - 1))
            for n, depth in true.items()
        ]
    )


@pytest.mark.parametrize("law", ["depth", "inverse"])
def test_any_scale_and_shift_of_every_frame_becomes_the_solves_units(
    shot: Shot, run: Runs, law: str
) -> None:
    record = run(shot, RoomModel(truth(FRAMES), law=law))
    assert errors(shot).max() < 0.01
    assert record.units == SOLVE
    assert record.details
    assert record.details["fitted"] == FRAMES
    assert {line[0] for line in record.details["lines"].values()} == {law == "inverse"}
    assert record.flicker is not None
    assert record.flicker < 0.005


def test_steadying_takes_most_of_the_flicker_out(
    shot: Shot, run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = RoomModel(truth(FRAMES), noise=0.02)
    steady = run(shot, model).flicker
    monkeypatch.setattr("backend.worker.depth.depth_output.AROUND", 0)
    plain = run(shot, model, overlap=9).flicker
    assert steady is not None
    assert plain is not None
    assert steady < 0.4 * plain


def test_every_second_frame_alone_is_compared_and_not_kept(
    shot: Shot, run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    plate = shot.load_plate()
    odd = slice(0, None, 2)
    some = replace(
        plate, frames=plate.frames[odd], source_indices=plate.source_indices[odd],
        times=plate.times[odd],
    )  # fmt: skip
    write_json(shot.plate_file, some.to_json())
    made: list[DepthOutput] = []

    def output(*parts: Any) -> DepthOutput:
        made.append(DepthOutput(*parts))
        return made[0]

    monkeypatch.setattr(stage, "DepthOutput", output)
    record = run(shot, RoomModel(truth(FRAMES)))
    assert record.flicker is not None
    assert record.flicker < 0.005
    assert len(made[0]._flickers) == len(some.frames) - 1
    assert not made[0]._steady


def test_what_moves_is_not_averaged_with_what_was_there(shot: Shot, run: Runs) -> None:
    """Something near that a mask selects is in one frame only: it keeps its depth."""
    depths = {number: depth.copy() for number, depth in truth(FRAMES).items()}
    depths[8][40:80, 100:140] *= 0.96
    mask = np.zeros((270, 480), np.uint8)
    mask[80:160, 200:280] = 255
    shot.masks.mkdir(parents=True)
    cv2.imwrite(str(shot.masks / "frame_0008.png"), mask)
    run(shot, RoomModel(depths, noise=0.0))
    ratio = read_map(shot.depth.map(8)) / (WORLD.scale * truth(FRAMES, 480, 270)[8])
    assert np.median(ratio[90:150, 210:270]) == pytest.approx(0.96, abs=2e-3)
    assert np.median(ratio[90:150, 300:]) == pytest.approx(1.0, abs=2e-3)


def test_frames_that_see_too_few_points_are_fitted_to_their_neighbors(
    shot: Shot, run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = stage.ShotCamera.points_in

    def few(camera: Any, view: Any) -> Any:
        places, depths = found(camera, view)
        return (places[:5], depths[:5]) if view.number in (7, 8, 9) else (places, depths)

    monkeypatch.setattr(stage.ShotCamera, "points_in", few)
    record = run(shot, RoomModel(truth(FRAMES)))
    assert record.details
    assert record.details["fitted"] == FRAMES - 3
    assert errors(shot)[6:9].max() < 0.015
    assert "nearest frame" not in run.told()


def test_what_few_bad_points_say_of_a_frame_its_neighbors_correct(
    shot: Shot, run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = stage.ShotCamera.points_in

    def noisy(camera: Any, view: Any) -> Any:
        places, depths = found(camera, view)
        random = np.random.default_rng(view.number)
        chosen = random.choice(len(depths), 25, replace=False)
        return places[chosen], depths[chosen] * random.normal(1, 0.04, 25)

    monkeypatch.setattr(stage.ShotCamera, "points_in", noisy)
    run(shot, RoomModel(truth(FRAMES)))
    assert errors(shot).max() < 0.04


def test_frames_without_a_camera_take_the_nearest_scale_and_are_told(shot: Shot, run: Runs) -> None:
    solve = solve_of(shot)
    track_ = solve.track.only(np.arange(FRAMES - 2))
    replace(solve, track=track_, frames=solve.frames[:-2]).save(shot.camera)
    record = run(shot, RoomModel(truth(FRAMES), wander=0.0, shift=0.0))
    assert errors(shot).max() < 0.015
    assert record.frames == tuple(range(1, FRAMES + 1))
    assert "2 frames have no camera" in run.told()


def test_a_survey_scales_depth_without_the_model(shot: Shot, run: Runs) -> None:
    model = RoomModel(truth(FRAMES))
    run(shot, model)
    _make_twice_as_large(shot)
    kind = STAGES["depth"]
    assert outputs.freshness(shot, kind, DepthOptions(), "") is Freshness.STALE
    asked = len(model.calls)
    run(shot, model)
    assert len(model.calls) == asked
    assert errors(shot, 2 * WORLD.scale).max() < 0.01


def _make_twice_as_large(shot: Shot) -> None:
    solve = solve_of(shot)
    matrices = solve.track.matrices.copy()
    matrices[:, :3, 3] *= 2
    world = solve.world
    larger = Similarity(2 * world.scale, world.rotation, 2 * world.translation)
    replace(solve, world=larger, track=replace(solve.track, matrices=matrices)).save(shot.camera)


def test_chunks_of_a_model_that_sees_frames_together_have_one_scale(run: Runs, shot: Shot) -> None:
    """Without a camera: relative, and the same through the shot."""
    shutil.rmtree(shot.camera)
    model = RoomModel(truth(FRAMES), together=True, most=6, shift=0.0, noise=0.0)
    record = run(shot, model, overlap=2)
    assert [call[0] for call in model.calls] != [1]
    assert all(
        len(set(one) & set(other)) >= 2
        for one, other in zip(model.calls, model.calls[1:], strict=False)
    )
    true = truth(FRAMES, 480, 270)
    scales = [np.median(read_map(shot.depth.map(n)) / depth) for n, depth in true.items()]
    assert np.ptp(np.log(scales)) < 2e-3
    assert (record.units, record.place, record.flicker) == (RELATIVE, None, None)


def test_frames_that_are_seen_alone_agree_with_their_neighbors_by_what_moves_along(
    run: Runs, shot: Shot
) -> None:
    shutil.rmtree(shot.camera)
    model = RoomModel(truth(FRAMES), wander=0.1, shift=0.0, noise=0.0, meters=True)
    record = run(shot, model)
    true = truth(FRAMES, 480, 270)
    said = stage.Estimates(shot.depth.path / "model")
    before = np.log([np.median(said.load(n) / d) for n, d in truth(FRAMES).items()])
    scales = np.log([np.median(read_map(shot.depth.map(n)) / d) for n, d in true.items()])
    assert np.abs(np.diff(scales)).max() < 0.2 * np.abs(np.diff(before)).max()
    assert record.units == METERS


def test_relative_leaves_the_solve_alone(run: Runs, shot: Shot) -> None:
    record = run(shot, RoomModel(truth(FRAMES), wander=0.0, shift=0.0), scale="relative")
    assert record.units == RELATIVE
    assert errors(shot, 1.0).max() < 0.02


def test_a_camera_that_only_turns_gets_one_scale_for_the_shot(
    run: Runs, shot: Shot, tmp_path: Path
) -> None:
    camera = track(turning, FRAMES, 480, 270)
    small = track(turning, FRAMES, WIDTH, HEIGHT)
    turned = make_shot(tmp_path / "pan", camera, lambda index: picture(room(), camera, index))
    solve = solve_of(shot)
    quality = replace(solve.quality, motion=Motion.TRIPOD)
    replace(solve, track=camera, quality=quality).save(_made(turned.camera))
    shutil.copytree(shot.sparse, turned.sparse)
    for name in ("colmap", "camera"):
        for file in (shot.output(name)).glob("*.json"):
            if not (turned.output(name) / file.name).exists():
                shutil.copy(file, turned.output(name) / file.name)
    depths = true_maps(small)
    record = run(turned, RoomModel(depths, wander=0.1, shift=0.0))
    large = true_maps(camera)
    scales = np.log([np.median(read_map(turned.depth.map(n)) / d) for n, d in large.items()])
    assert np.abs(np.diff(scales)).max() < 0.005
    assert record.units == SOLVE
    assert "only turns" in run.told()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_a_gpu_without_room_gets_fewer_frames_and_what_is_done_stays(
    run: Runs, shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = RoomModel(truth(FRAMES), together=True, most=16, fits=5, shift=0.0)
    said = model.estimate
    calls = 0

    def interrupted(frames: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise ModelError("gone")
        return said(frames)

    monkeypatch.setattr(model, "estimate", interrupted)
    with pytest.raises(ModelError, match="gone"):
        run(shot, model)
    before = len(model.calls)
    assert 0 < before < 4
    run(shot, model)
    assert model.calls[before][0] > 1
    assert errors(shot).max() < 0.01


def test_files_for_the_eye_have_one_range_and_sky_is_far(run: Runs, shot: Shot) -> None:
    depths = {number: depth.copy() for number, depth in truth(FRAMES).items()}
    for depth in depths.values():
        depth[:20] = NOTHING
    record = run(shot, RoomModel(depths, noise=0.0))
    image = cv2.imread(str(shot.depth.image(5)), cv2.IMREAD_UNCHANGED)
    exact = read_map(shot.depth.map(5))
    assert image.dtype == np.uint16
    assert image.shape == (270, 480)
    assert (exact[:30] == np.float32(NOTHING)).all()
    assert (image[:30] == 0).all()
    near, far = 1 / record.near, 1 / record.far
    levels = 65535 * np.clip((1 / exact - far) / (near - far), 0, 1)
    assert np.abs(levels - image).max() <= 1
    assert image.max() > 60000


def test_a_frame_that_is_gone_is_named(run: Runs, shot: Shot) -> None:
    shot.frame_file(3).write_bytes(b"")
    with pytest.raises(PlateError, match=r"frame_0003\.png is missing or damaged"):
        run(shot, RoomModel(truth(FRAMES)))


def test_a_damaged_solve_is_no_reason_to_guess(run: Runs, shot: Shot) -> None:
    (shot.camera / "solve.json").write_text("{}")
    with pytest.raises(FormatError, match="damaged"):
        run(shot, RoomModel(truth(FRAMES)))
