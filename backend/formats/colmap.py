# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP's sparse models: found, read and written with numpy alone.

A model is a folder with cameras, images and points3D, all .bin or all .txt. COLMAP leaves several
(sparse/0, sparse/1, ...) where a plate falls apart, and the first is often a stub.

Names of images come from the file as they are: check them before using them as paths.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..atomic import write_bytes
from ..camera import Array, Integers
from ..errors import FormatError, OutputError, explain_os_error
from ..reconstruction import CameraModel, Observations, Points, Reconstruction
from . import colmap_binary, colmap_text
from .colmap_binary import empty_points
from .colmap_records import KEYPOINT, NO_POINT, Image, Keypoints, damaged

_STEMS = ("cameras", "images", "points3D")
_NEWER_STEMS = ("rigs", "frames")
_INSIDE = ("", "sparse", "colmap/sparse")
"""Where models may lie under the folder that somebody picked."""


@dataclass(frozen=True)
class ModelSummary:
    """A model by its counts: registered images and points."""

    path: Path
    images: int
    points: int


def read_model(folder: Path, observations: bool = False) -> Reconstruction:
    """The model in a folder. Raises FormatError, naming the file that is missing or damaged."""
    ending = _ending(folder)
    if ending is None:
        raise FormatError(f"There is no COLMAP model in {folder}: pick a sparse folder.")
    reader = colmap_binary if ending == ".bin" else colmap_text
    files = {stem: folder / f"{stem}{ending}" for stem in _STEMS}
    try:
        cameras = reader.read_cameras(files["cameras"])
        images = reader.read_images(files["images"], observations)
        has_points = files["points3D"].is_file()
        points = reader.read_points(files["points3D"]) if has_points else empty_points()
    except OSError as error:
        raise FormatError(f"{folder} cannot be read: {explain_os_error(error)}.") from error
    return _assembled(files["images"], cameras, images, points, observations)


def _ending(folder: Path) -> str | None:
    for ending in (".bin", ".txt"):
        if all((folder / f"{stem}{ending}").is_file() for stem in ("cameras", "images")):
            return ending
    return None


def _assembled(
    path: Path,
    cameras: dict[int, CameraModel],
    images: list[Image],
    points: Points,
    observations: bool,
) -> Reconstruction:
    images = sorted(images, key=lambda image: natural_order(image.name))
    poses = np.array([image.pose for image in images], dtype=np.float64).reshape(-1, 7)
    _check_images(path, cameras, images, poses)
    points = _with_positions(points)
    return Reconstruction(
        cameras=cameras,
        names=tuple(image.name for image in images),
        camera_ids=np.array([image.camera_id for image in images], dtype=np.int64),
        quaternions=poses[:, :4],
        translations=poses[:, 4:],
        points=points,
        observations=_observations(images, points) if observations else None,
    )


def natural_order(name: str) -> tuple[str | int, ...]:
    """Sorts `f2` before `f10`: text and numbers in turn, text first."""
    parts = re.split(r"([0-9]+)", name)
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts))


def _check_images(
    path: Path, cameras: dict[int, CameraModel], images: list[Image], poses: Array
) -> None:
    if not images:
        raise FormatError(f"{path} holds no image: the solve registered none.")
    finite = np.isfinite(poses).all(axis=1) & (np.linalg.norm(poses[:, :4], axis=1) > 1e-6)
    if not finite.all():
        name = images[int(np.argmin(finite))].name
        raise damaged(path, f"image {name!r} has a pose that is not one")
    for image in images:
        if image.camera_id not in cameras:
            raise damaged(path, f"image {image.name!r} has camera {image.camera_id}, which is none")


def _with_positions(points: Points) -> Points:
    """Without the points that lie nowhere: solvers leave some at infinity."""
    keep = np.isfinite(points.positions).all(axis=1)
    if keep.all():
        return points
    return Points(
        points.ids[keep],
        points.positions[keep],
        points.colors[keep],
        points.errors[keep],
        points.tracks[keep],
    )


def _observations(images: list[Image], points: Points) -> Observations:
    keypoints = [image.keypoints for image in images if image.keypoints is not None]
    counts = [len(found) for found in keypoints]
    together = np.concatenate(keypoints)
    index, known = _positions_in(points.ids, together["point"])
    return Observations(
        image=np.repeat(np.arange(len(images)), counts)[known],
        point=index[known],
        pixel=together["pixel"][known].astype(np.float64),
    )


def _positions_in(
    ids: NDArray[np.uint64], wanted: NDArray[np.uint64]
) -> tuple[Integers, NDArray[np.bool_]]:
    """Where each wanted id stands among `ids`, and whether it is there at all."""
    if len(ids) == 0:
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    order = np.argsort(ids, kind="stable")
    place = np.searchsorted(ids, wanted, sorter=order).clip(max=len(ids) - 1)
    index = order[place].astype(np.int64)
    return index, (ids[index] == wanted) & (wanted != NO_POINT)


def find_models(folder: Path) -> list[ModelSummary]:
    """The models at a folder or right below it, and in its `sparse`; those unreadable left out.

    Reads counts only. In natural order of their paths.
    """
    places = [folder / name if name else folder for name in _INSIDE]
    below = [child for place in places if place.is_dir() for child in _folders(place)]
    found = dict.fromkeys([*places, *below])
    return [summary for place in found if (summary := _summary(place)) is not None]


def _folders(place: Path) -> list[Path]:
    children = [child for child in place.iterdir() if child.is_dir()]
    return sorted(children, key=lambda child: natural_order(child.name))


def _summary(folder: Path) -> ModelSummary | None:
    ending = _ending(folder)
    if ending is None:
        return None
    reader = colmap_binary if ending == ".bin" else colmap_text
    points = folder / f"points3D{ending}"
    try:
        images = reader.count(folder / f"images{ending}")
        return ModelSummary(folder, images, reader.count(points) if points.is_file() else 0)
    except (FormatError, OSError):
        return None


def largest_model(folder: Path) -> ModelSummary:
    """The model with most images, then points: at the folder itself or below it.

    The folder may be a model, the folder of several, a shot's colmap folder or the shot. Raises
    FormatError when there is none that can be read.
    """
    if _ending(folder) is not None:
        return _summary(folder) or _raise_why(folder)
    models = find_models(folder) if folder.is_dir() else []
    if not models:
        raise FormatError(
            f"There is no COLMAP model that can be read in {folder}: "
            "pick a folder with cameras, images and points3D."
        )
    return max(models, key=lambda model: (model.images, model.points))


def _raise_why(folder: Path) -> ModelSummary:
    model = read_model(folder)
    return ModelSummary(folder, len(model.names), len(model.points.ids))


def write_model(model: Reconstruction, folder: Path) -> None:
    """Writes .bin files in the layout that every COLMAP reads; image ids are 1 to n.

    Tracks are written when the model has its observations. Raises OutputError.
    """
    image_ids = np.arange(1, len(model.names) + 1)
    keypoints, tracks, lengths = _tracks(model, image_ids)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stem in _NEWER_STEMS:
            (folder / f"{stem}.bin").unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(explain_os_error(error)) from error
    write_bytes(folder / "cameras.bin", colmap_binary.cameras_bytes(model.cameras))
    write_bytes(folder / "images.bin", colmap_binary.images_bytes(model, image_ids, keypoints))
    points = colmap_binary.points_bytes(model.points, tracks, lengths)
    write_bytes(folder / "points3D.bin", points)


def _tracks(
    model: Reconstruction, image_ids: Integers
) -> tuple[list[Keypoints], NDArray[np.uint64], Integers]:
    """Keypoints of each image; tracks and their lengths as `points_bytes` takes them."""
    seen = model.observations
    if seen is None:
        none = np.zeros(0, dtype=KEYPOINT)
        lengths = np.zeros(len(model.points.ids), np.int64)
        return [none] * len(image_ids), np.zeros(0, np.uint64), lengths
    by_image = np.argsort(seen.image, kind="stable")
    image, point = seen.image[by_image], seen.point[by_image]
    keypoints = np.zeros(len(image), dtype=KEYPOINT)
    keypoints["pixel"], keypoints["point"] = seen.pixel[by_image], model.points.ids[point]
    counts = np.bincount(image, minlength=len(image_ids))
    firsts = np.cumsum(counts) - counts
    positions = np.arange(len(image)) - firsts[image]
    pairs = (image_ids[image] + (positions << 32)).astype(np.uint64)
    tracks = pairs[np.argsort(point, kind="stable")]
    lengths = np.bincount(point, minlength=len(model.points.ids)).astype(np.int64)
    return np.split(keypoints, firsts[1:]), tracks, lengths
