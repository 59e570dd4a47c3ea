# SPDX-License-Identifier: GPL-3.0-or-later
"""What a shot has to show behind its camera, with the proxies that are there for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .errors import FormatError
from .outputs import lens_digest
from .pictures import Kind, Pictures, find_pictures, plate_pictures
from .proxies import PROXY_FOLDER, PROXY_PERCENTS, Made, Proxies
from .reconstruction import CameraModel
from .shot import Plate, Shot, read_json
from .undistorted import UndistortedPlate, pinhole_focal

PLATE, UNDISTORTED = "plate", "undistorted"
"""Names of backgrounds: the plate as shot, and with its distortion taken out in place."""


@dataclass(frozen=True)
class Background:
    """Images that can be shown behind the camera, one for each frame from `first_frame` on.

    name      "plate", "undistorted" or the folder in the shot, such as "roto/actor"
    first     the file of the first frame
    lens      what is taken out of the images so that they fit the camera; None for nothing
    proxies   the folder that holds the proxies, None for Blender's own beside the images
    sizes     percents that there are right proxies of, undistorted where there is a `lens`
    placement of what is not the plate's picture in the camera's frame: how many times as large as
              it fits into the frame, and where its middle lies, in frames to the right and up
    """

    name: str
    label: str
    first: Path
    first_frame: int
    lens: CameraModel | None = None
    proxies: Path | None = None
    sizes: tuple[int, ...] = ()
    placement: tuple[float, float, float] | None = None


def find_backgrounds(shot: Shot, plate: Plate) -> tuple[Background, ...]:
    """Everything that is there, in the order that it is offered in; () without the plate's frames.

    Raises FormatError for a camera that is damaged.
    """
    if not shot.frame_file(plate.first_frame).is_file():
        return ()
    solved = _solved_lens(shot)
    lens = None if solved is None or solved.is_pinhole else solved
    digest = lens_digest(shot) if lens else ""
    found = [_plate(shot, plate, PLATE, "Plate")]
    if lens is not None:
        found.append(_plate(shot, plate, UNDISTORTED, "Undistorted Plate", lens, digest))
    for pictures in find_pictures(shot):
        if pictures.kind is not Kind.OVERSCAN:
            found.append(_beside(shot, pictures, lens, digest))
        elif (placement := _overscan(shot)) is not None:
            found.append(replace(_beside(shot, pictures), placement=placement))
    return tuple(found)


def _plate(
    shot: Shot,
    plate: Plate,
    name: str,
    label: str,
    lens: CameraModel | None = None,
    digest: str = "",
) -> Background:
    """The plate with the proxies that came with it, or with its camera; else with written ones."""
    first = shot.frame_file(plate.first_frame).resolve()
    own = shot.proxies if lens is None else shot.undistorted_proxies
    shown = Background(name, label, first, plate.first_frame, lens)
    came = _with_proxies(shown, own)
    written = shot.written_proxies / shot.frames.relative_to(shot.path)
    if came.sizes == PROXY_PERCENTS or not _are_right(written, plate_pictures(shot), digest):
        return came
    return _with_proxies(shown, written)


def _beside(
    shot: Shot, pictures: Pictures, lens: CameraModel | None = None, digest: str = ""
) -> Background:
    first = pictures.first.resolve()
    shown = Background(pictures.name, pictures.label, first, pictures.first_frame, lens)
    for folder in (shot.written_proxies / pictures.name, pictures.first.parent / PROXY_FOLDER):
        if _are_right(folder, pictures, digest):
            return _with_proxies(shown, folder)
    return shown


def _with_proxies(background: Background, directory: Path) -> Background:
    sizes = Proxies(directory, background.first.name).sizes(background.lens is not None)
    directory = directory.resolve()
    beside = directory == background.first.parent / PROXY_FOLDER
    return replace(background, proxies=None if beside else directory, sizes=sizes)


def _are_right(directory: Path, pictures: Pictures, lens: str) -> bool:
    """Whether proxies were made from these images, with that lens taken out ("" for any)."""
    made = Made.load(directory)
    if made is None or (lens and made.lens != lens):
        return False
    return made.images == pictures.digest()


def _overscan(shot: Shot) -> tuple[float, float, float] | None:
    """Where the undistorted plate lies; None where it is the plate itself."""
    size, lens = UndistortedPlate.load(shot.undistorted_file), _solved_lens(shot)
    return None if size.is_plate or lens is None else placement(size, lens)


def placement(size: UndistortedPlate, lens: CameraModel) -> tuple[float, float, float]:
    """Scale and offsets that put an undistorted plate where the camera of the plate sees it."""
    across, down, right, up = extent(size, lens)
    return max(across, down), right, up


def extent(size: UndistortedPlate, lens: CameraModel) -> tuple[float, float, float, float]:
    """How many of the plate's frames an undistorted plate is wide and high, and where its middle
    lies in that frame: in frames to the right and up."""
    (fx, fy), (cx, cy) = lens.focal, lens.center
    focal = float(pinhole_focal(np.array(lens.focal)))
    across = size.width * fx / focal / lens.width
    down = size.height * fy / focal / lens.height
    return across, down, cx / lens.width - 0.5, 0.5 - cy / lens.height


def _solved_lens(shot: Shot) -> CameraModel | None:
    """Raises FormatError."""
    file = shot.camera / "intrinsics.json"
    if not file.is_file():
        return None
    try:
        return CameraModel.from_json(read_json(file))
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{file} is damaged: {error!r}.") from error
