# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program that writes frames is told (see write_frames.py), and how it is started.

It is a process of its own, so that a plate that makes a decoder hang or crash harms nothing else.
ffmpeg's own program will not do: up to ten frames wait between its threads, and each is 50 MB in 4K
and 16 bits.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .encoding import Encoding, Filter, Stretch

WRITTEN, RESIZED, FAILED = "frame=", "new size: ", "failed: "
"""What the program prints before the count of the frames that are written, before the width and
height of pictures that differ from the first, and before the sentence that it fails with."""


@dataclass(frozen=True)
class Work:
    """What is read and written.

    source     what libav opens, as a `format` of libav's and with `options`, "" for any
    moments    filters that give the pictures that are written, each with its number as its time
    count      of the pictures that are written at most
    stretch    the part that is decoded, None for everything
    times      where the times of the stretch's frames are listed, in ticks; 0 for none
    """

    source: str
    encoding: Encoding
    moments: list[Filter]
    count: int
    format: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    stretch: Stretch | None = None
    times: Path | None = None


def command(work: Work, folder: Path) -> list[str]:
    """The program's command line; `folder` is where it finds its work."""
    told = folder / "work.pickle"
    told.write_bytes(pickle.dumps(work))
    program = Path(__file__).with_name("write_frames.py")
    return [sys.executable, "-I", "-B", "-u", str(program), str(told)]
