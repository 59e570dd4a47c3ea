# SPDX-License-Identifier: GPL-3.0-or-later
"""The ingest stage, run for real on movies and sequences whose frames say which they are."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest

from backend.errors import Canceled, OutputError, PlateError, UsageError
from backend.events import Event
from backend.shot import Shot
from backend.worker.media import frame_rate, probe_movie

from ..data_folder import ROOT, shared_data
from . import movies
from .ingesting import NTSC_FILM, codes, ingested, proxy_file, run_ingest


def leftovers(folder: Path) -> list[str]:
    """What a failed run left in the shot folder."""
    return sorted(file.name for file in (folder / "shot").glob("*"))


# Movies: every frame once, exact rates and times


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("plate.mp4", ()),
        ("plate.mkv", ()),
        ("plate.avi", ("-c:v", "mjpeg", "-q:v", "2")),
        ("plate.mov", ("-c:v", "prores_ks")),
        ("plate.mxf", ("-c:v", "mpeg2video", "-q:v", "2", "-bf", "2")),
        ("plate.webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")),
        ("plate.ts", ()),
    ],
)
def test_every_frame_once_at_the_exact_rate(
    tmp_path: Path, name: str, encoding: tuple[str, ...]
) -> None:
    movie = movies.coded_movie(tmp_path / name, 30, *encoding, rate="24000/1001")
    shot, plate, warnings = ingested(movie, tmp_path)
    assert plate.frames == tuple(range(1, 31))
    assert codes(shot, plate) == list(range(30))
    assert plate.source_indices == tuple(range(30))
    assert plate.fps == NTSC_FILM
    assert plate.times == pytest.approx([float(i / NTSC_FILM) for i in range(30)], abs=0.0011)
    assert (plate.kind, plate.source, warnings) == ("movie", str(movie), [])
    record = json.loads((shot.output("source") / "stage.json").read_text())
    assert record["frame_count"] == 30
    assert (record["fps"], record["size"], record["first_frame"]) == ("24000/1001", [192, 108], 1)
    assert record["bits"] == (16 if "prores_ks" in encoding else 8)


@pytest.mark.parametrize("rate", ["25", "30000/1001", "60000/1001", "47/2"])
def test_other_rates_stay_exact(tmp_path: Path, rate: str) -> None:
    movie = movies.coded_movie(tmp_path / "plate.mp4", 8, rate=rate)
    assert probe_movie(movie).rate == Fraction(rate)


def test_a_variable_rate_keeps_every_frame_and_its_time(tmp_path: Path) -> None:
    times = [i * 33 + i // 4 * 100 for i in range(24)]
    expression = "settb=1/1000,setpts=N*33+floor(N/4)*100"
    encoding = ("-vf", expression, "-fps_mode", "passthrough", "-enc_time_base", "1/1000")
    movie = movies.coded_movie(tmp_path / "phone.mp4", 24, *encoding, "-c:v", "libx264")
    shot, plate, warnings = ingested(movie, tmp_path)
    assert codes(shot, plate) == list(range(24))
    assert plate.times == pytest.approx([t / 1000 for t in times], abs=1e-6)
    assert float(plate.fps) == pytest.approx(23 / (times[-1] / 1000), rel=0.03)
    assert plate.fps.denominator <= 1000
    assert len(warnings) == 1
    assert "variable frame rate" in warnings[0]


def test_rates_from_times_alone() -> None:
    milliseconds = Fraction(1, 1000)
    film = [round(i * 1001 / 24) for i in range(200)]
    assert frame_rate(film, milliseconds, []) == (NTSC_FILM, True)
    whole = [round(i * 1000 / 24) for i in range(200)]
    assert frame_rate(whole, milliseconds, []) == (Fraction(24), True)
    # A container that says 60 for a clip at 30 is not believed.
    assert frame_rate(range(0, 3000 * 90, 3000), Fraction(1, 90000), [Fraction(60)]) == (30, True)
    assert frame_rate([7], milliseconds, [Fraction(25)]) == (25, True)


def test_a_rate_that_was_asked_for(tmp_path: Path) -> None:
    movie = movies.coded_movie(tmp_path / "plate.mp4", 30, rate="30")
    shot, plate, _ = ingested(movie, tmp_path, fps="23.976")
    assert plate.fps == NTSC_FILM
    assert len(plate.frames) == 24
    assert codes(shot, plate) == list(plate.source_indices)
    assert plate.times == pytest.approx([float(i / NTSC_FILM) for i in range(24)])
    assert sorted(set(plate.source_indices)) == list(plate.source_indices)


def test_a_higher_rate_repeats_frames_and_says_which(tmp_path: Path) -> None:
    movie = movies.coded_movie(tmp_path / "plate.mp4", 10, rate="24")
    shot, plate, _ = ingested(movie, tmp_path, fps="60")
    assert len(plate.frames) == 25
    assert codes(shot, plate) == list(plate.source_indices)
    assert set(plate.source_indices) == set(range(10))


def test_asking_for_the_rate_it_has_changes_nothing(tmp_path: Path) -> None:
    movie = movies.coded_movie(tmp_path / "plate.mkv", 10, rate="24000/1001")
    shot, plate, _ = ingested(movie, tmp_path, fps="23.976")
    assert codes(shot, plate) == list(range(10))


def test_a_name_with_everything_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "größe 100% 'a' [b];c,d"
    movie = movies.coded_movie(tmp_path / "x.mp4", 4)
    folder.mkdir()
    movie = movie.rename(folder / "план — take 1%02d:2.mp4")
    shot, plate, _ = ingested(movie, folder)
    assert codes(shot, plate) == [0, 1, 2, 3]


def test_rotation_and_pixel_aspect(tmp_path: Path) -> None:
    plain = movies.coded_movie(
        tmp_path / "a.mp4", 4, "-c:v", "libx264", "-crf", "4", "-vf", "setsar=2"
    )
    turned = tmp_path / "turned.mp4"
    movies.ffmpeg("-display_rotation", "90", "-i", plain, "-c", "copy", turned)
    shot, plate, _ = ingested(turned, tmp_path)
    assert (plate.width, plate.height) == (movies.HEIGHT, movies.WIDTH)
    assert plate.pixel_aspect == Fraction(1, 2)
    # Rotated by 90 degrees counterclockwise: the left bar of the code lies at the bottom.
    upright = np.rot90(movies.read_image(shot.frame_file(4)), -1)
    assert movies.read_code(np.ascontiguousarray(upright)) == 3


@pytest.mark.parametrize("flips", [(), ("-display_hflip",), ("-display_vflip",)])
@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_pictures_stand_as_players_show_them(
    tmp_path: Path, angle: int, flips: tuple[str, ...]
) -> None:
    plain = movies.coded_movie(tmp_path / "a.mp4", 2)
    turned, shown = tmp_path / "turned.mp4", tmp_path / "shown.png"
    movies.ffmpeg("-display_rotation", angle, *flips, "-i", plain, "-c", "copy", turned)
    movies.ffmpeg("-i", turned, "-frames:v", 1, shown)
    shot, _, _ = ingested(turned, tmp_path)
    frame, expected = movies.read_image(shot.frame_file(1)), movies.read_image(shown)
    assert frame.shape == expected.shape
    assert np.abs(frame.astype(int) - expected).mean() < 1


@pytest.mark.parametrize("deinterlace", ["off", "frames"])
def test_images_may_be_sampled_differently(tmp_path: Path, deinterlace: str) -> None:
    """JPEGs of one sequence in 4:2:0 and 4:4:4, as different exports write them."""
    rng = np.random.default_rng(1)
    image = cv2.resize(rng.integers(0, 255, (4, 6, 3), np.uint8), (96, 64))
    factors = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    for number in range(1, 5):
        how = [cv2.IMWRITE_JPEG_QUALITY, 98, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factors[number % 2]]
        cv2.imwrite(str(tmp_path / f"a{number}.jpg"), image, how)
    shot, plate, _ = ingested(tmp_path / "a1.jpg", tmp_path, deinterlace=deinterlace)
    assert plate.frames == (1, 2, 3, 4)
    for number in plate.frames:
        seen = movies.read_image(shot.frame_file(number)).astype(int)
        assert np.abs(seen - image[..., ::-1]).mean() < 3


def test_photographs_stand_upright(tmp_path: Path) -> None:
    for number in (1, 2):
        image = np.zeros((48, 64, 3), np.uint8)
        image[:, :32] = 255  # The left half, which is the upper one after a turn clockwise.
        spec = oiio.ImageSpec(64, 48, 3, "uint8")
        spec.attribute("Orientation", 6)
        out = oiio.ImageOutput.create(str(tmp_path / f"a{number}.jpg"))
        out.open(str(tmp_path / f"a{number}.jpg"), spec)
        out.write_image(image)
        out.close()
    shot, plate, _ = ingested(tmp_path / "a1.jpg", tmp_path)
    frame = movies.read_image(shot.frame_file(1))
    assert (plate.width, plate.height) == (48, 64) == (frame.shape[1], frame.shape[0])
    assert frame[:24].mean() > 250
    assert frame[40:].mean() < 5


def test_more_than_9999_frames_get_more_digits(tmp_path: Path) -> None:
    folder = movies.write_images(tmp_path / "s", "f.{:04d}.png", range(9998, 10002))
    shot, plate, _ = ingested(folder, tmp_path)
    assert plate.frames == (9998, 9999, 10000, 10001)
    assert codes(shot, plate) == [n & 4095 for n in plate.frames]


# Pixels


_PATCHES = [(16, 128, 128), (235, 128, 128), (126, 128, 128), (90, 160, 100), (150, 90, 170)]


def _rgb(
    patch: tuple[int, int, int], weights: tuple[float, float], full: bool, deep: bool
) -> list[float]:
    """ITU-R BT.601 / BT.709: YCbCr in 8-bit steps, stored in 8 or 10 bits, to RGB in 0..1."""
    kr, kb = weights
    whole = (1023 / 4 if deep else 255) if full else 0
    y = patch[0] / whole if full else (patch[0] - 16) / 219
    u, v = ((chroma - 128) / (whole or 224) for chroma in patch[1:])
    red, blue = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return [min(1.0, max(0.0, value)) for value in (red, green, blue)]


_BT709, _BT601 = (0.2126, 0.0722), (0.299, 0.114)


@pytest.mark.parametrize(
    ("pixels", "height", "tags", "weights", "full"),
    [
        ("yuv444p", 64, ("-vf", "setparams=colorspace=bt709:range=tv"), _BT709, False),
        ("yuv444p", 64, ("-vf", "setparams=colorspace=smpte170m:range=tv"), _BT601, False),
        ("yuv444p", 64, ("-vf", "setparams=colorspace=bt709:range=pc"), _BT709, True),
        ("yuv444p", 64, (), _BT601, False),
        ("yuv420p", 720, (), _BT709, False),
        ("yuv444p10le", 64, ("-vf", "setparams=colorspace=bt709:range=tv"), _BT709, False),
        ("yuv444p10le", 64, ("-vf", "setparams=colorspace=bt709:range=pc"), _BT709, True),
        ("yuv422p10le", 64, ("-vf", "setparams=colorspace=bt709:range=tv"), _BT709, False),
    ],
)
def test_colors_are_what_the_tags_say(
    tmp_path: Path,
    pixels: str,
    height: int,
    tags: tuple[str, ...],
    weights: tuple[float, float],
    full: bool,
) -> None:
    """Flat patches come out within one code value of the plate's own depth."""
    deep = "10" in pixels
    width, step = 64 * len(_PATCHES), 64
    planes = []
    for channel in range(3):
        row = np.repeat([patch[channel] for patch in _PATCHES], step) * (4 if deep else 1)
        plane = np.broadcast_to(row, (height, width))
        if channel and "420" in pixels:
            plane = plane[::2, ::2]
        elif channel and "422" in pixels:
            plane = plane[:, ::2]
        planes.append(plane.astype("<u2" if deep else np.uint8).tobytes())
    raw = ("-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{width}x{height}", "-r", "24", "-i", "-")
    movie = tmp_path / "plate.mkv"
    lossless = ("-c:v", "libx264", "-qp", "0", "-preset", "ultrafast")
    movies.ffmpeg(*raw, *lossless, *tags, movie, data=b"".join(planes) * 2)
    shot, plate, _ = ingested(movie, tmp_path)
    image = movies.read_image(shot.frame_file(1))
    assert image.dtype == (np.uint16 if deep else np.uint8)
    found = image[height // 2, step // 2 :: step].astype(float) / np.iinfo(image.dtype).max
    wanted = [_rgb(patch, weights, full, deep) for patch in _PATCHES]
    assert np.abs(found - wanted).max() <= 1 / (1023 if deep else 255)
    small = movies.read_image(proxy_file(shot, plate, 1))[height // 4, step // 4 :: step // 2]
    assert np.abs(small / 255 - wanted).max() < 0.02


def test_lossless_rgb_is_kept_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 256, (61, 83, 3)).astype(np.uint8) for _ in range(3)]
    movie = movies.write_movie(tmp_path / "a.mkv", frames, "-c:v", "ffv1", "-pix_fmt", "gbrp")
    shot, plate, _ = ingested(movie, tmp_path)
    for number, frame in zip(plate.frames, frames, strict=True):
        np.testing.assert_array_equal(movies.read_image(shot.frame_file(number)), frame)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "alpha", "gray"])
def test_images_are_kept_bit_for_bit(tmp_path: Path, suffix: str, kind: str) -> None:
    rng = np.random.default_rng(2)
    dtype, channels = {"alpha": ("uint8", 4), "gray": ("uint8", 1)}.get(kind, (kind, 3))
    top = np.iinfo(dtype).max + 1
    images = [rng.integers(0, top, (61, 83, channels)).astype(dtype) for _ in range(3)]
    (tmp_path / "s").mkdir()
    for number, image in enumerate(images, 1001):
        assert cv2.imwrite(str(tmp_path / "s" / f"a.{number}.{suffix}"), image)
    shot, plate, _ = ingested(tmp_path / "s", tmp_path)
    for number, image in zip(plate.frames, images, strict=True):
        colors = np.repeat(image, 3, axis=2) if channels == 1 else image[..., :3]
        found = movies.read_image(shot.frame_file(number))
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found[..., ::-1], colors)


def test_dpx_code_values_are_kept(tmp_path: Path) -> None:
    ramp = np.broadcast_to((np.arange(1024) << 6)[None, :, None], (4, 1024, 3)).astype("<u2")
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", "1024x4", "-i", "-")
    out = ("-pix_fmt", "gbrp10le", "-start_number", "1", tmp_path / "log.%04d.dpx")
    movies.ffmpeg(*raw, *out, data=ramp.tobytes() * 2)
    shot, _, _ = ingested(tmp_path / "log.0001.dpx", tmp_path)
    found = movies.read_image(shot.frame_file(1))[0, :, 0]
    np.testing.assert_allclose(found / 65535, np.arange(1024) / 1023, atol=0.25 / 1023)


def test_frames_say_nothing_of_gamma(tmp_path: Path) -> None:
    """So that every program takes them as sRGB, whatever the movie was tagged with."""
    tags = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709"
    movie = movies.coded_movie(tmp_path / "a.mp4", 2, "-c:v", "libx264", "-vf", tags)
    shot, _, _ = ingested(movie, tmp_path)
    head = shot.frame_file(1).read_bytes().split(b"IDAT")[0]
    assert not any(chunk in head for chunk in (b"gAMA", b"cHRM", b"cICP", b"iCCP"))


# Sequences


@pytest.mark.parametrize(
    ("pattern", "dtype", "first"),
    [
        ("pla te's é 50% {:04d}.png", "uint8", 1001),
        ("jpeg.{:05d}.jpg", "uint8", 0),
        ("tiff_{:d}.tif", "uint16", 96),
        ("deep-{:04d}.png", "uint16", 1),
    ],
)
def test_a_sequence_keeps_its_numbers(tmp_path: Path, pattern: str, dtype: str, first: int) -> None:
    numbers = range(first, first + 12)
    folder = movies.write_images(tmp_path / "my séq", pattern, numbers, dtype)
    (folder / "notes.txt").write_text("stray")
    shot, plate, warnings = ingested(folder, tmp_path)
    assert plate.frames == tuple(numbers)
    assert codes(shot, plate) == list(numbers)
    assert movies.read_image(shot.frame_file(first)).dtype == np.dtype(dtype)
    assert (plate.kind, plate.fps, warnings) == ("sequence", Fraction(24), [])
    assert plate.source_indices == tuple(range(12))
    assert plate.times == pytest.approx([i / 24 for i in range(12)])


def test_a_sequence_has_the_rate_that_was_asked_for(tmp_path: Path) -> None:
    folder = movies.write_images(tmp_path / "s", "a{:02d}.png", range(1, 5))
    shot, plate, _ = ingested(folder / "a02.png", tmp_path, fps="23.976")
    assert plate.fps == NTSC_FILM
    assert codes(shot, plate) == [1, 2, 3, 4]


def test_holes_shift_nothing(tmp_path: Path) -> None:
    numbers = [1001, 1002, 1006, 1007, 1009, 1010]
    folder = movies.write_images(tmp_path / "s", "a.{:04d}.png", numbers)
    shot, plate, warnings = ingested(folder, tmp_path)
    assert plate.frames == tuple(numbers)
    assert codes(shot, plate) == numbers
    assert plate.missing == (1003, 1004, 1005, 1008)
    assert plate.source_indices == tuple(range(6))
    assert plate.times == pytest.approx([(n - 1001) / 24 for n in numbers])
    assert len(warnings) == 1
    assert "1003-1005, 1008" in warnings[0]


def test_a_damaged_image_becomes_a_hole_when_that_is_accepted(tmp_path: Path) -> None:
    folder = movies.write_images(tmp_path / "s", "a.{:04d}.png", range(1, 8))
    whole = (folder / "a.0004.png").read_bytes()
    (folder / "a.0004.png").write_bytes(whole[:40])
    with pytest.raises(PlateError, match=r"images are damaged: 4\b.*Accept Damage"):
        run_ingest(folder, Shot(tmp_path / "shot"))
    assert leftovers(tmp_path) == []
    shot, plate, warnings = ingested(folder, tmp_path, accept_damage=True)
    assert plate.frames == (1, 2, 3, 5, 6, 7)
    assert codes(shot, plate) == list(plate.frames)
    assert plate.missing == (4,)
    assert plate.source_indices == (0, 1, 2, 4, 5, 6)
    assert any("damaged" in text and "4" in text for text in warnings)


# What is no plate


def _one_frame(folder: Path) -> Path:
    return movies.coded_movie(folder / "bad.mp4", 1)


def _one_image(folder: Path) -> Path:
    return movies.write_images(folder / "one", "a_{:04d}.png", [7])


def _text(folder: Path) -> Path:
    (folder / "bad.mp4").write_text("this is no movie\n" * 100)
    return folder / "bad.mp4"


def _empty(folder: Path) -> Path:
    (folder / "bad.mov").touch()
    return folder / "bad.mov"


def _sound(folder: Path) -> Path:
    movies.ffmpeg("-f", "lavfi", "-i", "sine", "-t", "0.2", folder / "bad.mkv")
    return folder / "bad.mkv"


def _headless(folder: Path) -> Path:
    movie = movies.coded_movie(folder / "bad.mp4", 20)
    movie.write_bytes(movie.read_bytes()[:-600])
    return movie


def _unknown_codec(folder: Path) -> Path:
    movie = movies.coded_movie(folder / "bad.mp4", 4)
    movie.write_bytes(movie.read_bytes().replace(b"avc1", b"zzzz"))
    return movie


def _two_sizes(folder: Path) -> Path:
    movies.write_images(folder / "two", "a.{:04d}.png", range(1, 6))
    cv2.imwrite(str(folder / "two/a.0004.png"), movies.coded_frame(4, 240, 108))
    return folder / "two"


def _garbage_image(folder: Path) -> Path:
    movies.write_images(folder / "bad", "a.{:04d}.png", range(1, 4))
    (folder / "bad/a.0001.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    return folder / "bad"


def _nothing(folder: Path) -> Path:
    (folder / "nothing").mkdir()
    return folder / "nothing"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_one_frame, "one frame"),
        (_one_image, "one frame"),
        (_text, "no movie"),
        (_empty, "empty"),
        (_sound, "no video"),
        (_headless, "is damaged"),
        (_unknown_codec, "zzzz"),
        (_two_sizes, "192x108, a.0004.png 240x108"),
        (_garbage_image, "a.0001.png"),
        (_nothing, "no images"),
        (lambda folder: folder / "gone.mp4", "not found"),
    ],
)
def test_bad_plates_leave_the_old_result(tmp_path: Path, make: Any, words: str) -> None:
    shot, _, _ = ingested(movies.coded_movie(tmp_path / "good.mp4", 3), tmp_path)
    before = {file: file.read_bytes() for file in shot.path.rglob("*") if file.is_file()}
    bad = make(tmp_path)
    started = time.monotonic()
    with pytest.raises(PlateError, match=words) as raised:
        run_ingest(bad, shot)
    assert time.monotonic() - started < 10
    assert "\n" not in raised.value.reason
    after = {file: file.read_bytes() for file in shot.path.rglob("*") if file.is_file()}
    assert after == before


def test_a_rate_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        run_ingest(movies.coded_movie(tmp_path / "a.mp4", 3), Shot(tmp_path / "shot"), fps="fast")
    assert leftovers(tmp_path) == []


def test_a_truncated_movie_gives_the_frames_it_has_when_that_is_accepted(tmp_path: Path) -> None:
    movie = movies.coded_movie(tmp_path / "a.mkv", 40, "-c:v", "libx264", "-g", "5", "-bf", "0")
    movie.write_bytes(movie.read_bytes()[: movie.stat().st_size * 2 // 3])
    with pytest.raises(PlateError, match=r"ends .* sooner than it says.*Accept Damage"):
        run_ingest(movie, Shot(tmp_path / "shot"))
    assert leftovers(tmp_path) == []
    shot, plate, _ = ingested(movie, tmp_path, accept_damage=True)
    assert 10 < len(plate.frames) < 40
    assert codes(shot, plate) == list(range(len(plate.frames)))


def test_frames_that_cannot_be_decoded_are_counted(tmp_path: Path) -> None:
    """Every frame of this movie stands alone; three of them are overwritten."""
    movie = movies.coded_movie(tmp_path / "a.mov", 20, "-c:v", "png")
    data = bytearray(movie.read_bytes())
    starts = [i for i in range(len(data)) if data.startswith(b"\x89PNG\r\n\x1a\n", i)]
    assert len(starts) == 20
    for lost in (3, 11, 12):
        data[starts[lost] : starts[lost] + 60] = bytes(60)
    movie.write_bytes(data)
    with pytest.raises(PlateError, match=r"17 of the movie's 20 frames.*Accept Damage"):
        run_ingest(movie, Shot(tmp_path / "shot"))
    shot, plate, warnings = ingested(movie, tmp_path, accept_damage=True)
    there = [i for i in range(20) if i not in (3, 11, 12)]
    assert plate.frames == tuple(range(1, 18))
    assert list(plate.source_indices) == codes(shot, plate) == there
    assert plate.times == pytest.approx([i / 24 for i in there])
    assert any("17 of the movie's 20 frames" in text for text in warnings)


# The target


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small disk of its own; skips where this user may not make one."""
    folder.mkdir()
    made = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
            capture_output=True,
            check=False,
        )
        if shutil.which("mount")
        else None
    )
    if made is None or made.returncode:
        pytest.skip("this user cannot mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _noise(path: Path, count: int) -> Path:
    """Frames that do not compress: twice the size that is estimated."""
    rng = np.random.default_rng(3)
    frames = (rng.integers(0, 256, (400, 400, 3)).astype(np.uint8) for _ in range(count))
    return movies.write_movie(path, frames, "-c:v", "ffv1", "-pix_fmt", "gbrp")


def test_a_disk_that_is_too_small_is_known_before(tmp_path: Path) -> None:
    movie = _noise(tmp_path / "a.mkv", 20)
    with mounted(tmp_path / "disk", "size=4m") as disk:
        started = time.monotonic()
        with pytest.raises(OutputError, match="Free some space"):
            run_ingest(movie, Shot(disk / "shot"))
        assert time.monotonic() - started < 10
        assert leftovers(disk) == []


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path) -> None:
    movie = _noise(tmp_path / "a.mkv", 20)
    with mounted(tmp_path / "disk", "size=6m") as disk:
        run_ingest(movies.coded_movie(tmp_path / "good.mp4", 3), Shot(disk / "shot"))
        before = sorted((disk / "shot").rglob("*"))
        with pytest.raises(OutputError, match="disk is full"):
            run_ingest(movie, Shot(disk / "shot"))
        assert sorted((disk / "shot").rglob("*")) == before
        assert leftovers(disk) == ["source"]


def test_a_read_only_target(tmp_path: Path) -> None:
    movie = movies.coded_movie(tmp_path / "a.mp4", 3)
    with mounted(tmp_path / "disk", "size=1m") as disk:
        (disk / "shot").mkdir()
        (disk / "shot.jsonl").symlink_to(tmp_path / "events.jsonl")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(OutputError, match="read-only"):
            run_ingest(movie, Shot(disk / "shot"))
        assert leftovers(disk) == []


# Stopping and going on


def _long_movie(folder: Path) -> Path:
    frames = (movies.coded_frame(i, 768, 432) for i in range(48))
    encoding = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2")
    return movies.write_movie(folder / "long.mp4", frames, *encoding)


def test_cancel_at_any_moment_leaves_nothing(tmp_path: Path) -> None:
    movie = _long_movie(tmp_path)
    random.seed(4)
    for attempt, delay in enumerate([0.0, *(random.uniform(0.05, 1.0) for _ in range(4))]):
        shot = Shot(tmp_path / str(attempt) / "shot")
        shot.path.mkdir(parents=True)
        flag = shot.path.with_name("shot.cancel")
        timer = threading.Timer(delay, flag.touch)
        timer.start()
        with contextlib.suppress(Canceled):
            run_ingest(movie, shot)
        timer.join()
        assert leftovers(shot.path.parent) in ([], ["source"])
        if shot.has_plate():
            assert len(shot.load_plate().frames) == 48


_RUNNER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.backend.test_ingest import run_ingest
from backend.shot import Shot
run_ingest(sys.argv[2], Shot(Path(sys.argv[3])))
"""


def _contents(shot: Shot) -> dict[str, bytes]:
    files = (file for file in shot.output("source").rglob("*") if file.is_file())
    return {str(f.relative_to(shot.path)): f.read_bytes() for f in files if f.name != "stage.json"}


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process")
@pytest.mark.parametrize("kind", ["movie", "sequence"])
def test_a_killed_run_is_resumed_to_the_same_result(tmp_path: Path, kind: str) -> None:
    plate = _long_movie(tmp_path)
    if kind == "sequence":
        (tmp_path / "seq").mkdir()
        movies.ffmpeg("-i", plate, "-start_number", "1001", tmp_path / "seq/a.%04d.png")
        plate = tmp_path / "seq"
        for hole in (1005, 1030):
            (plate / f"a.{hole}.png").unlink()
    shot = Shot(tmp_path / "killed")
    command = [sys.executable, "-c", _RUNNER, str(ROOT), str(plate), str(shot.path)]
    part = shot.output("source.part") / "frames"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        give_up = time.monotonic() + 30
        while len(list(part.glob("frame_*.png"))) < 12 and time.monotonic() < give_up:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    left = sorted(part.glob("frame_*.png"))
    assert 12 <= len(left) < 46
    kept = {file.name: file.stat().st_mtime_ns for file in left}
    # A power cut leaves worse than a kill: a file that is cut short.
    left[8].write_bytes(left[8].read_bytes()[:-20])
    run_ingest(plate, shot)
    whole = Shot(tmp_path / "whole")
    run_ingest(plate, whole)
    assert _contents(shot) == _contents(whole)
    same = [n for n in kept if (shot.frames / n).stat().st_mtime_ns == kept[n]]
    assert len(same) == (8 - 2 if kind == "movie" else len(left) - 1 - 2)


def test_a_whole_part_is_finished(tmp_path: Path) -> None:
    """The run was killed after its last frame, before the frame map was written."""
    movie = movies.coded_movie(tmp_path / "a.mp4", 12)
    shot = Shot(tmp_path / "shot")
    run_ingest(movie, shot)
    first = _contents(shot)
    shot.output("source").rename(shot.output("source.part"))
    (shot.output("source.part") / "shot.json").unlink()
    run_ingest(movie, shot)
    assert _contents(shot) == first


def test_another_plate_does_not_resume(tmp_path: Path) -> None:
    run_ingest(movies.coded_movie(tmp_path / "a.mp4", 12), Shot(tmp_path / "shot"))
    shot = Shot(tmp_path / "shot")
    shot.output("source").rename(shot.output("source.part"))
    folder = movies.write_images(tmp_path / "s", "a.{:04d}.png", range(5, 9))
    assert codes(shot, ingested(folder, tmp_path)[1]) == [5, 6, 7, 8]


def test_progress_counts_up_to_the_frames(tmp_path: Path) -> None:
    events = run_ingest(_long_movie(tmp_path), Shot(tmp_path / "shot"))
    progress = [r for r in events if r["event"] == Event.PROGRESS.value]
    done = [r["done"] for r in progress]
    assert {(r["total"], r["unit"]) for r in progress} == {(48, "frames")}
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == 48
    assert len(done) > 3


# Real clips


@pytest.mark.parametrize(
    ("clip", "count", "rate", "size"),
    [
        ("ingest/video_90.mov", 3, "30", (320, 568)),
        ("ingest/video_0.mov", 3, "30", (568, 320)),
        ("ingest/qtrle.mov", 2, "25", (512, 512)),
        ("ingest/corrupted.mp4", 49, "10", (1280, 720)),
        ("ingest/prores_apcn.mov", 2, "25", (512, 512)),
    ],
)
def test_real_clips(
    tmp_path: Path, clip: str, count: int, rate: str, size: tuple[int, int]
) -> None:
    if "corrupted" in clip:
        with pytest.raises(PlateError, match="49 of the movie's 50 frames"):
            run_ingest(shared_data(clip), Shot(tmp_path / "shot"))
    shot, plate, _ = ingested(shared_data(clip), tmp_path, accept_damage="corrupted" in clip)
    assert len(plate.frames) == count
    assert plate.fps == Fraction(rate)
    assert (plate.width, plate.height) == size
    deep = movies.read_image(shot.frame_file(1)).dtype == np.uint16
    assert deep == ("prores" in clip)


@pytest.mark.parametrize(
    ("clip", "count", "rate"),
    [
        ("people/tennis_gvhmr/tennis.mp4", 312, 29.83),
        ("plates/london_hevc.mp4", 146, 29.16),
    ],
)
def test_real_clips_with_a_variable_rate(
    tmp_path: Path, clip: str, count: int, rate: float
) -> None:
    """Plain ffmpeg writes 626 and 150 frames of these. Only the first half second is encoded."""
    whole = shared_data(clip)
    movie = probe_movie(whole)
    assert movie.frame_count == count
    assert float(movie.rate) == pytest.approx(rate, abs=0.4)
    cut = tmp_path / "cut.mp4"
    movies.ffmpeg("-i", whole, "-t", "0.5", "-c", "copy", "-an", cut)
    frames = probe_movie(cut).frame_count
    _, plate, _ = ingested(cut, tmp_path)
    assert len(plate.frames) == frames
