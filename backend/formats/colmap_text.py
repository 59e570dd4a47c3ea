# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP's cameras.txt, images.txt and points3D.txt.

Layout: https://colmap.github.io/format.html. An image takes two lines: nine numbers and the rest
of the line, which is its name and may hold spaces; then its observations, a line that may be
empty. The comments at the top may state how many entries follow; fewer means that the file was
cut short. A file cut inside its very last number cannot be told from a whole one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..reconstruction import CameraModel, Points
from .colmap_binary import empty_points
from .colmap_records import (
    KEYPOINT,
    LONGEST_NAME,
    NO_POINT,
    Image,
    Keypoints,
    checked_camera,
    damaged,
    text_of,
)

_STATED = re.compile(r"#\s*Number of \w+:\s*(\d+)")
_HEAD_LINES = 10

Entry = TypeVar("Entry")


def count(path: Path) -> int:
    """How many entries a file holds: as its comments state, else counted."""
    with path.open("rb") as file:
        for raw in file:
            line = raw.strip()
            if line and not line.startswith(b"#"):
                break
            if found := _STATED.match(text_of(line)):
                return int(found.group(1))
    lines = _lines(path)
    return sum(1 for _ in (_image_lines(lines) if path.stem == "images" else _entry_lines(lines)))


def read_cameras(path: Path) -> dict[int, CameraModel]:
    lines = _lines(path)
    entries = [_parsed(path, line, _camera) for line in _entry_lines(lines)]
    _check_stated(path, lines, len(entries))
    return {
        camera_id: checked_camera(path, model, width, height, params)
        for camera_id, model, width, height, params in entries
    }


def _camera(line: str) -> tuple[int, str, int, int, tuple[float, ...]]:
    camera_id, model, width, height, *params = line.split()
    return _id(camera_id), model, int(width), int(height), tuple(map(float, params))


def read_images(path: Path, keypoints: bool) -> list[Image]:
    lines = _lines(path)
    images = []
    for line, observed in _image_lines(lines):
        found = _parsed(path, observed, _keypoints) if keypoints else None
        image_id, pose, camera_id, name = _parsed(path, line, _image)
        images.append(Image(image_id, pose, camera_id, name, found))
    _check_stated(path, lines, len(images))
    return images


def _image(line: str) -> tuple[int, tuple[float, ...], int, str]:
    image_id, *pose, camera_id, name = line.split(None, 9)
    if len(pose) != 7 or len(name) > LONGEST_NAME:
        raise ValueError(line)
    return _id(image_id), tuple(map(float, pose)), _id(camera_id), name


def _id(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**32:
        raise ValueError(text)
    return number


def _keypoints(line: str) -> Keypoints:
    numbers = np.array(line.split(), dtype=np.float64).reshape(-1, 3)
    found = np.zeros(len(numbers), dtype=KEYPOINT)
    found["pixel"] = numbers[:, :2]
    seen = numbers[:, 2] >= 0
    found["point"] = np.where(seen, numbers[:, 2], 0).astype(np.uint64)
    found["point"][~seen] = NO_POINT
    return found


def read_points(path: Path) -> Points:
    lines = _lines(path)
    entries = [_parsed(path, line, _point) for line in _entry_lines(lines)]
    _check_stated(path, lines, len(entries))
    if not entries:
        return empty_points()
    ids, positions, colors, errors, tracks = zip(*entries, strict=True)
    return Points(
        ids=np.array(ids, dtype=np.uint64),
        positions=np.array(positions, dtype=np.float64),
        colors=np.array(colors, dtype=np.uint8),
        errors=np.array(errors, dtype=np.float64),
        tracks=np.array(tracks, dtype=np.int64),
    )


_PointEntry = tuple[int, tuple[float, ...], tuple[int, ...], float, int]


def _point(line: str) -> _PointEntry:
    point_id, x, y, z, red, green, blue, error, *track = line.split()
    color = (int(red), int(green), int(blue))
    if not 0 <= min(color) <= max(color) <= 255 or len(track) % 2 or not 0 <= int(point_id) < 2**63:
        raise ValueError(line)
    return int(point_id), (float(x), float(y), float(z)), color, float(error), len(track) // 2


def _lines(path: Path) -> list[str]:
    # Split at line feeds alone: a name may hold other characters that Python takes for line ends.
    return [line.rstrip("\r") for line in text_of(path.read_bytes()).split("\n")]


def _is_entry(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _entry_lines(lines: list[str]) -> Iterator[str]:
    return filter(_is_entry, lines)


def _image_lines(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Each image's own line and the line of its observations."""
    rest = iter(lines)
    for line in rest:
        if _is_entry(line):
            yield line, next(rest, "")


def _parsed(path: Path, line: str, parse: Callable[[str], Entry]) -> Entry:
    try:
        return parse(line)
    except (ValueError, OverflowError) as error:
        raise damaged(path, f"a line cannot be read ({line[:60]!r})") from error


def _check_stated(path: Path, lines: list[str], found: int) -> None:
    for line in lines[:_HEAD_LINES]:
        stated = _STATED.match(line)
        if stated and found < int(stated.group(1)):
            raise damaged(path, f"it states {stated.group(1)} entries and holds {found}")
