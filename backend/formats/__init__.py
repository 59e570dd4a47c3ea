# SPDX-License-Identifier: GPL-3.0-or-later
"""One module per file format.

The text formats of a camera all take the same record and write one file; what each can hold and
by which conventions is said at the head of its module.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..camera import CameraTrack
from ..shot import CAMERA
from ..undistorted import UndistortedPlate, cameras_by_plate
from . import chan, clip, csv, jsx, nk

TEXT_FORMATS: dict[str, Callable[[CameraTrack, Path], None]] = {
    "chan": chan.write,
    "clip": clip.write,
    "csv": csv.write,
    "jsx": jsx.write,
    "nk": nk.write,
}
"""Writers by extension. Each raises OutputError and leaves the file that was there then."""


def write_all(track: CameraTrack, folder: Path, stem: str = CAMERA) -> list[Path]:
    """Writes `<stem>.<extension>` into the folder for every text format; the files written."""
    files = [folder / f"{stem}.{extension}" for extension in TEXT_FORMATS]
    for file, write in zip(files, TEXT_FORMATS.values(), strict=True):
        write(track, file)
    return files


def write_cameras(track: CameraTrack, undistorted: UndistortedPlate, folder: Path) -> list[Path]:
    """Writes a solve's cameras for every plate, each in every text format; the files written."""
    cameras = cameras_by_plate(track, undistorted).items()
    return [file for stem, camera in cameras for file in write_all(camera, folder, stem)]
