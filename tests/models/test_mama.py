# SPDX-License-Identifier: GPL-3.0-or-later
"""Mattes: each under its own frame number, whatever the device has room for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import MaskError, ModelError
from backend.mask_folders import Edit
from backend.models import ModelStore
from backend.shot import Shot
from backend.worker.engines.chunks import Chunks, refined
from backend.worker.engines.matting import Fit, Seen
from backend.worker.engines.room import OutOfRoomError
from backend.worker.matte_detail import at_plate_size
from tests.backend.mask_shots import SIZE, levels, read_masks, write_masks

from .tiny_videomama import (
    make_shot,
    run_mama,
    square_masks,
    tiny_engine,
    tiny_networks,
)

FRAMES = tuple(range(1001, 1015))


class Told:
    """An engine whose mattes are as bright as it is told; remembers the chunks."""

    name = "told"

    def __init__(self, tell: Any, room: int = 4) -> None:
        self.tell, self.chunks, self._room = tell, list[list[int]](), room

    def fit(self, plate: tuple[int, int]) -> Fit:
        return Fit.of(plate, plate[0] * plate[1], 8)

    def room(self) -> int:
        return self._room

    def refine(self, frames: Sequence[Seen]) -> list[np.ndarray]:
        numbers = [seen.frame for seen in frames]
        self.chunks.append(numbers)
        shape = frames[0].mask.shape
        return [
            np.full(shape, self.tell(number, len(self.chunks)), np.float32) for number in numbers
        ]


def by_number(number: int, _chunk: int) -> float:
    return (number % 100) / 100


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    """One instance, seen in 12 of 14 frames, with a gap."""
    seen = [number for number in FRAMES if number not in (1001, 1009)]
    return make_shot(tmp_path / "shot", FRAMES, {"actor_00": square_masks(seen, FRAMES)})


def test_every_matte_has_its_own_frame_and_unseen_frames_are_black(shot: Shot) -> None:
    (shot.roto / "actor_00" / "frame_1014.png").unlink()
    engine = Told(by_number)
    run_mama(shot, engine, overlap=1)
    unseen = {1001, 1009, 1014}
    expected = {n: 0 if n in unseen else round(by_number(n, 0) * 255) for n in FRAMES}
    assert levels(shot.mattes / "actor_00") == expected
    assert levels(shot.combined) == expected
    asked = {number for chunk in engine.chunks for number in chunk}
    assert asked == set(FRAMES) - unseen
    assert all(1009 not in range(chunk[0], chunk[-1] + 1) for chunk in engine.chunks)


def test_chunks_fade_into_each_other(tmp_path: Path) -> None:
    shot = make_shot(
        tmp_path / "shot", range(1, 8), {"a_00": square_masks(range(1, 8), range(1, 8))}
    )
    run_mama(shot, Told(lambda _number, chunk: 0.8 if chunk == 2 else 0.2, room=6), overlap=3)
    found = levels(shot.mattes / "a_00")
    assert found == {1: 51, 2: 51, 3: 89, 4: 128, 5: 166, 6: 204, 7: 204}


def out_of_memory_at(calls: set[int]) -> Any:
    count = 0

    def hook(_module: Any, _arguments: Any) -> None:
        nonlocal count
        count += 1
        if count in calls:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    return hook


def test_out_of_memory_halves_the_chunk_and_shifts_nothing(shot: Shot, tmp_path: Path) -> None:
    calm = make_shot(tmp_path / "calm", FRAMES, {"actor_00": square_masks(FRAMES, FRAMES)})
    write_masks(shot.roto / "actor_00", square_masks(FRAMES, FRAMES))
    run_mama(calm, tiny_engine(), chunk=6)
    events = run_mama(shot, tiny_engine(out_of_memory_at({2})), chunk=6)
    assert any("3 frames at a time" in str(event.get("text")) for event in events)
    right, found = read_masks(calm.mattes / "actor_00"), read_masks(shot.mattes / "actor_00")
    assert list(found) == list(FRAMES)
    assert (found[1001] == right[1001]).all()
    for number, matte in found.items():
        off = {other: np.abs(matte - right[other].astype(int)).mean() for other in FRAMES}
        assert min(off, key=off.__getitem__) == number


def test_without_room_for_one_frame_the_old_mattes_stay(shot: Shot) -> None:
    run_mama(shot, Told(by_number))
    before = levels(shot.mattes / "actor_00")
    with pytest.raises(ModelError, match="no room for even one frame"):
        run_mama(shot, tiny_engine(out_of_memory_at(set(range(99)))), chunk=6)
    assert levels(shot.mattes / "actor_00") == before
    assert not shot.output("matte.part").exists()


def test_mattes_of_others_stay(shot: Shot) -> None:
    own = {number: np.full(SIZE[::-1], 90, np.uint8) for number in FRAMES}
    write_masks(shot.mattes / "sky", own)
    write_masks(shot.roto / "car_00", square_masks(FRAMES, FRAMES))
    run_mama(shot, Told(lambda *_: 1.0))
    assert set(levels(shot.mattes / "sky").values()) == {90}
    Edit("edit").save(shot.mattes / "actor_00")
    for _again in range(2):
        events = run_mama(shot, Told(lambda *_: 0.2))
        assert any("matte/actor_00 was made or edited" in str(e.get("text")) for e in events)
        assert levels(shot.mattes / "actor_00")[1002] == 255
        assert levels(shot.mattes / "car_00")[1002] == 51
        assert levels(shot.combined) == {n: 90 if n in (1001, 1009) else 255 for n in FRAMES}
    (shot.mattes / "actor_00" / "edit.json").unlink()
    run_mama(shot, Told(lambda *_: 0.2))
    assert levels(shot.mattes / "actor_00")[1002] == 51


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    frames = range(1, 21)
    shot = make_shot(tmp_path / "shot", frames, {"a_00": square_masks(frames, frames)})

    def killed(number: int, chunk: int) -> float:
        if chunk == 3:
            raise KeyboardInterrupt
        return by_number(number, chunk)

    engine = Told(killed, room=6)
    with pytest.raises(KeyboardInterrupt):
        run_mama(shot, engine, overlap=2)
    there = max(read_masks(shot.output("matte.part") / "a_00"))
    again = Told(by_number, room=6)
    run_mama(shot, again, overlap=2)
    assert again.chunks[0][0] == there - 1
    expected = {number: round(by_number(number, 0) * 255) for number in frames}
    assert levels(shot.mattes / "a_00") == expected


def test_wrong_masks_and_none_are_told(shot: Shot) -> None:
    write_masks(shot.roto / "actor_00", {1003: np.zeros((9, 9), np.uint8)})
    with pytest.raises(MaskError, match=r"frame_1003\.png is 9 x 9 but the plate is 48 x 32"):
        run_mama(shot, Told(by_number))
    (shot.roto / "actor_00" / "frame_1003.png").unlink()
    write_masks(shot.mattes / "sky", {1004: np.zeros((9, 9), np.uint8)})
    engine = Told(by_number)
    with pytest.raises(MaskError, match=r"sky/frame_1004\.png is 9 x 9"):
        run_mama(shot, engine)
    assert engine.chunks == []
    (shot.roto / "actor_00").rename(shot.roto / "actor")
    with pytest.raises(MaskError, match="no masks to refine"):
        run_mama(shot, Told(by_number))


# The engine


def seen_frames(engine: Any, numbers: Sequence[int]) -> list[Seen]:
    width, height = engine.fit(SIZE).size
    pictures = np.random.default_rng(1).integers(0, 255, (99, height, width, 3), np.uint8)
    return [Seen(n, pictures[n], pictures[n, ..., 0] > 99) for n in numbers]


def test_the_same_frame_has_the_same_noise_in_every_chunk() -> None:
    heard: list[torch.Tensor] = []
    engine = tiny_engine(lambda _module, arguments: heard.append(arguments[0].clone()))
    engine.refine(seen_frames(engine, [3, 4, 5]))
    first = engine.refine(seen_frames(engine, [5, 6]))
    again = engine.refine(seen_frames(engine, [5, 6]))
    assert heard[0].shape == (1, 3, 12, 4, 6)
    # Noise, plate and mask of frame 5 are the same in both.
    assert torch.allclose(heard[0][0, 2], heard[1][0, 0], atol=1e-5)
    assert torch.equal(heard[0][0, 2, :4], heard[1][0, 0, :4])
    assert not torch.equal(heard[1][0, 0, :4], heard[1][0, 1, :4])
    assert abs(float(heard[0][0, :, :4].std()) - 1) < 0.15
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_noise_plate_and_mask_have_their_channels() -> None:
    """As the weights were trained: four each, the plate's and the mask's as they are encoded."""
    heard: list[torch.Tensor] = []
    engine = tiny_engine(lambda _module, arguments: heard.append(arguments[0].clone()))
    (seen,) = seen_frames(engine, [1])
    engine.refine([seen])
    picture = torch.from_numpy(seen.image).permute(2, 0, 1)[None] / 127.5 - 1
    mask = torch.from_numpy(seen.mask * 2.0 - 1).float()[None, None].repeat(1, 3, 1, 1)
    with torch.inference_mode():
        wanted = [engine._vae.encode(each).latent_dist.mean for each in (picture, mask)]
    assert torch.allclose(heard[0][0, :, 4:8], wanted[0], atol=1e-5)
    assert torch.allclose(heard[0][0, :, 8:], wanted[1], atol=1e-5)


def test_the_recipe_is_one_step_with_its_conditions() -> None:
    heard: dict[str, Any] = {}
    engine = tiny_engine()
    hook = lambda _module, arguments, named: heard.update(named, step=arguments[1])  # noqa: E731
    engine._unet.register_forward_pre_hook(hook, with_kwargs=True)
    engine.refine(seen_frames(engine, [1]))
    assert heard["step"].tolist() == [1]
    assert heard["added_time_ids"].tolist() == [[7.0, 127.0, 0.0]]
    assert heard["encoder_hidden_states"].shape == (1, 1, 16)
    assert not heard["encoder_hidden_states"].any()


def test_decoding_in_parts_gives_every_frame() -> None:
    engine = tiny_engine()
    assert len(engine.refine(seen_frames(engine, list(range(11))))) == 11


def test_half_precision_has_a_whole_encoder() -> None:
    from backend.worker.engines.videomama import VideoMama

    unet, vae = tiny_networks()
    VideoMama(unet.half(), vae.half(), torch.device("cpu"), 1)
    kinds = {name: next(getattr(vae, name).parameters()).dtype for name in ("encoder", "decoder")}
    assert kinds == {"encoder": torch.float32, "decoder": torch.float16}


def test_other_errors_are_no_lack_of_memory() -> None:
    def broken(_module: Any, _arguments: Any) -> None:
        raise RuntimeError("something else")

    engine = tiny_engine(broken)
    with pytest.raises(RuntimeError, match="something else"):
        engine.refine(seen_frames(engine, [1]))


def test_what_is_free_decides_how_much_is_done_at_one_time() -> None:
    from backend.worker.engines.videomama import PIXELS, PLANS, plan_for

    def frames(gib: float, pixels: int = PIXELS) -> int:
        return plan_for(int(gib * 2**30), pixels).frames

    cards = {3: 1, 7.4: 8, 11.3: 10, 15.2: 12, 23: 14, 31: 16}
    assert {free: frames(free) for free in cards} == cards
    assert frames(23, 2 * PIXELS) == frames(11.5)
    for plan in PLANS[:-1]:
        weights = (2.9, 0.2) if plan.in_turn else (3.1, 3.1)
        refining, decoding = 0.16 * plan.frames + weights[0], 1.1 * plan.decoded + weights[1]
        assert max(refining, decoding, 3.4 + weights[1]) < plan.free


def test_out_of_memory_makes_all_parts_smaller() -> None:
    from backend.worker.engines.videomama import Plan

    assert Plan(28.0, 16, 8, False).smaller() == Plan(28.0, 16, 4, True)
    assert Plan(0.0, 1, 1, True).smaller() == Plan(0.0, 1, 1, True)


def test_weights_are_loaded_from_the_store_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.worker.stages.mama import load_engine

    monkeypatch.setenv("SHOT_GOPHER_HOME", str(tmp_path / "home"))
    with pytest.raises(ModelError, match="VideoMaMa"):
        load_engine(42)
    store = ModelStore(tmp_path / "home")
    for name, network in zip(("videomama", "svd-vae"), tiny_networks(), strict=True):
        network.save_pretrained(tmp_path / name)
        store.choose(name, tmp_path / name)
    loaded, made = load_engine(42), tiny_engine()
    loaded._pixels = made._pixels
    both = [each.refine(seen_frames(made, [1, 2])) for each in (loaded, made)]
    assert np.allclose(both[0], both[1], atol=1e-5)
    store.choose("videomama", tmp_path / "svd-vae")
    with pytest.raises(ModelError):
        load_engine(42)


# Sizes, chunks, detail


@given(st.integers(90, 5000), st.integers(90, 5000), st.sampled_from([8, 64]))
def test_a_plate_keeps_its_aspect(width: int, height: int, multiple: int) -> None:
    fit = Fit.of((width, height), 1024 * 576, multiple)
    assert all(length % multiple == 0 for length in fit.size)
    assert all(0 <= a - b < multiple for a, b in zip(fit.size, fit.inner, strict=True))
    assert abs(fit.inner[0] * height / width - fit.inner[1]) <= 0.5 + 0.5 * height / width
    assert fit.inner[0] * fit.inner[1] == pytest.approx(1024 * 576, rel=0.02)


def test_a_plate_of_the_trained_aspect_has_the_trained_size() -> None:
    assert Fit.of((1920, 1080), 1024 * 576, 8).size == (1024, 576)


def test_what_goes_into_a_fit_comes_out_of_it() -> None:
    fit = Fit.of((50, 37), 50 * 37, 8)
    image = np.random.default_rng(2).integers(0, 255, (37, 50), np.uint8)
    whole = fit.into(image)
    assert whole.shape == (40, 56)
    assert (fit.out_of(whole) == image).all()
    assert (whole[:, 50:] == whole[:, 49:50]).all()


@settings(deadline=None)
@given(
    st.integers(1, 80), st.integers(1, 20), st.integers(0, 8), st.integers(0, 80),
    st.sets(st.integers(1, 12)),
)  # fmt: skip
def test_every_frame_is_refined_whatever_the_chunks(
    count: int, most: int, overlap: int, done: int, failing: set[int]
) -> None:
    """Frames come in order, each new one with a share of 1, and fade from what is there."""
    frames, calls = list(range(100, 100 + count)), 0
    done = min(done, count)
    chunks = Chunks(most, overlap)

    def work(piece: Sequence[int]) -> Any:
        nonlocal calls
        calls += 1
        assert len(piece) <= chunks.most
        if calls in failing and chunks.most > 1:
            raise OutOfRoomError
        return list(piece)

    written = frames[:done]
    for part in refined(frames, done, chunks, work):
        for number, alpha, share in part:
            assert number == alpha
            assert (share < 1) == (number in written)
        shares = [share for _number, _alpha, share in part]
        assert shares == sorted(shares)
        written += [number for number, _alpha, share in part if share == 1]
    assert written == frames


def test_chunks_of_a_stretch_are_about_as_long() -> None:
    lengths: list[int] = []

    def work(piece: Sequence[int]) -> Any:
        lengths.append(len(piece))
        return piece

    assert sum(1 for _ in refined(range(16), 0, Chunks(14, 3), work)) == 2
    assert lengths == [10, 9]


def test_detail_of_the_plate_sharpens_edges_and_nothing_else() -> None:
    rows, columns = np.mgrid[:240, :320]
    truth = np.clip(8.3 - np.hypot(rows - 120, (columns % 40) - 20) + 0.5, 0, 1)
    plate = np.repeat((60 + 120 * truth[..., None]), 3, axis=2).astype(np.uint8)
    small = truth.reshape(120, 2, 160, 2).mean(axis=(1, 3)).astype(np.float32)
    flat = np.full_like(plate, 128)
    sharp, soft = (at_plate_size(small, each) / 255.0 for each in (plate, flat))
    assert np.abs(sharp - truth).sum() < 0.5 * np.abs(soft - truth).sum()
    grain = np.random.default_rng(1).integers(0, 255, plate.shape, np.uint8)
    for level in (0.0, 0.4, 1.0):
        assert (at_plate_size(np.full_like(small, level), grain) == round(level * 255)).all()
