# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the proxies of a folder of images in Blender's own layout (see backend/proxies.py).

Any stage that makes images calls `write_proxies` with them when they are whole. Pictures are JPEGs
in 4:2:0, as the plate's own proxies are; mattes keep their edges: gray where the matte is, little
compressed, and with all of their color where they have any.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..camera import Array
from ..errors import PlateError
from ..outputs import lens_digest
from ..pictures import Kind, Pictures
from ..proxies import PROXY_PERCENTS, Made, Proxies
from ..reconstruction import CameraModel
from ..shot import Shot
from ..solve import Solve
from .frame_files import read_frame
from .frame_lenses import FrameLenses
from .image_files import write_sizes
from .lens_maps import everywhere
from .projection import colmap_camera
from .report import Report
from .threads import thread_count, threads

LensAt = Callable[[int], CameraModel]
"""The lens of a frame by its number."""

_GRAY = (Kind.MATTE, Kind.DEPTH)
_IMAGES_HELD = 4
"""Images of full size in 8-bit RGB that a thread holds at most, about."""
_MEMORY = 300 * 2**20


@dataclass(frozen=True)
class Job:
    """The proxies of one clip that are to be written.

    files      images by frame number, all of one size
    directory  what Blender calls BL_proxy
    lens_at    None where they are not undistorted as well
    matte      whether edges count more than size
    """

    files: Mapping[int, Path]
    directory: Path
    lens_at: LensAt | None = None
    matte: bool = False

    @property
    def proxies(self) -> Proxies:
        return Proxies(self.directory, self.files[min(self.files)].name)

    @property
    def variants(self) -> tuple[bool, ...]:
        """Whether undistorted: as they are, and undistorted where a lens is known."""
        return (False,) if self.lens_at is None else (False, True)

    def targets(self, number: int, undistorted: bool) -> dict[int, Path]:
        """The files of a frame's proxies, by percent."""
        place = number - min(self.files) + 1
        return {
            percent: self.proxies.file(percent, undistorted, place) for percent in PROXY_PERCENTS
        }


def write_proxies(shot: Shot, pictures: Pictures, directory: Path, report: Report) -> None:
    """Writes proxies of a shot's images into a folder of Blender's, in all sizes.

    They are written as they are and, where the shot has a lens that bends, with that taken out as
    well. Those that are there stay, where `directory` was made from the same images and lens or is
    one that was not finished. Raises PlateError for an image that is missing or damaged,
    OutputError.
    """
    made = made_from(shot, pictures)
    if Made.load(directory) == made:
        return
    job = Job(pictures.files, directory, _lens_at(shot, pictures), pictures.kind in _GRAY)
    write_files(job, report)
    made.save(directory)


def made_from(shot: Shot, pictures: Pictures) -> Made:
    """What proxies of these images would be made from today. Raises FormatError."""
    bends = _lens_at(shot, pictures) is not None
    return Made(pictures.digest(), lens_digest(shot) if bends else "")


def _lens_at(shot: Shot, pictures: Pictures) -> LensAt | None:
    """The undistorted plate has no distortion left to take out."""
    return None if pictures.kind is Kind.OVERSCAN else bending_lens(shot)


def bending_lens(shot: Shot) -> LensAt | None:
    """The lens of each frame of a solved shot; None where it bends nothing or is not known."""
    if not shot.solve_file.is_file():
        return None
    solve = Solve.load(shot.camera)
    return None if solve.camera.is_pinhole else FrameLenses(solve).at


def write_files(job: Job, report: Report) -> None:
    """Writes what is not there yet, with all processors. Raises PlateError, OutputError."""
    writer = _Writer(job)
    with threads(writer.write, job.files, most=_thread_count(job)) as finished:
        for done, _ in enumerate(finished, 1):
            report.progress(done, len(job.files), "images")


def _thread_count(job: Job) -> int:
    """As many as there are processors, unless so many images would fill the memory."""
    height, width = read_image(job.files[min(job.files)]).shape[:2]
    held = int(width) * int(height) * 3 * _IMAGES_HELD
    return max(1, min(thread_count(), _MEMORY // held))


def read_image(path: Path) -> Any:
    """(h, w) or (h, w, 3) in 8 bits, blue first as cv2 has it; no alpha. Raises PlateError."""
    image: Any = None
    if path.suffix.lower() == ".png":
        image = read_frame(path)
        if image is not None and image.ndim == 3:
            image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    elif path.is_file():
        data = np.frombuffer(path.read_bytes(), np.uint8)
        flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
        image = cv2.imdecode(data, flags) if data.size else None
    if image is None:
        raise PlateError(f"{path} is missing or damaged.")
    return (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image


class _Writer:
    """Writes the proxies of one frame after the other, from any thread."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._straightener = Straightener()
        for undistorted in job.variants:
            for percent in PROXY_PERCENTS:
                job.proxies.folder(percent, undistorted).mkdir(parents=True, exist_ok=True)

    def write(self, number: int) -> None:
        """Each file is renamed into place when it is whole: one that is there is kept."""
        job = self._job
        left = {variant: _absent(job.targets(number, variant)) for variant in job.variants}
        if not any(left.values()):
            return
        image = read_image(job.files[number])
        if job.matte:
            image = _gray_if_it_is(image)
        write_sizes(left[False], image, job.matte)
        if job.lens_at is not None:
            flat = self._straightener.straighten(image, job.lens_at(number))
            write_sizes(left[True], flat, job.matte)


def _gray_if_it_is(image: Any) -> Any:
    """One channel of an image that has three equal ones: decodes in half the time."""
    if image.ndim == 2 or (image[..., :1] != image[..., 1:]).any():
        return image
    return np.ascontiguousarray(image[..., 0])


def _absent(targets: Mapping[int, Path]) -> dict[int, Path]:
    return {percent: file for percent, file in targets.items() if not file.is_file()}


class Straightener:
    """Takes a lens out of images of any size; its maps are kept as long as the lens stays."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[tuple[CameraModel, int, int], tuple[Any, Any]] | None = None

    def straighten(self, image: Any, lens: CameraModel) -> Any:
        """The picture in place: same size, focal length and principal point.

        What falls outside the lens's picture is black.
        """
        maps = self._maps(lens, image.shape[1], image.shape[0])
        return cv2.remap(image, *maps, interpolation=cv2.INTER_LINEAR)

    def _maps(self, lens: CameraModel, width: int, height: int) -> tuple[Any, Any]:
        key = (lens, width, height)
        # One thread computes what the others wait for, but where each frame has a lens of its own.
        with self._lock:
            if self._known is None or self._known[0] != key:
                self._known = (key, lens_map(*key))
            return self._known[1]


def lens_map(lens: CameraModel, width: int, height: int) -> tuple[Any, Any]:
    """Where each pixel of the pinhole picture lies in the distorted one, for cv2.remap.

    Both have the lens's focal length and principal point, and this size.
    """
    camera = colmap_camera(lens)
    scale = np.array([width / lens.width, height / lens.height])

    def bent(pixels: Array) -> Array:
        rays = np.ones((len(pixels), 3))
        rays[:, :2] = (pixels / scale - lens.center) / lens.focal
        found: Array = np.asarray(camera.img_from_cam(rays)) * scale
        return found

    # cv2 counts from the center of the first pixel, COLMAP from its corner.
    grid = (everywhere(bent, width, height) - 0.5).astype(np.float32)
    # In whole and 1/32 pixels: half the memory to read for each frame.
    places, shares = cv2.convertMaps(grid[..., 0], grid[..., 1], cv2.CV_16SC2)
    return places, shares
