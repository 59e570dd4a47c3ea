# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the program that writes a plate's frames and proxies, and what it left on disk.

One decode feeds three outputs: the PNGs, the proxies, and a list of the times of the frames that
could be decoded. Files appear whole: each is written under another name first.
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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import OutputError, PlateError
from ..plates import PlateSource
from ..processes import clean_environment, run_child
from ..shot import by_frame
from .encoding import IMAGE_RATE, Encoding, Stretch, of_images, of_movie, timed
from .frame_program import CONCAT, FAILED, RESIZED, WRITTEN, Reading, Writing, command
from .media import Movie, Picture
from .report import Report

_GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "1048576"}
"""Makes the C library of Linux hand back the memory of every frame at once."""
_MAY_BE_HALF_WRITTEN = 2
_PATIENCE = 25.0
"""Seconds without a frame after which a plate counts as one that cannot be decoded."""
_SLOWEST = 5.0
"""Frames a second at which those are decoded, at worst, that come before the first one wanted."""


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
    moments = of_images(encoding, next(iter(files)))
    with tempfile.TemporaryDirectory() as temporary:
        listing = Path(temporary) / "images.ffconcat"
        listing.write_text(image_list(files, encoding.picture), encoding="utf-8")
        writing = Writing.of(encoding, moments, len(files))
        program = command(Reading(str(listing), CONCAT), writing, Path(temporary))
        _run(program, source.path, encoding, len(kept), report)
    return _what_is_there(encoding)


def extract_movie(
    movie: Movie, stretch: Stretch, encoding: Encoding, kept: Sequence[int], report: Report
) -> Extraction:
    """Writes the frames of a movie that come after `kept`.

    Raises PlateError when it cannot be decoded, OutputError when frames cannot be written.
    """
    moments = [*timed(movie), *of_movie(encoding, stretch, len(kept))]
    count = len(encoding.numbers) - len(kept)
    with tempfile.TemporaryDirectory() as temporary:
        times = Path(temporary) / "times.txt"
        reading = Reading.of_movie(movie.path, stretch, times)
        before = stretch.skip + len(kept) * encoding.every
        before += stretch.begin if stretch.ticks is None else 0
        program = command(reading, Writing.of(encoding, moments, count), Path(temporary))
        _run(program, movie.path, encoding, len(kept), report, before)
        ticks = tuple(map(int, times.read_text().split()))
    if movie.untimed:
        ticks = movie.ticks[stretch.begin : stretch.begin + len(ticks)]
    return _what_is_there(encoding, ticks)


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
        lines += [f"option pixel_format {picture.pixel_format}", f"option framerate {IMAGE_RATE}"]
        lines += [f"duration {gap / IMAGE_RATE:.2f}"]
    return "\n".join(lines) + "\n"


class _Listener:
    """Hears what the program says: tells the progress, and stops it when it does not get on."""

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
        if line.startswith(WRITTEN):
            self._progress(int(line.removeprefix(WRITTEN)))
        elif line.startswith(RESIZED):
            raise self._resized(line.removeprefix(RESIZED))
        else:
            sys.stdout.write(line + "\n")
            self.last_words.append(line)

    def _resized(self, to: str) -> PlateError:
        was = "x".join(map(str, self._encoding.picture.stored_size))
        return PlateError(f"The frames of {self._plate} are not all of one size: {was}, then {to}.")

    def _progress(self, done: int) -> None:
        count = len(self._encoding.numbers)
        if done > self._done:
            self._done, self._since, self._patience = done, time.monotonic(), self._each
        self.in_silence()
        self._report.progress(min(self._kept + done, count), count, "frames")

    def in_silence(self) -> None:
        """Raises PlateError when there is no progress any more, Canceled when that is asked for."""
        self._report.check()
        if time.monotonic() - self._since > self._patience:
            raise PlateError(
                f"{self._plate} cannot be decoded: nothing came out of it for "
                f"{self._patience:.0f} s."
            )


def _run(
    program: list[str],
    plate: Path,
    encoding: Encoding,
    kept: int,
    report: Report,
    before: int = 0,
) -> None:
    """Runs the program that writes the frames, its words going to the log; it decodes so many
    `before` the first one that is written. Raises PlateError or OutputError."""
    count = len(encoding.numbers)
    report.progress(kept, count, "frames")
    listener = _Listener(plate, encoding, kept, before, report)
    status = run_child(program, listener, clean_environment() | _GIVE_BACK, listener.in_silence)
    report.check()  # A signal to the group stops the program too, which is no fault of the plate.
    _check_result(status, "\n".join(listener.last_words), plate, encoding)
    report.progress(count, count, "frames")


def _check_result(status: int, words: str, plate: Path, encoding: Encoding) -> None:
    if "No space left on device" in words:
        raise OutputError(f"The disk is full: {encoding.folder}")
    if "Disk quota exceeded" in words:
        raise OutputError(f"The disk quota is used up: {encoding.folder}")
    refused = re.search(r"Impossible to open '(.+)'", words)
    if refused:
        raise PlateError(f"{refused.group(1)} cannot be read as an image. Replace or remove it.")
    failed = re.search(f"^{FAILED}(.+)$", words, re.MULTILINE)
    if failed:
        raise OutputError(failed.group(1))
    if status != 0:
        raise PlateError(f"{plate} could not be decoded. The log has more.")


def _what_is_there(encoding: Encoding, ticks: tuple[int, ...] = ()) -> Extraction:
    found = by_frame(encoding.folder.glob("frame_*.png"))
    if not found:
        raise PlateError("None of the plate's frames could be decoded.")
    for number, file in found.items():
        if not encoding.is_whole(number, file):
            raise OutputError(f"{file} could not be written. Is the disk full?")
    return Extraction(tuple(found), ticks)
