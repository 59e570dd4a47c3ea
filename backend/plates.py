# SPDX-License-Identifier: GPL-3.0-or-later
"""What a path that somebody points at is: a movie, or an image sequence and which one.

Only names, sizes and first bytes are looked at here; what is inside is for the worker to find out.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from .errors import PlateError, UsageError, explain_os_error

MOVIE_SUFFIXES = frozenset(
    {
        *(".3gp", ".avi", ".dv", ".f4v", ".flv", ".gif", ".h264", ".h265", ".hevc", ".ivf"),
        *(".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
        *(".mts", ".mxf", ".nut", ".ogv", ".qt", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
    }
)
_PNG, _JPEG, _TIFF = (b"\x89PNG\r\n\x1a\n",), (b"\xff\xd8\xff",), (b"II*\0", b"MM\0*", b"II+\0")
_SIGNATURES = {
    ".png": _PNG,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".dpx": (b"SDPX", b"XPDS"),
    ".exr": (b"v/1\x01",),
}
IMAGE_SUFFIXES = frozenset(_SIGNATURES)
_KINDS = (
    "Movies (mp4, mov, mkv, avi, mxf, webm ...) and PNG, JPEG, TIFF, DPX or EXR images can be used."
)
_DIGITS = re.compile(r"\d+")
LAST_FRAME = 1048574
"""The highest frame number a Blender timeline has."""
_SPARSEST = 1000  # Files with more numbers between them than this on average are no sequence.
_NTSC_BASES = (24, 30, 48, 60, 120)
_MAX_RATE = 1000


@dataclass(frozen=True)
class PlateSource:
    """A plate on disk.

    `kind` is "movie" or "sequence". `path` is the movie, or the sequence's first file; `files` are
    a sequence's files by ascending `numbers` (() for a movie).
    """

    kind: str
    path: Path
    files: tuple[Path, ...] = ()
    numbers: tuple[int, ...] = ()

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers between a sequence's first and last that have no file."""
        if not self.numbers:
            return ()
        there = set(self.numbers)
        return tuple(n for n in range(self.numbers[0], self.numbers[-1]) if n not in there)


def resolve_plate(path: str | Path) -> PlateSource:
    """The plate that a movie, a folder with an image sequence or one of its images stands for.

    In a folder with several sequences the largest is taken. Raises PlateError when there is
    nothing there that can be a plate, or an image of the sequence cannot be one.
    """
    source = locate_plate(path)
    for file in source.files:
        _check_image(file)
    return source


def locate_plate(path: str | Path) -> PlateSource:
    """Like `resolve_plate`, by names alone: a sequence's images are not looked into."""
    place = Path(os.path.abspath(Path(path).expanduser()))
    try:
        if place.is_dir():
            return _sequence(_largest_sequence(place))
        size = place.stat().st_size
    except FileNotFoundError as error:
        raise PlateError(f"{place} was not found.") from error
    except OSError as error:
        raise PlateError(f"{explain_os_error(error)}.") from error
    if size == 0:
        raise PlateError(f"{place} is empty (0 bytes).")
    return _from_file(place)


def _from_file(path: Path) -> PlateSource:
    suffix = path.suffix.casefold()
    if suffix in MOVIE_SUFFIXES:
        return PlateSource("movie", path)
    if suffix in IMAGE_SUFFIXES:
        return _sequence(_sequence_of(path))
    raise PlateError(f"{path} is of a kind that cannot be a plate. {_KINDS}")


def _images(folder: Path) -> list[str]:
    """Names of the images in a folder; hidden files (such as macOS writes beside) are none."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if os.path.splitext(entry.name)[1].casefold() in IMAGE_SUFFIXES
            and not entry.name.startswith(".")
            and entry.is_file()
        )


_Key = tuple[str, str]


def _by_name_around_number(names: Iterable[str]) -> dict[_Key, list[tuple[str, str]]]:
    """(digits, name) of all images, by the text before and after each run of digits in the name."""
    groups: dict[_Key, list[tuple[str, str]]] = defaultdict(list)
    for name in names:
        stem, suffix = os.path.splitext(name)
        for run in _DIGITS.finditer(stem):
            key = (stem[: run.start()], stem[run.end() :] + suffix.casefold())
            groups[key].append((run.group(), name))
    return groups


def _by_padding(found: list[tuple[str, str]]) -> dict[int, dict[int, str]]:
    """Splits one group by its zero padding: padding -> number -> name.

    A number without leading zeros belongs to the widest padding it fills (0999, 1000, 10000), to
    padding 0 when there is none.
    """
    paddings = {len(digits) for digits, _ in found if digits[0] == "0" and len(digits) > 1}
    groups: dict[int, dict[int, str]] = defaultdict(dict)
    for digits, name in found:
        padding = max((width for width in paddings if width <= len(digits)), default=0)
        groups[padding][int(digits)] = name
    return groups


def _sequences(names: Iterable[str]) -> list[dict[int, str]]:
    """Every way to read names as sequences, in which the later number of a name comes later."""
    return [
        numbered
        for found in _by_name_around_number(names).values()
        for numbered in _by_padding(found).values()
    ]


def _largest_sequence(folder: Path) -> dict[int, Path]:
    names = _images(folder)
    found = _sequences(names)
    if found:
        # Of equals the last in order of names, as the last number of a name is its frame number.
        best = max(reversed(found), key=len)
        return {number: folder / name for number, name in best.items()}
    if names:
        raise PlateError(f"The images in {folder} have no frame numbers in their names.")
    raise PlateError(f"There are no images in {folder}. {_KINDS}")


def _sequence_of(file: Path) -> dict[int, Path]:
    found = [seq for seq in _sequences(_images(file.parent)) if file.name in seq.values()]
    if not found:
        raise PlateError(f"{file} has no frame number in its name.")
    best = max(reversed(found), key=len)
    return {number: file.with_name(name) for number, name in best.items()}


def _sequence(numbered: dict[int, Path]) -> PlateSource:
    ordered = dict(sorted(numbered.items()))
    numbers, files = tuple(ordered), tuple(ordered.values())
    span = numbers[-1] - numbers[0] + 1
    if numbers[-1] > LAST_FRAME or span > _SPARSEST * len(numbers):
        raise PlateError(
            f"The numbers of {files[0].name} to {files[-1].name} cannot be those of a shot's "
            "frames. Number the images one by one."
        )
    return PlateSource("sequence", files[0], files, numbers)


def _check_image(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            start = opened.read(8)
    except OSError as error:
        raise PlateError(f"{explain_os_error(error)}.") from error
    if not start:
        raise PlateError(f"{file} is empty (0 bytes). Replace it, or remove it to leave a hole.")
    if not start.startswith(_SIGNATURES[file.suffix.casefold()]):
        raise PlateError(f"{file} is not the image its name says. Replace it or remove it.")


def shot_title(plate: Path) -> str:
    """What a shot of that plate is called: the movie's name, an image's without its frame number.

    Images that are only numbered are called after their folder.
    """
    if plate.suffix.lower() not in IMAGE_SUFFIXES:
        return plate.stem if plate.suffix else plate.name
    return plate.stem.rstrip("0123456789").rstrip("._- ") or plate.parent.name


def plate_fingerprint(path: str | Path) -> str:
    """A hash over name, size and time of the movie or of each file of the sequence.

    Never raises: a plate that is not there has a fingerprint of its own.
    """
    if not str(path):
        return ""
    try:
        source = locate_plate(path)
        seen = [_file_state(file) for file in source.files or (source.path,)]
    except (PlateError, OSError):
        seen = []
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def _file_state(file: Path) -> list[Any]:
    status = file.stat()
    return [file.name, status.st_size, status.st_mtime_ns]


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers as artists write them: `1004-1006, 1010`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def parse_rate(text: str) -> Fraction:
    """A frame rate as typed: 24, 24000/1001, or decimals, of which 23.976, 29.97, 59.94 and their
    like mean the exact n*1000/1001. Raises UsageError."""
    try:
        rate = Fraction(text.strip())
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError(f"'{text}' is not a frame rate. Give 24, 23.976 or 24000/1001.") from error
    if not 0 < rate <= _MAX_RATE:
        raise UsageError(f"A frame rate of {text} is not possible: up to {_MAX_RATE} are.")
    if "/" in text:
        return rate
    exact = (Fraction(base * 1000, 1001) for base in _NTSC_BASES)
    return next((e for e in exact if abs(e - rate) < Fraction(1, 200)), rate)
