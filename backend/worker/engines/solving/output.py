# SPDX-License-Identifier: GPL-3.0-or-later
"""A solved scene as the project's records: reconstruction, and tracks with their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....camera import Array, Integers, quaternions_from_rotations
from ....reconstruction import CameraModel, Observations, Points, Reconstruction
from ....tracks import UNUSED, Tracks, point_ids
from ...frame_files import read_colors
from ...report import Report
from .marks import Flags, Marks
from .scene import Scene

_FARTHEST = 300.0
"""Times the median distance: points beyond stand for directions and are left out of the cloud."""

_COLOR_FRAMES = 8
_FRAMES_A_COLOR = 50
_GREY = 128
_READERS = 2


def cloud(scene: Scene, marks: Marks) -> Flags:
    """(t,) tracks whose point is at a finite place and seen by at least two frames."""
    counts = np.bincount(marks.track, minlength=marks.tracks)
    near = scene.known & (counts >= 2) & (scene.points[:, 3] > 1e-9)
    middle = np.median(scene.centers[scene.placed], axis=0)
    places = scene.points[near, :3] / scene.points[near, 3:]
    distance = np.linalg.norm(places - middle, axis=1)
    chosen = near.copy()
    chosen[near] = distance < _FARTHEST * float(np.median(distance)) if near.any() else False
    return chosen


def reconstruction(
    scene: Scene,
    marks: Marks,
    tracks: Tracks,
    images: Sequence[Path],
    size: tuple[int, int],
    aspect: float,
    report: Report,
) -> Reconstruction:
    """`marks` are the ones to hand out; `images` (f,) the frames' files."""
    chosen = cloud(scene, marks)
    marks = marks.only(chosen[marks.track] & scene.placed[marks.frame])
    image_index, point_index = np.cumsum(scene.placed) - 1, np.cumsum(chosen) - 1
    pixel = marks.pixel / [aspect, 1.0] + np.array(size) / 2
    errors = scene.errors(marks)
    counts = np.bincount(marks.track, minlength=marks.tracks)
    mean = np.bincount(marks.track, errors, marks.tracks) / np.maximum(counts, 1)
    placed = np.flatnonzero(scene.placed)
    cameras, camera_ids = _cameras(scene, size, aspect)
    colors = point_colors(marks.track, marks.frame, pixel, marks.tracks, images, report)
    return Reconstruction(
        cameras=cameras,
        names=tuple(images[frame].name for frame in placed),
        camera_ids=camera_ids,
        quaternions=quaternions_from_rotations(scene.rotation[placed]),
        translations=scene.translation[placed],
        points=Points(
            ids=point_ids(tracks.ids[chosen]),
            positions=scene.points[chosen, :3] / scene.points[chosen, 3:],
            colors=colors[chosen],
            errors=mean[chosen],
            tracks=counts[chosen].astype(np.int64),
        ),
        observations=Observations(image_index[marks.frame], point_index[marks.track], pixel),
    )


def _cameras(
    scene: Scene, size: tuple[int, int], aspect: float
) -> tuple[Mapping[int, CameraModel], Integers]:
    focal = scene.lens.focal[scene.placed]
    if not scene.lens.zooms:
        lens = scene.lens.camera(float(focal[0]), size, aspect)
        return {1: lens}, np.ones(len(focal), dtype=np.int64)
    cameras = {
        index + 1: scene.lens.camera(value, size, aspect)
        for index, value in enumerate(focal.tolist())
    }
    return cameras, np.arange(1, len(focal) + 1)


def point_colors(
    track: Integers,
    frame: Integers,
    pixel: Array,
    tracks: int,
    images: Sequence[Path],
    report: Report,
) -> NDArray[np.uint8]:
    """(t, 3) sRGB of each track in one of a few images, those that show most tracks first.

    track, frame (m,) and pixel (m, 2) of the plate are its marks.
    """
    colors = np.full((tracks, 3), _GREY, dtype=np.uint8)
    chosen = _color_frames(track, frame, tracks, len(images))
    with ThreadPoolExecutor(_READERS) as threads:
        pictures = threads.map(read_colors, [images[number] for number, _index in chosen])
        for (_number, index), picture in zip(chosen, pictures, strict=True):
            report.check()
            if picture is not None:
                column, row = pixel[index].astype(np.int64).T
                column = column.clip(0, picture.shape[1] - 1)
                row = row.clip(0, picture.shape[0] - 1)
                colors[track[index]] = picture[row, column]
    return colors


def _color_frames(
    track: Integers, frame: Integers, tracks: int, images: int
) -> list[tuple[int, Integers]]:
    """A few frames that show all tracks or most, and the marks in each that color one."""
    chosen = []
    waiting = np.ones(len(track), dtype=np.bool_)
    for _ in range(_COLOR_FRAMES + images // _FRAMES_A_COLOR):
        if not waiting.any():
            break
        number = int(np.argmax(np.bincount(frame[waiting], minlength=images)))
        index = np.flatnonzero(waiting & (frame == number))
        chosen.append((number, index))
        done = np.zeros(tracks, dtype=np.bool_)
        done[track[index]] = True
        waiting &= ~done[track]
    return chosen


def with_errors(tracks: Tracks, scene: Scene, marks: Marks) -> Tracks:
    """The tracks with the mean error of each one that has a point, over all its marks."""
    usable = marks.only(scene.usable(marks))
    errors = np.minimum(scene.errors(usable), 1e3)
    counts = np.bincount(usable.track, minlength=marks.tracks)
    mean = np.bincount(usable.track, errors, marks.tracks) / np.maximum(counts, 1)
    return replace(tracks, errors=np.where(counts > 0, mean, UNUSED))
