# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP's cameras.bin, images.bin and points3D.bin, little endian.

Layout: COLMAP's src/colmap/scene/reconstruction_io_binary.cc. It is the same before and after
3.12, which added rigs.bin and frames.bin: images.bin still holds each image's own pose. No count
in a file is trusted: memory is taken only for what the file's size can hold.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from itertools import cycle, islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..camera import Integers
from ..reconstruction import MODEL_NAMES, PARAMETERS, CameraModel, Points, Reconstruction
from .colmap_records import (
    KEYPOINT,
    LONGEST_NAME,
    Image,
    Keypoints,
    checked_camera,
    damaged,
    text_of,
)

_COUNT = struct.Struct("<Q")
_CAMERA = struct.Struct("<IiQQ")
_IMAGE = struct.Struct("<I7dI")

_POINT = np.dtype(
    [("id", "<u8"), ("position", "<f8", 3), ("color", "u1", 3), ("error", "<f8"), ("tracks", "<u8")]
)
_POINT_SIZE = _POINT.itemsize
_TRACK_SIZE = 8
_LENGTH_AT = _POINT_SIZE - 8
"""Where in a point's record the length of its track stands."""

_SMALLEST = {"cameras": 24, "images": 73, "points3D": _POINT_SIZE}
"""Bytes that one record takes at least, by the file's stem."""


def count(path: Path) -> int:
    """How many records a file says it holds. Raises FormatError when it cannot hold so many."""
    with path.open("rb") as file:
        head = file.read(_COUNT.size)
    if len(head) < _COUNT.size:
        raise damaged(path, "it is cut short")
    number: int = _COUNT.unpack(head)[0]
    if number * _SMALLEST[path.stem] > path.stat().st_size - _COUNT.size:
        raise damaged(path, f"it cannot hold the {number} entries that it states")
    return number


def read_cameras(path: Path) -> dict[int, CameraModel]:
    number = count(path)
    data = path.read_bytes()
    at = _COUNT.size
    cameras: dict[int, CameraModel] = {}
    try:
        for _ in range(number):
            camera_id, model_id, width, height = _CAMERA.unpack_from(data, at)
            at += _CAMERA.size
            model = MODEL_NAMES[model_id] if 0 <= model_id < len(MODEL_NAMES) else f"#{model_id}"
            params = struct.unpack_from(f"<{len(PARAMETERS.get(model, ()))}d", data, at)
            at += 8 * len(params)
            cameras[camera_id] = checked_camera(path, model, width, height, params)
    except struct.error as error:
        raise damaged(path, "it is cut short") from error
    _check_end(path, at, len(data))
    return cameras


def read_images(path: Path, keypoints: bool) -> list[Image]:
    """The images, with their keypoints when asked for; else those are skipped, not read."""
    number = count(path)
    size = path.stat().st_size
    images = []
    with path.open("rb") as file:
        file.seek(_COUNT.size)
        for _ in range(number):
            images.append(_read_image(path, file, size, keypoints))
        _check_end(path, file.tell(), size)
    return images


def _read_image(path: Path, file: IO[bytes], size: int, keypoints: bool) -> Image:
    try:
        image_id, *pose, camera_id = _IMAGE.unpack(file.read(_IMAGE.size))
        name = _read_name(path, file)
        (number,) = _COUNT.unpack(file.read(_COUNT.size))
    except struct.error as error:
        raise damaged(path, "it is cut short") from error
    end = file.tell() + number * KEYPOINT.itemsize
    if end > size:
        raise damaged(path, f"image {name!r} states more observations than the file holds")
    found = None
    if keypoints:
        found = np.frombuffer(file.read(number * KEYPOINT.itemsize), dtype=KEYPOINT)
    file.seek(end)
    return Image(image_id, tuple(pose), camera_id, name, found)


def _read_name(path: Path, file: IO[bytes]) -> str:
    start = file.tell()
    head = file.read(LONGEST_NAME)
    length = head.find(b"\0")
    if length < 0:
        raise damaged(path, "the name of an image does not end")
    file.seek(start + length + 1)
    return text_of(head[:length])


def read_points(path: Path) -> Points:
    number = count(path)
    data = path.read_bytes()
    lengths = _track_lengths(path, data, number)
    starts = _COUNT.size + np.concatenate(
        [np.zeros(1, np.int64), np.cumsum(_POINT_SIZE + _TRACK_SIZE * lengths)]
    )
    _check_end(path, int(starts[-1]), len(data))
    if number == 0:
        return empty_points()
    # Every byte of the file is taken as the start of a record; the true starts are then picked.
    anywhere: NDArray[Any] = np.ndarray(
        (len(data) - _POINT_SIZE + 1,), dtype=_POINT, buffer=data, strides=(1,)
    )
    records = anywhere[starts[:-1]]
    del data, anywhere, starts
    return Points(
        ids=records["id"].astype(np.uint64),
        positions=records["position"].astype(np.float64),
        colors=np.ascontiguousarray(records["color"]),
        errors=records["error"].astype(np.float64),
        tracks=lengths,
    )


def _track_lengths(path: Path, data: bytes, number: int) -> Integers:
    """How many observations each point has: the one thing that must be walked through.

    A record and its track take 51 + 8 n bytes, so the lengths of successive records lie at
    offsets that go through the eight remainders modulo 8 in turn. Eight views of the file as
    8-byte words make each step one index.
    """
    whole = memoryview(data)
    turns = []
    offset = _COUNT.size + _LENGTH_AT
    word = offset // 8
    for _ in range(8):
        remainder = offset % 8
        words = (len(data) - remainder) // 8
        view = whole[remainder : remainder + 8 * words].cast("Q")
        turns.append((view, (offset + _POINT_SIZE) // 8 - offset // 8))
        offset += _POINT_SIZE
    lengths: list[int] = []
    add = lengths.append
    try:
        for view, step in islice(cycle(turns), number):
            length = view[word]
            add(length)
            word += step + length
    except IndexError as error:
        raise damaged(path, "it is cut short") from error
    if lengths and max(lengths) > len(data):
        raise damaged(path, "a point states more observations than the file holds")
    return np.array(lengths, dtype=np.int64)


def empty_points() -> Points:
    return Points(
        np.zeros(0, np.uint64),
        np.zeros((0, 3)),
        np.zeros((0, 3), np.uint8),
        np.zeros(0),
        np.zeros(0, np.int64),
    )


def _check_end(path: Path, end: int, size: int) -> None:
    if end > size:
        raise damaged(path, "it is cut short")
    if end < size:
        raise damaged(path, "it holds more than the entries that it states")


def cameras_bytes(cameras: Mapping[int, CameraModel]) -> bytes:
    parts = [_COUNT.pack(len(cameras))]
    for camera_id, camera in cameras.items():
        model_id = MODEL_NAMES.index(camera.model)
        parts.append(_CAMERA.pack(camera_id, model_id, camera.width, camera.height))
        parts.append(struct.pack(f"<{len(camera.params)}d", *camera.params))
    return b"".join(parts)


def images_bytes(model: Reconstruction, image_ids: Integers, keypoints: list[Keypoints]) -> bytes:
    parts = [_COUNT.pack(len(model.names))]
    for index, name in enumerate(model.names):
        pose = (*model.quaternions[index], *model.translations[index])
        parts.append(_IMAGE.pack(image_ids[index], *pose, model.camera_ids[index]))
        parts.append(name.encode("utf-8") + b"\0" + _COUNT.pack(len(keypoints[index])))
        parts.append(keypoints[index].tobytes())
    return b"".join(parts)


def points_bytes(points: Points, tracks: NDArray[np.uint64], lengths: Integers) -> bytearray:
    """`tracks` (m,): image id, and position in that image times 2^32, point after point.

    `lengths` (p,): how many of them belong to each point.
    """
    sizes = _POINT_SIZE + _TRACK_SIZE * lengths
    ends = _COUNT.size + np.cumsum(sizes)
    data = bytearray(int(ends[-1]) if len(ends) else _COUNT.size)
    _COUNT.pack_into(data, 0, len(lengths))
    if len(lengths) == 0:
        return data
    records = np.zeros(len(lengths), dtype=_POINT)
    records["id"], records["position"] = points.ids, points.positions
    records["color"], records["error"] = points.colors, points.errors
    records["tracks"] = lengths
    heads: NDArray[Any] = np.ndarray(
        (len(data) - _POINT_SIZE + 1,), dtype=_POINT, buffer=data, strides=(1,)
    )
    starts = ends - sizes
    heads[starts] = records
    nth = np.arange(len(tracks)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    places = np.repeat(starts + _POINT_SIZE, lengths) + _TRACK_SIZE * nth
    pairs: NDArray[np.uint64] = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
    pairs[places] = tracks
    return data
