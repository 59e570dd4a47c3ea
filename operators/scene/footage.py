# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into the scene, read before anything is built: a tracked shot as one record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ...backend.backgrounds import Background, find_backgrounds
from ...backend.camera import Array, CameraTrack
from ...backend.formats.colmap import read_model
from ...backend.reconstruction import CameraModel, Points
from ...backend.shot import Shot
from ...backend.solve import solve_of
from ...backend.undistorted import UndistortedPlate

_LAST_NUMBER = re.compile(r"(\d+)(\D*)$")


@dataclass(frozen=True)
class PlateImages:
    """A numbered sequence: its first file and the scene frame that shows it."""

    first: Path
    first_frame: int


def as_sequence(files: Mapping[int, Path]) -> PlateImages | None:
    """The files by frame number as one sequence; None when Blender would not read them as one.

    That needs one folder, one name around the number, and the frame numbers in the names.
    """
    number = min(files)
    first = files[number]
    found = _LAST_NUMBER.search(first.stem)
    if found is None:
        return None
    head, tail = first.stem[: found.start()], found.group(2) + first.suffix
    digits = len(found.group(1))
    same = all(
        file.parent == first.parent and file.name == f"{head}{frame:0{digits}d}{tail}"
        for frame, file in files.items()
    )
    return PlateImages(first, number) if same else None


@dataclass(frozen=True, eq=False)
class Footage:
    """A tracked camera with its plate and points. Everything is in the shot's world.

    source      tells shots apart: the folder it was read from
    lens        what the plate was shot with, where it zooms in its frame `main`; that is the index
                of a frame of the track that was shot with it
    undistorted the size of the undistorted plate, None where that is not known
    positions   (p, 3) of `points`
    backgrounds what can be shown behind the camera, the plate first; () where it cannot be shown
    cut         first and last frame between the handles
    fps         None to leave the scene's
    warnings    sentences for the user
    """

    name: str
    source: str
    track: CameraTrack
    lens: CameraModel
    points: Points
    positions: Array
    backgrounds: tuple[Background, ...]
    first_frame: int
    last_frame: int
    cut: tuple[int, int]
    fps: Fraction | None = None
    main: int = 0
    undistorted: UndistortedPlate | None = None
    warnings: tuple[str, ...] = ()

    @property
    def zooms(self) -> bool:
        return bool(np.ptp(self.track.focal, axis=0).any())


def read_shot(shot: Shot) -> Footage:
    """A shot whose camera is tracked. Raises SolveError and FormatError."""
    solve = solve_of(shot)
    plate = shot.load_plate()
    points = read_model(shot.sparse).points
    backgrounds = find_backgrounds(shot, plate)
    return Footage(
        name=shot.name,
        source=str(shot.path.resolve()),
        track=solve.track.resized(plate.width, plate.height),
        lens=solve.camera,
        points=points,
        positions=solve.world.apply(points.positions),
        backgrounds=backgrounds,
        first_frame=plate.first_frame,
        last_frame=plate.last_frame,
        cut=plate.cut_range,
        fps=plate.fps,
        undistorted=_undistorted(shot),
        warnings=() if backgrounds else ("The plate is not shown: its frames are missing.",),
    )


def _undistorted(shot: Shot) -> UndistortedPlate | None:
    file = shot.undistorted_file
    return UndistortedPlate.load(file) if file.is_file() else None
