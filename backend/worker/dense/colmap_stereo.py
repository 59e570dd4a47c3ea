# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP's own dense stereo (Schoenberger et al. 2016) as an engine: all frames in one go.

It runs in an environment of its own, because its package has the files of the usual pycolmap too.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ... import environment, locations
from ...engines import COLMAP_CUDA
from ...errors import JobError, Remedy
from ...processes import run_child
from ...shot import DenseFolder
from ..report import Report
from .colmap_workspace import read_found, write_workspace
from .map_files import write_maps
from .shot_views import ShotViews
from .views import View

_PROGRAM = Path(__file__).resolve().parents[1] / "colmap_patch_match.py"
_PASSES = 2
_LAST_LINES = 8


def find_depth(
    views: ShotViews,
    sources: Mapping[int, Sequence[int]],
    numbers: Sequence[int],
    folder: DenseFolder,
    report: Report,
) -> None:
    """Writes the maps of those frames. What COLMAP has done of a run before stays done.

    Raises JobError where COLMAP fails, PlateError, SolveError, OutputError.
    """
    python = environment.find(locations.home(), (COLMAP_CUDA,))
    if python is None:
        raise JobError("COLMAP with CUDA is not installed.", Remedy.RUN_AGAIN)
    workspace = folder.path / ".colmap"
    report.status("Preparing COLMAP's workspace")
    outlines = [views.outline(number) for number in views.numbers]
    write_workspace(workspace, outlines, _loaded(views, report), views.points, sources)
    _run(python, workspace, len(views.numbers), report)
    for number in numbers:
        view = views.outline(number)
        write_maps(folder, view, read_found(workspace, view))
        report.check()
    shutil.rmtree(workspace, ignore_errors=True)


def _loaded(views: ShotViews, report: Report) -> Iterator[View]:
    for done, number in enumerate(views.numbers, 1):
        yield views.load(number)
        report.progress(done, len(views.numbers), "frames")


def _run(python: Path, workspace: Path, views: int, report: Report) -> None:
    """Runs COLMAP. It skips what it has written before."""
    report.status("Finding depth with COLMAP")
    said: deque[str] = deque(maxlen=_LAST_LINES)
    maps = workspace / "stereo" / "depth_maps"

    def tell() -> None:
        report.progress(len(list(maps.glob("*.bin"))), _PASSES * views, "depth maps")

    status = run_child([str(python), "-I", "-B", str(_PROGRAM), str(workspace)], said.append,
                       while_silent=tell)  # fmt: skip
    if status:
        why = next((line.strip() for line in reversed(said) if line.strip()), "it said nothing")
        raise JobError(f"COLMAP's dense stereo failed: {why}", Remedy.OPEN_LOG)
