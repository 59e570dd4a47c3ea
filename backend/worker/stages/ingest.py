# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a plate into frames: every frame exactly once, under the plate's own number.

    source/frames/frame_0001.png                                   8-bit, or 16-bit from more bits
    source/frames/BL_proxy/frame_0001.png/proxy_50/00000001.jpg    also 25 and 100: Blender's layout
    source/shot.json                                               the frame map

A movie's frames are numbered from 1 in the order they are shown; one that cannot be decoded takes
no number, `source_indices` tells the others' places. A sequence keeps its own numbers, holes and
all. RGB in full range; alpha is left out, and code values are otherwise as the plate has them (log
stays log). Images that hold light become sRGB.
"""

from __future__ import annotations

import bisect
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import av

from ...color_spaces import COLOR_SPACES
from ...errors import OutputError, PlateError
from ...plates import plate_fingerprint, ranges
from ...proxies import PROXY_FOLDER, PROXY_PERCENTS, Proxies
from ...shot import FRAME_PATTERN, Plate, write_json
from ...stages import IngestOptions
from ..encoding import Encoding, Stretch
from ..extraction import (
    Extraction,
    extract_movie,
    extract_sequence,
    hold_proxies,
    keep_whole,
)
from ..media import Movie
from ..plate_plan import PlatePlan, of_fields, plan_plate, remarks, resampled
from ..report import Context, Report

_TYPICAL_PNG = 0.5
"""Size of a compressed frame against its raw pixels, for typical footage; noise takes 1.0."""
_PROXY_BYTES = 0.37  # of all sizes together, for each pixel of the frames
_FAR, _BEFORE = 10.0, 3.0
"""Seconds into a movie from which its beginning is not decoded, and how much sooner than the cut
decoding begins, so that it has a keyframe behind it."""
_LONGEST_PATH = 259
"""Letters of a path that Windows programs without long paths can open."""


def run(context: Context[IngestOptions]) -> None:
    """Raises PlateError, UsageError for the options, OutputError when the shot has no room."""
    report = context.report
    report.status("Reading the plate")
    before = plate_fingerprint(context.plate)
    plan = plan_plate(context.plate, context.options)
    _need_two(len(plan.numbers), plan.source.path)
    folder = context.part.folder("source")
    frames = folder / context.shot.frames.name
    frames.mkdir(exist_ok=True)
    check_path(context.shot.frames, plan.numbers, os.name == "nt")
    percents = PROXY_PERCENTS if context.options.proxies else ()
    with _encoding(plan, frames, percents) as encoding:
        kept = keep_whole(encoding, in_a_row=plan.movie is not None)
        _check_space(encoding, len(kept), folder)
        for text in remarks(plan):
            report.warning(text)
        report.status("Extracting frames")
        extraction, stretch = _extracted(plan, encoding, kept, report)
        if plan.every > 1:
            hold_proxies(encoding, extraction.frames)
    if plate_fingerprint(context.plate) != before:
        raise PlateError(
            f"{plan.source.path} changed while it was being read. Wait until it is whole, then "
            "set the shot up again."
        )
    _check_damage(plan, stretch, extraction, context.options.accept_damage, report)
    plate = _plate(plan, stretch, extraction)
    write_json(folder / context.shot.plate_file.name, plate.to_json())
    report.result("source/frames", "frames")
    context.record.update(
        frame_count=len(plate.frames),
        first_frame=plate.first_frame,
        fps=str(plate.fps),
        size=[plate.width, plate.height],
        bits=16 if encoding.deep else 8,
        proxies=sorted(percents),
        pyav=av.__version__,
    )


@contextmanager
def _encoding(plan: PlatePlan, frames: Path, percents: tuple[int, ...]) -> Iterator[Encoding]:
    """How the frames are written; for as long as its lookup table is there."""
    encoding = Encoding(
        picture=plan.picture,
        folder=frames,
        numbers=plan.numbers,
        size=plan.size,
        deinterlace=plan.deinterlace,
        rate=plan.rate if plan.converts else None,
        every=plan.every,
        percents=percents,
    )
    with tempfile.TemporaryDirectory() as temporary:
        if percents and COLOR_SPACES[plan.color.space].needs_view and not plan.floats:
            # What most plates have no need of is loaded for those that do.
            from ..colors import write_cube

            cube = Path(temporary) / "view.cube"
            write_cube(plan.color.space, cube)
            encoding = replace(encoding, cube=cube)
        yield encoding


def _need_two(count: int, path: Path) -> None:
    if count == 1:
        raise PlateError(f"{path} holds one frame; a shot needs two or more.")


def check_path(frames: Path, numbers: Sequence[int], windows: bool) -> None:
    """Raises OutputError when the proxies' paths would be longer than Windows opens."""
    first = f"{FRAME_PATTERN.format(numbers[0])}.png"
    part = frames.parent.with_name(f"{frames.parent.name}.part") / frames.name
    longest = Proxies(part / PROXY_FOLDER, first).file(100, False, numbers[-1] - numbers[0] + 1)
    length = len(str(longest))
    if windows and length > _LONGEST_PATH:
        raise OutputError(
            f"The shot's files would have paths of {length} letters, and Windows opens "
            f"{_LONGEST_PATH}: choose a shot folder with a shorter path than {frames.parents[1]}."
        )


def _check_space(encoding: Encoding, done: int, folder: Path) -> None:
    pixels = encoding.size[0] * encoding.size[1]
    raw = pixels * (6 if encoding.deep else 3)
    need = (len(encoding.numbers) - done) * (raw * _TYPICAL_PNG + pixels * _PROXY_BYTES)
    free = shutil.disk_usage(folder).free
    if need > free:
        raise OutputError(
            f"The frames need about {need / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} GB free. "
            "Free some space or choose another folder for the shot."
        )


def _extracted(
    plan: PlatePlan, encoding: Encoding, kept: Sequence[int], report: Report
) -> tuple[Extraction, Stretch | None]:
    """Writes the frames; the stretch is that of a movie."""
    if plan.movie is not None:
        return _extracted_movie(plan, plan.movie, encoding, kept, report)
    if not plan.floats:
        return extract_sequence(plan.source, encoding, kept, report), None
    from ..colors import view_of
    from ..float_images import extract_light

    left = set(plan.numbers).difference(kept)
    names = zip(plan.source.numbers, plan.source.files, strict=True)
    files = {number: file for number, file in names if number in left}
    view = view_of(plan.color.space, plan.exposure)
    return extract_light(files, encoding, view, len(kept), report), None


def _extracted_movie(
    plan: PlatePlan, movie: Movie, encoding: Encoding, kept: Sequence[int], report: Report
) -> tuple[Extraction, Stretch]:
    """From near the cut where that is far into the movie, and from its beginning where decoding
    does not start where the container says."""
    stretch = stretch_of(plan, movie)
    near = _near(stretch, movie)
    if near is not None:
        try:
            found = extract_movie(movie, near, encoding, kept, report)
        except PlateError:
            found = Extraction(())
        if found.ticks == movie.ticks[stretch.begin : stretch.end + 1]:
            return found, stretch
        kept = ()
        keep_whole(replace(encoding, numbers=()), in_a_row=True)
    return extract_movie(movie, stretch, encoding, kept, report), stretch


def stretch_of(plan: PlatePlan, movie: Movie) -> Stretch:
    """The frames of the movie that the taken ones are made of."""
    first, last = plan.numbers[0] - 1, plan.numbers[-1] - 1
    if plan.converts:
        return Stretch(0, movie.frame_count - 1, skip=first)
    each = 2 if plan.deinterlace == "fields" else 1
    begin, end, skip = first // each, last // each, first % each
    if plan.deinterlace != "off" and begin > 0:
        # Deinterlacing looks at the frame before, too.
        begin, skip = begin - 1, skip + each
    return Stretch(begin, end, skip)


def _near(stretch: Stretch, movie: Movie) -> Stretch | None:
    """The same stretch, decoded from shortly before it; None where that saves nothing."""
    first, last = movie.ticks[stretch.begin], movie.ticks[stretch.end]
    after = float((first - movie.ticks[0]) * movie.time_base)
    if after < _FAR or movie.untimed:
        return None
    return replace(stretch, seek=after - _BEFORE, ticks=(first, last))


def _check_damage(
    plan: PlatePlan, stretch: Stretch | None, found: Extraction, accepted: bool, report: Report
) -> None:
    """Raises PlateError when frames of the plate cannot be read, unless that is accepted."""
    if stretch is None:
        broken = sorted(set(plan.numbers) - set(found.frames))
        if not broken:
            return
        text = f"These images are damaged: {ranges(broken)}."
        remedy = "Replace them, or remove them to leave holes"
    else:
        text = _movie_damage(plan, stretch, found)
        remedy = "Copy the movie again"
        if not text:
            return
    if not accepted:
        raise PlateError(f"{text} {remedy}, or turn on Accept Damage to go on with the others.")
    report.warning(f"{text} The others are taken.")


def _movie_damage(plan: PlatePlan, stretch: Stretch, found: Extraction) -> str:
    """What is wrong with the stretch of the movie that was taken, "" when nothing is."""
    movie = plan.movie
    assert movie is not None
    if movie.cut_short and stretch.end == movie.frame_count - 1:
        return f"The movie ends {movie.cut_short:.1f} s sooner than it says: it is not whole."
    if len(found.ticks) < stretch.count:
        return f"{len(found.ticks)} of the movie's {stretch.count} frames can be decoded."
    return ""


def _plate(plan: PlatePlan, stretch: Stretch | None, found: Extraction) -> Plate:
    frames = found.frames
    _need_two(len(frames), plan.source.path)
    if plan.movie is None or stretch is None:
        places = {number: index for index, number in enumerate(plan.source.numbers)}
        indices = tuple(places[number] for number in frames)
        seconds = tuple(float((n - plan.first_number) / plan.rate) for n in frames)
        names = tuple(plan.source.files[index].name for index in indices)
    else:
        indices, seconds = movie_map(plan, plan.movie, stretch, found)
        names = ()
    start = plan.timecode
    if start is not None:
        start = start.plus(round(seconds[0] * float(plan.rate)))
    width, height = plan.size
    focal = plan.camera.focal_pixels(width, height)
    cut = (plan.cut.first, max(n for n in frames if n <= plan.cut.last))
    return Plate(
        source=str(plan.source.path),
        kind=plan.source.kind,
        width=width,
        height=height,
        fps=plan.rate,
        frames=frames,
        source_indices=indices,
        times=tuple(second - seconds[0] for second in seconds),
        pixel_aspect=plan.pixel_aspect,
        missing=_holes(plan, frames),
        focal_hint=focal,
        source_names=names,
        timecode=str(start) if start is not None else "",
        cut=None if cut == (frames[0], frames[-1]) else cut,
        source_size=(plan.picture.width, plan.picture.height),
        every=plan.every,
        color=plan.color,
        camera=plan.camera,
    )


def _holes(plan: PlatePlan, frames: Sequence[int]) -> tuple[int, ...]:
    """The numbers from the first to the last frame that would be taken and are not there."""
    there = set(frames)
    wanted = range(frames[0], frames[-1], plan.every)
    return tuple(number for number in wanted if number not in there)


def movie_map(
    plan: PlatePlan, movie: Movie, stretch: Stretch, found: Extraction
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The position in the movie of each frame, and its time in seconds from the movie's first."""
    within = movie.ticks[stretch.begin : stretch.end + 1]
    places = [stretch.begin + place for place in places_among(found.ticks, within)]
    ticks, time_base, rate, each = found.ticks, movie.time_base, movie.rate, 1
    if plan.deinterlace == "fields":
        ticks, time_base, rate, each = of_fields(ticks), time_base / 2, rate * 2, 2
    taken = [stretch.skip + i * plan.every for i in range(len(found.frames))]
    start = movie.ticks[0] * movie.time_base
    if plan.converts:
        shown = resampled(ticks, time_base, rate, plan.rate)
        # At the very end the filter may give one frame more or less than its rounding rule says.
        sources = [shown[min(k, len(shown) - 1)] for k in taken]
        return (
            tuple(places[source // each] for source in sources),
            tuple(float(k / plan.rate) for k in taken),
        )
    return (
        tuple(places[k // each] for k in taken),
        tuple(float(ticks[k] * time_base - start) for k in taken),
    )


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
