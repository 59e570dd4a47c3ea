# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture that shows whether a solve holds: plate frames with the solved points drawn on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..camera import Array, Integers
from ..solve import FrameSolve, FrameState, Solve
from .drawing import (
    BACKGROUND,
    DIM,
    FINE,
    STATE_COLORS,
    TEXT,
    Picture,
    dot,
    reduced,
    text_width,
    write,
    write_png,
)

MOST_TILES = 12
WIDTH = 1920
_GAP = 14
HEADER = 76
_CELLS_ACROSS = 30
_DOT = 1.9


@dataclass(frozen=True, eq=False)
class FramePoints:
    """The solved points that one frame observes: pixel (m, 2), depth (m,), track length (m,)."""

    pixel: Array
    depth: Array
    tracks: Integers

    @classmethod
    def none(cls) -> FramePoints:
        return cls(np.zeros((0, 2)), np.zeros(0), np.zeros(0, dtype=np.int64))


@dataclass(frozen=True)
class _Layout:
    columns: int
    rows: int
    tile: tuple[int, int]

    @classmethod
    def of(cls, count: int, width: int, height: int) -> _Layout:
        """As many columns as bring the sheet nearest to 2:1."""

        def shape(columns: int) -> float:
            rows = -(-count // columns)
            empty = columns * rows - count
            return abs(math.log(columns * width / (rows * height) / 2)) + 0.2 * empty

        columns = min(range(1, count + 1), key=shape)
        across = (WIDTH - _GAP * (columns + 1)) // columns
        return cls(columns, -(-count // columns), (across, max(1, across * height // width)))

    @property
    def size(self) -> tuple[int, int]:
        width, height = self.tile
        across = self.columns * (width + _GAP) + _GAP
        return across, HEADER + self.rows * (height + _GAP)

    def corner(self, index: int) -> tuple[int, int]:
        width, height = self.tile
        row, column = divmod(index, self.columns)
        return _GAP + column * (width + _GAP), HEADER + row * (height + _GAP)


def write_contact_sheet(
    path: Path, images: Mapping[int, Path], points: Mapping[int, FramePoints], solve: Solve
) -> None:
    """Writes a PNG of up to a dozen frames of `images`, evenly over the shot.

    `points` has what each solved frame observes; frames without show their state instead.
    Raises OutputError when the file cannot be written.
    """
    chosen = choose_frames(sorted(images))
    layout = _Layout.of(len(chosen), solve.camera.width, solve.camera.height)
    width, height = layout.size
    sheet = np.full((height, width, 3), BACKGROUND, np.uint8)
    shown = {frame: points.get(frame, FramePoints.none()) for frame in chosen}
    reach = _depth_range(list(shown.values()))
    frames = {frame.frame: frame for frame in solve.frames}
    for index, number in enumerate(chosen):
        tile = _tile(images[number], shown[number], frames[number], solve, layout, reach)
        x, y = layout.corner(index)
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    sheet[:HEADER] = _header(width, solve)
    write_png(path, sheet)


def choose_frames(frames: Sequence[int], most: int = MOST_TILES) -> list[int]:
    """Up to so many, first and last included, as even as can be."""
    count = min(most, len(frames))
    places = np.linspace(0, len(frames) - 1, count).round().astype(int)
    return [frames[place] for place in places]


def _depth_range(shown: Sequence[FramePoints]) -> tuple[float, float]:
    """Logarithms of the depths between which colors run, the same for all tiles."""
    depth = np.concatenate([points.depth for points in shown])
    depth = depth[depth > 0]
    if depth.size == 0:
        return 0.0, 1.0
    near, far = np.log(np.percentile(depth, [3, 97]))
    return float(near), float(max(far, near + 1e-3))


def _colors(depth: Array, reach: tuple[float, float]) -> NDArray[np.uint8]:
    """BGR (m, 3), near warm and far cold."""
    share = (np.log(np.maximum(depth, 1e-9)) - reach[0]) / (reach[1] - reach[0])
    levels = (235 - 205 * np.clip(share, 0, 1)).astype(np.uint8).reshape(-1, 1)
    if len(levels) == 0:
        return np.zeros((0, 3), np.uint8)
    colors: NDArray[np.uint8] = cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)[:, 0].astype(np.uint8)
    return colors


def _tile(
    image: Path,
    points: FramePoints,
    frame: FrameSolve,
    solve: Solve,
    layout: _Layout,
    reach: tuple[float, float],
) -> Picture:
    width, height = layout.tile
    tile = _picture(image, width * FINE, height * FINE)
    scale = width * FINE / solve.camera.width
    points = _spread(points, solve.camera.width / _CELLS_ACROSS)
    for pixel, color in zip(points.pixel, _colors(points.depth, reach), strict=True):
        dot(tile, pixel * scale, _DOT * FINE, (int(color[0]), int(color[1]), int(color[2])))
    _label(tile, frame)
    small = cv2.resize(tile, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    if frame.state is not FrameState.SOLVED:
        cv2.rectangle(small, (0, 0), (width - 1, height - 1), STATE_COLORS[frame.state], 2)
    return small


def _picture(image: Path, width: int, height: int) -> Picture:
    data = np.frombuffer(image.read_bytes(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        return np.full((height, width, 3), 60, np.uint8)
    shrinks = picture.shape[1] > width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    resized = cv2.resize(picture, (width, height), interpolation=method)
    # A little darker, so that the points stand out from a bright plate.
    return (resized * 0.82).astype(np.uint8)


def _spread(points: FramePoints, cell: float) -> FramePoints:
    """One point a cell, the one seen in most frames: even, and the same from tile to tile."""
    order = np.argsort(-points.tracks, kind="stable")
    cells = np.floor(points.pixel[order] / cell).astype(np.int64)
    _unique, first = np.unique(cells, axis=0, return_index=True)
    keep = order[np.sort(first)]
    return FramePoints(points.pixel[keep], points.depth[keep], points.tracks[keep])


def _label(tile: Picture, frame: FrameSolve) -> None:
    """The frame's number and error, or its state, on a dark strip at the lower edge."""
    solved = frame.state is FrameState.SOLVED
    note = f"{frame.error:.2f} px" if solved else f"not solved: {frame.state.value}"
    if frame.state is FrameState.UNSOLVED:
        note = "not solved"
    strip = tile[-22 * FINE :]
    strip[:] = (strip * 0.35).astype(np.uint8)
    base = tile.shape[0] - 7 * FINE
    write(tile, str(frame.frame), (8 * FINE, base), 0.42 * FINE, TEXT)
    width = text_width(note, 0.42 * FINE)
    place = (tile.shape[1] - width - 8 * FINE, base)
    write(tile, note, place, 0.42 * FINE, STATE_COLORS[frame.state])


def _header(width: int, solve: Solve) -> Picture:
    header = np.full((HEADER * FINE, width * FINE, 3), BACKGROUND, np.uint8)
    solved = len(solve.numbers(FrameState.SOLVED))
    title = f"{solved} of {len(solve.frames)} frames solved"
    figures = (
        f"mean error {solve.mean_error:.2f} px     worst frame {solve.max_error:.2f} px     "
        f"{solve.point_count} points     lens {lens_text(solve)} mm "
        f"on {solve.track.sensor_width:g} mm"
    )
    left = _GAP * FINE
    write(header, title, (left, 33 * FINE), 0.82 * FINE, TEXT)
    write(header, figures, (left, 60 * FINE), 0.48 * FINE, DIM)
    _legend(header)
    return reduced(header)


def lens_text(solve: Solve) -> str:
    """The focal length in mm; of a zoom the shortest and the longest."""
    focals = solve.track.lens_mm()
    shortest, longest = (f"{focal:.1f}" for focal in (focals.min(), focals.max()))
    return shortest if shortest == longest else f"{shortest} to {longest}"


def _legend(header: Picture) -> None:
    """A bar of the colors, near to far, at the right edge."""
    across, tall = 170 * FINE, 10 * FINE
    x, y = header.shape[1] - across - 50 * FINE, 48 * FINE
    bar = _colors(np.exp(np.linspace(0, 1, across)), (0.0, 1.0))
    header[y : y + tall, x : x + across] = bar[None]
    write(header, "near", (x - 42 * FINE, y + tall), 0.45 * FINE, DIM)
    write(header, "far", (x + across + 8 * FINE, y + tall), 0.45 * FINE, DIM)
