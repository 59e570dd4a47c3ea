# SPDX-License-Identifier: GPL-3.0-or-later
""".csv: a table for spreadsheets and scripts, one row a frame; loses nothing.

Y up, the camera looks along -Z. `tx ty tz` and the quaternion `qw qx qy qz` are camera-to-world;
`fx fy cx cy` are pixels with (0, 0) at the corner of the first pixel, y down; `file` is the frame
that the plate has under that number, `solved` 0 where the pose was interpolated, `fits` the plate
that the camera fits.
"""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..atomic import write_text
from ..camera import (
    DISTORTED_PLATE,
    PLATE,
    UNDISTORTED_PLATE,
    Array,
    CameraTrack,
    quaternions_from_rotations,
    rotations_from_quaternions,
    y_up,
    z_up,
)
from ..errors import FormatError
from ..shot import FRAME_PATTERN
from .text import check_writable, number, read_text, rows

_NUMBERS = ("tx", "ty", "tz", "qw", "qx", "qy", "qz", "fx", "fy", "cx", "cy")
_PLATES = (PLATE, UNDISTORTED_PLATE, DISTORTED_PLATE)
_COLUMNS = (
    "frame", "file", "solved", *_NUMBERS, "width", "height", "fps", "sensor_width", "fits",
)  # fmt: skip


def write(track: CameraTrack, path: Path) -> None:
    """Raises OutputError."""
    check_writable(track)
    matrices = y_up(track.matrices)
    quaternions = quaternions_from_rotations(matrices[:, :3, :3])
    table = np.hstack([matrices[:, :3, 3], quaternions, track.focal, track.center])
    constant = f"{track.width},{track.height},{track.fps},{number(track.sensor_width)},{track.fits}"
    lines = [
        f"{frame},{FRAME_PATTERN.format(frame)}.png,{solved:d},{row},{constant}"
        for frame, solved, row in zip(
            track.frames.tolist(), track.solved.tolist(), rows(table, ","), strict=True
        )
    ]
    write_text(path, "\n".join([",".join(_COLUMNS), *lines, ""]))


def read(path: Path) -> CameraTrack:
    """The camera as it was written. Raises FormatError."""
    try:
        records = list(csv.DictReader(read_text(path).splitlines(), strict=True))
        return _track(path, records)
    except (csv.Error, KeyError, TypeError, ValueError, IndexError, ArithmeticError) as error:
        raise FormatError(
            f"{path} is not a camera table that can be read: it needs the columns "
            f"{', '.join(_COLUMNS)} ({error!r})."
        ) from error


def _track(path: Path, records: list[dict[str, str]]) -> CameraTrack:
    first = records[0]
    table = _numbers(records)
    frames = np.array([int(record["frame"]) for record in records], dtype=np.int64)
    if (np.diff(frames) <= 0).any() or not (table[:, 7:9] > 0).all():
        raise ValueError("frames that do not ascend, or no focal length")
    matrices = np.tile(np.eye(4), (len(records), 1, 1))
    matrices[:, :3, :3] = rotations_from_quaternions(table[:, 3:7])
    matrices[:, :3, 3] = table[:, :3]
    return CameraTrack(
        frames=frames,
        matrices=z_up(matrices),
        focal=table[:, 7:9],
        center=table[:, 9:11],
        solved=np.array([record["solved"] == "1" for record in records]),
        width=int(first["width"]),
        height=int(first["height"]),
        fps=Fraction(first["fps"]),
        sensor_width=float(first["sensor_width"]),
        name=path.stem,
        fits=first["fits"] if first["fits"] in _PLATES else PLATE,
    )


def _numbers(records: list[dict[str, str]]) -> Array:
    table: Array = np.array([[float(record[name]) for name in _NUMBERS] for record in records])
    if not np.isfinite(table).all() or (np.linalg.norm(table[:, 3:7], axis=1) < 1e-6).any():
        raise ValueError("values that are not numbers")
    return table
