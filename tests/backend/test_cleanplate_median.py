# SPDX-License-Identifier: GPL-3.0-or-later
"""The median, and what it takes: samples on the disk, gains, grain, whether the plate stands."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.errors import OutputError, PlateError
from backend.worker.cleanplate import samples as samples_module
from backend.worker.cleanplate.around import fill_around
from backend.worker.cleanplate.compositing import composite, transparent
from backend.worker.cleanplate.exposure_gains import SteadyPixels, gains
from backend.worker.cleanplate.grain import GrainMeasure
from backend.worker.cleanplate.masked_median import masked_median
from backend.worker.cleanplate.median import donors
from backend.worker.cleanplate.plate_frames import PlateFrames
from backend.worker.cleanplate.samples import Layout, Samples
from backend.worker.cleanplate.stillness import stands_still
from tests.backend.clean_shots import HEIGHT, WIDTH, background, make_shot


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("frames", [1, 2, 5, 30, 300])
@pytest.mark.parametrize("span", ["all", "dark", "bright", "narrow"])
def test_the_median_is_numpys_of_what_is_known(kind: type, frames: int, span: str) -> None:
    random, top = np.random.default_rng(frames), np.iinfo(kind).max
    ranges = {"all": (0, top), "dark": (0, 4), "bright": (top - 3, top), "narrow": (97, 113)}
    low, high = ranges[span]
    values = random.integers(low, high + 1, (frames, 600)).astype(kind)
    values[:, :20] = top
    values[:, 20:40] = 5
    known = random.random((frames, 600)) < 0.5
    wanted = np.zeros(600, np.float32)
    for pixel in np.flatnonzero(known.any(axis=0)):
        wanted[pixel] = np.median(values[known[:, pixel], pixel])
    values[~known] = top
    assert np.array_equal(masked_median(values, known.sum(axis=0, dtype=np.int32)), wanted)


@pytest.mark.parametrize("memory", [0, 2**30])
def test_samples_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    monkeypatch.setattr(samples_module, "_BYTES", 150000)
    monkeypatch.setattr(samples_module, "_IN_MEMORY", memory)
    random = np.random.default_rng(1)
    covered = np.zeros((90, 900), bool)
    covered[33:57, 270:280] = covered[60, 700] = True
    layout = Layout(7, covered, 3, np.dtype(np.uint16))
    pictures = random.integers(0, 65536, (7, *covered[layout.part].shape, 3)).astype(np.uint16)
    stored = Samples(layout, tmp_path)
    for number in (3, 0, 6, 1, 5, 2, 4):
        stored.put(number, pictures[number])
    assert len(layout.blocks) > 3
    reached = np.zeros_like(covered)
    for place, block in enumerate(layout.blocks):
        rows, columns = layout.inside(place)
        assert np.array_equal(stored.block(place), pictures[:, rows, columns])
        assert np.array_equal(stored.one(place, 4), pictures[4, rows, columns])
        assert np.array_equal(covered[layout.part][rows, columns], covered[block])
        reached[block] = True
    assert reached[covered].all()
    assert reached.mean() < 0.5, "blocks that no mask touches are left out"
    stored.close()


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    layout = Layout(10**8, np.ones((1000, 1000), bool), 3, np.dtype(np.uint8))
    with pytest.raises(OutputError, match=r"takes \d+\.\d GB while it is made, and"):
        Samples(layout, tmp_path)
    assert not list(tmp_path.iterdir())


def test_memory_does_not_grow_with_the_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples_module, "_BYTES", 2**19)
    monkeypatch.setattr(samples_module, "_IN_MEMORY", 0)

    def peak(frames: int) -> int:
        covered = np.ones((100, 256), bool)
        layout = Layout(frames, covered, 3, np.dtype(np.uint8))
        picture = np.zeros((100, 256, 3), np.uint8)
        tracemalloc.start()
        stored = Samples(layout, tmp_path)
        for number in range(frames):
            stored.put(number, picture)
        for place in range(len(layout.blocks)):
            block = stored.block(place).reshape(frames, -1)
            masked_median(block, np.full(block.shape[1], frames, np.int32))
        stored.close()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(40), peak(400)
    assert many < 1.5 * few


def test_frames_are_kept_as_far_as_memory_goes(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", count=4)
    files = {number: shot.frame_file(number) for number in shot.load_plate().frames}
    frames = PlateFrames(files, (WIDTH, HEIGHT), most=3 * WIDTH * HEIGHT * 3, worked_on=1)
    read = {number: frames.read(number) for number in files}
    assert [frames.read(number) is read[number] for number in files] == [True, True, False, False]
    assert [read[number].flags.writeable for number in files] == [False, False, True, True]
    taken = frames.take(1001)
    assert taken.flags.writeable
    assert np.array_equal(taken, read[1001])
    assert frames.read(1001) is not taken, "what is taken may be changed"
    shot.frame_file(1003).write_bytes(b"")
    with pytest.raises(PlateError, match="frame_1003"):
        frames.read(1003)


def test_gains_are_those_of_the_exposure_whatever_moves() -> None:
    random = np.random.default_rng(2)
    before = random.uniform(20, 180, (8000, 3)).astype(np.float32)
    after = before * [1.25, 0.8, 1.0] + random.normal(0, 2, before.shape)
    after[:2000] = random.uniform(0, 255, (2000, 3))
    found = gains(np.rint(np.clip(after, 0, 255)).astype(np.float32), before, 255)
    assert np.abs(found / [1.25, 0.8, 1.0] - 1).max() < 0.002
    assert np.array_equal(gains(before, before, 255), np.ones(3, np.float32))


def test_steady_pixels_are_never_masked() -> None:
    covered = np.zeros((200, 300), bool)
    covered[:, 100:] = True
    places = SteadyPixels.outside(covered).places
    assert len(places) > 1000
    assert not covered.ravel()[places].any()


def test_grain_is_measured_by_brightness() -> None:
    random = np.random.default_rng(3)
    truth = random.uniform(10, 245, (60000, 1))

    def noisy() -> np.ndarray:
        sigma = np.where(truth < 128, 1.0, 4.0)
        return np.rint(truth + sigma * random.standard_normal(truth.shape)).astype(np.float32)

    measure = GrainMeasure(noisy(), 255)
    for _ in range(9):
        seen = noisy()
        seen[:9000] = random.uniform(0, 255, (9000, 1))
        measure.add(seen)
    dark, bright = measure.grain().at(np.array([[60.0], [200.0]], np.float32)).ravel()
    assert dark == pytest.approx(1.0, rel=0.2)
    assert bright == pytest.approx(4.0, rel=0.2)


def test_a_plate_without_noise_has_no_grain() -> None:
    still = np.random.default_rng(4).integers(0, 256, (9000, 3)).astype(np.float32)
    measure = GrainMeasure(still, 255)
    measure.add(still)
    assert measure.grain().is_none


def test_every_frame_has_grain_of_others() -> None:
    for count in (1, 2, 3, 12, 300):
        chosen = [donors(place, count) for place in range(count)]
        assert all(place not in those for place, those in enumerate(chosen))
        for turn in zip(*chosen, strict=True):
            assert sorted(turn) == list(range(count)), "no two frames share one"
    assert len(donors(0, 300)) == 8
    assert donors(0, 1) == []


def _frames(change: Callable[[int, np.ndarray], np.ndarray]) -> Callable[[int], np.ndarray]:
    still = cv2.resize(background(), (640, 360), interpolation=cv2.INTER_CUBIC)

    def read(number: int) -> np.ndarray:
        random = np.random.default_rng(number)
        picture = change(number, still) + random.normal(0, 2, still.shape)
        return np.rint(np.clip(picture, 0, 255)).astype(np.uint8)

    return read


def _moved(picture: np.ndarray, pixels: float) -> np.ndarray:
    matrix = np.float32([[1, 0, pixels], [0, 1, 0]])
    return cv2.warpAffine(picture, matrix, (640, 360), borderMode=cv2.BORDER_REFLECT)


def _turned(picture: np.ndarray, degrees: float, scale: float) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((320, 180), degrees, scale)
    return cv2.warpAffine(picture, matrix, (640, 360), borderMode=cv2.BORDER_REFLECT)


def _unmasked(_number: int) -> np.ndarray:
    return np.zeros((360, 640), np.uint8)


@pytest.mark.parametrize(
    ("change", "still"),
    [
        (lambda _number, picture: picture, True),
        (lambda number, picture: picture * (1 + 0.01 * number), True),
        (lambda number, picture: _moved(picture, 0.06 * number), False),
        (lambda number, picture: _moved(picture, 3.0 * number), False),
        (lambda number, picture: np.roll(picture, 40 * number, axis=0), False),
        (lambda number, picture: _turned(picture, 0.05 * number, 1), False),
        (lambda number, picture: _turned(picture, 0, 1 + 0.001 * number), False),
    ],
    ids=["still", "brighter", "drifts", "pans", "tilts", "rolls", "zooms"],
)
def test_whether_the_plate_stands_still(
    change: Callable[[int, np.ndarray], np.ndarray], still: bool
) -> None:
    assert stands_still(range(1, 25), _frames(change), _unmasked) is still


def test_what_is_masked_may_move() -> None:
    def crossed(number: int, picture: np.ndarray) -> np.ndarray:
        moved = picture.copy()
        moved[:, 100:500] = np.roll(picture, 11 * number, axis=0)[:, 100:500]
        return moved

    mask = _unmasked(0)
    mask[:, 100:500] = 255
    assert stands_still(range(1, 25), _frames(crossed), lambda _number: mask)
    assert not stands_still(range(1, 25), _frames(crossed), _unmasked)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_mix_is_rounded_and_nothing_else_changes(kind: type) -> None:
    random, top = np.random.default_rng(5), np.iinfo(kind).max
    frame = random.integers(0, top + 1, (9, 11, 3)).astype(kind)
    mask = random.choice([0, 0, 1, 128, 255], (9, 11)).astype(np.uint8)
    colors = random.uniform(-50, top + 50, (int((mask > 0).sum()), 3)).astype(np.float32)
    made = composite(frame, mask, colors)
    share = mask[mask > 0][:, None] / 255
    wanted = np.rint(np.clip(frame[mask > 0] * (1 - share) + colors * share, 0, top))
    assert np.abs(made[mask > 0] - wanted).max() <= (1 if kind is np.uint16 else 0)
    assert np.array_equal(made[mask == 0], frame[mask == 0])


def test_what_is_left_transparent() -> None:
    frame = np.full((2, 4, 3), 200, np.uint8)
    mask = np.array([[0, 255, 128, 255]] * 2, np.uint8)
    made = transparent(frame, mask, np.array([[False, True, True, False]] * 2))
    assert made[0, :, 3].tolist() == [255, 0, 127, 255]
    assert made[0, :, 0].tolist() == [200, 0, 200, 200]


def test_holes_take_the_colors_around_them() -> None:
    rows, across = np.mgrid[:90, :160].astype(np.float32)
    picture = np.stack([40 + across, 60 + rows, np.full_like(rows, 90)], axis=2).astype(np.uint8)
    holes = np.zeros((90, 160), bool)
    holes[30:61, 50:97] = True
    spoiled = picture.copy()
    spoiled[holes] = (255, 0, 255)
    found = fill_around(spoiled, holes)
    off = np.abs(found - picture[holes])
    assert off[:, 2].max() < 0.01
    assert off.max() < 12
    assert off.mean() < 3
    assert fill_around(picture, np.ones((90, 160), bool)).max() == 0
    assert fill_around(picture[:, :, 0], holes).shape == (holes.sum(), 1)
