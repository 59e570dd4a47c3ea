# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a plate into frames: every frame exactly once, under the plate's own number.

    source/frames/frame_0001.png                                   8-bit, or 16-bit from more bits
    source/frames/BL_proxy/frame_0001.png/proxy_50/00000001.jpg    half size, Blender's layout
    source/shot.json                                               the frame map

A movie's frames are numbered from 1 in the order they are shown; one that cannot be decoded takes
no number, `source_indices` tells the others' places. A sequence keeps its own numbers, holes and
all. RGB in full range; alpha is dropped, and code values are otherwise as the plate has them (log
stays log).
"""

from __future__ import annotations

import bisect
import itertools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

from ...errors import OutputError, PlateError
from ...plates import PlateSource, parse_rate, ranges, resolve_plate
from ...shot import Plate, write_json
from ...stages import IngestOptions
from ..extraction import (
    PROXY_PERCENT,
    Encoding,
    Extraction,
    extract_movie,
    extract_sequence,
    keep_whole,
)
from ..focal_hint import image_focal, movie_focal
from ..media import Movie, Picture, probe_image, probe_movie
from ..report import Context, Report

SEQUENCE_RATE = Fraction(24)
"""An image sequence does not say its rate."""
_TYPICAL_PNG = 0.5
"""Size of a compressed frame against its raw pixels, for typical footage; noise takes 1.0."""
_PROXY_BYTES = 0.07  # for each pixel of the plate


@dataclass(frozen=True)
class _Intake:
    """A plate and what is to become of it. `count` is how many frames are expected."""

    source: PlateSource
    movie: Movie | None
    picture: Picture
    rate: Fraction
    convert: bool
    count: int


def run(context: Context[IngestOptions]) -> None:
    """Raises PlateError, UsageError for the rate, OutputError when the shot has no room."""
    report = context.report
    report.status("Reading the plate")
    intake = _take_in(context.plate, context.options)
    folder = context.part.folder("source")
    frames = folder / context.shot.frames.name
    frames.mkdir(exist_ok=True)
    first = intake.source.numbers[0] if intake.movie is None else 1
    encoding = Encoding(intake.picture, frames, first, intake.rate if intake.convert else None)
    kept = keep_whole(encoding, in_a_row=intake.movie is not None)
    _check_space(intake, len(kept), folder)
    for text in _remarks(intake):
        report.warning(text)
    report.status("Extracting frames")
    if intake.movie is None:
        extraction = extract_sequence(intake.source, encoding, kept, report)
    else:
        extraction = extract_movie(intake.movie, encoding, kept, intake.count, report)
    plate = _plate(intake, extraction, report)
    write_json(folder / context.shot.plate_file.name, plate.to_json())
    report.result("source/frames", "frames")
    context.record.update(
        frame_count=len(plate.frames),
        first_frame=plate.first_frame,
        fps=str(plate.fps),
        size=[plate.width, plate.height],
        bits=16 if encoding.deep else 8,
        proxies=[PROXY_PERCENT],
        ffmpeg=imageio_ffmpeg.get_ffmpeg_version(),
    )


def _take_in(plate: str, options: IngestOptions) -> _Intake:
    asked = parse_rate(options.fps) if options.fps else None
    source = resolve_plate(plate)
    if source.kind == "sequence":
        _need_two(len(source.files), source.path)
        picture = probe_image(source.path)
        return _Intake(source, None, picture, asked or SEQUENCE_RATE, False, len(source.files))
    movie = probe_movie(source.path)
    _need_two(movie.frame_count, source.path)
    convert = asked is not None and not (movie.constant and movie.rate == asked)
    count = movie.frame_count
    if asked is not None and convert:
        count = len(resampled(movie.ticks, movie.time_base, movie.rate, asked))
        _need_two(count, source.path)
    return _Intake(source, movie, movie.picture, asked or movie.rate, convert, count)


def _need_two(count: int, path: Path) -> None:
    if count == 1:
        raise PlateError(f"{path} holds one frame; a shot needs two or more.")


def _check_space(intake: _Intake, done: int, folder: Path) -> None:
    pixels = intake.picture.width * intake.picture.height
    raw = pixels * (6 if intake.picture.depth > 8 else 3)
    need = (intake.count - done) * (raw * _TYPICAL_PNG + pixels * _PROXY_BYTES)
    free = shutil.disk_usage(folder).free
    if need > free:
        raise OutputError(
            f"The frames need about {need / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} GB free. "
            "Free some space or choose another folder for the shot."
        )


def _remarks(intake: _Intake) -> list[str]:
    """What an artist should know about the plate before it is extracted."""
    remarks = []
    if intake.source.missing:
        missing = ranges(intake.source.missing)
        remarks.append(f"The sequence has holes; these frames are missing: {missing}.")
    if intake.movie is not None and not intake.movie.constant and not intake.convert:
        remarks.append(
            "The movie has a variable frame rate: every frame is kept once, and its average of "
            f"{float(intake.rate):.3f} is the shot's rate."
        )
    return remarks


def _plate(intake: _Intake, extraction: Extraction, report: Report) -> Plate:
    frames = extraction.frames
    _need_two(len(frames), intake.source.path)
    movie = intake.movie
    if movie is None:
        indices, times = _sequence_map(intake, frames)
        missing = _holes(intake.source, frames, report)
    else:
        indices, times = _movie_map(intake, movie, extraction, report)
        missing = ()
    return Plate(
        source=str(intake.source.path),
        kind=intake.source.kind,
        width=extraction.width,
        height=extraction.height,
        fps=intake.rate,
        frames=frames,
        source_indices=indices,
        times=times,
        pixel_aspect=intake.picture.pixel_aspect,
        missing=missing,
        focal_hint=_focal_hint(intake),
    )


def _focal_hint(intake: _Intake) -> float:
    picture = intake.picture
    if intake.movie is None:
        return image_focal(intake.source.path)
    return movie_focal(intake.movie.metadata, picture.width, picture.height)


def _sequence_map(
    intake: _Intake, frames: Sequence[int]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    places = {number: index for index, number in enumerate(intake.source.numbers)}
    times = tuple(float((number - frames[0]) / intake.rate) for number in frames)
    return tuple(places[number] for number in frames), times


def _holes(source: PlateSource, frames: Sequence[int], report: Report) -> tuple[int, ...]:
    """The numbers between the first and last frame that there is no frame of."""
    broken = sorted(set(source.numbers) - set(frames))
    if broken:
        report.warning(f"These images are damaged and were left out: {ranges(broken)}.")
    there = set(frames)
    return tuple(number for number in range(frames[0], frames[-1]) if number not in there)


def _movie_map(
    intake: _Intake, movie: Movie, extraction: Extraction, report: Report
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    decoded = extraction.ticks
    if len(decoded) < movie.frame_count:
        report.warning(
            f"The movie says it has {movie.frame_count} frames; {len(decoded)} could be decoded."
        )
    places = places_among(decoded, movie.ticks)
    count = len(extraction.frames)
    if intake.convert:
        kept = resampled(decoded, movie.time_base, movie.rate, intake.rate)
        # At the very end the filter may give one frame more or less than its rounding rule says.
        kept = (*kept[:count], *[kept[-1]] * (count - len(kept)))
        return tuple(places[i] for i in kept), tuple(float(i / intake.rate) for i in range(count))
    times = tuple(float((tick - decoded[0]) * movie.time_base) for tick in decoded[:count])
    return tuple(places[:count]), times


def places_among(decoded: Sequence[int], ticks: Sequence[int]) -> tuple[int, ...]:
    """The position in the movie of each decoded frame, by time; by order where times do not say."""
    if len(decoded) == len(ticks):
        return tuple(range(len(ticks)))
    places = tuple(bisect.bisect_left(ticks, tick) for tick in decoded)
    rising = all(a < b for a, b in itertools.pairwise(places))
    known = all(
        place < len(ticks) and ticks[place] == t for place, t in zip(places, decoded, strict=True)
    )
    return places if rising and known else tuple(range(len(decoded)))


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
