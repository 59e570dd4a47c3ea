# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program that writes frames is told (see write_frames.py), and how it is started.

It is a process of its own, so that a plate that makes a decoder hang or crash harms nothing else.
ffmpeg's own program will not do: up to ten frames wait between its threads, and each is 50 MB in 4K
and 16 bits.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from ..proxies import Proxies
from ..shot import FRAME_PATTERN
from .encoding import Encoding, Filter, Stretch, in_rgb, to_be_seen

WRITTEN, RESIZED, FAILED = "frame=", "new size: ", "failed: "
"""What the program prints before the count of the frames that are written, before the width and
height of pictures that differ from the first, and before the sentence that it fails with."""
CONCAT = "concat"
"""libav's name for a list of images (see extraction.py)."""


@dataclass(frozen=True)
class Reading:
    """What is decoded: the frames from `first` to `last`, both counted, or in ticks if `by_ticks`.

    source  what libav opens, as a `format` of libav's, "" for any
    last    None for everything
    seek    seconds from the beginning, before which nothing is decoded
    times   a file for the times of these frames, in ticks, 0 for none; "" where they are not wanted
    """

    source: str
    format: str = ""
    first: int = 0
    last: int | None = None
    by_ticks: bool = False
    seek: float = 0.0
    times: str = ""

    @classmethod
    def of_movie(cls, path: Path, stretch: Stretch, times: Path) -> Reading:
        first, last = stretch.ticks or (stretch.begin, stretch.end)
        by_ticks = stretch.ticks is not None
        return cls(str(path), "", first, last, by_ticks, stretch.seek, str(times))


@dataclass(frozen=True)
class Writing:
    """What is written: at most `count` pictures.

    rgb          filters that give them in RGB, each with its number as its time
    seen         filters that make of these what proxies show
    has_matrix   whether the filters are told which matrix and range the decoded frames have
    bytes_held   of one picture while it is encoded
    folder       of the frames
    percents     of the proxies that are written
    directory, clip  name the proxies (see backend/proxies.py), which are counted from `first_frame`
    """

    count: int
    rgb: list[Filter]
    seen: list[Filter]
    has_matrix: bool
    bytes_held: int
    folder: str
    percents: list[int]
    directory: str
    clip: str
    first_frame: int

    @classmethod
    def of(cls, encoding: Encoding, moments: list[Filter], count: int) -> Writing:
        return cls(
            count=count,
            rgb=[*moments, *in_rgb(encoding)],
            seen=to_be_seen(encoding),
            has_matrix=bool(encoding.picture.matrix),
            bytes_held=encoding.bytes_held,
            folder=str(encoding.folder),
            percents=list(encoding.percents),
            directory=str(encoding.proxies.directory),
            clip=encoding.proxies.first,
            first_frame=encoding.first,
        )

    def frame(self, number: int) -> Path:
        return Path(self.folder) / f"{FRAME_PATTERN.format(number)}.png"

    def proxies(self, number: int) -> dict[int, Path]:
        """The proxies of a frame by percent."""
        there = Proxies(Path(self.directory), self.clip)
        place = number - self.first_frame + 1
        return {percent: there.file(percent, False, place) for percent in self.percents}


def command(reading: Reading, writing: Writing, folder: Path) -> list[str]:
    """The program's command line; `folder` is where it finds what it is told."""
    told = folder / "work.json"
    told.write_text(json.dumps([asdict(reading), asdict(writing)]), encoding="utf-8")
    program = Path(__file__).with_name("write_frames.py")
    return [sys.executable, "-I", "-B", "-u", str(program), str(told)]


def read(told: Path) -> tuple[Reading, Writing]:
    """What `command` wrote."""
    reading, writing = json.loads(told.read_text(encoding="utf-8"))
    return Reading(**reading), Writing(**writing)
