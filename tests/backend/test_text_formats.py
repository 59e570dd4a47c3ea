# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera files, read back by readers that share no code with their writers."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from backend.camera import UNDISTORTED_PLATE, CameraTrack, filled_gaps
from backend.errors import FormatError, OutputError
from backend.formats import TEXT_FORMATS, chan, clip, csv, jsx, nk, write_all
from tests.backend import readers
from tests.backend.cameras import moving_track, points_ahead, square_and_centered, with_gaps
from tests.data_folder import shared_data

SLIP = 0.01
"""Pixels that a file may be off."""

SIZES = [(1920, 1080), (1080, 1920), (3840, 1600)]


READERS: dict[str, Callable[[Path], CameraTrack]] = {
    "chan": lambda path: chan.read(path, 1920, 1080, Fraction(24)),
    "clip": clip.read,
    "csv": csv.read,
}


def worst_slip(track: CameraTrack, pixels_of: Callable[[int, np.ndarray], np.ndarray]) -> float:
    """The largest distance to the track's own projection over all its frames."""
    slips = []
    for index, frame in enumerate(track.frames.tolist()):
        points = points_ahead(track, index)
        slips.append(np.abs(pixels_of(frame, points) - track.project(points, index)).max())
    return float(max(slips))


def largest_step(angles: np.ndarray) -> float:
    return float(np.abs(np.diff(angles, axis=0)).max())


@pytest.mark.parametrize("size", SIZES)
def test_chan_in_nuke(tmp_path: Path, size: tuple[int, int]) -> None:
    track = square_and_centered(moving_track(width=size[0], height=size[1]))
    chan.write(track, tmp_path / "c.chan")
    keys = readers.chan_lines(tmp_path / "c.chan")
    film = (24.0, 24.0 * size[1] / size[0])
    slip = worst_slip(
        track, lambda frame, points: readers.chan_pixels(keys[frame], points, *size, film)
    )
    assert slip < SLIP
    assert list(keys) == track.frames.tolist()
    assert largest_step(np.array(list(keys.values()))[:, 3:6]) < 120


def test_chan_has_no_header_and_eight_words_a_line(tmp_path: Path) -> None:
    chan.write(moving_track(), tmp_path / "c.chan")
    lines = (tmp_path / "c.chan").read_text().splitlines()
    assert len(lines) == 60
    assert all(len(line.split()) == 8 and line.split()[0].isdigit() for line in lines)


def test_chan_gives_the_horizontal_focal_length_on_the_film_of_the_nk(tmp_path: Path) -> None:
    track = moving_track()
    write_all(track, tmp_path)
    keys = readers.chan_lines(tmp_path / "camera.chan")
    camera = readers.nk_nodes(tmp_path / "camera.nk")["Camera2"]
    for frame, values in keys.items():
        (height,) = readers.nk_knob(camera["vaperture"], frame)
        focal = height / 2 / np.tan(np.radians(values[6]) / 2)
        assert focal == pytest.approx(readers.nk_knob(camera["focal"], frame)[0], rel=1e-7)


def test_chan_comes_back(tmp_path: Path) -> None:
    track = square_and_centered(with_gaps(moving_track()))
    chan.write(track, tmp_path / "c.chan")
    same_camera(chan.read(tmp_path / "c.chan", 1920, 1080, track.fps), track)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step_repeats", [False, True])
def test_nk(tmp_path: Path, size: tuple[int, int], step_repeats: bool) -> None:
    track = with_gaps(moving_track(width=size[0], height=size[1]))
    nk.write(track, tmp_path / "c.nk")
    nodes = readers.nk_nodes(tmp_path / "c.nk")
    slip = worst_slip(
        track, lambda frame, points: readers.nk_pixels(nodes, frame, points, step_repeats)
    )
    assert slip < SLIP


def test_nk_sets_the_script_up(tmp_path: Path) -> None:
    track = replace(moving_track(), fits=UNDISTORTED_PLATE, name="2 übel {cam}")
    nk.write(track, tmp_path / "c.nk")
    nodes = readers.nk_nodes(tmp_path / "c.nk")
    root, camera = nodes["Root"], nodes["Camera2"]
    assert (root["first_frame"], root["last_frame"]) == ("1001", "1060")
    assert float(root["fps"]) == pytest.approx(24000 / 1001, rel=1e-12)
    assert readers.nk_format(nodes) == (1920, 1080)
    assert UNDISTORTED_PLATE in camera["label"]
    assert re.fullmatch(r"[A-Za-z]\w*", camera["name"], re.ASCII)
    assert float(camera["haperture"]) == 36


def test_nk_writes_what_stands_still_as_plain_numbers(tmp_path: Path) -> None:
    track = square_and_centered(moving_track())
    track = replace(track, focal=np.full_like(track.focal, 1600.0))
    nk.write(track, tmp_path / "c.nk")
    camera = readers.nk_nodes(tmp_path / "c.nk")["Camera2"]
    assert float(camera["focal"]) == pytest.approx(30.0)
    assert float(camera["vaperture"]) == pytest.approx(20.25)
    assert camera["win_translate"] == "{0 0}"
    assert camera["win_scale"] == "{1 1}"


@pytest.mark.parametrize("size", SIZES)
def test_clip_in_houdini(tmp_path: Path, size: tuple[int, int]) -> None:
    track = moving_track(width=size[0], height=size[1])
    clip.write(track, tmp_path / "c.clip")
    found = readers.clip_of(tmp_path / "c.clip")
    assert found.first_frame == 1001
    assert found.rate == pytest.approx(24000 / 1001, rel=1e-12)
    slip = worst_slip(track, lambda frame, points: readers.clip_pixels(found, frame, points))
    assert slip < SLIP
    angles = np.stack([found.channels[name] for name in ("rx", "ry", "rz")], axis=1)
    assert largest_step(angles) < 120


def test_clip_has_a_sample_for_every_frame(tmp_path: Path) -> None:
    whole = moving_track()
    track = with_gaps(whole)
    clip.write(track, tmp_path / "c.clip")
    found = readers.clip_of(tmp_path / "c.clip")
    assert all(len(values) == 60 for values in found.channels.values())
    slip = worst_slip(track, lambda frame, points: readers.clip_pixels(found, frame, points))
    assert slip < SLIP


def test_clip_comes_back(tmp_path: Path) -> None:
    track = with_gaps(moving_track())
    clip.write(track, tmp_path / "c.clip")
    back = clip.read(tmp_path / "c.clip")
    assert back.fps == track.fps
    same_camera(back, filled_gaps(track, np.arange(1001, 1061)))


def test_clip_reads_run_lengths(tmp_path: Path) -> None:
    track = square_and_centered(moving_track(frames=4))
    clip.write(track, tmp_path / "c.clip")
    text = (tmp_path / "c.clip").read_text()
    packed = re.sub(r"name = resx\n +data = .*", "name = resx\n data_rle = @3 1920 1920", text)
    assert packed != text
    (tmp_path / "c.clip").write_text(packed)
    same_camera(clip.read(tmp_path / "c.clip"), track)


@pytest.mark.parametrize("size", SIZES)
def test_csv(tmp_path: Path, size: tuple[int, int]) -> None:
    track = with_gaps(moving_track(width=size[0], height=size[1]))
    csv.write(track, tmp_path / "c.csv")
    found = readers.csv_rows(tmp_path / "c.csv")
    slip = worst_slip(track, lambda frame, points: readers.csv_pixels(found[frame], points))
    assert slip < SLIP
    assert [row["solved"] == "1" for row in found.values()] == track.solved.tolist()
    assert found[1001]["file"] == "frame_1001.png"
    assert found[1001]["fps"] == "24000/1001"
    assert found[1001]["fits"] == "plate"


def test_csv_comes_back(tmp_path: Path) -> None:
    track = replace(with_gaps(moving_track()), fits=UNDISTORTED_PLATE, sensor_width=24.9)
    csv.write(track, tmp_path / "c.csv")
    back = csv.read(tmp_path / "c.csv")
    same_camera(back, track)
    assert back.solved.tolist() == track.solved.tolist()
    assert (back.fits, back.fps, back.sensor_width) == (track.fits, track.fps, 24.9)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [1.0, 100.0, 250.0])
def test_jsx_in_after_effects(tmp_path: Path, size: tuple[int, int], scale: float) -> None:
    track = square_and_centered(with_gaps(moving_track(width=size[0], height=size[1])))
    jsx.write(track, tmp_path / "c.jsx", scale)
    comp = readers.composition_of(tmp_path / "c.jsx")
    slip = worst_slip(track, lambda frame, points: readers.composition_pixels(comp, frame, points))
    assert slip < SLIP
    assert (comp.width, comp.height, comp.pixel_aspect) == (*size, 1)
    angles = np.array([comp.keys[f"ADBE Rotate {axis}"] for axis in "XYZ"]).T
    assert largest_step(angles) < 120


def test_jsx_sets_the_composition_up(tmp_path: Path) -> None:
    name = 'shot "7" \\ é'
    jsx.write(replace(square_and_centered(moving_track()), name="plain"), tmp_path / "c.jsx")
    comp = readers.composition_of(tmp_path / "c.jsx")
    assert comp.auto_orient == "NO_AUTO_ORIENT"
    assert comp.fps == pytest.approx(24000 / 1001, rel=1e-12)
    assert comp.duration == pytest.approx(60 * 1001 / 24000)
    assert comp.start == pytest.approx(1001 * 1001 / 24000)
    assert comp.times[0] == 0
    assert "fits the plate" in comp.comment.lower()
    assert "cannot hold" not in comp.comment
    jsx.write(replace(moving_track(), name=name), tmp_path / "c.jsx")
    assert r'"shot \"7\" \\ \u00e9"' in (tmp_path / "c.jsx").read_text()


def test_jsx_says_what_after_effects_cannot_hold(tmp_path: Path) -> None:
    track = replace(moving_track(), fits=UNDISTORTED_PLATE)
    jsx.write(track, tmp_path / "c.jsx")
    comment = readers.composition_of(tmp_path / "c.jsx").comment
    assert UNDISTORTED_PLATE in comment
    assert "the principal point lies" in comment
    assert "the focal length is 1.08 times" in comment
    assert (tmp_path / "c.jsx").read_text().startswith(f"// {comment}\n")


def same_camera(one: CameraTrack, other: CameraTrack) -> None:
    """To 1e-5 of a unit, a radian and a pixel."""
    assert one.frames.tolist() == other.frames.tolist()
    assert (one.width, one.height, one.fps) == (other.width, other.height, other.fps)
    for name in ("matrices", "focal", "center"):
        assert np.abs(getattr(one, name) - getattr(other, name)).max() < 1e-5, name


@pytest.mark.parametrize("extension", TEXT_FORMATS)
def test_a_thousand_frames_are_no_long_wait(tmp_path: Path, extension: str) -> None:
    """The bench holds the figure; a loaded machine must not fail a test."""
    track = moving_track(frames=1000)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        TEXT_FORMATS[extension](track, tmp_path / f"c.{extension}")
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.5


@pytest.mark.parametrize("extension", TEXT_FORMATS)
def test_one_frame_is_a_camera(tmp_path: Path, extension: str) -> None:
    track = moving_track(frames=1)
    path = tmp_path / f"c.{extension}"
    TEXT_FORMATS[extension](track, path)
    if extension == "nk":
        nodes = readers.nk_nodes(path)
        assert worst_slip(track, lambda frame, at: readers.nk_pixels(nodes, frame, at)) < SLIP
    elif extension == "jsx":
        assert readers.composition_of(path).times == [0]
    else:
        assert READERS[extension](path).frames.tolist() == [1001]


@pytest.mark.parametrize("extension", TEXT_FORMATS)
def test_who_reads_the_old_file_reads_it_to_its_end(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"c.{extension}"
    path.write_text("the old camera, whole")
    with path.open() as reader:
        TEXT_FORMATS[extension](moving_track(frames=4), path)
        assert reader.read() == "the old camera, whole"
    assert path.read_text() != "the old camera, whole"
    assert list(tmp_path.iterdir()) == [path]


def test_write_all_writes_each_and_nothing_else(tmp_path: Path) -> None:
    written = write_all(moving_track(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f.name for f in written)
    assert {path.suffix[1:] for path in written} == {"chan", "clip", "csv", "jsx", "nk"}


@pytest.mark.parametrize("extension", TEXT_FORMATS)
@pytest.mark.parametrize("fault", ["empty", "nan", "no focal length"])
def test_a_camera_that_is_none_leaves_the_old_file(
    tmp_path: Path, extension: str, fault: str
) -> None:
    path = tmp_path / f"c.{extension}"
    path.write_text("old")
    track = moving_track(frames=4)
    if fault == "empty":
        none = np.zeros(0, dtype=np.int64)
        track = replace(track, frames=none, matrices=track.matrices[:0], focal=track.focal[:0])
    elif fault == "nan":
        track.matrices[2, 0, 3] = np.nan
    else:
        track.focal[1] = 0
    with pytest.raises(OutputError):
        TEXT_FORMATS[extension](track, path)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("extension", TEXT_FORMATS)
def test_a_folder_that_is_not_there_is_said(tmp_path: Path, extension: str) -> None:
    with pytest.raises(OutputError, match="missing"):
        TEXT_FORMATS[extension](moving_track(frames=4), tmp_path / "missing" / "c")


@pytest.mark.parametrize("extension", READERS)
def test_damage_is_a_format_error(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"c.{extension}"
    TEXT_FORMATS[extension](moving_track(frames=12), path)
    whole = path.read_bytes()
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(150):
        data = bytearray(whole[: rng.integers(0, len(whole))] if rng.random() < 0.5 else whole)
        for _ in range(rng.integers(1, 6)):
            if data:
                data[rng.integers(0, len(data))] = rng.integers(0, 256)
        path.write_bytes(data)
        with contextlib.suppress(FormatError):
            READERS[extension](path)
            refused -= 1
        refused += 1
    assert refused > 50


@pytest.mark.parametrize("extension", READERS)
def test_absurd_counts_and_missing_files(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"c.{extension}"
    with pytest.raises(FormatError, match=path.name):
        READERS[extension](path)
    path.write_text("{ rate = 24 start = 0 tracklength = 99999999999999 tracks = 9 { name = tx")
    with pytest.raises(FormatError, match=path.name):
        READERS[extension](path)


def test_mayas_chan_of_one_channel_is_not_a_camera() -> None:
    path = shared_data("cameras_ref/maya/camera_curve_translateX_raw.chan")
    with pytest.raises(FormatError, match="eight numbers"):
        chan.read(path, 1920, 1080, Fraction(24))


def test_angles_that_nuke_wrote_come_out_the_same(tmp_path: Path) -> None:
    """A track with Nuke's own keys: our ZXY angles and positions are Nuke's, digit for digit."""
    rotate = np.loadtxt(shared_data("cameras_ref/nuke/sh0031_rotate.asci"))
    translate = np.loadtxt(shared_data("cameras_ref/nuke/sh0031_translate.asci"))
    y_up = [
        readers.turn("y", ry) @ readers.turn("x", rx) @ readers.turn("z", rz)
        for rx, ry, rz in rotate
    ]
    track = square_and_centered(moving_track(frames=len(rotate)))
    back = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    track.matrices[:, :3, :3] = back @ np.array(y_up)
    track.matrices[:, :3, 3] = translate @ back.T
    chan.write(track, tmp_path / "c.chan")
    keys = np.array(list(readers.chan_lines(tmp_path / "c.chan").values()))
    assert np.abs(keys[:, :3] - translate).max() < 1e-6
    assert np.abs(keys[:, 3:6] - rotate).max() < 1e-6
