# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to become of a plate: which of its frames are taken, and as what. Nothing is written.

A movie gives a row of moments: its frames, or its fields, or the frames of another rate. They are
numbered from 1. A sequence gives its files under their own numbers.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from ..color_spaces import COLOR_SPACES, Kind
from ..errors import PlateError
from ..frame_range import Cut, chosen, cut_of, point
from ..frame_size import frame_size
from ..plate_tags import PlateCamera, PlateColor
from ..plates import PlateSource, parse_rate, ranges, resolve_plate
from ..stages import IngestOptions
from ..timecode import Timecode, base_of, parse_timecode
from .camera_metadata import image_camera, movie_camera
from .image_headers import ImageHeader, read_headers
from .interlacing import fields_of
from .media import BOTTOM_FIRST, TOP_FIRST, VIDEO, Movie, Picture, probe_image, probe_movie

SEQUENCE_RATE = Fraction(24)
"""An image sequence does not say its rate."""


@dataclass(frozen=True)
class PlatePlan:
    """A plate and what is to become of it.

    movie       None for a sequence
    picture     how its pixels are stored
    numbers     of the frames that are taken
    cut         without handles
    rate        of the shot
    converts    a movie is brought to that constant rate
    size        of the frames
    deinterlace "off", "frames" or "fields"
    headers     of a sequence's files, along with `source.files`
    """

    source: PlateSource
    movie: Movie | None
    picture: Picture
    numbers: tuple[int, ...]
    cut: Cut
    every: int
    rate: Fraction
    converts: bool
    size: tuple[int, int]
    deinterlace: str
    color: PlateColor
    camera: PlateCamera
    timecode: Timecode | None
    exposure: float = 0.0
    headers: tuple[ImageHeader, ...] = ()

    @property
    def floats(self) -> bool:
        """Whether the images hold light, not code values, and are read by OpenImageIO."""
        return bool(self.headers) and self.headers[0].floats

    @property
    def first_number(self) -> int:
        """Of the plate's first frame."""
        return 1 if self.movie is not None else self.source.numbers[0]

    @property
    def pixel_aspect(self) -> Fraction:
        """Of the frames, as resized."""
        (width, height), picture = self.size, self.picture
        return picture.pixel_aspect * Fraction(picture.width * height, picture.height * width)


def plan_plate(plate: str, options: IngestOptions) -> PlatePlan:
    """Raises PlateError, and UsageError for options that do not suit the plate."""
    source = resolve_plate(plate)
    if source.kind == "sequence":
        return _sequence(source, options)
    return _movie(source, options)


def _sequence(source: PlateSource, options: IngestOptions) -> PlatePlan:
    headers = read_headers(source.files)
    _check_alike(headers, source.files)
    picture = probe_image(source.path) if not headers[0].floats else headers[0].picture()
    rate = parse_rate(options.fps) if options.fps else headers[0].rate or SEQUENCE_RATE
    start = parse_timecode(headers[0].timecode, rate) if headers[0].timecode else None
    cut = _cut(source.numbers, source.numbers[0], start, rate, options)
    camera = image_camera(source.path)
    return PlatePlan(
        source=source,
        movie=None,
        picture=picture,
        numbers=chosen(source.numbers, cut, options.handles, options.every),
        cut=cut,
        every=options.every,
        rate=rate,
        converts=False,
        size=frame_size(options.resize, picture.width, picture.height),
        deinterlace=options.deinterlace,
        color=_color(picture, options.space, headers[0].space or VIDEO),
        camera=camera,
        timecode=start,
        exposure=options.exposure,
        headers=headers,
    )


def _movie(source: PlateSource, options: IngestOptions) -> PlatePlan:
    movie = probe_movie(source.path)
    movie = replace(movie, picture=replace(movie.picture, fields=fields_of(movie)))
    asked = parse_rate(options.fps) if options.fps else None
    own = movie.rate * (2 if options.deinterlace == "fields" else 1)
    converts = asked is not None and not (movie.constant and own == asked)
    rate = asked if asked is not None and converts else own
    count = moment_count(movie, options.deinterlace, rate if converts else None)
    start = _converted(parse_timecode(movie.timecode, movie.rate), rate)
    numbers = range(1, count + 1)
    cut = _cut(numbers, 1, start, rate, options)
    camera = movie_camera(source.path, movie.metadata)
    picture = movie.picture
    return PlatePlan(
        source=source,
        movie=movie,
        picture=picture,
        numbers=chosen(numbers, cut, options.handles, options.every),
        cut=cut,
        every=options.every,
        rate=rate,
        converts=converts,
        size=frame_size(options.resize, picture.width, picture.height),
        deinterlace=options.deinterlace,
        color=_color(picture, options.space, picture.transfer or camera.gamma or VIDEO),
        camera=camera,
        timecode=start,
    )


def _cut(
    numbers: Sequence[int],
    first: int,
    start: Timecode | None,
    rate: Fraction,
    options: IngestOptions,
) -> Cut:
    begin = point(options.first, first, start, rate)
    end = point(options.last, first, start, rate)
    return cut_of(numbers, begin, end)


def _color(picture: Picture, asked: str, told: str) -> PlateColor:
    space = told if asked == "auto" else asked
    return PlateColor(
        space=space if space in COLOR_SPACES else VIDEO,
        matrix=picture.tagged_matrix,
        primaries=picture.primaries,
        range="full" if picture.full_range or not picture.matrix else "limited",
        bits=picture.depth,
        alpha=picture.alpha,
    )


def _converted(start: Timecode | None, rate: Fraction) -> Timecode | None:
    """A timecode with the labels of another rate."""
    if start is None or start.base == base_of(rate):
        return start
    base = base_of(rate)
    return Timecode(round(Fraction(start.count * base, start.base)), base, start.drop)


def moment_count(movie: Movie, deinterlace: str, rate: Fraction | None) -> int:
    """How many frames a movie gives: its own, or its fields, or those of another rate."""
    ticks, time_base, own = movie.ticks, movie.time_base, movie.rate
    if deinterlace == "fields":
        ticks, time_base, own = of_fields(ticks), time_base / 2, own * 2
    return len(ticks) if rate is None else len(resampled(ticks, time_base, own, rate))


def of_fields(ticks: Sequence[int]) -> tuple[int, ...]:
    """The times of two fields a frame, in halves of a tick: the second is half way to the next."""
    gaps = [after - before for before, after in itertools.pairwise(ticks)]
    last = gaps[-1] if gaps else 1
    return tuple(
        time
        for tick, gap in zip(ticks, [*gaps, last], strict=True)
        for time in (2 * tick, 2 * tick + gap)
    )


def resampled(
    ticks: Sequence[int], time_base: Fraction, old: Fraction, rate: Fraction
) -> tuple[int, ...]:
    """Which frame ffmpeg's fps filter shows at each frame of a constant rate.

    Each time is rounded to the nearest new frame (halves up); the last that is not later is shown.
    The last frame lasts one frame of the `old` rate.
    """
    times = [(tick - ticks[0]) * time_base for tick in ticks]
    slots = [int(time * rate + Fraction(1, 2)) for time in (*times, times[-1] + 1 / old)]
    return tuple(bisect.bisect_right(slots[:-1], slot) - 1 for slot in range(slots[-1]))


def _check_alike(headers: Sequence[ImageHeader], files: Sequence[Path]) -> None:
    """Raises PlateError, naming the first image that differs from the first in size or depth."""
    first = headers[0]
    for header, file in zip(headers, files, strict=True):
        if header.size != first.size:
            was, now = ("x".join(map(str, one.size)) for one in (first, header))
            raise PlateError(
                f"The images are not all of one size: {files[0].name} is {was}, {file.name} {now}."
            )
        if (header.bits, header.floats) != (first.bits, first.floats):
            raise PlateError(
                f"The images do not all have one bit depth: {files[0].name} has {first.depth}, "
                f"{file.name} {header.depth}."
            )


def remarks(plan: PlatePlan) -> list[str]:
    """What an artist should know about the plate before it is extracted."""
    picture, movie = plan.picture, plan.movie
    found = []
    if plan.source.missing:
        missing = ranges(plan.source.missing)
        found.append(f"The sequence has holes; these frames are missing: {missing}.")
    if movie is not None and not movie.constant and not plan.converts:
        found.append(
            "The movie has a variable frame rate: every frame is kept once, and its average of "
            f"{float(movie.rate):.3f} is the shot's rate."
        )
    if picture.fields and plan.deinterlace == "off":
        found.append(
            f"The movie is interlaced, {_FIELD_NAMES[picture.fields]} field first. Lines of two "
            "moments blur the tracks: set Deinterlace."
        )
    if picture.odd_matrix:
        found.append(
            f"The movie's colors are coded as {picture.tagged_matrix}, which is read as the usual "
            f"{picture.matrix}: they may be slightly off."
        )
    if COLOR_SPACES[plan.color.space].kind in (Kind.HDR, Kind.LOG):
        label = COLOR_SPACES[plan.color.space].label
        found.append(f"The plate is {label}: frames keep that, and proxies show it for a screen.")
    return found


_FIELD_NAMES = {TOP_FIRST: "upper", BOTTOM_FIRST: "lower"}
