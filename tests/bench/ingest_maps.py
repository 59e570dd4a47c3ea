# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame maps: frames that carry their own number, against what shot.json says of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from backend.shot import Shot
from tests.backend import movies
from tests.bench.figure import at_most
from tests.bench.ingest_ratio import run_stage

COUNT = 120
_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-bf", "2")


def map_figures(folder: Path) -> list[dict[str, Any]]:
    """How many frames are not what the map says of them, and by how much rates and times are
    off."""
    return [
        _variable(folder),
        *(_constant(folder, rate) for rate in ("24000/1001", "60000/1001")),
        _drop_frame(folder),
        _holes(folder),
    ]


def _wrong(shot: Shot, sources: list[int], times: list[float]) -> int:
    """Frames whose picture, source index or time is not the one wanted."""
    plate = shot.load_plate()
    seen = [movies.read_code(movies.read_image(shot.frame_file(n))) for n in plate.frames]
    rows = zip(seen, plate.source_indices, plate.times, strict=True)
    found = [(code, index, round(time, 3)) for code, index, time in rows]
    wanted = [(code, code, round(time, 3)) for code, time in zip(sources, times, strict=True)]
    return sum(a != b for a, b in zip(found, wanted, strict=False)) + abs(len(found) - len(wanted))


def _variable(folder: Path) -> dict[str, Any]:
    milliseconds = [i * 33 + i // 7 * 150 for i in range(COUNT)]
    expression = "settb=1/1000,setpts=N*33+floor(N/7)*150"
    timed = ("-vf", expression, "-fps_mode", "passthrough", "-enc_time_base", "1/1000")
    movie = movies.coded_movie(folder / "vfr.mkv", COUNT, *timed, *_X264)
    shot = run_stage(movie, folder / "shot", proxies=False)
    wrong = _wrong(shot, list(range(COUNT)), [time / 1000 for time in milliseconds])
    return _figure("variable frame rate", wrong, "33 ms with a pause of 150 after every seventh")


def _constant(folder: Path, rate: str) -> dict[str, Any]:
    movie = movies.coded_movie(folder / "constant.mp4", COUNT, *_X264, rate=rate)
    shot = run_stage(movie, folder / "shot", proxies=False)
    wrong = _wrong(shot, list(range(COUNT)), [float(i / Fraction(rate)) for i in range(COUNT)])
    wrong += shot.load_plate().fps != Fraction(rate)
    return _figure(f"{float(Fraction(rate)):.3f} a second", wrong, f"rate exactly {rate}")


def _drop_frame(folder: Path) -> dict[str, Any]:
    rate, start = "30000/1001", "00:00:58;00"
    movie = movies.coded_movie(folder / "drop.mov", COUNT, *_X264, "-timecode", start, rate=rate)
    shot = run_stage(movie, folder / "shot", proxies=False)
    wrong = _wrong(shot, list(range(COUNT)), [float(i / Fraction(rate)) for i in range(COUNT)])
    # Two labels are left out where the minute begins, 60 frames on.
    labels = [f"00:00:{58 + i // 30};{i % 30:02d}" for i in range(60)]
    labels += [f"00:01:{i // 30:02d};{i % 30:02d}" for i in range(2, COUNT - 58)]
    found = [str(label) for label in shot.load_plate().timecodes()]
    wrong += sum(a != b for a, b in zip(found, labels, strict=True))
    return _figure("29.97 drop-frame", wrong, f"timecode from {start} on over the minute")


def _holes(folder: Path) -> dict[str, Any]:
    numbers = [n for n in range(1001, 1001 + COUNT) if n % 11 and not 1040 <= n < 1052]
    plate = movies.write_images(folder / "holes", "plate.{:04d}.png", numbers)
    shot = run_stage(plate, folder / "shot", proxies=False)
    taken = shot.load_plate()
    seen = [movies.read_code(movies.read_image(shot.frame_file(n))) for n in taken.frames]
    wrong = sum(a != b for a, b in zip(seen, numbers, strict=True))
    wrong += sum(a != b for a, b in zip(taken.frames, numbers, strict=True))
    missing = [n for n in range(numbers[0], numbers[-1]) if n not in set(numbers)]
    wrong += list(taken.missing) != missing
    return _figure("image sequence with holes", wrong, f"{len(numbers)} of {COUNT} images")


def _figure(name: str, wrong: int, how: str) -> dict[str, Any]:
    text = f"{COUNT} frames that carry their number; {how}"
    return at_most(f"frames not as mapped, {name}", wrong, "frames", 0, text)
