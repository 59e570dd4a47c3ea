# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies of every folder of images: written, taken over, found, and never of something older."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend import outputs, stages
from backend.backgrounds import Background, find_backgrounds, placement
from backend.errors import Canceled, PlateError
from backend.events import EventReader, EventWriter
from backend.outputs import Freshness
from backend.pictures import find_pictures
from backend.proxies import PROXY_PERCENTS, Proxies, quick_size
from backend.reconstruction import CameraModel
from backend.shot import FRAME_PATTERN, Plate, Shot
from backend.stages import ProxiesOptions
from backend.undistorted import UndistortedPlate
from backend.worker import proxies as writing
from backend.worker.lens_maps import LensMaps, plate_for
from backend.worker.report import Context, Report
from backend.worker.stages import proxies
from backend.worker.undistorted import write_undistorted_proxies
from tests.backend.test_undistorted import BARREL, PINHOLE, make_shot, some_solve

FIRST, COUNT, WIDTH, HEIGHT = 1001, 5, 320, 180
STAGE = stages.get("proxies")


def report_of(shot: Shot) -> Report:
    return Report(EventWriter(shot.path / "events.jsonl"), shot.path / "cancel")


def run(shot: Shot, report: Report | None = None) -> dict:
    """Runs the stage as the worker does; what stage.json says besides."""
    report = report or report_of(shot)
    inputs = outputs.inputs_of(shot, STAGE, "")
    with outputs.writing(shot, STAGE, ProxiesOptions(), inputs, report.uninterrupted()) as (
        part,
        record,
    ):
        proxies.run(Context(shot, ProxiesOptions(), "", "", part, report, record))
    return record


def disc(column: int) -> np.ndarray:
    """A matte of a disc."""
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(image, (column, 90), 40, 255, -1, cv2.LINE_AA)
    return image


def add_matte(shot: Shot, label: str = "actor", numbers: tuple[int, ...] = (1002, 1003, 1005)):
    folder = shot.roto / label
    folder.mkdir(parents=True)
    for number in numbers:
        cv2.imwrite(str(folder / f"{FRAME_PATTERN.format(number)}.png"), disc(number - 900))
    return folder


def bent_shot(path: Path) -> Shot:
    shot = make_shot(path, some_solve(BARREL))
    plain_proxies(shot)
    lens = {FIRST - 1 + place: BARREL for place in range(1, COUNT + 1)}
    write_undistorted_proxies(
        lambda place: lens[FIRST - 1 + place], shot.proxies, shot.undistorted_proxies,
        report_of(shot),
    )  # fmt: skip
    return shot


def plain_proxies(shot: Shot) -> None:
    files = {number: shot.frame_file(number) for number in shot.load_plate().frames}
    writing.write_files(writing.Job(files, shot.proxies), report_of(shot))


def background(shot: Shot, name: str) -> Background:
    found = find_backgrounds(shot, shot.load_plate())
    return next(each for each in found if each.name == name)


class TestWriting:
    def test_files_follow_frame_numbers_and_sizes(self, tmp_path: Path) -> None:
        """Blender counts from 1 at the clip's first frame, holes included."""
        shot = make_shot(tmp_path / "shot", some_solve(PINHOLE))
        plain_proxies(shot)
        add_matte(shot)
        record = run(shot)
        assert record["images"] == {"roto/actor": 3}
        made = Proxies(shot.written_proxies / "roto" / "actor", "frame_1002.png")
        for percent in PROXY_PERCENTS:
            folder = made.folder(percent, undistorted=False)
            assert sorted(file.name for file in folder.iterdir()) == [
                "00000001.jpg", "00000002.jpg", "00000004.jpg",
            ]  # fmt: skip
            image = cv2.imread(str(made.file(percent, False, 4)), cv2.IMREAD_UNCHANGED)
            assert image.shape == (HEIGHT * percent // 100, WIDTH * percent // 100)
        assert made.sizes(undistorted=True) == ()

    def test_mattes_keep_their_edges(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(PINHOLE))
        add_matte(shot)
        run(shot)
        made = Proxies(shot.written_proxies / "roto" / "actor", "frame_1002.png")
        for percent in PROXY_PERCENTS:
            seen = cv2.imread(str(made.file(percent, False, 2)), cv2.IMREAD_UNCHANGED)
            size = (WIDTH * percent // 100, HEIGHT * percent // 100)
            wanted = cv2.resize(disc(103), size, interpolation=cv2.INTER_AREA)
            assert np.abs(seen.astype(int) - wanted).max() < 14

    @pytest.mark.parametrize("kind", ["gray in three channels", "colors", "16 bits"])
    def test_any_kind_of_matte(self, tmp_path: Path, kind: str) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(PINHOLE))
        folder = add_matte(shot, numbers=(1001,))
        image = {
            "gray in three channels": np.dstack([disc(100)] * 3),
            "colors": np.dstack([disc(100), disc(140), np.zeros_like(disc(0))]),
            "16 bits": disc(100).astype(np.uint16) * 257,
        }[kind]
        cv2.imwrite(str(folder / "frame_1001.png"), image)
        run(shot)
        file = Proxies(shot.written_proxies / "roto" / "actor", "frame_1001.png").file(
            100, False, 1
        )
        seen = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert seen.ndim == (3 if kind == "colors" else 2)
        wanted = image if kind == "colors" else disc(100)
        assert np.abs(seen.astype(int) - wanted).mean() < 1.5

    def test_behind_a_bent_lens_mattes_are_undistorted_as_the_plate_is(
        self, tmp_path: Path
    ) -> None:
        """A matte that is the plate's own picture must land where the plate lands."""
        shot = bent_shot(tmp_path / "shot")
        folder = shot.clean_plate
        folder.mkdir()
        for number in shot.load_plate().frames:
            os.link(shot.frame_file(number), folder / shot.frame_file(number).name)
        run(shot)
        clean = Proxies(shot.written_proxies / "cleanplate", "frame_1001.png")
        plate = Proxies(shot.undistorted_proxies, "frame_1001.png")
        for percent in PROXY_PERCENTS:
            one, other = (
                cv2.imread(str(each.file(percent, True, 3))).astype(int) for each in (clean, plate)
            )
            assert np.abs(one - other).mean() < 2
        straight = cv2.imread(str(clean.file(100, True, 3))).astype(int)
        plain = cv2.imread(str(clean.file(100, False, 3))).astype(int)
        assert np.abs(straight - plain).mean() > 4

    def test_undistorted_in_every_size(self, tmp_path: Path) -> None:
        """Each size shows what undistorting the plate itself and then scaling it down shows."""
        shot = bent_shot(tmp_path / "shot")
        image = cv2.imread(str(shot.frame_file(1002)))
        flat = cv2.remap(image, *writing.lens_map(BARREL, WIDTH, HEIGHT), cv2.INTER_LINEAR)
        made = Proxies(shot.undistorted_proxies, "frame_1001.png")
        for percent in PROXY_PERCENTS:
            size = (WIDTH * percent // 100, HEIGHT * percent // 100)
            wanted = cv2.resize(flat, size, interpolation=cv2.INTER_AREA)
            seen = cv2.imread(str(made.file(percent, True, 2)))
            assert np.abs(seen.astype(int) - wanted).mean() < 4

    def test_undistorted_from_half_size_alone(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(BARREL))
        plain_proxies(shot)
        for percent in (25, 100):
            folder = Proxies(shot.proxies, "frame_1001.png").folder(percent, undistorted=False)
            folder.rename(tmp_path / f"away_{percent}")
        write_undistorted_proxies(
            lambda _place: BARREL, shot.proxies, shot.undistorted_proxies, report_of(shot)
        )
        made = Proxies(shot.undistorted_proxies, "frame_1001.png")
        assert made.sizes(undistorted=True) == (25, 50)
        assert cv2.imread(str(made.file(25, True, 1))).shape == (HEIGHT // 4, WIDTH // 4, 3)

    def test_a_damaged_proxy_of_the_plate_costs_no_solve(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(BARREL))
        plain_proxies(shot)
        Proxies(shot.proxies, "frame_1001.png").file(100, False, 2).write_bytes(b"")
        write_undistorted_proxies(
            lambda _place: BARREL, shot.proxies, shot.undistorted_proxies, report_of(shot)
        )
        made = Proxies(shot.undistorted_proxies, "frame_1001.png").folder(50, undistorted=True)
        assert len(list(made.iterdir())) == COUNT - 1
        records = EventReader(shot.path / "events.jsonl").poll()
        (warning,) = (each["text"] for each in records if each["event"] == "warning")
        assert "00000002.jpg" in warning

    def test_a_damaged_image_is_named(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(PINHOLE))
        file = add_matte(shot) / "frame_1003.png"
        file.write_bytes(file.read_bytes()[:60])
        with pytest.raises(PlateError, match=r"frame_1003\.png"):
            run(shot)
        assert not shot.written_proxies.exists()
        assert not (shot.path / "proxies.part").exists()

    def test_cancel_leaves_nothing(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(PINHOLE))
        add_matte(shot)
        (shot.path / "cancel").touch()
        with pytest.raises(Canceled):
            run(shot)
        assert not shot.written_proxies.exists()
        assert not (shot.path / "proxies.part").exists()

    def test_progress_counts_images(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(PINHOLE))
        plain_proxies(shot)
        add_matte(shot)
        run(shot)
        records = EventReader(shot.path / "events.jsonl").poll()
        told = [record for record in records if record["event"] == "progress"]
        assert (told[-1]["done"], told[-1]["total"], told[-1]["unit"]) == (3, 3, "images")


class TestTheStage:
    def test_a_plate_whose_proxies_are_there_is_left_out(self, tmp_path: Path) -> None:
        shot = bent_shot(tmp_path / "shot")
        assert run(shot)["images"] == {}

    def test_a_plate_that_lacks_sizes_gets_them(self, tmp_path: Path) -> None:
        shot = bent_shot(tmp_path / "shot")
        Proxies(shot.proxies, "frame_1001.png").folder(25, False).rename(tmp_path / "away")
        assert background(shot, "plate").sizes == (50, 100)
        assert run(shot)["images"] == {"source/frames": COUNT}
        plate = background(shot, "plate")
        assert plate.sizes == PROXY_PERCENTS
        assert plate.proxies == (shot.written_proxies / "source" / "frames").resolve()
        assert background(shot, "undistorted").proxies == shot.undistorted_proxies.resolve()

    def test_only_what_has_changed_is_written_again(self, tmp_path: Path) -> None:
        shot = bent_shot(tmp_path / "shot")
        for label in ("actor", "car"):
            add_matte(shot, label)
        run(shot)
        files = [
            Proxies(shot.written_proxies / "roto" / label, "frame_1002.png").file(100, True, 1)
            for label in ("actor", "car")
        ]
        before = [file.stat().st_ino for file in files]
        cv2.imwrite(str(shot.roto / "car" / "frame_1002.png"), disc(60))
        run(shot)
        same, other = (file.stat().st_ino == old for file, old in zip(files, before, strict=True))
        assert same
        assert not other

    def test_a_run_that_was_killed_goes_on(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(PINHOLE))
        plain_proxies(shot)
        add_matte(shot)
        inputs = outputs.inputs_of(shot, STAGE, "")
        mark = outputs.fingerprint(STAGE, ProxiesOptions(), inputs)
        outputs.Writing(shot, STAGE, mark).begin({})
        left = Proxies(shot.path / "proxies.part" / "roto" / "actor", "frame_1002.png")
        for percent in PROXY_PERCENTS:
            left.folder(percent, undistorted=False).mkdir(parents=True)
            left.file(percent, False, 1).write_bytes(b"left by the run before")
        run(shot)
        made = Proxies(shot.written_proxies / "roto" / "actor", "frame_1002.png")
        assert made.file(50, False, 1).read_bytes() == b"left by the run before"
        assert cv2.imread(str(made.file(50, False, 2))) is not None

    def test_it_is_stale_when_a_matte_or_the_lens_is_another(self, tmp_path: Path) -> None:
        shot = bent_shot(tmp_path / "shot")
        add_matte(shot)
        run(shot)

        def state() -> Freshness:
            return outputs.freshness(shot, STAGE, ProxiesOptions(), "")

        assert state() is Freshness.CURRENT
        cv2.imwrite(str(shot.roto / "actor" / "frame_1003.png"), disc(20))
        assert state() is Freshness.STALE
        run(shot)
        assert state() is Freshness.CURRENT
        some_solve(replace(BARREL, params=(300, 160, 90, -0.2))).save(shot.camera)
        assert state() is Freshness.STALE


class TestWhatIsFound:
    def test_names_and_labels(self, tmp_path: Path) -> None:
        shot = bent_shot(tmp_path / "shot")
        add_matte(shot, "actor")
        add_matte(shot, "mask.part")
        shot.mattes.mkdir()
        (shot.mattes / "empty_01").mkdir()
        (shot.roto / "actor").rename(shot.mattes / "actor_01")
        found = find_backgrounds(shot, shot.load_plate())
        assert [(each.name, each.label) for each in found] == [
            ("plate", "Plate"),
            ("undistorted", "Undistorted Plate"),
            ("matte/actor_01", "Matte: actor_01"),
        ]
        assert found[2].first_frame == 1002
        assert [each.lens is not None for each in found] == [False, True, True]

    def test_proxies_of_older_images_are_not_shown(self, tmp_path: Path) -> None:
        shot = bent_shot(tmp_path / "shot")
        add_matte(shot)
        assert background(shot, "roto/actor").sizes == ()
        run(shot)
        assert background(shot, "roto/actor").sizes == PROXY_PERCENTS
        cv2.imwrite(str(shot.roto / "actor" / "frame_1003.png"), disc(20))
        assert background(shot, "roto/actor").sizes == ()

    def test_proxies_of_an_older_lens_are_not_shown(self, tmp_path: Path) -> None:
        shot = bent_shot(tmp_path / "shot")
        add_matte(shot)
        run(shot)
        some_solve(replace(BARREL, params=(300, 160, 90, -0.2))).save(shot.camera)
        assert background(shot, "roto/actor").sizes == ()

    def test_a_stage_can_write_those_of_its_own_images(self, tmp_path: Path) -> None:
        """Into Blender's own place beside the images."""
        shot = bent_shot(tmp_path / "shot")
        folder = add_matte(shot)
        (pictures,) = find_pictures(shot)
        writing.write_proxies(shot, pictures, folder / "BL_proxy", report_of(shot))
        found = background(shot, "roto/actor")
        assert (found.sizes, found.proxies) == (PROXY_PERCENTS, None)

    def test_without_frames_there_is_nothing(self, tmp_path: Path) -> None:
        shot = make_shot(tmp_path / "shot", some_solve(PINHOLE))
        shot.frame_file(FIRST).unlink()
        assert find_backgrounds(shot, shot.load_plate()) == ()

    @pytest.mark.parametrize(
        "lens",
        [
            BARREL,
            CameraModel("OPENCV", WIDTH, HEIGHT, (300, 240, 170, 80, -0.1, 0.01, 0, 0)),
        ],
        ids=["square", "squeezed and off center"],
    )
    def test_overscan_lies_where_the_camera_sees_it(self, lens: CameraModel) -> None:
        """Where its placement puts a pixel, and where the pinhole of the scene's camera has it."""
        size = plate_for([lens])
        scale, right, up = placement(size, lens)
        aspect = lens.focal[1] / lens.focal[0]
        frame = np.array([lens.width * aspect, lens.height])
        fit = min(frame / (size.width, size.height))
        shown = np.array([size.width, size.height]) * fit * scale
        middle = frame * (0.5 + right, 0.5 - up)
        ray = np.array([0.21, -0.13])
        there = np.array([size.width, size.height]) / 2 + ray * max(lens.focal)
        placed = middle + (there / (size.width, size.height) - 0.5) * shown
        wanted = (np.array(lens.center) + ray * lens.focal) * (aspect, 1)
        np.testing.assert_allclose(placed, wanted, atol=0.02)
        assert LensMaps(lens, size).undistort().shape == (size.height, size.width, 2)


@pytest.mark.parametrize(
    ("width", "sizes", "wanted"),
    [
        (960, (25, 50, 100), 100),
        (1920, (25, 50, 100), 50),
        (2048, (25, 50, 100), 50),
        (3840, (25, 50, 100), 25),
        (7680, (25, 50, 100), 25),
        (3840, (50,), 50),
        (1920, (), None),
    ],
)
def test_the_size_that_scrubs(width: int, sizes: tuple[int, ...], wanted: int | None) -> None:
    assert quick_size(width, sizes) == wanted


def test_the_cut_is_the_plate_without_its_handles() -> None:
    plate = Plate("a.mov", "movie", 64, 36, Fraction(24), (1, 2, 3, 4, 5), (), ())
    assert plate.cut_range == (1, 5)
    cut = replace(plate, cut=(2, 4))
    assert cut.cut_range == (2, 4)
    assert Plate.from_json(cut.to_json()) == cut
    assert Plate.from_json(plate.to_json()) == plate


def test_an_undistorted_plate_that_is_the_plate_is_no_background(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", some_solve(PINHOLE))
    UndistortedPlate(WIDTH, HEIGHT, WIDTH, HEIGHT, is_plate=True).save(shot.undistorted_file)
    shot.undistorted.mkdir()
    os.link(shot.frame_file(FIRST), shot.undistorted_frame(FIRST))
    assert [each.name for each in find_backgrounds(shot, shot.load_plate())] == ["plate"]
