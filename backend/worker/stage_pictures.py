# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stage has made, as pictures for people: to see at a glance whether it is right.

Frames are shown as they are, masks as a tint over the plate, bodies as bones over it, depth in
gray. Stages that make no pictures have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import FormatError
from ..outputs import Writing
from ..shot import MocapFolder, Shot, by_frame
from ..stages import Stage
from .dense.map_files import read_map
from .drawing import Picture
from .frame_files import read_colors
from .mocap.pictures import BodyPictures

_TINT = np.array([60, 60, 230], np.float32)
_SHARE = 0.55
"""Of the tint where a mask selects all of a pixel."""
_MISSING = 60
_FOLDERS = {
    "ingest": "source/frames",
    "depth": "depth",
    "cleanplate": "cleanplate",
    "undistort": "camera/undistorted",
}
_MASKS = {"roto": "roto/mask", "interactive": "roto/mask", "mama": "roto/combined"}
_DEPTH = {"dense": "colmap/dense/depth"}

Show = Callable[[int, int], Picture]
"""A frame by its number, (h, w, 3), blue first, so many pixels wide."""


@dataclass(frozen=True)
class StagePictures:
    """`files` by frame number, of which `show` makes what is seen."""

    files: Mapping[int, Path]
    show: Show


def pictures_of(shot: Shot, stage: Stage, part: Writing) -> StagePictures | None:
    """What a stage has written, before it takes its place; None where it has no pictures."""
    if stage.name in _MASKS:
        files = _files(part, stage, _MASKS[stage.name], ".png")
        return _made(files, lambda number, width: _tinted(shot, number, files[number], width))
    if stage.name in _DEPTH:
        files = _files(part, stage, _DEPTH[stage.name], ".exr")
        return _made(files, lambda number, width: _gray(files[number], width))
    if stage.name == "mocap":
        return _bodies(shot, MocapFolder(part.folder(stage.makes[0])))
    if stage.name in _FOLDERS:
        files = _files(part, stage, _FOLDERS[stage.name], ".png")
        return _made(files, lambda number, width: _frame(files[number], width))
    return None


def _bodies(shot: Shot, folder: MocapFolder) -> StagePictures | None:
    """Their bones and keypoints over the plate."""
    bodies = BodyPictures(shot, folder)
    files = {number: shot.frame_file(number) for number in bodies.frames}
    return _made(files, lambda number, width: bodies.draw(number, _frame(files[number], width)))


def _made(files: Mapping[int, Path], show: Show) -> StagePictures | None:
    return StagePictures(files, show) if files else None


def _files(part: Writing, stage: Stage, folder: str, suffix: str) -> dict[int, Path]:
    """Of a folder of the shot, where the stage writes it."""
    output = next(name for name in stage.makes if f"{folder}/".startswith(f"{name}/"))
    inside = part.folder(output) / folder.removeprefix(output).lstrip("/")
    return by_frame(sorted(inside.glob(f"*{suffix}")))


def _frame(file: Path, width: int) -> Picture:
    colors = read_colors(file)
    if colors is None:
        return np.full((width * 9 // 16, width, 3), _MISSING, np.uint8)
    return np.ascontiguousarray(_scaled(colors, width)[:, :, ::-1])


def _tinted(shot: Shot, number: int, mask: Path, width: int) -> Picture:
    picture, found = _frame(shot.frame_file(number), width), read_colors(mask)
    if found is None:
        return picture
    size = picture.shape[1], picture.shape[0]
    share = cv2.resize(found[:, :, 0], size, interpolation=cv2.INTER_AREA)
    share = share[:, :, None].astype(np.float32) * np.float32(_SHARE / 255)
    return np.asarray(picture * (1 - share) + _TINT * share, np.uint8)


def _gray(file: Path, width: int) -> Picture:
    """1 / depth, the nearest white and the farthest black."""
    try:
        depth = read_map(file)
    except FormatError:
        return np.full((width * 9 // 16, width, 3), _MISSING, np.uint8)
    known = (depth > 0) & np.isfinite(depth)
    inverse = np.where(known, 1 / np.where(known, depth, 1), 0)
    far, near = np.quantile(inverse[known], (0.02, 0.98)) if known.any() else (0.0, 1.0)
    levels = np.clip((inverse - far) / max(near - far, 1e-9), 0, 1) * 225 + 30
    gray = _scaled(np.where(known, levels, 0).astype(np.uint8), width)
    return np.repeat(gray[:, :, None], 3, axis=2)


def _scaled(image: Any, width: int) -> Any:
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    way = cv2.INTER_AREA if image.shape[1] > width else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=way)
