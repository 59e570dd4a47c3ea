# SPDX-License-Identifier: GPL-3.0-or-later
"""ProPainter: whole frames in their order, what settings do, and a memory that does not grow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from backend.errors import ModelError, PlateError, Remedy
from backend.events import EventWriter
from backend.locations import HOME_VARIABLE
from backend.models import ModelStore
from backend.shot import Shot
from backend.stages import CleanPlateOptions
from backend.worker.engines import propainter
from backend.worker.engines.choice import inpainter
from backend.worker.engines.deformable import deform_conv2d
from backend.worker.engines.inpainting import InpaintSettings
from backend.worker.engines.propainter import Networks, ProPainter, inner_size
from backend.worker.frame_files import read_colors, read_frame
from backend.worker.image_files import write_png
from backend.worker.report import Report

from .tiny_propainter import (
    HOLE,
    SIZE,
    make_shot,
    save_networks,
    still_networks,
    tiny_networks,
)

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")
QUICK = InpaintSettings(scale=1.0, refine_iterations=1, flow_frames=4)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return save_networks(tmp_path_factory.mktemp("propainter") / "weights")


@pytest.fixture
def engine() -> ProPainter:
    return ProPainter(tiny_networks(), QUICK, torch.device("cpu"))


def loaded(weights: Path, device: str = "cpu") -> ProPainter:
    where = torch.device(device)
    return ProPainter(Networks.load(weights, QUICK.refine_iterations, where), QUICK, where)


def test_weights_are_read_as_they_are_published(weights: Path, tmp_path: Path) -> None:
    files, masks = make_shot(tmp_path, 2)
    found = [dict(loaded(weights).fill(files, masks, SIZE)) for _again in range(2)]
    for number in files:
        np.testing.assert_array_equal(found[0][number], found[1][number])


def test_only_what_is_masked_is_made_up(engine: ProPainter, tmp_path: Path) -> None:
    files, masks = make_shot(tmp_path, 3)
    found = list(engine.fill(files, masks, SIZE))
    assert [number for number, _picture in found] == list(files)
    for number, picture in found:
        plate = read_colors(files[number])
        assert plate is not None
        assert picture.dtype == np.uint8
        assert picture.shape == plate.shape
        off = np.abs(picture.astype(int) - plate).max(axis=2)
        assert off[HOLE].mean() > 5
        off[36:84, 56:114] = 0
        assert off.max() == 0, "its own frame, where nothing is to be filled"


def test_a_plate_of_16_bits_is_as_one_of_8(engine: ProPainter, tmp_path: Path) -> None:
    files, masks = make_shot(tmp_path, 2)
    eight = [picture for _number, picture in engine.fill(files, masks, SIZE)]
    for file in files.values():
        pixels = read_frame(file)
        assert pixels is not None
        write_png(file, pixels.astype(np.uint16) * 257)
    deep = [picture for _number, picture in engine.fill(files, masks, SIZE)]
    np.testing.assert_array_equal(deep, eight)


def test_frames_have_the_plates_size(engine: ProPainter, tmp_path: Path) -> None:
    size = (304, 240)
    engine._settings = InpaintSettings(0.5, 1, 4)
    files, masks = make_shot(tmp_path, 2, size)
    found = dict(engine.fill(files, masks, size))
    assert {picture.shape for picture in found.values()} == {(240, 304, 3)}
    plate = read_colors(files[1001])
    assert plate is not None
    assert np.abs(found[1001].astype(int) - plate)[120:, 150:].mean() < 12, "softer, in its place"


@pytest.mark.parametrize(
    ("plate", "scale", "inner"),
    [
        ((1920, 1080), 0.5, (960, 544)),
        ((1920, 1080), 1.0, (1920, 1080)),
        ((4096, 1716), 0.1, (408, 168)),
        ((1920, 1080), 0.1, (224, 128)),
        ((100, 64), 0.5, (200, 128)),
    ],
)
def test_sizes_are_what_the_networks_can_do(
    plate: tuple[int, int], scale: float, inner: tuple[int, int]
) -> None:
    assert inner_size(plate, scale) == inner
    assert min(inner) >= 128


def test_settings_do_what_they_say(weights: Path, tmp_path: Path) -> None:
    assert Networks.load(weights, 5, torch.device("cpu")).flow.iters == 5
    files, masks = make_shot(tmp_path, 4)
    networks = tiny_networks(3)
    engine = ProPainter(networks, InpaintSettings(1.0, 3, 2), torch.device("cpu"))
    refined, carried = list[int](), list[int]()
    networks.flow.update_block.register_forward_hook(lambda *_: refined.append(1))

    def paint(_module: Any, _arguments: Any, named: dict[str, Any]) -> None:
        carried.append(named["num_local_frames"])

    networks.painter.register_forward_pre_hook(paint, with_kwargs=True)
    list(engine.fill(files, masks, SIZE))
    # All pairs of frames at one time, both ways.
    assert len(refined) == 2 * 3
    # One frame to each side, where there is one.
    assert carried == [2, 3, 3, 2]


@pytest.mark.parametrize("count", [1, 10, 11])
def test_each_frame_is_made_once(tmp_path: Path, count: int) -> None:
    engine = ProPainter(still_networks(), QUICK, torch.device("cpu"))
    files, masks = make_shot(tmp_path, count + 1)
    assert [number for number, _picture in engine.fill(files, masks, SIZE)] == list(files)


@pytest.mark.parametrize("flow_frames", [2, 20, 60])
def test_memory_does_not_grow_with_the_shot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flow_frames: int
) -> None:
    """Frames are read as late as can be, and given up as soon as nothing asks for them."""
    kept = list[int]()
    made = propainter._Chain.made

    def watched(self: Any, start: int, end: int) -> torch.Tensor:
        found = made(self, start, end)
        parts = (self._frames, self._holes, self._flows, self._completed, self._carried)
        kept.append(max(len(part.buffer) for part in parts))
        return found

    monkeypatch.setattr(propainter._Chain, "made", watched)
    files, masks = make_shot(tmp_path, 330)
    settings = InpaintSettings(1.0, 1, flow_frames)
    engine = ProPainter(still_networks(), settings, torch.device("cpu"))
    for (number, picture), file in zip(
        engine.fill(files, masks, SIZE), files.values(), strict=True
    ):
        plate = read_colors(file)
        assert plate is not None
        np.testing.assert_array_equal(picture[90:], plate[90:], f"{number}")
    # Each of three steps looks ahead of the one behind it by up to a window of 80.
    assert max(kept) < 3 * 80 + 20


def test_out_of_memory_says_what_to_lower(engine: ProPainter, tmp_path: Path) -> None:
    def full(_module: Any, _arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    engine._networks.flow.register_forward_pre_hook(full)
    files, masks = make_shot(tmp_path, 2)
    with pytest.raises(ModelError, match="at 160 x 128: lower its Internal Scale"):
        next(engine.fill(files, masks, SIZE))


def test_what_is_missing_is_told(engine: ProPainter, tmp_path: Path) -> None:
    files, masks = make_shot(tmp_path, 2)
    with pytest.raises(PlateError, match="two frames or more"):
        next(engine.fill({1001: files[1001]}, masks, SIZE))
    with pytest.raises(PlateError, match="mask for each frame: 1002 has none"):
        next(engine.fill(files, {1001: masks[1001]}, SIZE))
    files[1002].write_bytes(b"damaged")
    with pytest.raises(PlateError, match=r"frame_1002\.png is missing or damaged"):
        next(engine.fill(files, masks, SIZE))


def test_the_engine_is_made_of_the_stages_options(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    store = ModelStore(tmp_path / "home")
    store.choose("propainter", weights)
    options = CleanPlateOptions(scale=0.25, refine_iterations=3, flow_frames=6)
    report = Report(EventWriter(tmp_path / "events.jsonl"), tmp_path / "cancel")
    found = inpainter(options, store, Shot(tmp_path / "shot"), report)
    assert isinstance(found, ProPainter)
    assert found._settings == InpaintSettings(0.25, 3, 6)
    assert found._networks.flow.iters == 3


@pytest.mark.parametrize("content", [None, b"damaged", {"other": torch.ones(1)}])
def test_other_weights_are_refused(weights: Path, tmp_path: Path, content: Any) -> None:
    for file in weights.iterdir():
        (tmp_path / file.name).symlink_to(file)
    own = tmp_path / "propainter_rfc-0000-00000000.pth"
    own.unlink()
    if isinstance(content, bytes):
        own.write_bytes(content)
    elif content:
        torch.save(content, own)
    with pytest.raises(ModelError, match="are not those of this model") as caught:
        Networks.load(tmp_path, 1, torch.device("cpu"))
    assert caught.value.remedy is Remedy.GET_MODEL


@on_cuda
def test_a_gpu_makes_the_same(weights: Path, tmp_path: Path) -> None:
    files, masks = make_shot(tmp_path, 4)
    cpu, gpu = loaded(weights), loaded(weights, "cuda")
    for (_number, one), (_other, two) in zip(
        cpu.fill(files, masks, SIZE), gpu.fill(files, masks, SIZE), strict=True
    ):
        assert np.abs(one.astype(int) - two).mean() < 1


@on_cuda
def test_half_of_full_hd_fits_into_20_gigabytes(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As long a shot as fills every window, with the usual settings."""
    settings = InpaintSettings(0.5, 16, 20)
    where = torch.device("cuda")
    engine = ProPainter(Networks.load(weights, 16, where), settings, where)
    size = (1920, 1080)
    files, masks = make_shot(tmp_path, 120, size)
    torch.cuda.reset_peak_memory_stats()
    began = time.monotonic()
    assert len(list(engine.fill(files, masks, size))) == 120
    seconds, peak = time.monotonic() - began, torch.cuda.max_memory_allocated() / 2**30
    with capsys.disabled():
        print(f"\nProPainter at 960 x 544: {seconds / 120:.2f} s a frame, {peak:.1f} GiB")
    assert peak < 20


# Deformable convolution, where torchvision has none


def test_taps_that_stay_make_a_plain_convolution() -> None:
    generator = torch.Generator().manual_seed(1)
    picture = torch.randn(2, 4, 9, 7, generator=generator)
    weight, bias = torch.randn(6, 4, 3, 3, generator=generator), torch.randn(6, generator=generator)
    for stride, padding, dilation in ((1, 1, 1), (2, 0, 1), (1, 2, 2)):
        expected = functional.conv2d(picture, weight, bias, stride, padding, dilation)
        offset = torch.zeros(2, 2 * 2 * 9, *expected.shape[2:])
        found = deform_conv2d(
            picture, offset, weight, bias, (stride,) * 2, (padding,) * 2, (dilation,) * 2
        )
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_each_tap_goes_where_its_offset_says() -> None:
    """Of two groups of channels the second looks one down and half a pixel to the right."""
    picture = torch.arange(2 * 5 * 6, dtype=torch.float32).view(1, 2, 5, 6)
    weight = torch.zeros(2, 2, 3, 3)
    weight[0, 0, 1, 1] = weight[1, 1, 0, 2] = 1
    offset = torch.zeros(1, 2, 9, 2, 5, 6)
    offset[:, 1, :, 0], offset[:, 1, :, 1] = 1, 0.5
    mask = torch.ones(1, 2, 9, 5, 6)
    mask[:, 1] = 0.5
    found = deform_conv2d(
        picture, offset.view(1, -1, 5, 6), weight, padding=(1, 1), mask=mask.view(1, -1, 5, 6)
    )[0]
    torch.testing.assert_close(found[0], picture[0, 0])
    # The tap above to the right, then down and on: beside its own pixel by one and a half.
    beside = (picture[0, 1][:, 1:] + functional.pad(picture[0, 1][:, 2:], (0, 1))) / 2
    torch.testing.assert_close(found[1][:, :-1], beside / 2)


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torchvision has operations of its own with CUDA's build"
)
def test_it_is_what_torchvision_does() -> None:
    from torchvision.ops import deform_conv2d as of_torchvision

    generator = torch.Generator().manual_seed(3)
    picture, weight = (torch.randn(*shape, generator=generator).cuda()
                       for shape in ((2, 32, 20, 24), (8, 32, 3, 3)))  # fmt: skip
    offset = 4 * torch.randn(2, 2 * 16 * 9, 20, 24, generator=generator).cuda()
    mask = torch.rand(2, 16 * 9, 20, 24, generator=generator).cuda()
    expected = of_torchvision(picture, offset, weight, padding=(1, 1), mask=mask)
    found = deform_conv2d(picture, offset, weight, padding=(1, 1), mask=mask)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
