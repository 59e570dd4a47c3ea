# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth by Depth Anything 3: sizes, units, sky, poses, and what the device has no room for."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from backend.errors import ModelError, PlateError, Remedy
from backend.events import EventWriter
from backend.locations import HOME_VARIABLE
from backend.models import ModelStore
from backend.shot import write_json
from backend.stages import DepthOptions
from backend.worker.engines import depth_anything
from backend.worker.engines.choice import depth_engine, depth_model
from backend.worker.engines.depth_anything import (
    VARIANTS,
    DepthAnything,
    load_network,
    make_network,
)
from backend.worker.engines.room import OutOfRoomError
from backend.worker.frame_files import read_frame
from backend.worker.image_files import write_png
from backend.worker.report import Report
from tests.backend.mask_shots import make_shot
from tests.backend.test_models import downloaded

from .tiny_depth import FOCAL, SIDE, SIZE, make_frames, pose_at, tiny_engine, tiny_network

ANY_VIEW = tuple(name for name, variant in VARIANTS.items() if variant.together)


@pytest.fixture(scope="module")
def small() -> DepthAnything:
    engine: DepthAnything = tiny_engine("da3-small")
    return engine


def test_frames_are_seen_in_multiples_of_a_patch(small: DepthAnything, tmp_path: Path) -> None:
    found = small.estimate(make_frames(tmp_path, 2))
    # 96 x 64 at 70 for the longest side.
    assert [each.depth.shape for each in found] == [(42, SIDE)] * 2
    for each in found:
        assert each.depth.dtype == np.float32
        assert (each.depth > 0).all()
        assert each.confidence is not None
        assert each.confidence.shape == each.depth.shape
        assert 0 <= each.confidence.min() < each.confidence.max() <= 1
        assert not each.posed


@pytest.mark.parametrize(
    ("aspect", "plate", "shape"),
    [
        (2.0, SIZE, (28, 70)),
        (0.5, SIZE, (70, 56)),
        (1.0, (64, 64), (70, 70)),
        (1.0, (9999, 9), (14, 70)),
    ],
)
def test_pixels_are_made_square(
    small: DepthAnything, aspect: float, plate: tuple[int, int], shape: tuple[int, int]
) -> None:
    engine = DepthAnything("da3-small", small._network, torch.device("cpu"), SIDE, aspect)
    assert engine._inner(plate)[::-1] == shape


def test_a_plate_of_16_bits_is_as_one_of_8(small: DepthAnything, tmp_path: Path) -> None:
    frames = make_frames(tmp_path, 1, bits=16)
    (deep,) = small.estimate(frames)
    pixels = read_frame(frames[0].file)
    assert pixels is not None
    assert pixels.dtype == np.uint16
    write_png(tmp_path / "flat.png", (pixels >> 8).astype(np.uint8))
    (flat,) = small.estimate([replace(frames[0], file=tmp_path / "flat.png")])
    np.testing.assert_array_equal(deep.depth, flat.depth)


def test_frames_of_a_call_see_each_other(small: DepthAnything, tmp_path: Path) -> None:
    frames = make_frames(tmp_path, 2)
    (alone,) = small.estimate(frames[:1])
    with_other = small.estimate(frames)[0]
    assert np.abs(alone.depth - with_other.depth).max() > 1e-4


@pytest.mark.parametrize("model", ["da3-metric", "da3-mono"])
def test_others_are_estimated_each_by_itself(model: str, tmp_path: Path) -> None:
    engine, frames = tiny_engine(model), make_frames(tmp_path, 2)
    assert not engine.together
    assert not engine.takes_poses
    (alone,) = engine.estimate(frames[:1])
    with_other = engine.estimate(frames)[0]
    np.testing.assert_allclose(alone.depth, with_other.depth, rtol=1e-4)


# Poses


def test_depth_has_the_scale_of_the_poses(small: DepthAnything, tmp_path: Path) -> None:
    """The network of the test knows nothing of depth: its scale is that of the places it tells."""
    step = np.array([0.4, 0.1, 0.2])
    near = small.estimate(make_frames(tmp_path, 3, step))
    far = small.estimate(make_frames(tmp_path, 3, 1000 * step))
    assert all(each.posed for each in [*near, *far])
    for one, other in zip(near, far, strict=True):
        np.testing.assert_allclose(other.depth, 1000 * one.depth, rtol=1e-3)
        np.testing.assert_allclose(other.confidence, one.confidence, atol=1e-3)


def test_the_scale_is_that_between_given_and_answered_places() -> None:
    """Places that the network would answer with, four times smaller: one of them is astray."""
    given = np.random.default_rng(2).normal(size=(9, 3))
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    answered = given @ (turn * np.linalg.det(turn)).T / 4 + 7
    assert depth_anything._scale(given, answered) == pytest.approx(4)
    answered[4] += 3
    assert depth_anything._scale(given, answered) == pytest.approx(4)
    assert depth_anything._scale(given, np.ones_like(given)) is None


def test_cameras_reach_the_network_as_it_knows_them(
    small: DepthAnything, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[Any]()

    def run(_pictures: Any, poses: Any = None, lenses: Any = None) -> Any:
        seen.append((poses, lenses))
        return {"depth": torch.ones(1, 3, 2, 2), "extrinsics": torch.eye(4).repeat(1, 3, 1, 1)}

    monkeypatch.setattr(small, "_run", run)
    frames = make_frames(tmp_path, 3, (0, 0, 5))
    small.estimate(frames)
    ((poses, lenses),) = seen
    # The first camera is the origin, and the middle one of three is one unit from it.
    np.testing.assert_allclose(poses[:, 2, 3], [0, -1, -2])
    np.testing.assert_allclose(lenses[0, 0], [FOCAL * 70 / 96, 0, 35])
    np.testing.assert_allclose(lenses[0, 1], [0, FOCAL * 42 / 64, 21])


def test_without_a_way_to_go_by_poses_are_left_out(small: DepthAnything, tmp_path: Path) -> None:
    plain = small.estimate(make_frames(tmp_path, 2))
    for frames in (
        make_frames(tmp_path, 2, (0, 0, 0)),
        [make_frames(tmp_path, 2, (1, 0, 0))[0], make_frames(tmp_path, 2)[1]],
    ):
        for one, other in zip(plain, small.estimate(frames), strict=True):
            assert not other.posed
            np.testing.assert_array_equal(one.depth, other.depth)
    (single,) = small.estimate(make_frames(tmp_path, 1, (1, 0, 0)))
    assert not single.posed


# Meters, and the sky


def test_meters_grow_with_the_focal_length(tmp_path: Path) -> None:
    engine = tiny_engine("da3-metric")
    assert engine.meters
    (frame,) = make_frames(tmp_path, 1)
    depths = [
        engine.estimate([replace(frame, pose=pose)])[0].depth
        for pose in (None, pose_at(np.zeros(3)), pose_at(np.zeros(3), 2 * FOCAL))
    ]
    seen = depth_anything._prepared(depth_anything._read(frame), (70, 42))
    (raw,) = engine._seen(seen[None])
    assert raw.confidence is None
    # At 300 pixels the network's depth is in meters; a usual lens is as long as the frame is wide.
    np.testing.assert_allclose(depths[0], raw.depth * 70 / 300, rtol=1e-5)
    np.testing.assert_allclose(depths[2], 2 * depths[1], rtol=1e-6)
    seen_focal = FOCAL * (70 / 96 + 42 / 64) / 2
    np.testing.assert_allclose(depths[1], raw.depth * seen_focal / 300, rtol=1e-5)


def test_the_sky_has_no_depth(tmp_path: Path) -> None:
    """The right half, as far as the network's head for it is concerned."""
    engine = tiny_engine("da3-mono")
    head = engine._network.head

    def half_sky(_module: Any, _arguments: Any, output: Any) -> Any:
        output["sky"][..., : SIDE // 2], output["sky"][..., SIDE // 2 :] = 0.1, 0.9
        return output

    head.register_forward_hook(half_sky)
    (found,) = engine.estimate(make_frames(tmp_path, 1))
    assert (found.depth[:, : SIDE // 2] > 0).all()
    assert (found.depth[:, SIDE // 2 :] == 0).all()


# The device


def test_out_of_memory_is_out_of_room(tmp_path: Path) -> None:
    engine, frames = tiny_engine("da3-small"), make_frames(tmp_path, 2)
    right = engine.estimate(frames)

    def full(_module: Any, _arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    hook = engine._network.head.register_forward_pre_hook(full)
    with pytest.raises(OutOfRoomError):
        engine.estimate(frames)
    hook.remove()
    np.testing.assert_array_equal(engine.estimate(frames)[1].depth, right[1].depth)


def test_more_memory_has_room_for_more_frames(
    small: DepthAnything, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = DepthAnything("da3-small", small._network, torch.device("cpu"), 504)
    rooms = []
    for free in (None, 0, 2 << 30, 8 << 30, 80 << 30):
        monkeypatch.setattr(depth_anything, "free_memory", lambda _device, free=free: free)
        rooms.append(engine.room((1920, 1080)))
    assert rooms[:2] == [24, 1]
    assert 1 < rooms[2] < rooms[3] <= rooms[4] == 120
    monkeypatch.setattr(depth_anything, "free_memory", lambda _device: 2 << 30)
    finer = DepthAnything("da3-small", small._network, torch.device("cpu"), 1008)
    assert finer.room((1920, 1080)) < rooms[2]


on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")


@on_cuda
@pytest.mark.parametrize("model", ["da3-small", "da3-metric"])
def test_a_gpu_finds_the_same(model: str, tmp_path: Path) -> None:
    frames = make_frames(tmp_path, 3)
    expected = tiny_engine(model).estimate(frames)
    for one, other in zip(
        expected, tiny_engine(model, device="cuda").estimate(frames), strict=True
    ):
        np.testing.assert_allclose(one.depth, other.depth, rtol=0.02)


@on_cuda
@pytest.mark.parametrize("model", list(VARIANTS))
def test_no_more_is_taken_than_planned(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Networks of the real size, of which each is given what fits into 12 GiB."""
    network = make_network(VARIANTS[model].config)
    engine = DepthAnything(model, network, torch.device("cuda"), 504)
    planned = 12 << 30
    monkeypatch.setattr(depth_anything, "free_memory", lambda _device: planned)
    frames = make_frames(tmp_path, engine.room(SIZE))
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    engine.estimate(frames)
    taken = torch.cuda.max_memory_allocated() - before
    with capsys.disabled():
        print(f"\n{model}: {len(frames)} frames took {taken / 2**30:.2f} of 12 GiB")
    assert taken < planned


@pytest.mark.parametrize(
    ("device", "here", "chosen"),
    [
        ("cpu", ("da3-base", "da3-metric"), "da3-base"),
        ("cpu", ("da3-small", "da3-base", "da3-large"), "da3-small"),
        ("cuda", ("da3-small", "da3-base", "da3-giant"), "da3-base"),
        ("cuda", ("da3-mono", "da3-small"), "da3-small"),
        ("cuda", ("da3-mono", "da3-metric"), "da3-metric"),
        ("cuda", ("da3-large", "da3-giant"), "da3-large"),
    ],
)
def test_the_best_model_that_is_here_is_taken(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    here: tuple[str, ...],
    chosen: str,
) -> None:
    monkeypatch.setattr("backend.worker.weights.device", lambda: torch.device(device))
    store = ModelStore(tmp_path)
    for name in here:
        downloaded(store, name)
    assert depth_model("auto", store) == chosen


def test_the_engine_is_made_for_the_shot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    store, shot = ModelStore(tmp_path / "home"), make_shot(tmp_path / "shot", (1001, 1002))
    plate = shot.load_plate()
    write_json(shot.plate_file, replace(plate, pixel_aspect=Fraction(2)).to_json())
    store.choose("da3-small", saved(tmp_path / "da3"))
    events = EventWriter(tmp_path / "events.jsonl")
    options = DepthOptions(resolution=SIDE)
    engine = depth_engine(options, store, shot, Report(events, tmp_path / "cancel"))
    assert (engine.name, engine.model) == ("embedded", "da3-small")
    (found,) = engine.estimate(make_frames(tmp_path, 1))
    # 192 x 64 square pixels at 70 for the longest side.
    assert found.depth.shape == (28, SIDE)


# Weights


def saved(folder: Path, name: str = "da3-small", **changes: torch.Tensor) -> Path:
    folder.mkdir()
    values = tiny_network("da3-small").state_dict() | changes
    own = {f"model.{key}": value.contiguous().clone() for key, value in values.items()}
    save_file(own, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_name": name}))
    return folder


def test_weights_are_read_as_they_are_published(small: DepthAnything, tmp_path: Path) -> None:
    splats = {"gs_head.weight": torch.ones(3), "gs_adapter.weight": torch.ones(3)}
    engine = DepthAnything.load("da3-small", saved(tmp_path / "da3", **splats), SIDE, 1.0)
    frames = make_frames(tmp_path, 1)
    expected = small.estimate(frames)[0].depth
    # On a GPU to within rounding: the engine that it is compared with is on the processor.
    np.testing.assert_allclose(engine.estimate(frames)[0].depth, expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "changes", "why"),
    [
        ("da3-large", {}, "those of da3-large"),
        ("da3-small", {"more": torch.ones(2)}, "1 unexpected weights, such as more"),
        ("da3-small", {"backbone.pretrained.cls_token": torch.ones(2)}, "1 mismatched weights"),
    ],
)
def test_other_weights_are_refused(
    tmp_path: Path, name: str, changes: dict[str, torch.Tensor], why: str
) -> None:
    folder = saved(tmp_path / "da3", name, **changes)
    with pytest.raises(ModelError, match=why) as caught:
        load_network(VARIANTS["da3-small"], folder)
    assert caught.value.remedy is Remedy.GET_MODEL


def test_half_a_file_of_weights_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "da3")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:10_000_000])
    with pytest.raises(ModelError, match="are not those of this model"):
        load_network(VARIANTS["da3-small"], folder)


def test_a_damaged_frame_is_told(small: DepthAnything, tmp_path: Path) -> None:
    frames = make_frames(tmp_path, 2)
    frames[1].file.write_bytes(b"damaged")
    with pytest.raises(PlateError, match=r"frame_1002\.png is missing or damaged"):
        small.estimate(frames)
