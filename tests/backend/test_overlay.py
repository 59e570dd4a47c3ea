# SPDX-License-Identifier: GPL-3.0-or-later
"""The review movie, read back: every frame once, at the plate's rate, with the points on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from backend.errors import OutputError, PlateError, SolveError, UsageError
from backend.lens import bend
from backend.overlay import AS_SHOT, BOTH, UNDISTORTED, OverlayOptions, check_movie_name
from backend.reconstruction import CameraModel
from backend.shot import Shot, write_json
from backend.track_check import read_check
from backend.worker.lens_maps import undistorted_plate
from backend.worker.overlay import LARGEST, Review, write_overlay
from tests.backend.checked_shot import BARREL, COUNT, FIRST, FPS, Made, make_shot

WIDTH, HEIGHT = BARREL.width, BARREL.height


def quiet(_done: int, _total: int) -> None:
    pass


def read_back(path: Path) -> tuple[av.VideoStream, list[np.ndarray]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return stream, frames


def write(made: Made, path: Path, plate: str = AS_SHOT, points: int = 300) -> list[np.ndarray]:
    write_overlay(made.shot, path, OverlayOptions(plate, points), quiet)
    return read_back(path)[1]


def color_at(picture: np.ndarray, pixel: np.ndarray, right: float = 0, down: float = 0) -> str:
    x, y = int(pixel[0] + right), int(pixel[1] + down)
    red, green, blue = picture[max(y - 1, 0) : y + 1, max(x - 1, 0) : x + 1].mean(axis=(0, 1))
    if red - blue < 40 and green - blue < 40:
        return "none"
    if red > 1.6 * green:
        return "red"
    return "green" if green > 1.6 * red else "yellow"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Few points that do not touch each other, good and bad ones."""
    off = np.array([0.0, 0.2, 0.4, 1.25, 2.5, 4.0])
    return make_shot(tmp_path_factory.mktemp("made") / "shot", points=6, off=off, images=True)


class TestMovie:
    def test_it_has_every_frame_once_at_the_exact_rate(self, made: Made, tmp_path: Path) -> None:
        told = []
        path = tmp_path / "deep" / "review.mp4"
        write_overlay(made.shot, path, OverlayOptions(), lambda *counts: told.append(counts))
        stream, frames = read_back(path)
        assert stream.average_rate == FPS
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.duration * stream.time_base == COUNT / FPS
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)
        # The plate's frames get lighter one by one, so none is missing and none is twice.
        grays = [frame[5:15, 5:15].mean() for frame in frames]
        assert grays == pytest.approx([60 + 12 * index for index in range(COUNT)], abs=2)
        assert told == [(done, COUNT) for done in range(1, COUNT + 1)]
        assert [each.name for each in path.parent.iterdir()] == ["review.mp4"]

    def test_points_stand_where_the_camera_shows_them_in_their_color(
        self, made: Made, tmp_path: Path
    ) -> None:
        frames, check = write(made, tmp_path / "a.mp4"), read_check(made.shot)
        for index in (0, COUNT - 1):
            seen = check.at(FIRST + index)
            for slopes, error in zip(seen.slopes, seen.error, strict=True):
                expected = "green" if error < 0.5 else "red" if error > 2 else "yellow"
                assert color_at(frames[index], bend(BARREL, slopes[None])[0]) == expected
        assert color_at(frames[0], np.array([20, 20])) == "none"

    def test_slip_is_drawn_ten_times_as_long_toward_the_track(
        self, made: Made, tmp_path: Path
    ) -> None:
        frame = write(made, tmp_path / "a.mp4")[0]
        seen = read_check(made.shot).at(FIRST)
        worst = int(seen.error.argmax())
        start = bend(BARREL, seen.slopes[worst : worst + 1])[0]
        assert color_at(frame, start, 36, 0.5) == "red"
        assert color_at(frame, start, 46, 0.5) == "none"
        assert color_at(frame, start, -20) == "none"

    def test_only_the_strongest_are_drawn(self, made: Made, tmp_path: Path) -> None:
        frame = write(made, tmp_path / "a.mp4", points=2)[0]
        seen = read_check(made.shot).at(FIRST)
        drawn = [color_at(frame, pixel) != "none" for pixel in bend(BARREL, seen.slopes)]
        assert drawn == [True, True, False, False, False, False]

    def test_on_the_undistorted_plate_they_stand_where_its_pinhole_has_them(
        self, made: Made, tmp_path: Path
    ) -> None:
        size = undistorted_plate(made.solve)
        camera = size.camera(made.solve.track)
        frames, seen = write(made, tmp_path / "a.mp4", UNDISTORTED), read_check(made.shot).at(FIRST)
        assert frames[0].shape[1] == size.width
        for pixel in camera.project(seen.positions, 0):
            assert color_at(frames[0], pixel) != "none"
        # What the plate does not show is black.
        assert frames[0][2:6, 2:6].max() < 30

    def test_both_stand_side_by_side(self, made: Made, tmp_path: Path) -> None:
        size = undistorted_plate(made.solve)
        frames, seen = write(made, tmp_path / "a.mp4", BOTH), read_check(made.shot).at(FIRST)
        left = frames[0].shape[1] - size.width
        assert 0 <= left - WIDTH < 20
        top = (size.height - HEIGHT) // 2
        for pixel in bend(BARREL, seen.slopes):
            assert color_at(frames[0], pixel, 0, top) != "none"
        for pixel in size.camera(made.solve.track).project(seen.positions, 0):
            assert color_at(frames[0], pixel, left) != "none"

    def test_frames_without_a_pose_say_so(self, tmp_path: Path) -> None:
        made = make_shot(
            tmp_path / "shot", interpolated=(2,), unsolved=(6, 7), points=6, images=True
        )
        frames = write(made, tmp_path / "a.mp4")
        strips = [frame[HEIGHT:, : WIDTH // 3].astype(int) for frame in frames]
        colored = [(np.ptp(strip, axis=2) > 60).any() for strip in strips]
        assert colored == [index in (2, 6, 7) for index in range(COUNT)]
        assert (np.ptp(frames[6][:HEIGHT].astype(int), axis=2) < 25).all()

    def test_odd_sizes_and_others_are_written(self, tmp_path: Path) -> None:
        lens = CameraModel("SIMPLE_RADIAL", 321, 181, (270, 160.5, 90.5, -0.1))
        made = make_shot(tmp_path / "shot", lens, points=4, images=True)
        for ending in (".mov", ".mkv"):
            frames = write(made, tmp_path / f"a{ending}", BOTH)
            assert len(frames) == COUNT
            assert frames[0].shape[0] % 2 == frames[0].shape[1] % 2 == 0

    def test_large_plates_are_scaled_down(self, made: Made) -> None:
        check = read_check(made.shot)
        plate = replace(made.shot.load_plate(), width=8192, height=4320)
        for shown in (AS_SHOT, BOTH):
            width, height = Review(plate, check, OverlayOptions(shown)).size
            assert width <= LARGEST[0]
            assert height <= LARGEST[1] * 1.06


class TestFailing:
    def test_a_missing_frame_is_named_and_the_old_movie_stays(self, tmp_path: Path) -> None:
        made = make_shot(tmp_path / "shot", images=True)
        path = tmp_path / "out" / "review.mp4"
        write(made, path)
        before = path.read_bytes()
        made.shot.frame_file(FIRST + 5).unlink()
        with pytest.raises(PlateError, match=rf"frame_{FIRST + 5}\.png"):
            write(made, path)
        assert path.read_bytes() == before
        assert [each.name for each in path.parent.iterdir()] == ["review.mp4"]

    def test_a_shot_that_is_not_tracked_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(SolveError, match="no camera yet"):
            write_overlay(Shot(tmp_path), tmp_path / "a.mp4", OverlayOptions(), quiet)
        assert not list(tmp_path.iterdir())

    def test_a_place_that_cannot_be_written_is_named(self, made: Made, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "folder.mp4").mkdir()
        for place in (tmp_path / "file" / "a.mp4", tmp_path / "folder.mp4"):
            with pytest.raises(OutputError, match=r"file|folder\.mp4"):
                write_overlay(made.shot, place, OverlayOptions(), quiet)

    def test_a_name_that_is_no_movie_is_wrong_use(self) -> None:
        with pytest.raises(UsageError, match=r"\.mp4"):
            check_movie_name(Path("review.avi"))

    def test_a_damaged_plate_file_is_told(self, tmp_path: Path) -> None:
        made = make_shot(tmp_path / "shot")
        write_json(made.shot.plate_file, {"source": "a"})
        with pytest.raises(Exception, match=r"shot\.json is damaged"):
            write_overlay(made.shot, tmp_path / "a.mp4", OverlayOptions(), quiet)
