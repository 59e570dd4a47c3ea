# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a plate's pictures on their way to frames and proxies, and where these lie.

The steps are filters of libavfilter.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..proxies import PROXY_FOLDER, PROXY_PERCENTS, Proxies
from ..shot import FRAME_PATTERN
from .media import BOTTOM_FIRST, TOP_FIRST, Movie, Picture

Filter = tuple[str, dict[str, Any]]
"""The name of a filter and its options, each by name."""

IMAGE_RATE = 25
"""What ffmpeg gives images; a time of k/25 s stands for image k."""
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
# Without the last two, 4:2:0 comes out a code value too dark with its color in blocks.
_SCALING = "bicubic+accurate_rnd+full_chroma_int"
_RESIZING = "lanczos+accurate_rnd+full_chroma_int"
_PARITIES = {TOP_FIRST: "tff", BOTTOM_FIRST: "bff"}


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
    def bytes_held(self) -> int:
        """Of one frame in memory while it is encoded, with what is seen of it in 8 bits."""
        return self.size[0] * self.size[1] * (9 if self.deep else 6)

    @property
    def proxies(self) -> Proxies:
        """Where Blender looks for those of a clip that starts with `first`."""
        return Proxies(self.folder / PROXY_FOLDER, f"{FRAME_PATTERN.format(self.first)}.png")

    def proxy(self, number: int, percent: int) -> Path:
        return self.proxies.file(percent, False, number - self.first + 1)

    def proxy_files(self, number: int) -> dict[int, Path]:
        """Those of a frame by percent."""
        return {percent: self.proxy(number, percent) for percent in self.percents}

    def is_whole(self, number: int, frame: Path) -> bool:
        """Whether a frame and its proxies are there from their beginning to their end."""
        return _is_png(frame) and all(map(_is_jpeg, self.proxy_files(number).values()))


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


def _deinterlaced(encoding: Encoding) -> list[Filter]:
    """One frame of each frame or field, where that is asked for."""
    if encoding.deinterlace == "off":
        return []
    mode = "send_field" if encoding.deinterlace == "fields" else "send_frame"
    parity = _PARITIES.get(encoding.picture.fields, "auto")
    return [("bwdif", {"mode": mode, "parity": parity, "deint": "all"})]


def timed(movie: Movie) -> list[Filter]:
    """One frame after the other at the movie's rate where it has no times itself."""
    if not movie.untimed:
        return []
    return [("setpts", {"expr": f"round(N/({movie.rate}*TB))"})]


def of_images(encoding: Encoding, begin: int) -> list[Filter]:
    """The pictures of a list of images (see `image_list`), the first of which is number `begin`:
    the time of each tells its number."""
    # Deinterlacing counts in halves of the unit that it is given.
    counted = ("settb", {"expr": f"1/{IMAGE_RATE}"})
    return [("setpts", {"expr": f"PTS+{begin}"}), *_deinterlaced(encoding), counted]


def of_movie(encoding: Encoding, stretch: Stretch, done: int) -> list[Filter]:
    """The pictures of a stretch of a movie that are written after the first `done`: the time of
    each tells its number."""
    steps = _deinterlaced(encoding)
    if encoding.rate is not None:
        steps += [("setpts", {"expr": "PTS-STARTPTS"}), ("fps", {"fps": str(encoding.rate)})]
    taken = f"gte(n,{stretch.skip + done * encoding.every})"
    if encoding.every > 1:
        taken += f"*not(mod(n-{stretch.skip},{encoding.every}))"
    begin = encoding.first + done * encoding.every
    return [
        *steps,
        ("select", {"expr": taken}),
        ("settb", {"expr": f"1/{IMAGE_RATE}"}),
        ("setpts", {"expr": f"{begin}+N*{encoding.every}"}),
    ]


def in_rgb(encoding: Encoding) -> list[Filter]:
    """In RGB of full range, at the frames' size."""
    picture, (width, height) = encoding.picture, encoding.size
    colors: dict[str, Any] = {"flags": _SCALING}
    if (width, height) != (picture.width, picture.height):
        colors = {"flags": _RESIZING, "w": width, "h": height}
    if picture.matrix:
        colors |= {"in_color_matrix": picture.matrix, "out_range": "full"}
        colors |= {"in_range": "full" if picture.full_range else "limited"}
    depth = "rgb48" if encoding.deep else "rgb24"
    steps: list[Filter] = [("scale", colors), ("format", {"pix_fmts": depth})]
    white = _white(picture)
    if white != 0xFFFF:
        value = f"min(val*{0xFFFF}/{white},{0xFFFF})"
        steps.append(("lutrgb", {"r": value, "g": value, "b": value}))
    # The PNGs say nothing of primaries and transfer, so every program takes them as sRGB.
    return [*steps, ("setparams", {"color_primaries": "unknown", "color_trc": "unknown"})]


def to_be_seen(encoding: Encoding) -> list[Filter]:
    """As proxies show what is in RGB."""
    if encoding.cube is None:
        return []
    return [("lut3d", {"file": str(encoding.cube), "interp": "tetrahedral"})]


def _white(picture: Picture) -> int:
    """The 16-bit value ffmpeg's scaler gives to YCbCr white: it shifts where it should stretch."""
    if not picture.matrix or picture.depth <= 8:
        return 0xFFFF
    if not picture.full_range:
        return 0xFF00
    return ((1 << picture.depth) - 1) << (16 - picture.depth)


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
