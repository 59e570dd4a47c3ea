# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of ffmpeg that writes a plate's frames and their proxies, and what it left on disk.

One decode feeds three outputs: the PNGs, the proxies, and a list of the times of the frames that
could be decoded. Files appear whole: ffmpeg writes each under another name first.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sys
import tempfile
import time
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
from ..processes import clean_environment, run_child
from ..proxies import PROXY_FOLDER, PROXY_PERCENTS, Proxies, proxy_size
from ..shot import FRAME_PATTERN, by_frame
from .media import BOTTOM_FIRST, TOP_FIRST, Movie, Picture
from .report import Report

_PROXY_FILE = "%08d.jpg"
_FRAME_FILE = FRAME_PATTERN.replace("{:04d}", "%04d") + ".png"
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"

# Level 1 takes a quarter of the time of zlib's default; the frames are 7 to 13 % larger.
_PNG = {"c:v": "png", "compression_level": 1, "atomic_writing": 1}
_JPEG = {"c:v": "mjpeg", "q:v": 4, "atomic_writing": 1}
# Without the last two, 4:2:0 comes out a code value too dark with its color in blocks.
_SCALING = "bicubic+accurate_rnd+full_chroma_int"
_RESIZING = "lanczos+accurate_rnd+full_chroma_int"
_PARITIES = {TOP_FIRST: "tff", BOTTOM_FIRST: "bff"}
_IMAGE_RATE = 25  # What ffmpeg gives images; a time of k/25 s stands for image k.
_GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "1048576"}
"""Makes the C library of Linux hand back the memory of every frame at once."""
_LARGE = 3_000_000
"""Pixels from which a few frames more on the way take more memory than they save time."""
_MAY_BE_HALF_WRITTEN = 2
_PATIENCE = 25.0
"""Seconds without a frame after which a plate counts as one that cannot be decoded."""
_SLOWEST = 5.0
"""Frames a second at which those are decoded, at worst, that come before the first one wanted."""
_FRAME = re.compile(r"frame=(\d+)$")
_PROGRESS = re.compile(
    r"(frame|fps|stream_\w+|bitrate|total_size|out_time\w*|speed|progress|d\w+)="
)
_NEW_SIZE = re.compile(r"video parameters changed to .*?\b(\d+)x(\d+)")


@dataclass(frozen=True)
class Encoding:
    """How frames are written into `folder`, under the `numbers`; the first names the proxies.

    size        of the frames
    deinterlace "off", "frames" or "fields"
    rate        a movie is brought to that constant rate first; None keeps its moments
    every       moments from one number to the next
    percents    of the proxies that are written, from PROXY_PERCENTS
    cube        a lookup table (.cube) that makes proxies fit to be seen; None where they are
    """

    picture: Picture
    folder: Path
    numbers: tuple[int, ...]
    size: tuple[int, int]
    deinterlace: str = "off"
    rate: Fraction | None = None
    every: int = 1
    percents: tuple[int, ...] = PROXY_PERCENTS
    cube: Path | None = None

    @property
    def first(self) -> int:
        return self.numbers[0]

    @property
    def deep(self) -> bool:
        """Whether the frames have 16 bits a channel."""
        return self.picture.depth > 8

    @property
    def large(self) -> bool:
        return max(self.size[0] * self.size[1], self.picture.width * self.picture.height) > _LARGE

    @property
    def proxies(self) -> Proxies:
        """Where Blender looks for those of a clip that starts with `first`."""
        return Proxies(self.folder / PROXY_FOLDER, f"{FRAME_PATTERN.format(self.first)}.png")

    def proxy(self, number: int, percent: int) -> Path:
        return self.proxies.file(percent, False, number - self.first + 1)

    def is_whole(self, number: int, frame: Path) -> bool:
        """Whether a frame and its proxies are there from their beginning to their end."""
        small = (self.proxy(number, percent) for percent in self.percents)
        return _is_png(frame) and all(map(_is_jpeg, small))


@dataclass(frozen=True)
class Stretch:
    """The part of a movie that is decoded: frames `begin` to `end` by position, or from the
    keyframe before, by `ticks`. Of the moments it gives, the first `skip` are not taken."""

    begin: int
    end: int
    skip: int = 0
    seek: float = 0.0
    ticks: tuple[int, int] | None = None

    @property
    def count(self) -> int:
        return self.end - self.begin + 1


@dataclass(frozen=True)
class Extraction:
    """What was written: the numbers of the frames. For a movie also the times of the stretch's
    frames that could be decoded, in the movie's ticks."""

    frames: tuple[int, ...]
    ticks: tuple[int, ...] = ()


def keep_whole(encoding: Encoding, in_a_row: bool) -> tuple[int, ...]:
    """Numbers of the frames that an interrupted run left whole, without its very last.

    Everything else in the folder is removed. `in_a_row`: only those up to the first gap count.
    """
    found = by_frame(encoding.folder.glob("frame_*.png"))
    whole = [n for n in encoding.numbers if n in found and encoding.is_whole(n, found[n])]
    if in_a_row:
        pairs = zip(whole, encoding.numbers, strict=False)
        whole = [n for n, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)]
    kept = tuple(whole[:-_MAY_BE_HALF_WRITTEN])
    stay = {found[n] for n in kept}
    stay |= {encoding.proxy(n, percent) for n in kept for percent in encoding.percents}
    for file in encoding.folder.rglob("*"):
        if file.is_file() and file not in stay:
            file.unlink()
    return kept


def hold_proxies(encoding: Encoding, frames: Sequence[int]) -> None:
    """Lets each frame's proxies stand for the numbers that were skipped after it: Blender shows
    nothing where a proxy is missing."""
    for frame, after in itertools.pairwise(frames):
        for number, percent in itertools.product(range(frame + 1, after), encoding.percents):
            try:
                os.link(encoding.proxy(frame, percent), encoding.proxy(number, percent))
            except OSError:
                shutil.copyfile(encoding.proxy(frame, percent), encoding.proxy(number, percent))


def extract_sequence(
    source: PlateSource, encoding: Encoding, kept: Sequence[int], report: Report
) -> Extraction:
    """Writes the frames of a sequence that are not among `kept`. Raises as `extract_movie`."""
    left = set(encoding.numbers).difference(kept)
    files = {n: f for n, f in zip(source.numbers, source.files, strict=True) if n in left}
    with tempfile.TemporaryDirectory() as temporary:
        listing = Path(temporary) / "images.ffconcat"
        listing.write_text(image_list(files, encoding.picture), encoding="utf-8")
        images = ffmpeg.input(str(listing), format="concat", safe=0, copyts=None)
        begin = next(iter(files))
        video = _deinterlaced(images["V:0"].filter("setpts", f"PTS+{begin}"), encoding)
        outputs = _image_outputs(video, encoding, {})
        _run(outputs, source.path, encoding, len(kept), report)
    return _what_is_there(encoding)


def extract_movie(
    movie: Movie, stretch: Stretch, encoding: Encoding, kept: Sequence[int], report: Report
) -> Extraction:
    """Writes the frames of a movie that come after `kept`.

    Raises PlateError when it cannot be decoded, OutputError when frames cannot be written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        times = Path(temporary) / "times.txt"
        both = _decoded(movie, stretch, encoding).split()
        video = _deinterlaced(both[0], encoding)
        if encoding.rate is not None:
            video = video.filter("setpts", "PTS-STARTPTS").filter("fps", str(encoding.rate))
        taken = f"gte(n,{stretch.skip + len(kept) * encoding.every})"
        if encoding.every > 1:
            taken += f"*not(mod(n-{stretch.skip},{encoding.every}))"
        video = video.filter("select", taken)
        begin = encoding.first + len(kept) * encoding.every
        video = video.filter("settb", f"1/{_IMAGE_RATE}")
        video = video.filter("setpts", f"{begin}+N*{encoding.every}")
        outputs = _image_outputs(video, encoding, {"frames:v": len(encoding.numbers) - len(kept)})
        wanted: dict[str, Any] = {"stats_enc_pre": str(times), "stats_enc_pre_fmt": "{ptsi} {tbi}"}
        wanted |= {"frames:v": stretch.count}
        # Only the times are wanted: whole frames would wait in memory to be thrown away.
        tiny = both[1].filter("scale", 16, 16, flags="neighbor")
        outputs.append(ffmpeg.output(tiny, "-", format="null", fps_mode="passthrough", **wanted))
        before = stretch.skip + len(kept) * encoding.every
        before += stretch.begin if stretch.ticks is None else 0
        _run(outputs, movie.path, encoding, len(kept), report, before)
        ticks = _ticks(times, movie.time_base)
    if movie.untimed:
        ticks = movie.ticks[stretch.begin : stretch.begin + len(ticks)]
    return _what_is_there(encoding, ticks)


def _decoded(movie: Movie, stretch: Stretch, encoding: Encoding) -> Any:
    """The stretch's frames; those before its keyframe are not even decoded where it has ticks."""
    how: dict[str, Any] = {"copyts": None}
    if encoding.large:
        how["threads"] = max(1, thread_count() // 2)
    if stretch.ticks is None:
        stream = ffmpeg.input(str(movie.path), **how)["V:0"]
        if movie.untimed:
            stream = stream.filter("setpts", f"round(N/({movie.rate}*TB))")
        if stretch.begin == 0 and stretch.end == movie.frame_count - 1:
            return stream.filter("null")
        return stream.filter("select", f"between(n,{stretch.begin},{stretch.end})")
    how |= {"ss": f"{stretch.seek:.3f}", "noaccurate_seek": None}
    stream = ffmpeg.input(str(movie.path), **how)["V:0"]
    first, last = stretch.ticks
    return stream.filter("select", f"between(pts,{first},{last})")


def _deinterlaced(video: Any, encoding: Encoding) -> Any:
    """One frame of each frame or field, where that is asked for."""
    if encoding.deinterlace == "off":
        return video
    mode = "send_field" if encoding.deinterlace == "fields" else "send_frame"
    parity = _PARITIES.get(encoding.picture.fields, "auto")
    return video.filter("bwdif", mode=mode, parity=parity, deint="all")


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


def _in_rgb(video: Any, encoding: Encoding) -> Any:
    """The frames in RGB of full range, at their size."""
    picture, (width, height) = encoding.picture, encoding.size
    colors: dict[str, Any] = {"flags": _SCALING}
    if (width, height) != (picture.width, picture.height):
        colors = {"flags": _RESIZING, "w": width, "h": height}
    if picture.matrix:
        colors |= {"in_color_matrix": picture.matrix, "out_range": "full"}
        colors |= {"in_range": "full" if picture.full_range else "limited"}
    rgb = video.filter("scale", **colors).filter("format", "rgb48" if encoding.deep else "rgb24")
    white = _white(picture)
    if white != 0xFFFF:
        stretch = f"min(val*{0xFFFF}/{white},{0xFFFF})"
        rgb = rgb.filter("lutrgb", r=stretch, g=stretch, b=stretch)
    # The PNGs say nothing of primaries and transfer, so every program takes them as sRGB.
    return rgb.filter("setparams", color_primaries="unknown", color_trc="unknown")


def _proxied(rgb: Any, encoding: Encoding) -> list[Any]:
    """The proxies of the frames, the largest first."""
    if encoding.cube is not None:
        rgb = rgb.filter("lut3d", str(encoding.cube), interp="tetrahedral")
    found = []
    # Each is made from the next larger one.
    for percent in sorted(encoding.percents, reverse=True):
        width, height = proxy_size(encoding.size, percent)
        small = rgb.filter(
            "scale", width, height, flags="area", out_color_matrix="bt601", out_range="full"
        ).filter("format", "yuvj420p")
        both = small.split()
        found.append(both[0])
        rgb = both[1]
    return found


def _white(picture: Picture) -> int:
    """The 16-bit value ffmpeg's scaler gives to YCbCr white: it shifts where it should stretch."""
    if not picture.matrix or picture.depth <= 8:
        return 0xFFFF
    if not picture.full_range:
        return 0xFF00
    return ((1 << picture.depth) - 1) << (16 - picture.depth)


def _image_outputs(video: Any, encoding: Encoding, limit: dict[str, int]) -> list[Any]:
    """The frames and their proxies: files are numbered by the times of what `video` shows."""
    common: dict[str, Any] = {"format": "image2", "fps_mode": "passthrough", "frame_pts": 1}
    common |= {"enc_time_base": f"1:{_IMAGE_RATE}", "threads": thread_count()} | limit
    few = {"threads": 1}
    if encoding.large:
        # One core is busy with decoding and scaling; every further thread holds two frames.
        common |= {"threads": max(1, thread_count() - 1), "thread_queue_size": 1}
    rgb = _in_rgb(video, encoding)
    frames = _pattern(encoding.folder, _FRAME_FILE)
    if not encoding.percents:
        return [ffmpeg.output(rgb, frames, **common, **_PNG)]
    both = rgb.split()
    outputs = [ffmpeg.output(both[0], frames, **common, **_PNG)]
    small = both[1].filter("setpts", f"PTS-{encoding.first - 1}")
    sizes = sorted(encoding.percents, reverse=True)
    for percent, proxy in zip(sizes, _proxied(small, encoding), strict=True):
        folder = encoding.proxies.folder(percent, False)
        folder.mkdir(parents=True, exist_ok=True)
        files = _pattern(folder, _PROXY_FILE)
        outputs.append(ffmpeg.output(proxy, files, **(common | few), **_JPEG))
    return outputs


def _pattern(folder: Path, name: str) -> str:
    return str(folder).replace("%", "%%") + os.sep + name


def thread_count() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


class _Listener:
    """Hears what ffmpeg says: tells the progress, and stops it when it does not get on."""

    def __init__(
        self, plate: Path, encoding: Encoding, kept: int, before: int, report: Report
    ) -> None:
        self._plate, self._encoding, self._kept, self._report = plate, encoding, kept, report
        self._done, self._since = 0, time.monotonic()
        self._each = _PATIENCE + encoding.every / _SLOWEST
        self._patience = self._each + before / _SLOWEST
        self.last_words: deque[str] = deque(maxlen=40)

    def __call__(self, line: str) -> None:
        """Raises PlateError."""
        if written := _FRAME.match(line):
            self._progress(int(written[1]))
        elif not _PROGRESS.match(line):
            sys.stdout.write(line + "\n")
            self.last_words.append(line)
            _check_size(line, self._plate, self._encoding.picture)

    def _progress(self, done: int) -> None:
        now, count = time.monotonic(), len(self._encoding.numbers)
        if done > self._done:
            self._done, self._since, self._patience = done, now, self._each
        if now - self._since > self._patience:
            raise PlateError(
                f"{self._plate} cannot be decoded: nothing came out of it for "
                f"{self._patience:.0f} s."
            )
        self._report.progress(min(self._kept + done, count), count, "frames")


def _run(
    outputs: list[Any],
    plate: Path,
    encoding: Encoding,
    kept: int,
    report: Report,
    before: int = 0,
) -> None:
    """Runs ffmpeg, its words going to the log; it decodes so many frames before the first one that
    is written. Raises PlateError or OutputError."""
    count = len(encoding.numbers)
    report.progress(kept, count, "frames")
    listener = _Listener(plate, encoding, kept, before, report)
    status = run_child(_command(outputs), listener, clean_environment() | _GIVE_BACK)
    report.check()  # A signal to the group stops ffmpeg too, which is no fault of the plate.
    _check_result(status, "\n".join(listener.last_words), plate, encoding)
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
        if not encoding.is_whole(number, file):
            raise OutputError(f"{file} could not be written. Is the disk full?")
    return Extraction(tuple(found), ticks)


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
