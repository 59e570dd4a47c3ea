# SPDX-License-Identifier: GPL-3.0-or-later
"""Which shot a scene works on: chosen by a drop, by the menu of recent shots, or by a plate.

The shot that a scene worked on before stays where it is, and among the recent ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import bpy

from ..backend.errors import UsageError
from ..backend.intake import Intake, free_folder, is_same_plate, recorded_plate, take_in
from ..backend.jobs import Job
from ..backend.recent import RecentShots
from ..backend.shot import Shot, folder_key
from . import addon


def choose(
    scene: bpy.types.Scene, paths: Sequence[Path], folder: str = "", jobs: Iterable[Job] = ()
) -> Intake:
    """Makes what the paths stand for the scene's shot, a plate's in `folder` or a fitting one.

    `jobs` are those at work: their shots may have no frames yet. Raises ShotGopherError; the scene
    is then as it was.
    """
    intake = take_in(paths)
    if intake.shot is not None:
        open_shot(scene, intake.shot)
    elif intake.source is not None:
        plate = str(intake.source.path)
        fitting = folder_for(scene, plate, jobs)
        _set(scene, plate, addon.absolute(folder) or fitting, suggested_folder(scene, plate, jobs))
    return intake


def open_shot(scene: bpy.types.Scene, shot: Shot) -> None:
    """Makes a shot that is there the scene's. Raises UsageError."""
    if not shot.path.is_dir():
        raise UsageError(f"{shot.path} was not found.")
    recent = RecentShots(addon.host().home)
    key = folder_key(str(shot.path))
    noted = (known.plate for known in recent.all() if folder_key(known.folder) == key)
    plate = recorded_plate(shot) or next(noted, "")
    # A plate that is gone is no trouble for a shot that has its frames.
    _set(scene, plate if Path(plate).exists() else "", str(shot.path), "")
    recent.note(shot.path, plate)


def folder_for(scene: bpy.types.Scene, plate: str, jobs: Iterable[Job]) -> str:
    """Where a plate that comes in belongs: to the scene's shot when that is of this plate."""
    settings = scene.shot_gopher
    its_plate = addon.absolute(settings.plate)
    if settings.shot and its_plate and is_same_plate(Path(plate), Path(its_plate)):
        return addon.absolute(settings.shot)
    return suggested_folder(scene, plate, jobs)


def suggested_folder(scene: bpy.types.Scene, plate: str, jobs: Iterable[Job]) -> str:
    """Where a shot of that plate could be kept, clear of the shots of other plates."""
    taken = {
        addon.absolute(other.shot_gopher.shot): addon.absolute(other.shot_gopher.plate)
        for other in bpy.data.scenes
        if other != scene and other.shot_gopher.shot
    }
    taken |= {job.request.shot: job.request.plate for job in jobs}
    return str(free_folder(addon.shots_parent(), Path(addon.absolute(plate)), taken))


def _set(scene: bpy.types.Scene, plate: str, folder: str, suggested: str) -> None:
    settings = scene.shot_gopher
    before, its_plate = addon.absolute(settings.shot), addon.absolute(settings.plate)
    if before and folder_key(before) != folder_key(folder) and Path(before).is_dir():
        RecentShots(addon.host().home).note(Path(before), its_plate)
    settings.plate, settings.shot, settings.suggested_shot = plate, folder, suggested
