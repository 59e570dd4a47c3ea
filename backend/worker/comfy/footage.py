# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames on their way to a server: the PNGs themselves, in movies as large as it takes.

Nothing is encoded anew, so the server sees each pixel as it is in the shot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.error

from ...errors import ComfyError, FormatError, OutputError, explain_os_error
from ..image_headers import read_header
from .fill import MOST_JOINED

_RATE = Fraction(25)
_ROOM = 0.95
"""Of what the server takes in one file; the rest is for the movie's own records."""
_FLOATS = 3 * 4
"""Bytes of a pixel in the server: it holds all frames of a job as 32-bit colors,"""
_TWICE = 2
"""and twice while it gathers them."""
_FEWEST, _MOST = 16, 2000
_UNKNOWN = 8 << 30
"""Bytes of memory of a server that does not say."""


def longest_job(
    files: Sequence[Path], size: tuple[int, int], memory_free: int, largest: int
) -> int:
    """How many frames a server with so many bytes of free memory, which takes files of `largest`
    bytes, is given at a time."""
    held = (memory_free or _UNKNOWN) // 2 // (size[0] * size[1] * _FLOATS * _TWICE)
    heaviest = max((file.stat().st_size for file in files), default=1)
    sent = (MOST_JOINED - 1) * int(largest * _ROOM) // max(heaviest, 1) // 2
    return max(_FEWEST, min(_MOST, held, sent))


def parts(files: Sequence[Path], largest: int) -> Iterator[tuple[Path, ...]]:
    """The files in runs, each of which fits into an upload of `largest` bytes.

    Raises ComfyError for a frame that alone is too large, or more of them than can be joined.
    """
    limit, begin, held = int(largest * _ROOM), 0, 0
    count = 0
    for index, file in enumerate(files):
        taken = file.stat().st_size
        if taken > limit:
            raise ComfyError(
                f"{file.name} has {taken >> 20} MB, more than ComfyUI takes: start it with "
                "--max-upload-size 1000."
            )
        if held + taken > limit:
            yield tuple(files[begin:index])
            begin, held, count = index, 0, count + 1
        held += taken
    if count >= MOST_JOINED:
        raise ComfyError(
            "The frames are too large for ComfyUI's limit: start it with --max-upload-size 1000."
        )
    yield tuple(files[begin:])


def write_movie(files: Sequence[Path], movie: Path) -> None:
    """PNGs of one size and depth as a .mov, in that order. Raises FormatError, OutputError."""
    header = read_header(files[0])
    try:
        with av.open(str(movie), "w", format="mov") as container:
            stream: Any = container.add_stream("png", rate=_RATE)
            stream.width, stream.height = header.size
            stream.pix_fmt = "rgb48be" if header.bits > 8 else "rgb24"
            stream.time_base = 1 / _RATE
            for moment, file in enumerate(files):
                container.mux(_packet(file, stream, moment))
    except OSError as error:
        raise OutputError(explain_os_error(error)) from error
    except av.error.FFmpegError as error:
        raise FormatError(f"The frames cannot be put into a movie: {error}.") from error


def _packet(file: Path, stream: Any, moment: int) -> Any:
    packet: Any = av.Packet(file.read_bytes())
    packet.stream, packet.time_base = stream, 1 / _RATE
    packet.pts = packet.dts = moment
    packet.duration, packet.is_keyframe = 1, True
    return packet


def chunks(frames: Sequence[int], longest: int, shared: int = 1) -> list[tuple[int, ...]]:
    """Frames in runs of at most `longest`, each of which begins with the last `shared` of the one
    before."""
    if len(frames) <= longest:
        return [tuple(frames)]
    begins = range(0, len(frames) - shared, longest - shared)
    return [tuple(frames[begin : begin + longest]) for begin in begins]


def halves(numbers: Sequence[int], keys: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """Which frames each key frame is the nearest of, in ascending order; of two that are as near
    the earlier one."""
    ends = [(first + second) // 2 for first, second in pairwise(sorted(keys))]
    bounds = [None, *ends, None]
    found = {}
    for key, low, high in zip(sorted(keys), bounds[:-1], bounds[1:], strict=True):
        found[key] = tuple(
            number for number in numbers
            if (low is None or number > low) and (high is None or number <= high)
        )  # fmt: skip
    return found
