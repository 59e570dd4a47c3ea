# SPDX-License-Identifier: GPL-3.0-or-later
"""What a shot has to show behind its camera, with the proxies that are there for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from .errors import FormatError
from .outputs import lens_digest
from .pictures import Kind, Pictures, find_pictures, plate_pictures
from .proxies import PROXY_FOLDER, PROXY_PERCENTS, Made, Proxies
from .reconstruction import CameraModel
from .shot import Plate, Shot, read_json
from .undistorted import UndistortedPlate

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
    overscan  the size of an undistorted plate that reaches past the plate, None for the others
    """

    name: str
    label: str
    first: Path
    first_frame: int
    lens: CameraModel | None = None
    proxies: Path | None = None
    sizes: tuple[int, ...] = ()
    overscan: UndistortedPlate | None = None


def find_backgrounds(shot: Shot, plate: Plate) -> tuple[Background, ...]:
    """Everything that is there, in the order that it is offered in; () without the plate's frames.

    Raises FormatError for a camera that is damaged.
    """
    if not shot.frame_file(plate.first_frame).is_file():
        return ()
    lens = bending_lens(shot)
    digest = lens_digest(shot) if lens else ""
    found = [_plate(shot, plate, PLATE, "Plate")]
    if lens is not None:
        found.append(_plate(shot, plate, UNDISTORTED, "Undistorted Plate", lens, digest))
    for pictures in find_pictures(shot):
        if pictures.kind is not Kind.OVERSCAN:
            found.append(_beside(shot, pictures, lens, digest))
        elif (overscan := _overscan(shot)) is not None:
            found.append(replace(_beside(shot, pictures), overscan=overscan))
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


def _overscan(shot: Shot) -> UndistortedPlate | None:
    """None where the undistorted plate is the plate itself."""
    size = UndistortedPlate.load(shot.undistorted_file)
    return None if size.is_plate else size


def bending_lens(shot: Shot) -> CameraModel | None:
    """The solved lens, None where it bends nothing or is not known. Raises FormatError."""
    file = shot.camera / "intrinsics.json"
    if not file.is_file():
        return None
    try:
        lens = CameraModel.from_json(read_json(file))
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{file} is damaged: {error!r}.") from error
    return None if lens.is_pinhole else lens
