# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits of masks against shapes whose answer is known, and where each frame goes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import environment
from backend.cli import main
from backend.errors import MaskError, UsageError
from backend.host import Host
from backend.jobs import shot_lock_name
from backend.locations import locks_folder
from backend.mask_edits import (
    EditOptions,
    MaskJob,
    combine_job,
    edit_job,
    import_job,
    restore_job,
)
from backend.mask_folders import find_mask_folders, mask_folder
from backend.options import from_mapping
from backend.processes import FileLock
from backend.shot import Shot, label_folders
from backend.worker import mask_edits, mask_shapes
from backend.worker.mask_edits import around

from .mask_shots import SIZE, levels, make_shot, read_masks, write_masks

FRAMES = tuple(range(1001, 1008))
ROWS, COLUMNS = np.mgrid[:81, :101]
AWAY = np.hypot(ROWS - 40, COLUMNS - 50)


def disc(radius: float) -> np.ndarray:
    return np.where(radius >= AWAY, 255, 0).astype(np.uint8)


def soft_disc(radius: float) -> np.ndarray:
    return np.rint(np.clip(radius - AWAY + 0.5, 0, 1) * 255).astype(np.uint8)


def radius_of(mask: np.ndarray) -> float:
    return float(np.sqrt(mask.sum() / 255 / np.pi))


def edited(mask: np.ndarray, **how: Any) -> np.ndarray:
    return mask_shapes.edited([mask], from_mapping(EditOptions, how))


# Shapes


@pytest.mark.parametrize("make", [disc, soft_disc])
@pytest.mark.parametrize("pixels", [-12.0, -3.5, 1.0, 6.5, 18.0])
def test_a_disc_grows_into_a_disc(make: Any, pixels: float) -> None:
    grown = edited(make(20), grow=pixels)
    assert radius_of(grown) == pytest.approx(20 + pixels, abs=0.45)
    inside, outside = 20 + pixels - 1.5 >= AWAY, 20 + pixels + 1.5 <= AWAY
    assert (grown[inside] == 255).all()
    assert not grown[outside].any()


def test_both_ways_to_grow_are_the_same() -> None:
    noise = np.random.default_rng(1).random((60, 70)) > 0.995
    mask = np.where(noise, 255, 0).astype(np.uint8)
    for pixels in (1.0, 2.3, 7.0):
        kernel = mask_shapes.disc(pixels)
        assert (mask_shapes.grow(mask, pixels) == cv2.dilate(mask, kernel)).all()


@given(st.floats(0.5, 9), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=25, deadline=None)
def test_growing_holds_what_was_there_and_shrinking_is_its_mirror(
    pixels: float, seed: int, soft: bool
) -> None:
    random = np.random.default_rng(seed)
    mask = random.integers(0, 256, (24, 31), np.uint8)
    mask = mask if soft else np.where(mask > 220, 255, 0).astype(np.uint8)
    grown = mask_shapes.grow(mask, pixels)
    assert (grown >= mask).all()
    assert (mask_shapes.grow(255 - mask, -pixels) == 255 - grown).all()
    assert set(np.unique(grown)) <= set(np.unique(mask))


def test_the_frame_does_not_eat_into_what_it_cuts() -> None:
    whole = np.full((20, 30), 255, np.uint8)
    assert (edited(whole, grow=-5.0) == 255).all()
    assert (edited(whole, feather=8.0) == 255).all()


def test_feather_fades_over_so_many_pixels() -> None:
    edge = np.where(np.arange(200) >= 100, 255, 0).astype(np.uint8)[None].repeat(9, axis=0)
    faded = edited(edge, feather=20.0)[4] / 255.0
    assert faded[90:110].mean() == pytest.approx(0.5, abs=0.01)
    assert faded[89] == pytest.approx(0.023, abs=0.015)
    assert faded[110] == pytest.approx(0.977, abs=0.015)
    assert (np.diff(faded) >= 0).all()


def test_holes_are_filled_up_to_their_size() -> None:
    for solid, gap in ((disc(30), disc(5)), (soft_disc(30), soft_disc(5))):
        ring = solid - gap
        assert (edited(ring, holes=12) == solid).all()
        assert (edited(ring, holes=8) == ring).all()
    open_ring = disc(30)
    open_ring[40, 50:] = 0
    assert (edited(open_ring, holes=100) == open_ring).all()


def test_specks_are_removed_up_to_their_size() -> None:
    for make in (disc, soft_disc):
        speck = np.roll(make(3), 35, axis=1)
        both = np.maximum(make(20), speck)
        assert (edited(both, specks=8) == make(20)).all()
        assert (edited(both, specks=4) == both).all()
    cut = np.roll(disc(3), 50, axis=1)
    assert (edited(cut, specks=20) == cut).all()


def test_what_is_done_is_done_in_its_order() -> None:
    ring = disc(30) - disc(5)
    found = edited(ring, holes=12, grow=-4.0, invert=True)
    assert radius_of(255 - found) == pytest.approx(26, abs=0.4)


@given(st.integers(0, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_smoothing_takes_the_middle_value(radius: int, seed: int) -> None:
    stack = np.random.default_rng(seed).integers(0, 256, (2 * radius + 1, 70, 9), np.uint8)
    assert (mask_shapes.median(list(stack)) == np.median(stack, axis=0)).all()


@given(st.sets(st.integers(0, 60), min_size=1), st.integers(0, 10))
def test_smoothing_looks_as_far_to_either_side(numbers: set[int], radius: int) -> None:
    files = {number: Path(str(number)) for number in numbers}
    for number in numbers:
        window = around(files, number, radius)
        assert window[len(window) // 2] == number
        assert len(window) <= 2 * radius + 1
        assert set(window) <= numbers


# Folders


def flat(level: int) -> np.ndarray:
    return np.full(SIZE[::-1], level, np.uint8)


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return make_shot(tmp_path / "shot", FRAMES)


def run(job: MaskJob) -> list[str]:
    counted: list[tuple[int, int]] = []
    notes = mask_edits.run(job, lambda done, total: counted.append((done, total)))
    assert counted[-1][0] == counted[-1][1] == len(counted)
    return notes


def test_each_frame_is_edited_under_its_number_and_the_old_ones_are_kept(shot: Shot) -> None:
    actor = shot.roto / "actor"
    write_masks(actor, {number: flat(number - 1000) for number in FRAMES if number != 1004})
    run(edit_job(shot, "actor", "", {"invert": True}))
    assert levels(actor) == {n: 255 - (n - 1000) for n in FRAMES if n != 1004}
    assert levels(shot.roto / "actor.previous")[1002] == 2
    assert levels(shot.masks) == {n: 0 if n == 1004 else 255 - (n - 1000) for n in FRAMES}
    run(restore_job(shot, "roto/actor"))
    assert levels(actor)[1002] == levels(shot.masks)[1002] == 2
    run(restore_job(shot, "roto/actor"))
    assert levels(actor)[1002] == 253
    assert [folder.name for folder in label_folders(shot.roto)] == ["actor"]


@pytest.mark.parametrize("edit", [False, True])
@pytest.mark.parametrize("renames", [1, 2])
def test_a_restore_that_was_killed_goes_on(
    shot: Shot, edit: bool, renames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_masks(shot.roto / "a", {1001: flat(10)})
    run(edit_job(shot, "a", "", {"invert": True}))
    rename, left = Path.rename, renames

    def killed(path: Path, target: Path) -> Path:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            run(restore_job(shot, "a"))
    write_masks(shot.roto / "b", {1001: flat(20)})
    run(edit_job(shot, "b", "a", {}) if edit else restore_job(shot, "a"))
    kept = {1: 245, 2: 10}[renames] if edit else 245
    assert levels(shot.roto / "a") == {1001: 20 if edit else 10}
    assert levels(shot.roto / "a.previous") == {1001: kept}
    assert sorted(each.name for each in shot.roto.iterdir() if "a." in each.name) == ["a.previous"]


def test_an_edit_can_go_to_another_label(shot: Shot) -> None:
    write_masks(shot.roto / "actor", {number: flat(10) for number in FRAMES})
    run(edit_job(shot, "roto/actor", "matte/actor_00", {"invert": True}))
    assert levels(shot.roto / "actor")[1001] == 10
    assert levels(shot.mattes / "actor_00")[1001] == levels(shot.combined)[1001] == 245
    found = {each.name: (each.edited, each.restorable) for each in find_mask_folders(shot)}
    assert found == {"roto/actor": (False, False), "matte/actor_00": (True, False)}


def test_flicker_is_smoothed_over_time(shot: Shot) -> None:
    write_masks(shot.roto / "a", {n: flat(0 if n == 1004 else 255) for n in FRAMES})
    run(edit_job(shot, "a", "", {"smooth": 1}))
    assert set(levels(shot.roto / "a").values()) == {255}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("union", {1001: 200, 1002: 100, 1003: 200}),
        ("intersect", {1001: 100, 1002: 0}),
        ("subtract", {1001: 55, 1002: 100}),
    ],
)
def test_labels_are_combined_by_frame(shot: Shot, how: str, expected: dict[int, int]) -> None:
    write_masks(shot.roto / "a", {1001: flat(100), 1002: flat(100)})
    write_masks(shot.roto / "b", {1001: flat(200), 1003: flat(200)})
    run(combine_job(shot, how, ["a", "b"], "c"))
    assert levels(shot.roto / "c") == expected


def test_a_union_that_somebody_made_himself_stays(shot: Shot) -> None:
    write_masks(shot.masks, {number: flat(77) for number in FRAMES})
    write_masks(shot.roto / "a", {number: flat(10) for number in FRAMES})
    job = edit_job(shot, "a", "", {"invert": True})
    notes = mask_edits.run(job, lambda _done, _total: None)
    assert notes == ["roto/mask was not made from the labels and stays as it is."]
    assert set(levels(shot.masks).values()) == {77}


def test_a_damaged_mask_leaves_everything_as_it_was(shot: Shot) -> None:
    write_masks(shot.roto / "a", {number: flat(10) for number in FRAMES})
    (shot.roto / "a" / "frame_1003.png").write_bytes(b"no image")
    with pytest.raises(MaskError, match=r"frame_1003\.png is missing or damaged"):
        mask_edits.run(edit_job(shot, "a", "", {"invert": True}), lambda _d, _t: None)
    assert [each.name for each in shot.roto.iterdir()] == ["a"]
    assert levels(shot.roto / "a", skip=1003)[1002] == 10


@pytest.mark.parametrize("name", ["roto/mask", "roto/../x", "gone/a", "", "roto/a b", "a.previous"])
def test_names_of_no_label_are_refused(shot: Shot, name: str) -> None:
    with pytest.raises(UsageError):
        mask_folder(shot, name)


def test_what_makes_no_sense_is_refused(shot: Shot) -> None:
    with pytest.raises(UsageError, match="Say what to do"):
        edit_job(shot, "a", "", {})
    with pytest.raises(UsageError, match="two labels"):
        combine_job(shot, "union", ["a"], "b")
    with pytest.raises(UsageError, match="no masks 'roto/gone'"):
        run(edit_job(shot, "roto/gone", "", {"invert": True}))
    with pytest.raises(UsageError, match="nothing earlier"):
        run(restore_job(shot, "roto/gone"))


# Import


@given(
    st.sets(st.integers(0, 30), min_size=1, max_size=8), st.integers(-20, 1020),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=12, deadline=None)
def test_masks_of_others_are_taken_in_by_number(
    tmp_path_factory: pytest.TempPathFactory, numbers: set[int], offset: int, black: bool
) -> None:
    folder = tmp_path_factory.mktemp("import")
    shot = make_shot(folder / "shot", FRAMES)
    images = {number: flat(100 + number) for number in numbers}
    write_masks(folder / "images", images, "their_mask.{:05d}.png")
    job = import_job(shot, folder / "images", "sky", {"offset": offset, "black": black})
    if not {number + offset for number in numbers} & set(FRAMES):
        with pytest.raises(MaskError, match="give an offset"):
            mask_edits.run(job, lambda _d, _t: None)
        return
    run(job)
    level = {n: 100 + n - offset if n - offset in numbers else None for n in FRAMES}
    expected = {n: 0 if at is None else 255 - at if black else at for n, at in level.items()}
    assert levels(shot.roto / "sky") == expected


def test_masks_of_half_the_size_are_scaled_and_other_aspects_refused(
    shot: Shot, tmp_path: Path
) -> None:
    half = np.zeros((SIZE[1] // 2, SIZE[0] // 2), np.uint8)
    half[:, half.shape[1] // 2 :] = 255
    write_masks(tmp_path / "half", dict.fromkeys(FRAMES, half))
    run(import_job(shot, tmp_path / "half" / "frame_1003.png", "a", {}))
    mask = read_masks(shot.roto / "a")[1003]
    assert mask.shape == SIZE[::-1]
    assert (mask.max(axis=0) >= 128).tolist() == [x >= SIZE[0] // 2 for x in range(SIZE[0])]
    write_masks(tmp_path / "wide", dict.fromkeys(FRAMES, half[:9]))
    with pytest.raises(MaskError, match="another aspect"):
        run(import_job(shot, tmp_path / "wide", "a", {}))


def write_rgba(path: Path, alpha: np.ndarray, gray: float) -> None:
    pixels = np.full((*alpha.shape, 4), gray, np.float32)
    pixels[..., 3] = alpha
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), oiio.ImageSpec(alpha.shape[1], alpha.shape[0], 4, "half"))
    output.write_image(pixels)
    output.close()


def test_the_channel_that_holds_the_mask_is_found(shot: Shot, tmp_path: Path) -> None:
    (tmp_path / "exr").mkdir()
    alpha = np.zeros(SIZE[::-1], np.float32)
    alpha[4:9] = 1
    for number in FRAMES:
        write_rgba(
            tmp_path / "exr" / f"m.{number}.exr", alpha if number != 1002 else alpha * 0 + 1, 0.5
        )
    run(import_job(shot, tmp_path / "exr", "a", {}))
    assert (read_masks(shot.roto / "a")[1001] == alpha * 255).all()
    assert set(np.unique(read_masks(shot.roto / "a")[1002])) == {128}
    run(import_job(shot, tmp_path / "exr", "b", {"channel": "gray"}))
    assert set(np.unique(read_masks(shot.roto / "b")[1001])) == {128}
    write_masks(tmp_path / "gray", dict.fromkeys(FRAMES, flat(9)))
    with pytest.raises(MaskError, match="no alpha"):
        run(import_job(shot, tmp_path / "gray", "b", {"channel": "alpha"}))


# The program


def program(job: MaskJob, home: Path) -> tuple[int, list[dict[str, Any]]]:
    script = Path(mask_edits.__file__).with_name("edit_masks.py")
    command = [sys.executable, "-I", "-B", str(script), job.to_json()]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"SHOT_GOPHER_HOME": str(home)}, check=False
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_the_program_tells_how_far_it_is_and_waits_for_no_job(shot: Shot, tmp_path: Path) -> None:
    write_masks(shot.roto / "a", {number: flat(10) for number in FRAMES})
    job = edit_job(shot, "a", "", {"grow": 2.0})
    status, told = program(job, tmp_path / "home")
    assert (status, told[-1]) == (0, {"done": 14, "total": 14})
    lock = FileLock(locks_folder(tmp_path / "home") / shot_lock_name(shot))
    assert lock.acquire()
    try:
        status, told = program(job, tmp_path / "home")
    finally:
        lock.release()
    assert status == 1
    assert "A job of this shot is running" in told[-1]["error"]


def test_the_verb_lists_and_edits(
    shot: Shot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(environment, "find", lambda *_: Path(sys.executable))
    monkeypatch.setenv("SHOT_GOPHER_HOME", str(tmp_path / "home"))
    write_masks(shot.roto / "a", {number: flat(10) for number in FRAMES})
    host = Host(Path(sys.executable), tmp_path / "home", "", False, "test")

    def say(*words: str) -> tuple[int, str]:
        status = main(["masks", words[0], str(shot.path), *words[1:]], host)
        told = capsys.readouterr()
        return status, told.out + told.err

    assert say("edit", "a", "--invert", "--into", "roto/b")[0] == 0
    assert levels(shot.roto / "b")[1003] == 245
    assert say("combine", "subtract", "b", "a", "--into", "c")[0] == 0
    assert levels(shot.roto / "c")[1003] == 245
    assert say("edit", "a", "--grow", "-3")[0] == say("restore", "a")[0] == 0
    write_masks(tmp_path / "theirs", {3: flat(9)})
    assert say("import", str(tmp_path / "theirs"), "--into", "d", "--offset", "1000")[0] == 0
    assert levels(shot.roto / "d")[1003] == 9
    status, told = say("list")
    assert status == 0
    assert [line.split()[:3] for line in told.splitlines()[1:]] == [
        [f"roto/{name}", "7", "1001-1007"] for name in "abcd"
    ]
    assert say("edit", "gone", "--invert")[0] == 1
    assert say("edit", "a")[0] == 2
