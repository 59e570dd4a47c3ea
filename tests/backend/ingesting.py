# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the ingest stage as the worker does, and checks what holds for every shot it makes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from backend import outputs
from backend.events import Event, EventReader, EventWriter
from backend.options import from_mapping
from backend.shot import Plate, Shot
from backend.stages import STAGES, IngestOptions
from backend.worker.report import Context, Report
from backend.worker.stages import ingest

from . import movies

NTSC_FILM = Fraction(24000, 1001)
PERCENTS = (25, 50, 100)


def run_ingest(plate: Path | str, shot: Shot, **options: Any) -> list[dict[str, Any]]:
    """What the worker does for one ingest. Returns the events."""
    shot.path.mkdir(parents=True, exist_ok=True)
    log = shot.path.with_name(f"{shot.name}.jsonl")
    if log.exists():
        log.unlink()
    report = Report(EventWriter(log), shot.path.with_name(f"{shot.name}.cancel"))
    chosen, stage = from_mapping(IngestOptions, options), STAGES["ingest"]
    inputs = outputs.inputs_of(shot, stage, str(plate))
    writing = outputs.writing(shot, stage, chosen, inputs, report.uninterrupted())
    with writing as (part, record):
        ingest.run(Context(shot, chosen, str(plate), "", part, report, record))
    return EventReader(log).poll()


def ingested(plate: Path | str, folder: Path, **options: Any) -> tuple[Shot, Plate, list[str]]:
    """The shot, its plate and the warnings."""
    shot = Shot(folder / "shot")
    events = run_ingest(plate, shot, **options)
    warnings = [record["text"] for record in events if record["event"] == Event.WARNING.value]
    plate_taken = shot.load_plate()
    check_files(shot, plate_taken)
    return shot, plate_taken, warnings


def proxy_file(shot: Shot, plate: Plate, number: int, percent: int = 50) -> Path:
    """Where Blender 4.5's own `clip.rebuild_proxy` was seen to write and read it."""
    first = f"frame_{plate.first_frame:04d}.png"
    place = number - plate.first_frame + 1
    return shot.frames / "BL_proxy" / first / f"proxy_{percent}" / f"{place:08d}.jpg"


def check_files(shot: Shot, plate: Plate) -> None:
    """Holds for every ingest: exactly the files of the frame map, with sizes that agree."""
    wanted = {shot.frame_file(n) for n in plate.frames}
    held = range(plate.first_frame, plate.last_frame + 1) if plate.every > 1 else plate.frames
    wanted |= {proxy_file(shot, plate, n, p) for n in held for p in PERCENTS}
    assert {file for file in shot.frames.rglob("*") if file.is_file()} == wanted
    assert len(plate.frames) == len(plate.source_indices) == len(plate.times)
    assert plate.times[0] == 0
    assert list(plate.frames) == sorted(set(plate.frames))
    whole = range(plate.first_frame, plate.last_frame, plate.every)
    assert set(plate.missing) == set(whole) - set(plate.frames)
    for number in (plate.first_frame, plate.last_frame):
        height, width = movies.read_image(shot.frame_file(number)).shape[:2]
        assert (width, height) == (plate.width, plate.height)
        for percent in PERCENTS:
            small = movies.read_image(proxy_file(shot, plate, number, percent)).shape[:2]
            assert small == (max(1, height * percent // 100), max(1, width * percent // 100))
    assert not shot.output("source.part").exists()


def codes(shot: Shot, plate: Plate) -> list[int]:
    """The numbers painted in the frames; the proxies' must be the same."""
    found = [movies.read_code(movies.read_image(shot.frame_file(n))) for n in plate.frames]
    small = [movies.read_code(movies.read_image(proxy_file(shot, plate, n))) for n in plate.frames]
    assert small == found
    return found
