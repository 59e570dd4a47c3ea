# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a Blender in the background write bodies' meshes as Alembic: operators/headless_mesh.py."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from ... import processes
from ...blender import find
from ...errors import BlenderError
from ...formats.pc2 import PointCache, Vertices, write_point_cache
from ...motion import Motion
from ...shot import PersonFolder
from ..report import Report

SCRIPT = Path(__file__).resolve().parents[3] / "operators" / "headless_mesh.py"


def write_alembic(
    people: Sequence[PersonFolder], fps: Fraction, blender: str, report: Report
) -> list[str]:
    """Writes each person's body.abc beside the point cache. Sentences on what could not be done:
    all else of the motion is there without it."""
    report.status("Writing Alembic with Blender")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        try:
            meshes = [_mesh(person, work) for person in people]
            return _ask_blender(
                {"meshes": meshes, "fps": fps.as_integer_ratio()}, work, blender, report
            )
        except BlenderError as error:
            return [f"There is no Alembic of the meshes. {error.reason}"]


def _mesh(person: PersonFolder, work: Path) -> dict[str, object]:
    """What the script is asked for one. Frames without a motion show the one before."""
    motion = Motion.load(person.motion)
    first, last = int(motion.frames[0]), int(motion.frames[-1])
    cache, every = PointCache.open(person.posed), np.arange(first, last + 1)
    samples = np.searchsorted(motion.frames, every, side="right") - 1
    filled = work / f"{motion.person}.pc2"

    def batches() -> Iterator[Vertices]:
        for sample in samples.tolist():
            yield cache.read(sample, 1)

    write_point_cache(filled, cache.vertices, batches(), start=0)
    return {
        "body": str(person.body),
        "cache": str(filled),
        "name": motion.person,
        "file": str(person.alembic),
        "first": first,
        "last": last,
    }


def _ask_blender(request: dict[str, object], work: Path, blender: str, report: Report) -> list[str]:
    program = find(blender, Path(sys.executable))
    question, reply = work / "request.json", work / "answer.json"
    question.write_text(json.dumps(request), encoding="utf-8")

    def on_line(line: str) -> None:
        sys.stdout.write(line + "\n")
        report.check()

    command = program.command(SCRIPT, [str(question), str(reply)])
    status = processes.run_child(command, on_line, while_silent=report.check)
    try:
        error = str(json.loads(reply.read_text(encoding="utf-8"))["error"])
    except (OSError, ValueError, KeyError) as problem:
        raise BlenderError(f"{program.path} stopped (exit status {status}).") from problem
    return [f"There is no Alembic of the meshes. {error}"] if error else []
