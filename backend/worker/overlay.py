# SPDX-License-Identifier: GPL-3.0-or-later
"""A movie for reviews: the solved points over the plate, frame by frame, with their errors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..camera import Array
from ..errors import PlateError, Remedy
from ..overlay import OverlayOptions
from ..shot import Plate, Shot
from ..solve import FrameState
from ..track_check import (
    LEGEND,
    SLIP_FACTOR,
    Seen,
    TrackCheck,
    error_colors,
    read_check,
    sentence,
    slip_ends,
    slopes_to,
)
from .drawing import (
    BACKGROUND,
    DIM,
    STATE_COLORS,
    TEXT,
    Color,
    Picture,
    dot,
    line,
    text_width,
    write,
)
from .frame_files import read_colors
from .movie import writing_movie
from .plate_views import PlateView, resized, views_of

LARGEST = (3840, 2160)
"""Width and height that a movie is scaled down to: a larger one stutters in a review."""
_READERS, _AHEAD = 2, 4
_FIELD = 0.5
"""Shares of the picture's size outside it up to which lines are drawn: farther out a lens bends
anything anywhere."""
_CAMERAS: Color = (255, 214, 150)
_GAP = 8
_DOT, _LINE, _STRIP = 1 / 260, 1 / 720, 1 / 24
"""Radius of a dot, thickness of a line and height of the strip below, over the height."""
_LETTERS = 1 / 50
"""Size of letters, as OpenCV counts it, over the height of the strip."""
_TITLES = 1 / 1000
"""The same over the height of the picture, for what stands on it."""
_LINE_OF_TEXT = 1350
"""Pixels across that the strip's words need at letters of size 1."""

Image = NDArray[np.uint8]
Progress = Callable[[int, int], None]


def write_overlay(shot: Shot, path: Path, options: OverlayOptions, progress: Progress) -> None:
    """Writes every frame of the plate once, at its exact rate.

    `progress` is told how many of how many are done. Raises SolveError when the shot is not
    tracked, PlateError for frames that are missing, FormatError, OutputError.
    """
    check, plate = read_check(shot), shot.load_plate()
    review = Review(plate, check, options)
    with writing_movie(path, review.size, plate.fps, plate.pixel_aspect) as movie:
        for done, (number, image) in enumerate(_images(shot, plate.frames), 1):
            movie.add(review.picture(number, image))
            progress(done, len(plate.frames))


def _images(shot: Shot, frames: Sequence[int]) -> Iterator[tuple[int, Image]]:
    """The frames in order, read a little ahead. Raises PlateError."""
    waiting: deque[tuple[int, Future[Image | None]]] = deque()
    with ThreadPoolExecutor(_READERS) as pool:
        for number in frames:
            waiting.append((number, pool.submit(read_colors, shot.frame_file(number))))
            if len(waiting) == _AHEAD:
                yield _image(shot, *waiting.popleft())
        while waiting:
            yield _image(shot, *waiting.popleft())


def _image(shot: Shot, number: int, reading: Future[Image | None]) -> tuple[int, Image]:
    image = reading.result()
    if image is None:
        raise PlateError(
            f"{shot.frame_file(number)} is missing or damaged: set the shot up again.",
            Remedy.SET_UP_SHOT,
        )
    return number, image


class Review:
    """Draws one frame after another; `size` is width and height of the pictures, both even."""

    def __init__(self, plate: Plate, check: TrackCheck, options: OverlayOptions) -> None:
        self._check = check
        self._points = options.points
        self._views = views_of(plate, check.solve, options.plate)
        width = sum(view.size[0] for view in self._views) + _GAP * (len(self._views) - 1)
        height = max(view.size[1] for view in self._views)
        self._scale = min(1.0, LARGEST[0] / width, LARGEST[1] / height)
        self._height = self._scaled(height)
        strip = max(16, self._scaled(height * _STRIP))
        self.size = (_even(self._scaled(width)), _even(self._height + strip))
        self._ground = np.full((self.size[1], self.size[0], 3), BACKGROUND, np.uint8)

    def _scaled(self, length: float) -> int:
        return max(1, round(length * self._scale))

    def picture(self, number: int, image: Image) -> Picture:
        """The frame with that number, whose image (h, w, 3) is given red first."""
        seen = self._check.at(number, self._points)
        if seen is None:
            seen = Seen.nothing(number, FrameState.UNSOLVED, None)
        plate = cv2.cvtColor(image, cv2.COLOR_RGB2BGR).astype(np.uint8)
        sheet, left = self._ground.copy(), 0
        for view in self._views:
            width, height = (self._scaled(side) for side in view.size)
            top = (self._height - height) // 2
            panel = sheet[top : top + height, left : left + width]
            panel[:] = resized(view.show(number, plate), (width, height))[:, : panel.shape[1]]
            if seen.index is not None:
                _draw(panel, view, seen, self._check, seen.index)
            if len(self._views) > 1:
                _write_title(panel, view.title)
            left += width + self._scaled(_GAP)
        _write_strip(sheet[self._height :], seen, self._check)
        return sheet


def _even(length: int) -> int:
    return length + length % 2


def _draw(panel: Picture, view: PlateView, seen: Seen, check: TrackCheck, index: int) -> None:
    height, width = panel.shape[:2]
    scale = np.array([width, height]) / view.size
    thickness = max(1, round(height * _LINE))

    def pixels(slopes: Array) -> Array:
        return view.pixels(seen.frame, slopes) * scale

    radius = max(1.5, height * _DOT)
    for ends in _lines_inside(check, index, pixels):
        line(panel, ends, _CAMERAS, thickness)
    points, tracked = pixels(seen.slopes), pixels(seen.tracked)
    colors = [_color(rgb) for rgb in error_colors(seen.error)]
    slips = np.stack([points, slip_ends(points, tracked, SLIP_FACTOR)], axis=1)
    # The others end under their dots.
    for long in np.flatnonzero(np.hypot(*(slips[:, 1] - slips[:, 0]).T) > radius):
        line(panel, slips[long], colors[long], thickness)
    for place, color in zip(points, colors, strict=True):
        dot(panel, place, radius, color)


def _lines_inside(check: TrackCheck, index: int, pixels: Callable[[Array], Array]) -> Array:
    """(k, 2, 2) the neighboring cameras' lines that are not far outside the picture."""
    lines = check.neighbors(index)
    track = check.solve.track
    slopes = slopes_to(track, index, lines)
    ideal = (slopes * track.focal[index] + track.center[index]) / (track.width, track.height)
    near = ((ideal > -_FIELD) & (ideal < 1 + _FIELD)).all(axis=(1, 2))
    return pixels(slopes[near].reshape(-1, 2)).reshape(-1, 2, 2)


def _color(rgb: Array) -> Color:
    red, green, blue = (round(255 * float(value)) for value in rgb)
    return blue, green, red


def _write_title(panel: Picture, title: str) -> None:
    """In the upper left corner, on darkened ground."""
    size = panel.shape[0] * _TITLES
    margin, tall = round(14 * size), round(46 * size)
    ground = panel[:tall, : text_width(title, size) + 2 * margin]
    ground[:] = (ground * 0.35).astype(np.uint8)
    write(panel, title, (margin, tall - round(13 * size)), size, TEXT)


def _write_strip(strip: Picture, seen: Seen, check: TrackCheck) -> None:
    """Below the picture: the frame, what is said of it, and the legend."""
    height, width = strip.shape[:2]
    size = min(height * _LETTERS, width / _LINE_OF_TEXT)
    base, space = round(height / 2 + 10 * size), round(26 * size)
    x = space
    for text, color in (
        (f"frame {seen.frame}", TEXT),
        (sentence(seen, check.solve), STATE_COLORS[seen.state]),
    ):
        write(strip, text, (x, base), size, color)
        x += text_width(text, size) + 2 * space
    _write_legend(strip, size, base, space)


def _write_legend(strip: Picture, size: float, base: int, space: int) -> None:
    """From the right edge: how slip is drawn, and what the colors mean."""
    text = f"lines: slip x {SLIP_FACTOR:g}"
    x = strip.shape[1] - text_width(text, size) - space
    write(strip, text, (x, base), size, DIM)
    colors = [_color(rgb) for rgb in error_colors(np.array(list(LEGEND.values())))]
    for words, color in reversed([*zip(LEGEND, colors, strict=True)]):
        x -= text_width(words, size) + space
        write(strip, words, (x, base), size, DIM)
        x -= round(16 * size)
        dot(strip, np.array([x, strip.shape[0] / 2]), 8 * size, color)
        x -= round(8 * size)
