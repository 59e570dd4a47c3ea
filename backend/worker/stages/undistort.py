# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the undistorted plate: every frame at full size and depth, for the camera that fits it.

    camera/undistorted/frame_0001.png        8 or 16 bits, as the plate's frames
    camera/undistorted/stmaps/...            where the lens zooms, maps for each frame

Pixels are looked up with Lanczos' filter over 8 x 8 of the plate's, at places rounded to 1/32 of a
pixel (OpenCV). What the plate does not show is black.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...atomic import write_bytes
from ...errors import OutputError, PlateError, Remedy
from ...formats import stmap
from ...reconstruction import CameraModel
from ...shot import UNDISTORT, Plate, Shot
from ...solve import Solve
from ...stages import UndistortOptions
from ...undistorted import UndistortedPlate
from ..frame_lenses import FrameLenses
from ..lens_maps import LensMaps, undistorted_plate
from ..report import Context
from ..stmap_files import write_stmaps
from ..threads import threads

_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
"""As the plate's own frames: a quarter of the time of the default, hardly larger."""
_GONE = "{} is missing or damaged: set the shot up again."


def run(context: Context[UndistortOptions]) -> None:
    """Raises PlateError for frames that are missing, OutputError."""
    shot, report = context.shot, context.report
    plate = shot.load_plate()
    solve = Solve.load(shot.camera)
    size = undistorted_plate(solve)
    part = context.part.folder("camera/undistorted")
    report.status("Copying the plate" if size.is_plate else "Undistorting the plate")
    frames = _Frames(shot, part, solve, size)
    left = [number for number in plate.frames if not frames.is_done(number)]
    done = len(plate.frames) - len(left)
    with threads(frames.write, left) as finished:
        for _ in finished:
            done += 1
            report.progress(done, len(plate.frames), "frames")
    report.result(f"camera/{shot.undistorted.name}", "undistorted")
    context.record.update(_record(plate, size))


def _record(plate: Plate, size: UndistortedPlate) -> dict[str, object]:
    return {
        "frame_count": len(plate.frames),
        "size": [size.width, size.height],
        "plate_size": [size.plate_width, size.plate_height],
    }


class _Lookup:
    """One STMap made ready for cv2.remap: where to look, and what the plate does not show."""

    def __init__(self, map_: stmap.Map, width: int, height: int) -> None:
        positions, inside = stmap.to_positions(map_, width, height)
        # cv2 counts from the center of the first pixel.
        places = (positions - 0.5).astype(np.float32)
        self._places: tuple[Any, Any] = (places[..., 0].copy(), places[..., 1].copy())
        self._nothing = ~inside

    def apply(self, image: Any) -> Any:
        # Edges are repeated, not mixed with black: the last half pixel has the plate's color.
        flat: Any = cv2.remap(
            image, *self._places, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE
        )
        flat[self._nothing] = 0
        return flat


class _Frames:
    """Writes the undistorted frames of a shot into `part`; one lookup serves all but zooms."""

    def __init__(self, shot: Shot, part: Path, solve: Solve, size: UndistortedPlate) -> None:
        self._shot, self._part, self._size = shot, part, size
        self._lenses = FrameLenses(solve)
        still = not size.is_plate and not self._lenses.change
        self._lookup = self._lookup_of(solve.camera) if still else None

    def _file(self, number: int) -> Path:
        return self._part / self._shot.undistorted_frame(number).name

    def is_done(self, number: int) -> bool:
        return self._file(number).is_file()

    def write(self, number: int) -> None:
        """Raises PlateError for a frame that is missing or damaged, OutputError."""
        source = self._shot.frame_file(number)
        try:
            data = source.read_bytes()
        except OSError as error:
            raise PlateError(_GONE.format(source), Remedy.SET_UP_SHOT) from error
        if not self._size.is_plate:
            data = self._undistorted(number, source, data)
        write_bytes(self._file(number), data)

    def _undistorted(self, number: int, source: Path, data: bytes) -> bytes:
        image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise PlateError(_GONE.format(source), Remedy.SET_UP_SHOT)
        lookup = self._lookup or self._zoomed(number)
        done, png = cv2.imencode(".png", lookup.apply(image), _PNG)
        if not done:
            raise OutputError(f"{source.name} cannot be written undistorted.")
        return bytes(png.tobytes())

    def _lookup_of(self, lens: CameraModel) -> _Lookup:
        positions = LensMaps(lens, self._size).undistort()
        map_ = stmap.from_positions(positions, lens.width, lens.height)
        return _Lookup(map_, lens.width, lens.height)

    def _zoomed(self, number: int) -> _Lookup:
        """The lookup of one frame, whose maps are written beside it."""
        lens = self._lenses.at(number)
        folder = self._part / self._shot.stmap(UNDISTORT, number).parent.name
        folder.mkdir(exist_ok=True)
        both = write_stmaps(
            LensMaps(lens, self._size),
            lambda direction: folder / self._shot.stmap(direction, number).name,
        )
        return _Lookup(both[UNDISTORT], lens.width, lens.height)
