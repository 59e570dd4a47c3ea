# SPDX-License-Identifier: GPL-3.0-or-later
"""Previews of what stages have made: a sheet for the panel, and a movie on demand.

<output>/preview.jpg     some frames of a stage beside each other
preview/<stage>.mp4      all of them, with --auto-movie
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ..atomic import write_bytes
from ..errors import OutputError
from ..outputs import Writing
from ..previews import PREVIEW
from ..shot import Shot
from ..stages import Stage
from .contact_sheet import choose_frames
from .drawing import BACKGROUND, Picture
from .movie import writing_movie
from .report import Report
from .stage_pictures import StagePictures, pictures_of

_WIDTH, _COLUMNS, _MOST, _GAP = 960, 3, 9, 6
_MOVIE_WIDTH = 960
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 88]


def write_previews(shot: Shot, stage: Stage, part: Writing, report: Report, movie: bool) -> None:
    """Of what a stage has written, before it takes its place. Raises OutputError."""
    file = part.folder(stage.makes[0]) / PREVIEW
    if stage.name == "colmap":
        _shrink(part.folder("camera") / "contact_sheet.png", file)
        return
    pictures = pictures_of(shot, stage, part)
    if pictures is None:
        return
    write_sheet(pictures, file)
    if movie:
        write_preview_movie(shot, pictures, shot.path / "preview" / f"{stage.name}.mp4", report)


def write_sheet(pictures: StagePictures, file: Path) -> None:
    """Up to nine frames, evenly over the shot, three in a row."""
    chosen = choose_frames(sorted(pictures.files), _MOST)
    columns = min(_COLUMNS, len(chosen))
    width = (_WIDTH - _GAP * (columns + 1)) // columns
    tiles = [pictures.show(number, width) for number in chosen]
    height = max(tile.shape[0] for tile in tiles)
    rows = -(-len(tiles) // columns)
    shape = _GAP + rows * (height + _GAP), _GAP + columns * (width + _GAP), 3
    sheet: Picture = np.empty(shape, np.uint8)
    sheet[:] = BACKGROUND
    for index, tile in enumerate(tiles):
        top = _GAP + index // columns * (height + _GAP)
        left = _GAP + index % columns * (width + _GAP)
        sheet[top : top + tile.shape[0], left : left + width] = tile
    _write(file, sheet)


def write_preview_movie(shot: Shot, pictures: StagePictures, file: Path, report: Report) -> None:
    """All frames, at the plate's rate."""
    plate, numbers = shot.load_plate(), sorted(pictures.files)
    width = min(_MOVIE_WIDTH, plate.width) // 2 * 2
    report.status(f"Writing {file.name}")
    first = pictures.show(numbers[0], width)
    size = width, first.shape[0] // 2 * 2
    with writing_movie(file, size, plate.fps, plate.pixel_aspect) as movie:
        for done, number in enumerate(numbers, 1):
            movie.add(pictures.show(number, width)[: size[1]])
            report.progress(done, len(numbers), "frames")


def _shrink(source: Path, target: Path) -> None:
    data = np.fromfile(source, np.uint8) if source.is_file() else np.zeros(0, np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is not None:
        height = max(1, round(picture.shape[0] * _WIDTH / picture.shape[1]))
        small = cv2.resize(picture, (_WIDTH, height), interpolation=cv2.INTER_AREA)
        _write(target, np.asarray(small, np.uint8))


def _write(file: Path, picture: Picture) -> None:
    done, data = cv2.imencode(".jpg", picture, _QUALITY)
    if not done:
        raise OutputError(f"{file} cannot be written.")
    write_bytes(file, data.data)
