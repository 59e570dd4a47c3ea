# SPDX-License-Identifier: GPL-3.0-or-later
"""Any COLMAP model as footage: frame numbers from image names, the lens for the images at hand."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path, PurePosixPath

import numpy as np

from ...backend import backgrounds
from ...backend.backgrounds import Background
from ...backend.camera import (
    PLATE,
    UNDISTORTED_PLATE,
    Array,
    CameraTrack,
    Integers,
    Similarity,
    filled_gaps,
    matrices_from_colmap,
    rotations_from_quaternions,
)
from ...backend.formats.colmap import largest_model, read_model
from ...backend.proxies import PROXY_FOLDER, Proxies
from ...backend.reconstruction import CameraModel, Reconstruction
from ...backend.shot import by_frame, frame_number
from ...backend.world import guess_world
from .footage import Footage, PlateImages, as_sequence
from .plate import image_size

_LAST_BLENDER_FRAME = 1_048_574
_IMAGE_FOLDERS = ("images", "frames", "source/frames", "")
_PARENTS_SEARCHED = 4
_DULL_NAMES = ("sparse", "colmap", "dense", "model")

Size = tuple[int, int]


def read_foreign(sparse_folder: Path, images: Path | None, fps: Fraction) -> Footage:
    """The largest model at or below a folder, recentered and turned upright.

    `images` is the folder that image names are relative to, None to look for it near the model.
    `fps` only goes into the track: a model has no frame rate. Raises FormatError.
    """
    folder = largest_model(sparse_folder.resolve()).path
    model = read_model(folder)
    files = _found_images(folder, images, model.names)
    sizes = _real_sizes(model, files)
    main_id = int(np.bincount(model.camera_ids).argmax())
    frames = _frame_numbers(model.names)
    world = _world(model)
    track = _track(model, frames, sizes, main_id, world, fps)
    by_number = {
        frame: files[name]
        for frame, name in zip(frames.tolist(), model.names, strict=True)
        if name in files
    }
    track = _with_unsolved(track, by_number)
    shown = as_sequence(by_number) if by_number else None
    return Footage(
        name=_name(folder),
        source=str(folder),
        track=track,
        lens=model.cameras[main_id],
        points=model.points,
        positions=world.apply(model.points.positions),
        backgrounds=_backgrounds(shown, model.cameras[main_id]),
        first_frame=int(track.frames[0]),
        last_frame=int(track.frames[-1]),
        cut=(int(track.frames[0]), int(track.frames[-1])),
        main=_index_of(track, frames[int(np.argmax(model.camera_ids == main_id))]),
        warnings=_warnings(model, files, shown),
    )


def _backgrounds(images: PlateImages | None, lens: CameraModel) -> tuple[Background, ...]:
    """The images, with the lens that Blender is to take out and the proxies that it made itself."""
    if images is None:
        return ()
    proxies = Proxies(images.first.parent / PROXY_FOLDER, images.first.name)
    sizes = proxies.sizes(undistorted=not lens.is_pinhole)
    bends = None if lens.is_pinhole else lens
    return (
        Background(
            backgrounds.PLATE, "Plate", images.first, images.first_frame, bends, None, sizes
        ),
    )


def _world(model: Reconstruction) -> Similarity:
    """Upright, at a sensible size, and near the origin: 32-bit floats lose digits far from it."""
    rotations = rotations_from_quaternions(model.quaternions)
    centers = -np.einsum("nji,nj->ni", rotations, model.translations)
    world, _how = guess_world(centers, rotations, model.points.positions)
    return world


def _frame_numbers(names: Sequence[str]) -> Integers:
    """The numbers in the names where they tell the images apart, else 1 to n."""
    numbers = [frame_number(name) for name in names]
    own = [number for number in numbers if number is not None and number <= _LAST_BLENDER_FRAME]
    if len(set(own)) == len(names):
        return np.array(own, dtype=np.int64)
    return np.arange(1, len(names) + 1)


def _found_images(folder: Path, images: Path | None, names: Sequence[str]) -> dict[str, Path]:
    """The files of the model's images by name, from the first place that has any."""
    near = [folder, *folder.parents[: _PARENTS_SEARCHED - 1]]
    places = [images] if images else [place / sub for place in near for sub in _IMAGE_FOLDERS]
    for place in places:
        files = {name: file for name in names if (file := _image_file(place, name)) is not None}
        if files:
            return files
    return {}


def _image_file(place: Path, name: str) -> Path | None:
    """The file of an image, also where its sub-folders are gone. Names are not to be trusted."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return None
    found = (file for file in (place / path, place / path.name) if file.is_file())
    return next(found, None)


def _real_sizes(model: Reconstruction, files: dict[str, Path]) -> dict[int, Size]:
    """Width and height of each camera's images as they are on disk, else as the model says."""
    sizes = {key: (lens.width, lens.height) for key, lens in model.cameras.items()}
    measured: set[int] = set()
    for name, key in zip(model.names, model.camera_ids.tolist(), strict=True):
        if key not in measured and name in files:
            measured.add(key)
            sizes[key] = image_size(files[name])
    return sizes


def _track(
    model: Reconstruction,
    frames: Integers,
    sizes: dict[int, Size],
    main_id: int,
    world: Similarity,
    fps: Fraction,
) -> CameraTrack:
    focal, center = _intrinsics(model, sizes, sizes[main_id])
    order = np.argsort(frames, kind="stable")
    rotations = rotations_from_quaternions(model.quaternions)
    lenses = [model.cameras[key] for key in set(model.camera_ids.tolist())]
    return CameraTrack(
        frames=frames[order],
        matrices=matrices_from_colmap(rotations, model.translations, world)[order],
        focal=focal[order],
        center=center[order],
        solved=np.ones(len(frames), dtype=np.bool_),
        width=sizes[main_id][0],
        height=sizes[main_id][1],
        fps=fps,
        fits=PLATE if all(lens.is_pinhole for lens in lenses) else UNDISTORTED_PLATE,
    )


def _intrinsics(model: Reconstruction, sizes: dict[int, Size], shown: Size) -> tuple[Array, Array]:
    """Focal lengths and principal points (n, 2) in pixels of the size that the scene shows.

    Images of another size are fitted into it, centered, as Blender fits a background.
    """
    by_camera = {
        key: _fitted(model.cameras[key], sizes[key], shown)
        for key in set(model.camera_ids.tolist())
    }
    both = np.array([by_camera[key] for key in model.camera_ids.tolist()])
    return both[:, 0], both[:, 1]


def _fitted(lens: CameraModel, real: Size, shown: Size) -> Array:
    """Focal and center (2, 2) of a lens whose images are `real` large, in a frame `shown` large."""
    resize = np.array(real) / (lens.width, lens.height)
    factor = min(np.array(shown) / real)
    margin = (np.array(shown) - factor * np.array(real)) / 2
    focal = np.array(lens.focal) * resize * factor
    return np.array([focal, np.array(lens.center) * resize * factor + margin])


def _with_unsolved(track: CameraTrack, files: dict[int, Path]) -> CameraTrack:
    """The track on the frames between that have an image but no pose, too."""
    if not files or track.frames[0] == track.frames[-1]:
        return track
    folder = next(iter(files.values())).parent
    suffix = next(iter(files.values())).suffix
    beside = by_frame(file for file in folder.iterdir() if file.suffix == suffix)
    wanted = np.union1d(track.frames, np.array(list(beside), dtype=np.int64))
    return filled_gaps(track, wanted)


def _index_of(track: CameraTrack, frame: int) -> int:
    return int(np.searchsorted(track.frames, frame))


def _name(folder: Path) -> str:
    """What to call a model: the first folder above it that says something."""
    telling = (
        part
        for part in (folder.name, *(parent.name for parent in folder.parents))
        if part and not part.isdigit() and part.lower() not in _DULL_NAMES
    )
    return next(telling, "COLMAP")


def _warnings(
    model: Reconstruction, files: dict[str, Path], shown: PlateImages | None
) -> tuple[str, ...]:
    warnings = []
    if not files:
        warnings.append("The model's images were not found: choose their folder to see the plate.")
    elif shown is None:
        warnings.append("The plate is not shown: the images are not one numbered sequence.")
    if len(set(model.camera_ids.tolist())) > 1 and shown is not None:
        warnings.append("The model has several cameras: the plate shows the main one's lens only.")
    return tuple(warnings)
