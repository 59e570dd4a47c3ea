# SPDX-License-Identifier: GPL-3.0-or-later
""".chan: the camera file of Nuke, Houdini, 3D-Coat and others.

One line a frame, `frame tx ty tz rx ry rz vfov`: Y up, the camera looks along -Z, degrees, turned
about Z, then X, then Y (R = Ry Rx Rz). No header: Nuke takes any line of four words for a key.

Nuke makes the focal length from `vfov` and the vertical aperture that the node has, so a camera
with other than square pixels needs the aperture of the .nk beside it. There is no room for the
principal point, nor for the name of the plate.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from ..atomic import write_text
from ..camera import Array, CameraTrack, euler_degrees, rotations_from_euler, y_up, z_up
from ..errors import FormatError
from .text import check_writable, read_text, rows

ORDER = "ZXY"


def write(track: CameraTrack, path: Path) -> None:
    """Raises OutputError."""
    check_writable(track)
    matrices = y_up(track.matrices)
    table = np.column_stack(
        [
            matrices[:, :3, 3],
            euler_degrees(matrices[:, :3, :3], ORDER),
            np.degrees(2 * np.arctan2(track.height / 2, track.focal[:, 1])),
        ]
    )
    lines = zip(track.frames.tolist(), rows(table), strict=True)
    write_text(path, "".join([f"{frame} {line}\n" for frame, line in lines]))


def read(path: Path, width: int, height: int, fps: Fraction) -> CameraTrack:
    """The camera for plates of that size: square pixels, centered. Raises FormatError.

    Lines that start with `#` are skipped, as some programs write them.
    """
    table = _table(path)
    frames = table[:, 0].astype(np.int64)
    focal = height / 2 / np.tan(np.radians(table[:, 7]) / 2)
    if (np.diff(frames) <= 0).any() or (table[:, 0] != frames).any() or not (focal > 0).all():
        raise FormatError(f"{path} does not hold whole, ascending frames with a field of view.")
    matrices = np.tile(np.eye(4), (len(frames), 1, 1))
    matrices[:, :3, :3] = rotations_from_euler(table[:, 4:7], ORDER)
    matrices[:, :3, 3] = table[:, 1:4]
    return CameraTrack(
        frames=frames,
        matrices=z_up(matrices),
        focal=np.stack([focal, focal], axis=1),
        center=np.tile([width / 2, height / 2], (len(frames), 1)),
        solved=np.ones(len(frames), dtype=np.bool_),
        width=width,
        height=height,
        fps=fps,
        name=path.stem,
    )


def _table(path: Path) -> Array:
    lines = [line.split() for line in read_text(path).splitlines()]
    words = [line for line in lines if line and not line[0].startswith("#")]
    if not words or any(len(line) != 8 for line in words):
        raise FormatError(
            f"{path} is not a camera: it needs eight numbers a line, "
            "frame tx ty tz rx ry rz and the vertical field of view."
        )
    try:
        table: Array = np.array(words, dtype=np.float64)
    except ValueError as error:
        raise FormatError(f"{path} is damaged: {error}.") from error
    if not np.isfinite(table).all() or np.abs(table[:, 0]).max() > 1e9:
        raise FormatError(f"{path} is damaged: it holds values that are not numbers.")
    return table
