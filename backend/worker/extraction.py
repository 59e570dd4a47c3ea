# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of ffmpeg that writes a plate's frames and their proxies, and what it left on disk.

One decode feeds three outputs: the PNGs, the proxies, and a list of the times of the frames that
could be decoded. Files appear whole: ffmpeg writes each under another name first.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg
import imageio_ffmpeg

from ..errors import OutputError, PlateError
from ..plates import PlateSource
from ..processes import run_child
from ..shot import FRAME_PATTERN, by_frame
from .media import Movie, Picture
from .report import Report

PROXY_PERCENT = 50
_FRAME_FILE = FRAME_PATTERN.replace("{:04d}", "%04d") + ".png"
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"

# Level 1 takes a quarter of the time of zlib's default; the frames are 7 to 13 % larger.
_PNG = {"c:v": "png", "compression_level": 1, "atomic_writing": 1}
_JPEG = {"c:v": "mjpeg", "q:v": 4, "atomic_writing": 1}
# Without the last two, 4:2:0 comes out a code value too dark with its color in blocks.
_SCALING = "bicubic+accurate_rnd+full_chroma_int"
_IMAGE_RATE = 25  # What ffmpeg gives images; a time of k/25 s stands for image k.
_MAY_BE_HALF_WRITTEN = 2
_FRAME = re.compile(r"frame=(\d+)$")
_PROGRESS = re.compile(
    r"(frame|fps|stream_\w+|bitrate|total_size|out_time\w*|speed|progress|d\w+)="
)
_NEW_SIZE = re.compile(r"video parameters changed to .*?\b(\d+)x(\d+)")


@dataclass(frozen=True)
class Encoding:
    """How frames are written into `folder`: the first has the number `first`.

    `rate` converts a movie to that constant rate; None keeps every frame once.
    """

    picture: Picture
    folder: Path
    first: int
    rate: Fraction | None

    @property
    def deep(self) -> bool:
        """Whether the frames have 16 bits a channel."""
        return self.picture.depth > 8

    @property
    def proxies(self) -> Path:
        """Where Blender looks for the half-size proxies of a clip that starts with `first`."""
        name = f"{FRAME_PATTERN.format(self.first)}.png"
        return self.folder / "BL_proxy" / name / f"proxy_{PROXY_PERCENT}"

    def proxy(self, number: int) -> Path:
        """Blender counts proxies from 1 at the first frame, holes included."""
        return self.proxies / f"{number - self.first + 1:08d}.jpg"


@dataclass(frozen=True)
class Extraction:
    """What was written: the numbers of the frames, and their size. For a movie also the times of
    all frames that could be decoded, in the movie's ticks."""

    frames: tuple[int, ...]
    width: int
    height: int
    ticks: tuple[int, ...] = ()


def keep_whole(encoding: Encoding, in_a_row: bool) -> tuple[int, ...]:
    """Numbers of the frames that an interrupted run left whole, without its very last.

    Everything else in the folder is removed. `in_a_row`: only those up to the first gap count.
    """
    found = by_frame(encoding.folder.glob("frame_*.png"))
    whole = [n for n in found if _is_png(found[n]) and _is_jpeg(encoding.proxy(n))]
    if in_a_row:
        whole = [n for i, n in enumerate(whole) if n == encoding.first + i]
    kept = tuple(whole[:-_MAY_BE_HALF_WRITTEN])
    stay = {found[n] for n in kept} | {encoding.proxy(n) for n in kept}
    for file in encoding.folder.rglob("*"):
        if file.is_file() and file not in stay:
            file.unlink()
    return kept


def extract_sequence(
    source: PlateSource, encoding: Encoding, kept: Sequence[int], report: Report
) -> Extraction:
    """Writes the frames of a sequence that are not among `kept`. Raises as `extract_movie`."""
    had = set(kept)
    files = {n: f for n, f in zip(source.numbers, source.files, strict=True) if n not in had}
    with tempfile.TemporaryDirectory() as temporary:
        listing = Path(temporary) / "images.ffconcat"
        listing.write_text(image_list(files, encoding.picture), encoding="utf-8")
        images = ffmpeg.input(str(listing), format="concat", safe=0, copyts=None)
        begin = next(iter(files))
        full, proxy = _split(images["V:0"].filter("setpts", f"PTS+{begin}"), encoding)
        proxy = proxy.filter("setpts", f"PTS-{encoding.first - 1}")
        outputs = _image_outputs(full, proxy, encoding, {"frame_pts": 1}, {"frame_pts": 1})
        _run(outputs, source.path, encoding, len(kept), len(source.files), report)
    return _what_is_there(encoding)


def extract_movie(
    movie: Movie, encoding: Encoding, kept: Sequence[int], count: int, report: Report
) -> Extraction:
    """Writes the frames of a movie from the one after `kept`; `count` are expected in all.

    Raises PlateError when it cannot be decoded, OutputError when frames cannot be written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        times = Path(temporary) / "times.txt"
        stream = ffmpeg.input(str(movie.path), copyts=None)["V:0"]
        video = stream
        if encoding.rate is not None:
            video = video.filter("setpts", "PTS-STARTPTS").filter("fps", str(encoding.rate))
        if kept:
            video = video.filter("select", f"gte(n,{len(kept)})")
        # Their own times may lie closer than the encoder counts; these are only for the encoder.
        video = video.filter("setpts", "N/TB")
        number = {"start_number": encoding.first + len(kept)}
        place = {"start_number": 1 + len(kept)}
        outputs = _image_outputs(*_split(video, encoding), encoding, number, place)
        listed = {"stats_enc_pre": str(times), "stats_enc_pre_fmt": "{ptsi} {tbi}"}
        outputs.append(ffmpeg.output(stream, "-", format="null", fps_mode="passthrough", **listed))
        _run(outputs, movie.path, encoding, len(kept), count, report)
        ticks = _ticks(times, movie.time_base)
    there = _what_is_there(encoding, ticks)
    if encoding.rate is None and len(there.frames) != len(ticks):
        raise OutputError(
            f"Only {len(there.frames)} of {len(ticks)} frames were written to {encoding.folder}."
        )
    return there


def image_list(files: dict[int, Path], picture: Picture) -> str:
    """An ffconcat script in which the time of each image tells its number.

    The size and format save ffmpeg from decoding every image twice to find them out.
    """
    numbers = list(files)
    gaps = [b - a for a, b in itertools.pairwise(numbers)] + [1]
    width, height = picture.stored_size
    lines = ["ffconcat version 1.0"]
    for file, gap in zip(files.values(), gaps, strict=True):
        quoted = str(file).replace("'", r"'\''")
        lines += [f"file '{quoted}'", f"option video_size {width}x{height}"]
        lines += [f"option pixel_format {picture.pixel_format}", f"option framerate {_IMAGE_RATE}"]
        lines += [f"duration {gap / _IMAGE_RATE:.2f}"]
    return "\n".join(lines) + "\n"


def _split(video: Any, encoding: Encoding) -> tuple[Any, Any]:
    """The frames in RGB, and their half-size proxies."""
    picture = encoding.picture
    colors = {"flags": _SCALING}
    if picture.matrix:
        colors |= {"in_color_matrix": picture.matrix, "out_range": "full"}
        colors |= {"in_range": "full" if picture.full_range else "limited"}
    rgb = video.filter("scale", **colors).filter("format", "rgb48" if encoding.deep else "rgb24")
    white = _white(picture)
    if white != 0xFFFF:
        stretch = f"min(val*{0xFFFF}/{white},{0xFFFF})"
        rgb = rgb.filter("lutrgb", r=stretch, g=stretch, b=stretch)
    # The PNGs say nothing of primaries and transfer, so every program takes them as sRGB.
    rgb = rgb.filter("setparams", color_primaries="unknown", color_trc="unknown")
    both = rgb.split()
    half = both[1].filter(
        "scale", "max(1,trunc(iw/2))", "max(1,trunc(ih/2))", flags="area",
        out_color_matrix="bt601", out_range="full",
    )  # fmt: skip
    return both[0], half.filter("format", "yuvj420p")


def _white(picture: Picture) -> int:
    """The 16-bit value ffmpeg's scaler gives to YCbCr white: it shifts where it should stretch."""
    if not picture.matrix or picture.depth <= 8:
        return 0xFFFF
    if not picture.full_range:
        return 0xFF00
    return ((1 << picture.depth) - 1) << (16 - picture.depth)


def _image_outputs(
    full: Any, proxy: Any, encoding: Encoding, numbering: dict[str, int], places: dict[str, int]
) -> list[Any]:
    encoding.proxies.mkdir(parents=True, exist_ok=True)
    common = {"format": "image2", "fps_mode": "passthrough", "threads": thread_count()}
    frames = _pattern(encoding.folder, _FRAME_FILE)
    proxies = _pattern(encoding.proxies, "%08d.jpg")
    return [
        ffmpeg.output(full, frames, **common, **_PNG, **numbering),
        ffmpeg.output(proxy, proxies, **common, **_JPEG, **places),
    ]


def _pattern(folder: Path, name: str) -> str:
    return str(folder).replace("%", "%%") + os.sep + name


def thread_count() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _run(
    outputs: list[Any],
    plate: Path,
    encoding: Encoding,
    kept: int,
    count: int,
    report: Report,
) -> None:
    """Runs ffmpeg, its words going to the log. Raises PlateError or OutputError."""
    last_words: deque[str] = deque(maxlen=40)
    report.progress(kept, count, "frames")

    def on_line(line: str) -> None:
        if written := _FRAME.match(line):
            report.progress(min(kept + int(written[1]), count), count, "frames")
        elif not _PROGRESS.match(line):
            sys.stdout.write(line + "\n")
            last_words.append(line)
            _check_size(line, plate, encoding.picture)

    status = run_child(_command(outputs), on_line)
    report.check()  # A signal to the group stops ffmpeg too, which is no fault of the plate.
    _check_result(status, "\n".join(last_words), plate, encoding)
    report.progress(count, count, "frames")


def _command(outputs: list[Any]) -> list[str]:
    quiet = ["-hide_banner", "-nostdin", "-loglevel", "info", "-max_error_rate", "1"]
    quiet += ["-nostats", "-progress", "pipe:1", "-stats_period", "0.2"]
    command: list[str] = (
        ffmpeg.merge_outputs(*outputs)
        .global_args(*quiet)
        .compile(cmd=imageio_ffmpeg.get_ffmpeg_exe(), overwrite_output=True)
    )
    return command


def _check_size(line: str, plate: Path, picture: Picture) -> None:
    found = _NEW_SIZE.search(line)
    size = tuple(map(int, found.groups())) if found else picture.stored_size
    if size != picture.stored_size:
        was = "x".join(map(str, picture.stored_size))
        raise PlateError(
            f"The frames of {plate} are not all of one size: {was}, then {size[0]}x{size[1]}."
        )


def _check_result(status: int, words: str, plate: Path, encoding: Encoding) -> None:
    if "No space left on device" in words:
        raise OutputError(f"The disk is full: {encoding.folder}")
    if "Disk quota exceeded" in words:
        raise OutputError(f"The disk quota is used up: {encoding.folder}")
    refused = re.search(r"Impossible to open '(.+)'", words)
    if refused:
        raise PlateError(f"{refused.group(1)} cannot be read as an image. Replace or remove it.")
    if status != 0:
        raise PlateError(f"{plate} could not be decoded. The log has what ffmpeg said.")


def _what_is_there(encoding: Encoding, ticks: tuple[int, ...] = ()) -> Extraction:
    found = by_frame(encoding.folder.glob("frame_*.png"))
    if not found:
        raise PlateError("None of the plate's frames could be decoded.")
    for number, file in found.items():
        if not _is_png(file) or not _is_jpeg(encoding.proxy(number)):
            raise OutputError(f"{file} could not be written. Is the disk full?")
    with next(iter(found.values())).open("rb") as opened:
        header = opened.read(24)
    width, height = int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")
    return Extraction(tuple(found), width, height, ticks)


def _ticks(listing: Path, time_base: Fraction) -> tuple[int, ...]:
    """The times that ffmpeg listed, each a count and its unit, in units of `time_base`."""
    lines: Iterable[list[str]] = (line.split() for line in listing.read_text().splitlines())
    return tuple(round(int(count) * Fraction(unit) / time_base) for count, unit in lines)


def _is_png(file: Path) -> bool:
    return _starts_and_ends(file, _PNG_START, _PNG_END)


def _is_jpeg(file: Path) -> bool:
    return _starts_and_ends(file, _JPEG_START, _JPEG_END)


def _starts_and_ends(file: Path, start: bytes, end: bytes) -> bool:
    try:
        with file.open("rb") as opened:
            begins = opened.read(len(start)) == start
            opened.seek(-len(end), os.SEEK_END)
            return begins and opened.read() == end
    except OSError:
        return False
