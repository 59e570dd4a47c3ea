# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of plate that artists hand over, and every way to take a part of one."""

from __future__ import annotations

import json
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest

from backend.errors import OutputError, PlateError, UsageError
from backend.events import EventWriter
from backend.shot import Shot
from backend.worker import extraction
from backend.worker.interlacing import fields_of
from backend.worker.media import probe_movie
from backend.worker.report import Report
from backend.worker.stages.ingest import check_path

from . import movies
from .ingesting import NTSC_FILM, codes, ingested, proxy_file, run_ingest

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-bf", "2", "-g", "12")


@pytest.mark.parametrize(
    ("name", "encoding", "bits"),
    [
        ("hevc.mp4", ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p"), 8),
        ("main10.mov", ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv422p10"), 16),
        ("hi422.mp4", (*X264, "-pix_fmt", "yuv422p10le"), 16),
        ("prores.mov", ("-c:v", "prores_ks", "-profile:v", "4", "-pix_fmt", "yuv444p10le"), 16),
        ("dnx.mxf", ("-c:v", "dnxhd", "-profile:v", "dnxhr_hq", "-pix_fmt", "yuv422p",
                     "-s", "256x144"), 8),
        ("dnx12.mov", ("-c:v", "dnxhd", "-profile:v", "dnxhr_444", "-pix_fmt", "yuv444p10le",
                       "-s", "256x144"), 16),
        ("mjpeg.avi", ("-c:v", "mjpeg", "-q:v", "2"), 8),
        ("av1.mkv", ("-c:v", "libsvtav1", "-preset", "12", "-crf", "20", "-pix_fmt", "yuv420p"), 8),
        ("av1.webm", ("-c:v", "libsvtav1", "-preset", "12", "-crf", "20",
                      "-pix_fmt", "yuv420p10le"), 16),
        ("cineform.mov", ("-c:v", "cfhd", "-pix_fmt", "gbrp12le"), 16),
    ],
)  # fmt: skip
def test_codecs_and_containers(
    tmp_path: Path, name: str, encoding: tuple[str, ...], bits: int
) -> None:
    movie = movies.coded_movie(tmp_path / name, 16, *encoding, rate="24000/1001")
    shot, plate, _ = ingested(movie, tmp_path)
    assert codes(shot, plate) == list(plate.source_indices) == list(range(16))
    assert plate.fps == NTSC_FILM
    record = json.loads((shot.output("source") / "stage.json").read_text())
    assert (record["bits"], record["proxies"]) == (bits, [25, 50, 100])


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.ts", "a.avi", "a.h264"])
@pytest.mark.parametrize("handles", [0, 3])
def test_a_cut_keeps_the_plates_numbers(tmp_path: Path, name: str, handles: int) -> None:
    movie = movies.coded_movie(tmp_path / name, 40, *X264)
    shot, plate, _ = ingested(movie, tmp_path, first="11", last="20", handles=handles)
    wanted = range(11 - handles, 21 + handles)
    assert plate.frames == tuple(wanted)
    assert codes(shot, plate) == list(plate.source_indices) == [n - 1 for n in wanted]
    assert plate.times == pytest.approx([i / 24 for i in range(len(wanted))], abs=0.0011)
    assert plate.cut_range == (11, 20)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_cut_far_into_a_movie_is_decoded_from_near_it(tmp_path: Path, name: str) -> None:
    movie = movies.coded_movie(tmp_path / name, 900, *X264)
    shot, plate, _ = ingested(movie, tmp_path, first="700", last="705")
    assert codes(shot, plate) == list(plate.source_indices) == list(range(699, 705))


def test_every_nth_frame_keeps_its_number(tmp_path: Path) -> None:
    movie = movies.coded_movie(tmp_path / "a.mp4", 40, *X264)
    shot, plate, _ = ingested(movie, tmp_path, first="5", last="30", every=6)
    assert plate.frames == (5, 11, 17, 23, 29)
    assert codes(shot, plate) == list(plate.source_indices) == [4, 10, 16, 22, 28]
    assert (plate.missing, plate.cut_range) == ((), (5, 29))
    held = [movies.read_code(movies.read_image(proxy_file(shot, plate, n))) for n in range(5, 30)]
    assert held == [n for n in (4, 10, 16, 22) for _ in range(6)] + [28]


def test_a_cut_of_a_sequence(tmp_path: Path) -> None:
    folder = movies.write_images(tmp_path / "s", "a.{:04d}.png", range(1001, 1031))
    (folder / "a.1013.png").unlink()
    shot, plate, _ = ingested(folder, tmp_path, first="1009", last="1021", handles=4, every=2)
    assert plate.frames == (1005, 1007, 1009, 1011, 1015, 1017, 1019, 1021, 1023, 1025)
    assert codes(shot, plate) == list(plate.frames)
    assert plate.missing == (1013,)
    assert plate.cut_range == (1009, 1021)
    assert plate.source_names == tuple(f"a.{n}.png" for n in plate.frames)


def test_a_cut_of_another_rate(tmp_path: Path) -> None:
    movie = movies.coded_movie(tmp_path / "a.mp4", 48, *X264)
    shot, plate, _ = ingested(movie, tmp_path, fps="12", first="5", last="10")
    assert plate.frames == tuple(range(5, 11))
    assert codes(shot, plate) == list(plate.source_indices)
    assert plate.times == pytest.approx([i / 12 for i in range(6)])


def test_points_that_are_not_in_the_plate(tmp_path: Path) -> None:
    movie = movies.coded_movie(tmp_path / "a.mp4", 10)
    with pytest.raises(PlateError, match="no frames from 20 to 10"):
        run_ingest(movie, Shot(tmp_path / "shot"), first="20")
    with pytest.raises(PlateError, match="one frame"):
        run_ingest(movie, Shot(tmp_path / "shot"), first="3", last="3")
    with pytest.raises(UsageError, match="neither"):
        run_ingest(movie, Shot(tmp_path / "shot"), first="soon")


@pytest.mark.parametrize(
    ("resize", "size"), [("50%", (96, 54)), ("100", (100, 56)), ("192x216", (192, 216))]
)
def test_frames_of_another_size(tmp_path: Path, resize: str, size: tuple[int, int]) -> None:
    movie = movies.coded_movie(tmp_path / "a.mp4", 4)
    shot, plate, _ = ingested(movie, tmp_path, resize=resize)
    assert (plate.width, plate.height) == size
    assert plate.source_size == (192, 108)
    assert plate.pixel_aspect == Fraction(192 * size[1], 108 * size[0])
    assert codes(shot, plate) == list(range(4))


def interlaced(path: Path, first: str, tagged: bool = True) -> Path:
    """A bar that moves 8 px a field; fields are 1/50 s apart."""
    source = "color=c=black:s=256x144:r=50:d=0.64" if tagged else "color=c=black:s=256x480:r=50:d=1"
    bar = "format=gray,geq=lum='if(between(X,8*N,8*N+24),235,16)',format=yuv420p"
    woven = f"{bar},tinterlace=interleave_{first},setfield={first[0] + 'ff' if tagged else 'prog'}"
    coded = ("-c:v", "mpeg2video", "-q:v", "1", "-flags", "+ilme+ildct" if tagged else "0")
    movies.ffmpeg("-f", "lavfi", "-i", source, "-vf", woven, *coded, path)
    return path


def left_edge(image: Any, rows: slice = slice(None)) -> float:
    """Where the bar begins, over rows."""
    gray = image[rows].mean(axis=(0, 2))
    return float(np.argmax(gray > 128))


@pytest.mark.parametrize("first", ["top", "bottom"])
def test_interlaced_movies_are_named_and_made_whole(tmp_path: Path, first: str) -> None:
    movie = interlaced(tmp_path / "a.mpg", first)
    shot, plate, warnings = ingested(movie, tmp_path)
    name = {"top": "upper", "bottom": "lower"}[first]
    assert any(f"interlaced, {name} field first" in text for text in warnings)
    combed = movies.read_image(shot.frame_file(4))
    assert abs(left_edge(combed, np.s_[20:120:2]) - left_edge(combed, np.s_[21:121:2])) >= 6
    shot, fields, warnings = ingested(movie, tmp_path, deinterlace="fields")
    assert not any("interlaced" in text for text in warnings)
    assert fields.fps == plate.fps * 2
    assert len(fields.frames) == 2 * len(plate.frames)
    assert fields.source_indices == tuple(i // 2 for i in range(len(fields.frames)))
    edges = [left_edge(movies.read_image(shot.frame_file(n))) for n in range(3, 20)]
    assert np.diff(edges) == pytest.approx(np.full(16, 8), abs=3)
    shot, frames, _ = ingested(movie, tmp_path, deinterlace="frames")
    assert (frames.fps, frames.frames) == (plate.fps, plate.frames)


@pytest.mark.parametrize("first", ["top", "bottom"])
def test_fields_are_seen_without_a_tag(tmp_path: Path, first: str) -> None:
    movie = probe_movie(interlaced(tmp_path / "a.mpg", first, tagged=False))
    assert (movie.picture.fields, fields_of(movie)) == ("", first)


def test_whole_frames_in_an_interlaced_stream_are_no_fields(tmp_path: Path) -> None:
    """As broadcasters and DSLRs store 25 progressive frames."""
    coded = ("-vf", "format=yuv420p,setfield=tff", "-c:v", "mpeg2video", "-flags", "+ilme+ildct",
             "-q:v", "1")  # fmt: skip
    frames = [np.roll(movies.coded_frame(3, 192, 144), 9 * i, axis=1) for i in range(20)]
    movie = probe_movie(movies.write_movie(tmp_path / "a.mpg", frames, *coded, rate="25"))
    assert (movie.picture.fields, fields_of(movie)) == ("top", "")


@pytest.mark.parametrize(("space", "trc"), [("hlg", "arib-std-b67"), ("pq", "smpte2084")])
def test_hdr_keeps_its_values_and_is_shown_for_a_screen(
    tmp_path: Path, space: str, trc: str
) -> None:
    """A patch of diffuse white: 203 nits are 0.75 in HLG and 0.58 in PQ (ITU-R BT.2408)."""
    code = {"hlg": 721, "pq": 573}[space]
    planes = [np.full((64, 96), value, "<u2") for value in (code, 512, 512)]
    raw = ("-f", "rawvideo", "-pix_fmt", "yuv444p10le", "-s", "96x64", "-r", "24", "-i", "-")
    tags = f"setparams=color_trc={trc}:colorspace=bt2020nc:color_primaries=bt2020:range=tv"
    movie, lossless = tmp_path / "a.mov", ("-c:v", "libx264", "-qp", "0")
    data = b"".join(plane.tobytes() for plane in planes) * 3
    movies.ffmpeg(*raw, "-vf", tags, *lossless, movie, data=data)
    shot, plate, warnings = ingested(movie, tmp_path)
    assert (plate.color.space, plate.color.primaries) == (space, "bt2020")
    assert plate.color.matrix == "bt2020nc"
    assert any("BT.2100" in text for text in warnings)
    frame = movies.read_image(shot.frame_file(2)) / 65535
    assert np.abs(frame - (code - 64) / 876).max() < 0.5 / 1023
    shown = movies.read_image(proxy_file(shot, plate, 2, 100)) / 255
    assert 0.87 < shown.mean() < 0.95


def test_a_log_plate_is_named_by_the_artist(tmp_path: Path) -> None:
    """Middle gray of LogC3 at EI 800 has the code 0.391."""
    frames = [np.full((64, 96, 3), round(0.391 * 65535), np.uint16)] * 3
    movie = movies.write_movie(tmp_path / "a.mkv", frames, "-c:v", "ffv1", "-pix_fmt", "gbrp16le",
                               pixels="rgb48le")  # fmt: skip
    shot, plate, _ = ingested(movie, tmp_path, space="logc3")
    assert plate.color.space == "logc3"
    assert np.abs(movies.read_image(shot.frame_file(1)) / 65535 - 0.391).max() < 1e-4
    shown = movies.read_image(proxy_file(shot, plate, 1)) / 255
    assert shown.mean() == pytest.approx(0.37, abs=0.06)


def test_the_timecode_runs_with_the_frames(tmp_path: Path) -> None:
    movie = movies.coded_movie(
        tmp_path / "a.mov", 12, *X264, "-timecode", "00:00:59;28", rate="30000/1001"
    )
    _, plate, _ = ingested(movie, tmp_path)
    labels = [str(label) for label in plate.timecodes()]
    assert labels[:3] == ["00:00:59;28", "00:00:59;29", "00:01:00;02"]
    _, plate, _ = ingested(movie, tmp_path, first="00:01:00;02", last="00:01:00;05")
    assert plate.frames == (3, 4, 5, 6)
    assert plate.timecode == "00:01:00;02"


# Images that hold light


def write_exr(
    path: Path, image: Any, parts: tuple[tuple[str, tuple[str, ...]], ...] = (), **header: Any
) -> None:
    """One image, or several parts of (name, channels) of which the first channels are the image."""
    height, width = image.shape[:2]
    specs = []
    for name, channels in parts or (("", ("R", "G", "B")),):
        spec = oiio.ImageSpec(width, height, len(channels), header.get("format", "half"))
        spec.channelnames = channels
        if name:
            spec.attribute("oiio:subimagename", name)
        for key, value in header.get("attributes", {}).items():
            spec.attribute(key, *value)
        for key in ("x", "y", "full_x", "full_y", "full_width", "full_height"):
            if key in header:
                setattr(spec, key, header[key])
        specs.append(spec)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), tuple(specs)), oiio.geterror()
    for part, spec in enumerate(specs):
        if part:
            assert out.open(str(path), spec, "AppendSubimage")
        wanted = np.zeros((height, width, spec.nchannels), np.float32)
        count = min(3, spec.nchannels)
        if part == header.get("beauty", 0):
            wanted[..., :count] = image[..., :count]
        assert out.write_image(wanted)
    out.close()


def light(number: int) -> Any:
    return (movies.coded_frame(number) / 255.0).astype(np.float32) ** 2.2


def srgb(linear: Any) -> Any:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("kind", ["half", "float"])
def test_exr_plates_become_srgb(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "exr"
    folder.mkdir()
    for number in (1001, 1002, 1004):
        write_exr(
            folder / f"a.{number}.exr", light(number), format=kind,
            attributes={"FramesPerSecond": (oiio.TypeRational, (24000, 1001))},
        )  # fmt: skip
    shot, plate, warnings = ingested(folder, tmp_path)
    assert plate.frames == (1001, 1002, 1004)
    assert codes(shot, plate) == [n % 4096 for n in plate.frames]
    assert (plate.fps, plate.color.space, plate.missing) == (NTSC_FILM, "linear", (1003,))
    assert plate.source_names == ("a.1001.exr", "a.1002.exr", "a.1004.exr")
    assert any("1003" in text for text in warnings)
    frame = movies.read_image(shot.frame_file(1002))
    assert frame.dtype == np.uint16
    assert np.abs(frame / 65535 - srgb(light(1002))).max() < (0.0005 if kind == "half" else 5e-5)


def test_the_beauty_of_several_parts_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "exr"
    folder.mkdir()
    parts = (("depth", ("Z",)), ("rgba", ("R", "G", "B", "A")), ("normal", ("N.X", "N.Y", "N.Z")))
    for number in (1, 2, 3):
        write_exr(folder / f"a.{number:04d}.exr", light(number), parts, beauty=1)
    shot, plate, _ = ingested(folder, tmp_path)
    assert codes(shot, plate) == [1, 2, 3]


def test_a_data_window_is_laid_into_its_display_window(tmp_path: Path) -> None:
    folder = tmp_path / "exr"
    folder.mkdir()
    image = np.full((20, 30, 3), 1.0, np.float32)
    window = {"x": 50, "y": -5, "full_x": 10, "full_y": 0, "full_width": 64, "full_height": 48}
    for number in (1, 2):
        write_exr(folder / f"a.{number:04d}.exr", image, **window)
    shot, plate, _ = ingested(folder, tmp_path)
    assert (plate.width, plate.height) == (64, 48)
    frame = movies.read_image(shot.frame_file(1))
    wanted = np.zeros((48, 64))
    wanted[0:15, 40:64] = 65535
    np.testing.assert_array_equal(frame[..., 1], wanted)


def test_colors_of_other_primaries(tmp_path: Path) -> None:
    """ACEScg's primaries in the header; a neutral stays neutral, and exposure brightens."""
    folder = tmp_path / "exr"
    folder.mkdir()
    primaries = (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)
    attributes = {"chromaticities": (oiio.TypeDesc("float[8]"), primaries)}
    gray = np.full((24, 32, 3), 0.18, np.float32)
    for number in (1, 2):
        write_exr(folder / f"a.{number:04d}.exr", gray, attributes=attributes, format="float")
    shot, plate, _ = ingested(folder, tmp_path, exposure=1.0)
    assert plate.color.space == "acescg"
    frame = movies.read_image(shot.frame_file(1)) / 65535
    assert np.abs(frame - srgb(np.float64(0.36))).max() < 0.002


def test_a_damaged_exr_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "exr"
    folder.mkdir()
    for number in (1, 2, 3):
        write_exr(folder / f"a.{number:04d}.exr", light(number))
    whole = (folder / "a.0002.exr").read_bytes()
    (folder / "a.0002.exr").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PlateError, match=r"a\.0002\.exr"):
        run_ingest(folder, Shot(tmp_path / "shot"))
    assert list((tmp_path / "shot").iterdir()) == []


# What is not one plate


def test_mixed_bit_depths(tmp_path: Path) -> None:
    folder = movies.write_images(tmp_path / "s", "a.{:04d}.png", range(1, 5))
    cv2.imwrite(str(folder / "a.0003.png"), movies.coded_frame(3).astype(np.uint16) * 257)
    with pytest.raises(PlateError, match=r"a\.0001\.png has 8 bits, a\.0003\.png 16 bits"):
        run_ingest(folder, Shot(tmp_path / "shot"))


def test_a_plate_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.worker.stages import ingest

    movie = movies.coded_movie(tmp_path / "a.mp4", 10)
    extract = ingest.extract_movie

    def meanwhile(*arguments: Any) -> Any:
        found = extract(*arguments)
        movie.write_bytes(movie.read_bytes() + b"\0")
        return found

    monkeypatch.setattr(ingest, "extract_movie", meanwhile)
    with pytest.raises(PlateError, match="changed while it was being read"):
        run_ingest(movie, Shot(tmp_path / "shot"))
    assert list((tmp_path / "shot").iterdir()) == []


def test_a_plate_that_nothing_comes_out_of_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what ffmpeg says every 0.2 s; frames that come before the cut take their time."""
    picture = probe_movie(movies.coded_movie(tmp_path / "a.mp4", 2)).picture
    encoding = extraction.Encoding(picture, tmp_path, (1, 2), (192, 108))
    report = Report(EventWriter(tmp_path / "events.jsonl"), tmp_path / "cancel")
    monkeypatch.setattr(extraction, "_PATIENCE", 0.05)
    monkeypatch.setattr(extraction, "_SLOWEST", 100.0)

    def waited(before: int, *lines: str) -> None:
        heard = extraction._Listener(tmp_path / "a.mp4", encoding, 0, before, report)
        for line in lines:
            heard(line)
            time.sleep(0.1)

    waited(0, "frame=0", "frame=1", "frame=2")
    waited(1000, "frame=0", "frame=0", "frame=0")
    with pytest.raises(PlateError, match="nothing came out of it"):
        waited(0, "frame=1", "frame=1", "frame=1")


def test_long_paths_on_windows(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90) / ("e" * 90) / "source" / "frames"
    with pytest.raises(OutputError, match=r"paths of .* letters"):
        check_path(deep, (1, 100), windows=True)
    check_path(deep, (1, 100), windows=False)
    check_path(Path("C:/shots/a/source/frames"), (1, 100), windows=True)
