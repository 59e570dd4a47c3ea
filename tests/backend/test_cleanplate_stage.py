# SPDX-License-Identifier: GPL-3.0-or-later
"""The clean plate stage with the median: what it changes, what it leaves, how it goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from backend import outputs
from backend.errors import Canceled, MaskError, Remedy, SolveError, UsageError
from backend.pictures import Kind, find_pictures
from backend.shot import Shot
from backend.worker.cleanplate.clean_folder import CleanFolder
from backend.worker.cleanplate.made_up import MadeUp
from backend.worker.cleanplate.methods import choose_method, median_warning
from backend.worker.cleanplate.plate_frames import PlateFrames
from backend.worker.engines.inpainting import Picture
from backend.worker.frame_files import read_colors
from backend.worker.report import Report
from tests.backend.checked_shot import make_shot as make_solved_shot
from tests.backend.clean_shots import (
    COUNT,
    FIRST,
    HEIGHT,
    SIZE,
    WIDTH,
    actor,
    as_kind,
    background,
    clean,
    frame,
    holes,
    make_shot,
    numbers,
    replaced,
    report_in,
    run_stage,
    warnings,
    write_mask,
)


def always_there(index: int) -> np.ndarray:
    """The crossing actor, and a box that never goes away."""
    there = actor(index)
    there[5:15, 120:150] = True
    return there


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_still_plate_is_cleaned_exactly(tmp_path: Path, kind: type, gray: bool) -> None:
    shot = make_shot(tmp_path / "shot", kind, gray=gray)
    record = run_stage(shot, dilate=3.0, feather=5.0)
    still = background()
    wanted = as_kind(still.mean(axis=2) if gray else still, kind)
    for number in numbers(shot):
        assert clean(shot, number).dtype == kind
        assert np.array_equal(clean(shot, number), wanted)
        assert not holes(shot, number).any()
    assert record["method"] == "median"
    assert record["seen"] == 1
    assert record["unseen_pixels"] == 0
    assert record["changed_frames"] == record["frame_count"] == COUNT
    assert record["results"] == ["cleanplate", "cleanplate/mask", "cleanplate/holes"]
    assert not warnings(shot)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_outside_of_the_mask_every_bit_stays(tmp_path: Path, kind: type) -> None:
    random = np.random.default_rng(1)
    shot = make_shot(tmp_path / "shot", kind, change=lambda _i, p: p + random.normal(0, 4, p.shape))
    run_stage(shot, dilate=2.5, feather=6.0)
    for number in numbers(shot):
        outside = replaced(shot, number) == 0
        assert np.array_equal(clean(shot, number)[outside], frame(shot, number)[outside])
        inside = replaced(shot, number) == 255
        apart = np.abs(
            clean(shot, number)[inside].astype(float) - as_kind(background(), kind)[inside]
        )
        assert apart.mean() < 5 * (257 if kind is np.uint16 else 1)


def test_frames_without_masks_are_the_plates_own_files(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    for number in (FIRST, FIRST + 5):
        (shot.roto / "actor" / shot.frame_file(number).name).unlink()
        # As another program writes it: written anew it would be another file.
        assert cv2.imwrite(str(shot.frame_file(number)), frame(shot, number)[:, :, ::-1])
    run_stage(shot)
    for number in (FIRST, FIRST + 5):
        assert shot.clean_frame(number).read_bytes() == shot.frame_file(number).read_bytes()
        assert not shot.clean_frame(number).samefile(shot.frame_file(number)), "not a link"
        assert not replaced(shot, number).any()
    assert not np.array_equal(clean(shot, FIRST + 1), frame(shot, FIRST + 1))


def test_exposure_is_that_of_the_frame(tmp_path: Path) -> None:
    def drift(index: int, picture: np.ndarray) -> np.ndarray:
        return picture * (1 + 0.02 * index * np.array([1.0, 0.8, 0.5]))

    shot = make_shot(tmp_path / "shot", change=drift)
    run_stage(shot, grain=False)
    off = [
        np.abs(clean(shot, n).astype(float) - as_kind(drift(i, background()), np.uint8))
        for i, n in enumerate(numbers(shot))
    ]
    assert max(map(np.max, off)) <= 1
    run_stage(shot, grain=False, match_exposure=False)
    assert np.abs(clean(shot, FIRST)[actor(0)] - background()[actor(0)]).mean() > 5


def noisy(seed: int) -> Any:
    random = np.random.default_rng(seed)
    return lambda _index, picture: picture + random.normal(0, 5, picture.shape)


def residual(shot: Shot, index: int) -> np.ndarray:
    """What the filled pixels of a frame are off the background."""
    found: np.ndarray = clean(shot, FIRST + index)[actor(index)] - background()[actor(index)]
    return found


def test_filled_pixels_have_the_plates_grain(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", change=noisy(2))
    run_stage(shot)
    grainy = [residual(shot, index) for index in range(COUNT)]
    strength = np.std(np.concatenate(grainy))
    assert strength == pytest.approx(5, rel=0.1)
    first, second = (clean(shot, FIRST + index).astype(float) for index in (5, 6))
    both = actor(5) & actor(6)
    together = np.corrcoef(
        (first - background())[both].ravel(), (second - background())[both].ravel()
    )
    assert abs(together[0, 1]) < 0.4, "the grain moves"
    run_stage(shot, grain=False)
    assert np.std(np.concatenate([residual(shot, index) for index in range(COUNT)])) < 3


def test_what_passes_unmasked_is_not_taken_for_grain(tmp_path: Path) -> None:
    def bird(index: int, picture: np.ndarray) -> np.ndarray:
        seen = noisy(3 + index)(index, picture)
        seen[40:46, (7 * index) % 150 : (7 * index) % 150 + 8] = 5
        return seen

    shot = make_shot(tmp_path / "shot", change=bird)
    run_stage(shot)
    worst = max(np.abs(residual(shot, index)).max() for index in range(COUNT))
    assert worst < 40, "a bird is 60 or more off"


def test_what_no_frame_shows_is_marked_and_filled_from_around(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", where=always_there)
    record = run_stage(shot)
    unseen = always_there(0) & ~actor(0)
    for number in numbers(shot):
        assert np.array_equal(holes(shot, number) == 255, unseen)
    assert record["unseen_pixels"] == COUNT * unseen.sum()
    assert record["unseen_frames"] == list(numbers(shot))
    share = record["unseen_pixels"] / record["replaced_pixels"]
    assert record["seen"] == pytest.approx(1 - share, abs=1e-6)
    filled = clean(shot, FIRST)[unseen].astype(float)
    assert filled.min() > 55
    assert filled.max() < 195, "of the colors around, nothing of the red box"
    assert np.array_equal(clean(shot, FIRST)[~unseen], as_kind(background(), np.uint8)[~unseen])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_no_frame_shows_may_stay_transparent(tmp_path: Path, kind: type) -> None:
    shot = make_shot(tmp_path / "shot", kind, where=always_there)
    run_stage(shot, unseen="alpha")
    made = cv2.imread(str(shot.clean_frame(FIRST)), cv2.IMREAD_UNCHANGED)
    assert made is not None
    assert made.dtype == kind
    unseen = holes(shot, FIRST) == 255
    assert (made[unseen] == 0).all()
    assert (made[~unseen][:, 3] == np.iinfo(kind).max).all()
    assert np.array_equal(made[~unseen][:, 2::-1], as_kind(background(), kind)[~unseen])


def test_little_that_is_seen_is_warned_of(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", where=lambda _index: actor(3))
    run_stage(shot)
    assert any("show only 0%" in text for text in warnings(shot))


def test_masks_that_select_nothing_are_told(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", where=lambda _index: np.zeros((HEIGHT, WIDTH), bool))
    with pytest.raises(MaskError, match="nothing to remove"):
        run_stage(shot)


def test_only_the_labels_asked_for_are_removed(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    for number in numbers(shot):
        write_mask(shot, "bag", number, np.roll(actor(0), 30, axis=1))
    record = run_stage(shot, labels="actor")
    assert record["labels"] == ["actor"]
    assert np.array_equal(replaced(shot, FIRST) == 255, actor(0))
    with pytest.raises(UsageError, match="no masks 'dog'"):
        run_stage(shot, labels="dog")
    assert np.array_equal(replaced(shot, FIRST) == 255, actor(0)), "the last result stays"


class Stopping(Report):
    """Cancels when so many frames have been written."""

    after = 4

    def progress(self, done: int, total: int, unit: str) -> None:
        if self.writing and done >= self.after:
            raise Canceled
        super().progress(done, total, unit)

    writing = False

    def status(self, text: str) -> None:
        self.writing = text == "Writing the clean plate"
        super().status(text)


def test_a_canceled_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", where=always_there, change=noisy(9))
    run_stage(shot)
    whole = {number: clean(shot, number) for number in numbers(shot)}
    outputs.replace_folder(shot.clean_plate, tmp_path / "whole")
    plain = report_in(tmp_path)
    with pytest.raises(Canceled):
        run_stage(shot, Stopping(plain._events, tmp_path / "cancel"))
    part = shot.path / "cleanplate.part"
    written = {file.name: file.stat().st_mtime_ns for file in part.glob("frame_*.png")}
    assert Stopping.after <= len(written) < COUNT
    assert not shot.clean_plate.exists()
    record = run_stage(shot)
    there = {file.name: file.stat().st_mtime_ns for file in shot.clean_plate.glob("frame_*.png")}
    assert {name: there[name] for name in written} == written, "what was there is not made again"
    assert all(np.array_equal(clean(shot, number), whole[number]) for number in numbers(shot))
    assert record["unseen_pixels"] == COUNT * int((always_there(0) & ~actor(0)).sum())
    names = {file.name for file in shot.clean_plate.iterdir()}
    assert names == {*there, "mask", "holes", "stage.json"}


def test_other_masks_or_options_begin_anew(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    with pytest.raises(Canceled):
        run_stage(shot, Stopping(report_in(tmp_path)._events, tmp_path / "cancel"))
    run_stage(shot, dilate=4.0)
    assert (replaced(shot, FIRST) == 255).sum() > actor(0).sum()


def test_proxies_find_the_clean_plate(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    run_stage(shot)
    found = {pictures.name: pictures for pictures in find_pictures(shot)}
    assert found["cleanplate"].kind is Kind.CLEAN_PLATE
    assert tuple(found["cleanplate"].files) == numbers(shot)


def nothing() -> None:
    """No model is here."""


def test_auto_takes_the_solve_then_stillness_then_a_model(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    maker = Diffused()
    assert choose_method("auto", shot, lambda: True, nothing) == "median"
    assert choose_method("auto", shot, lambda: False, lambda: maker) == "propainter"
    with pytest.raises(SolveError, match="camera moves") as raised:
        choose_method("auto", shot, lambda: False, nothing)
    assert raised.value.remedy is Remedy.TRACK_CAMERA
    with pytest.raises(SolveError, match="needs the solved camera"):
        choose_method("project", shot, lambda: True, nothing)
    assert choose_method("median", shot, lambda: False, nothing) == "median"
    solved = make_solved_shot(tmp_path / "solved").shot
    assert choose_method("auto", solved, lambda: True, nothing) == "project"


def test_the_median_is_warned_of_where_the_camera_moves(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot")
    assert median_warning(shot, lambda: True) == ""
    assert "does not stand still" in median_warning(shot, lambda: False)
    solved = make_solved_shot(tmp_path / "solved").shot
    assert "travels" in median_warning(solved, lambda: True)


def test_a_moving_plate_is_warned_of_and_not_taken_for_a_still_one(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", change=lambda i, p: np.roll(p, 5 * i, axis=1))
    run_stage(shot)
    assert any("does not stand still" in text for text in warnings(shot))
    still = make_shot(tmp_path / "still" / "shot")
    assert run_stage(still, method="auto")["method"] == "median"


class Diffused:
    """Fills masks by OpenCV's inpainting (Telea), frame by frame."""

    name = "telea"

    def fill(
        self, files: Mapping[int, Path], masks: Mapping[int, Path], size: tuple[int, int]
    ) -> Iterator[tuple[int, Picture]]:
        for number, file in files.items():
            picture, mask = read_colors(file), cv2.imread(str(masks[number]), cv2.IMREAD_GRAYSCALE)
            assert picture is not None
            assert mask is not None
            assert picture.shape[1::-1] == mask.shape[1::-1] == size
            made = cv2.inpaint(picture, mask, 3, cv2.INPAINT_TELEA)
            made[mask == 0] = 0
            yield number, made


def paint(shot: Shot, folder: Path) -> MadeUp:
    plate = PlateFrames.of(shot, shot.load_plate())
    return MadeUp(Diffused(), plate, CleanFolder(folder, SIZE), report_in(shot.path.parent))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_no_frame_shows_is_made_up(tmp_path: Path, kind: type) -> None:
    shot = make_shot(tmp_path / "shot", kind, where=always_there)
    run_stage(shot, feather=4.0)
    before = {number: clean(shot, number) for number in numbers(shot)}
    paint(shot, shot.clean_plate).fill_holes(numbers(shot))
    unseen = holes(shot, FIRST) > 0
    for number, old in before.items():
        new = clean(shot, number)
        assert new.dtype == kind
        assert np.array_equal(new[~unseen], old[~unseen])
        assert (new[unseen] != old[unseen]).any()
        assert new[unseen].max() < as_kind(np.array(200.0), kind)
    assert not (shot.clean_plate / "painted").exists()


def test_a_model_may_make_up_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shot = make_shot(tmp_path / "shot")
    (shot.roto / "actor" / shot.frame_file(FIRST).name).unlink()
    monkeypatch.setattr(
        "backend.worker.stages.cleanplate.wanted_inpainter", lambda *_given: Diffused()
    )
    record = run_stage(shot, method="propainter", feather=3.0)
    assert record["method"] == "propainter"
    assert "seen" not in record
    assert shot.clean_frame(FIRST).read_bytes() == shot.frame_file(FIRST).read_bytes()
    outside = replaced(shot, FIRST + 1) == 0
    assert np.array_equal(clean(shot, FIRST + 1)[outside], frame(shot, FIRST + 1)[outside])
    inside = clean(shot, FIRST + 1)[actor(1)].astype(float)
    assert np.abs(inside - (250, 20, 30)).sum(axis=1).min() > 100, "nothing of the actor"
