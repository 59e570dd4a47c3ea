# SPDX-License-Identifier: GPL-3.0-or-later
"""The quality of a solve on one picture: the grade in words, its figures, errors over the shot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..camera import Array, Integers
from ..solve import FrameState, Grade, Motion, Solve
from ..tracks import UNUSED, Tracks
from .contact_sheet import lens_text
from .drawing import (
    BACKGROUND,
    DIM,
    FINE,
    STATE_COLORS,
    TEXT,
    Color,
    Picture,
    line,
    mixed,
    reduced,
    text_width,
    ticks,
    wrapped,
    write,
    write_png,
)

WIDTH = 1600
_MARGIN = 36
_GAP = 24
_PANEL_HEIGHT = 250
_PANEL: Color = (38, 35, 34)
_GRID: Color = (58, 54, 52)
_ERRORS: Color = (222, 170, 92)
_COUNTS: Color = (150, 190, 120)
_LENS: Color = (190, 140, 200)
_GRADE_COLORS: Mapping[Grade, Color] = {
    Grade.GOOD: (120, 190, 110),
    Grade.FAIR: (60, 190, 255),
    Grade.POOR: (80, 80, 240),
}
_STATE_WORDS: Mapping[FrameState, str] = {
    FrameState.INTERPOLATED: "interpolated",
    FrameState.UNSOLVED: "not solved",
}
_MOST_SHOWN = 3.0
"""Errors are shown up to this many times their 95th percentile; higher ones are cut off."""

_BINS = 40


def write_solve_plot(path: Path, solve: Solve, tracks: Tracks | None) -> None:
    """Writes a PNG, 1600 px wide. `tracks` with their errors, None from an engine without.

    Raises OutputError when the file cannot be made.
    """
    rows = [_header(solve), _figures(solve), _errors(solve), _second_row(solve, tracks)]
    if solve.zooms:
        rows.append(_focal(solve))
    gap = _blank(WIDTH, _GAP)
    stack = [_blank(WIDTH, _MARGIN)]
    for row in rows:
        stack += [row, gap]
    write_png(path, reduced(np.concatenate(stack)))


def _blank(width: int, height: int, color: Color = BACKGROUND) -> Picture:
    return np.full((height * FINE, width * FINE, 3), color, np.uint8)


def _put(picture: Picture, text: str, x: int, y: int, size: float, color: Color) -> None:
    """Text at a place in final pixels."""
    write(picture, text, (x * FINE, y * FINE), size * FINE, color)


def _wide(text: str, size: float) -> int:
    """The width of a text in final pixels."""
    return -(-text_width(text, size * FINE) // FINE)


def _header(solve: Solve) -> Picture:
    """The grade, what was solved and why, and what would make it better."""
    quality = solve.quality
    lines = [(text, DIM) for text in _paragraph(quality.reason)]
    for advice in quality.advice:
        lines += [(text, TEXT) for text in _paragraph(advice)]
    header = _blank(WIDTH, 58 + 26 * len(lines))
    color = _GRADE_COLORS[quality.grade]
    edge = _pill(header, quality.grade.value.upper(), color)
    _put(header, _title(solve), edge + 20, 33, 0.9, TEXT)
    for index, (text, shade) in enumerate(lines):
        _put(header, text, _MARGIN, 74 + 26 * index, 0.55, shade)
    return header


def _paragraph(text: str) -> list[str]:
    return wrapped(text, 0.55 * FINE, (WIDTH - 2 * _MARGIN) * FINE)


def _pill(header: Picture, text: str, color: Color) -> int:
    """The grade on its color, at the left edge; gives its right end."""
    right = _MARGIN + _wide(text, 0.7) + 36
    middle, radius = 24 * FINE, 18 * FINE
    ends = (_MARGIN * FINE + radius, right * FINE - radius)
    cv2.rectangle(header, (ends[0], middle - radius), (ends[1], middle + radius), color, -1)
    for end in ends:
        cv2.circle(header, (end, middle), radius, color, -1, cv2.LINE_AA)
    _put(header, text, _MARGIN + 18, 32, 0.7, BACKGROUND)
    return right


def _title(solve: Solve) -> str:
    kind = "Tripod shot" if solve.quality.motion is Motion.TRIPOD else "Moving camera"
    solved = len(solve.numbers(FrameState.SOLVED))
    return f"{kind}, {solved} of {len(solve.frames)} frames solved"


def _figures(solve: Solve) -> Picture:
    """The key figures, side by side."""
    figures = _key_figures(solve)
    row = _blank(WIDTH, 78)
    every = (WIDTH - 2 * _MARGIN + _GAP) / len(figures)
    for index, (value, name) in enumerate(figures):
        left, after = (_MARGIN + round(place * every) for place in (index, index + 1))
        row[:, left * FINE : (after - _GAP) * FINE] = _PANEL
        _put(row, value, left + 16, 36, 0.85, TEXT)
        _put(row, name, left + 16, 62, 0.46, DIM)
    return row


def _key_figures(solve: Solve) -> list[tuple[str, str]]:
    quality = solve.quality
    given = quality.focal_sigma == 0
    sure = "given" if given else f"+/- {_share(quality.focal_sigma)}"
    figures = [
        (f"{solve.mean_error:.2f} px", "mean error"),
        (f"{solve.max_error:.2f} px", "mean of the worst frame"),
        (f"{lens_text(solve)} mm", f"on {solve.track.sensor_width:g} mm, {sure}"),
        (f"{quality.coverage:.0%}", "of the picture tracked"),
        (f"{solve.point_count}", "points"),
    ]
    if quality.motion is Motion.MOVING:
        figures.insert(3, (f"{quality.parallax:.1f} deg", "typical parallax"))
    return figures


def _share(share: float) -> str:
    """A small share in percent; less than a tenth of one is told as that."""
    return f"{share:.1%}" if share >= 0.001 else "0.1%"


@dataclass(frozen=True, eq=False)
class _Panel:
    """A chart: where its axes lie on its picture, and what they run over.

    All positions are in fine pixels; `x` and `y` are (low, high) of what is shown.
    """

    picture: Picture
    box: tuple[int, int, int, int]
    x: tuple[float, float]
    y: tuple[float, float]

    @classmethod
    def drawn(
        cls,
        size: tuple[int, int],
        title: str,
        x: tuple[float, float],
        y: tuple[float, float],
        number: Callable[[float], str],
    ) -> _Panel:
        """An empty chart with its title, and the scale of its y axis."""
        width, height = size
        picture = _blank(width, height, _PANEL)
        box = (66 * FINE, 46 * FINE, (width - 22) * FINE, (height - 34) * FINE)
        panel = cls(picture, box, x, y)
        _put(picture, title, 16, 28, 0.52, TEXT)
        low, high = y
        for tick in ticks(high - low, 4):
            panel._level(low + tick, number(low + tick))
        return panel

    def _level(self, value: float, text: str) -> None:
        left, _top, right, _bottom = self.box
        height = round(self.down(np.array([value]))[0])
        cv2.line(self.picture, (left, height), (right, height), _GRID, FINE // 2)
        start = left // FINE - 10 - _wide(text, 0.42)
        _put(self.picture, text, start, height // FINE + 5, 0.42, DIM)

    def across(self, values: Array | Integers) -> Array:
        left, _top, right, _bottom = self.box
        low, high = self.x
        places: Array = left + (values - low) / max(high - low, 1e-9) * (right - left)
        return places

    def down(self, values: Array) -> Array:
        _left, top, _right, bottom = self.box
        low, high = self.y
        shown = np.clip(values, low, high)
        places: Array = bottom - (shown - low) / max(high - low, 1e-9) * (bottom - top)
        return places

    def labels(self, values: Sequence[float], number: Callable[[float], str]) -> None:
        """The scale of the x axis."""
        bottom = self.box[3] // FINE
        for value, place in zip(values, self.across(np.array(values)), strict=True):
            text = number(value)
            _put(
                self.picture, text, round(place) // FINE - _wide(text, 0.42) // 2, bottom + 22,
                0.42, DIM,
            )  # fmt: skip

    def curve(self, x: Integers, y: Array, color: Color, filled: bool = True) -> None:
        """A line over neighboring frames, broken where frames are missing."""
        breaks = np.flatnonzero(np.diff(x) > 1) + 1
        for part in np.split(np.arange(len(x)), breaks):
            if len(part):
                self._run(
                    np.stack([self.across(x[part]), self.down(y[part])], axis=1), color, filled
                )

    def _run(self, points: Array, color: Color, filled: bool) -> None:
        if len(points) == 1:
            dash = np.array([[-4.0 * FINE, 0.0], [4.0 * FINE, 0.0]])
            points = points + dash
        if filled:
            base = np.array([[points[-1, 0], self.box[3]], [points[0, 0], self.box[3]]])
            area = np.round(np.concatenate([points, base])).astype(np.int32)
            cv2.fillPoly(self.picture, [area], mixed(color, _PANEL, 0.28), cv2.LINE_AA)
        line(self.picture, points, color, round(1.6 * FINE))

    def marker(self, value: float, text: str) -> None:
        """A dashed line at a level, with what it is."""
        left, _top, right, _bottom = self.box
        height = round(self.down(np.array([value]))[0])
        for x in range(left, right, 14 * FINE):
            cv2.line(self.picture, (x, height), (min(x + 7 * FINE, right), height), TEXT, FINE // 2)
        low, high = self.y
        below = value - low > 0.2 * (high - low)
        start = right // FINE - _wide(text, 0.42) - 8
        _put(self.picture, text, start, height // FINE + (17 if below else -7), 0.42, TEXT)

    def placed(self, left: int, row: Picture) -> None:
        """Copies the chart into a row, `left` in final pixels."""
        height, width = self.picture.shape[:2]
        row[:height, left * FINE : left * FINE + width] = self.picture


def _frame_range(solve: Solve) -> tuple[float, float]:
    first, last = solve.frames[0].frame, solve.frames[-1].frame
    return float(first), float(max(last, first + 1))


def _frame_ticks(low: float, high: float, most: int) -> list[float]:
    """Frame numbers for an axis: the first, then round ones."""
    steps = ticks(high - low, most)
    step = max(1.0, steps[1] if len(steps) > 1 else 1.0)
    rounds = np.arange(np.ceil((low + 0.4 * step) / step) * step, high + 0.5, step)
    return [low, *rounds.tolist()]


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _over_frames(
    solve: Solve, width: int, title: str, top: float, number: Callable[[float], str]
) -> _Panel:
    """A chart over the shot's frames, those without a pose of their own marked."""
    reach = _frame_range(solve)
    panel = _Panel.drawn((width, _PANEL_HEIGHT), title, reach, (0.0, top), number)
    panel.labels(_frame_ticks(*reach, max(4, width // 110)), _whole)
    for state in (FrameState.INTERPOLATED, FrameState.UNSOLVED):
        _bands(panel, solve.numbers(state), STATE_COLORS[state])
    return panel


def _bands(panel: _Panel, frames: Sequence[int], color: Color) -> None:
    """Colors the width of each frame, with a strip in full color at the foot."""
    _left, top, _right, bottom = panel.box
    for frame in frames:
        edges = panel.across(np.array([frame - 0.5, frame + 0.5]))
        first, last = np.clip(np.round(edges), panel.box[0], panel.box[2]).astype(int).tolist()
        shade = mixed(color, _PANEL, 0.22)
        cv2.rectangle(panel.picture, (first, top), (last, bottom), shade, -1)
        cv2.rectangle(panel.picture, (first, bottom), (last, bottom + 5 * FINE), color, -1)


def _errors(solve: Solve) -> Picture:
    """The mean error of each frame."""
    solved = [frame for frame in solve.frames if frame.state is FrameState.SOLVED]
    errors = np.array([frame.error for frame in solved])
    most = _MOST_SHOWN * float(np.percentile(errors, 95)) if len(errors) else 1.0
    top = 1.15 * max(min(float(errors.max(initial=0.0)), most), solve.mean_error, 0.05)
    row = _blank(WIDTH, _PANEL_HEIGHT)
    title = "Mean reprojection error of each frame (px)"
    panel = _over_frames(solve, WIDTH - 2 * _MARGIN, title, top, _plain)
    numbers = np.array([frame.frame for frame in solved], dtype=np.int64)
    panel.curve(numbers, errors, _ERRORS)
    panel.marker(solve.mean_error, f"mean {solve.mean_error:.2f}")
    _legend(panel, solve)
    panel.placed(_MARGIN, row)
    return row


def _plain(value: float) -> str:
    return f"{value:.3g}"


def _legend(panel: _Panel, solve: Solve) -> None:
    """Names the colors of the frames without a pose of their own, at the chart's upper right."""
    x = panel.picture.shape[1] // FINE - 22
    for state, word in _STATE_WORDS.items():
        count = len(solve.numbers(state))
        if not count:
            continue
        text = f"{count} {word}"
        x -= _wide(text, 0.46)
        _put(panel.picture, text, x, 28, 0.46, TEXT)
        x -= 20
        corner = (x * FINE, 18 * FINE)
        opposite = ((x + 12) * FINE, 30 * FINE)
        cv2.rectangle(panel.picture, corner, opposite, STATE_COLORS[state], -1)
        x -= 24


def _second_row(solve: Solve, tracks: Tracks | None) -> Picture:
    """Tracks over frames, and beside them how the tracks' errors spread where they are known."""
    row = _blank(WIDTH, _PANEL_HEIGHT)
    across = WIDTH - 2 * _MARGIN
    errors = np.zeros(0) if tracks is None else tracks.errors[tracks.errors != UNUSED]
    if tracks is None or not len(errors):
        _counts(solve, tracks, across).placed(_MARGIN, row)
        return row
    left = round(0.62 * across)
    _counts(solve, tracks, left).placed(_MARGIN, row)
    _histogram(errors, len(tracks.ids), across - left - _GAP).placed(_MARGIN + left + _GAP, row)
    return row


def _counts(solve: Solve, tracks: Tracks | None, width: int) -> _Panel:
    """How many tracks each frame has: all of them, and those that the solve stands on."""
    numbers = np.array([frame.frame for frame in solve.frames], dtype=np.int64)
    used = np.array([float(frame.observations) for frame in solve.frames])
    every = used
    if tracks is not None:
        found = np.searchsorted(numbers, tracks.frame)
        every = np.bincount(found, minlength=len(numbers) + 1)[: len(numbers)].astype(np.float64)
    top = 1.15 * max(float(max(every.max(), used.max())), 4.0)
    title = "Tracks in each frame" if tracks is None else "Tracks in each frame: found and used"
    panel = _over_frames(solve, width, title, top, _whole)
    if tracks is not None:
        panel.curve(numbers, every, mixed(_COUNTS, _PANEL, 0.55), filled=False)
    solved = np.array([frame.state is FrameState.SOLVED for frame in solve.frames])
    panel.curve(numbers[solved], used[solved], _COUNTS)
    return panel


def _histogram(errors: Array, every: int, width: int) -> _Panel:
    """How the tracks' mean errors spread."""
    median = float(np.median(errors))
    top = max(float(np.percentile(errors, 98)) * 1.1, 1e-3)
    counts, edges = np.histogram(np.minimum(errors, top * 0.9999), _BINS, (0.0, top))
    title = f"Errors of the {len(errors)} tracks used, of {every} (px)"
    tall = 1.2 * float(counts.max())
    panel = _Panel.drawn((width, _PANEL_HEIGHT), title, (0.0, top), (0.0, tall), _whole)
    panel.labels(ticks(top, 6), _plain)
    lefts, heights = panel.across(edges), panel.down(counts.astype(np.float64))
    for index, height in enumerate(np.round(heights).astype(int).tolist()):
        first, last = round(lefts[index]) + 1, round(lefts[index + 1]) - 1
        cv2.rectangle(panel.picture, (first, height), (last, panel.box[3]), _ERRORS, -1)
    _upright(panel, median, f"median {median:.2f}")
    return panel


def _upright(panel: _Panel, value: float, text: str) -> None:
    """A dashed upright at a value of the x axis, with what it is."""
    _left, top, _right, bottom = panel.box
    x = round(panel.across(np.array([value]))[0])
    for y in range(top, bottom, 14 * FINE):
        cv2.line(panel.picture, (x, y), (x, min(y + 7 * FINE, bottom)), TEXT, FINE // 2)
    _put(panel.picture, text, x // FINE + 8, top // FINE + 10, 0.42, TEXT)


def _focal(solve: Solve) -> Picture:
    """The focal length over the shot, for a lens that zooms."""
    row = _blank(WIDTH, _PANEL_HEIGHT)
    lens = solve.track.lens_mm()
    room = max(float(np.ptp(lens)) * 0.12, 0.05)
    low, high = float(lens.min()) - room, float(lens.max()) + room
    steps = ticks(high - low, 4)
    low = np.floor(low / steps[1]) * steps[1] if len(steps) > 1 else low
    reach = _frame_range(solve)
    title = f"Focal length (mm on {solve.track.sensor_width:g} mm)"
    size = (WIDTH - 2 * _MARGIN, _PANEL_HEIGHT)
    panel = _Panel.drawn(size, title, reach, (float(low), high), _plain)
    panel.labels(_frame_ticks(*reach, 14), _whole)
    panel.curve(solve.track.frames, lens, _LENS, filled=False)
    panel.placed(_MARGIN, row)
    return row
