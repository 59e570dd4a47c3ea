# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws solved points over the plate in a camera view: dots, their slip, the cameras around.

Positions are pixels of the region, y up. n points. Dots are triangles, because what draws points
in Blender 4.2 is not what does in 5.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import blf
import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ...backend.camera import Array
from ...backend.solve import FrameState
from ...backend.track_check import LEGEND, Seen, TrackCheck, error_colors, slip_ends

_RADIUS, _RIM, _LINE = 3.6, 1.3, 1.6
"""Radius of a dot, its rim's radius over that, and the width of lines, at interface scale 1."""
_CAMERAS = (0.6, 0.85, 1.0, 0.75)
_BLACK = (0.0, 0.0, 0.0, 1.0)
_DARK = (0.0, 0.0, 0.0, 0.6)
_LETTERS, _MARGIN, _ROW, _SWATCH = 12, 10, 20, 4.7
_STATES = {FrameState.INTERPOLATED: "interpolated, ", FrameState.UNSOLVED: "not solved"}

_CORNERS = 10
_turn = np.arange(_CORNERS) * 2 * np.pi / _CORNERS
_circle = np.stack([np.cos(_turn), np.sin(_turn)], axis=1)
_DISC = _circle[[corner for k in range(1, _CORNERS - 1) for corner in (0, k, k + 1)]]
"""Triangles (24, 2) of a disc of radius 1."""
_SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 0], [1, 1], [0, 1]])
"""Triangles (6, 2) of a square with corners at 0 and 1."""


@dataclass(frozen=True, eq=False)
class Box:
    """Where the plate stands in the region: its lower left corner (2,) and its size (2,)."""

    corner: Array
    size: Array

    def place(self, shares: Array) -> Array:
        """(n, 2) of places given in shares of the plate from its upper left corner, y down."""
        return self.corner + shares * [1, -1] * self.size + [0, self.size[1]]


@dataclass(frozen=True, eq=False)
class Look:
    """What of a check is drawn, and how.

    world        (4, 4) from the check's world to the scene's
    undistorted  whether the plate is shown with its lens distortion taken out
    factor       how many times as long slip is drawn
    """

    check: TrackCheck
    seen: Seen
    world: Array
    undistorted: bool
    factor: float


def draw(context: bpy.types.Context, camera: bpy.types.Object, look: Look) -> None:
    """Draws into the region of a view through that camera, after everything else."""
    scale = context.preferences.system.ui_scale
    box = plate_box(context, camera, look.check)
    points, tracked, error = _slip(context, box, look)
    colors = _colors(error)
    ends = slip_ends(points, tracked, look.factor)
    slips = np.stack([points, ends], axis=1).reshape(-1, 2)
    cameras = _cameras(context, look)
    words = _Words.of(context, box, [_sentence(look, error), *LEGEND, _lines_mean(look)], scale)
    gpu.state.blend_set("ALPHA")
    _lines(context, [_even(cameras, _CAMERAS), (slips, colors.repeat(2, axis=0))], _LINE * scale)
    rims = _even(_discs(points, _RADIUS * _RIM * scale), _BLACK)
    dots = (_discs(points, _RADIUS * scale), colors.repeat(len(_DISC), axis=0))
    _triangles([rims, dots, *words.ground()])
    words.write()
    gpu.state.blend_set("NONE")


def plate_box(context: bpy.types.Context, camera: bpy.types.Object, check: TrackCheck) -> Box:
    """The plate as a background that fits the camera's frame."""
    corners = np.array(camera.data.view_frame(scene=context.scene))
    frame = _projected(context, np.array(context.region_data.window_matrix), corners)[0]
    low, high = frame.min(axis=0), frame.max(axis=0)
    track, render = check.solve.track, context.scene.render
    ratio = track.width * render.pixel_aspect_x / (track.height * render.pixel_aspect_y)
    width, height = high - low
    size = np.array([min(width, height * ratio), min(height, width / ratio)])
    return Box((low + high - size) / 2, size)


def _projected(context: bpy.types.Context, matrix: Array, points: Array) -> tuple[Array, Array]:
    """Pixels (..., 2) of points (..., 3), and whether (...,) they lie ahead."""
    clip = points @ matrix[:, :3].T + matrix[:, 3]
    ahead = clip[..., 3] > 1e-6
    depth = np.where(ahead, clip[..., 3], 1.0)[..., None]
    size = np.array([context.region.width, context.region.height])
    return (clip[..., :2] / depth + 1) / 2 * size, ahead


def _slip(context: bpy.types.Context, box: Box, look: Look) -> tuple[Array, Array, Array]:
    """Where the view shows the points and where the plate has them (n, 2), and how many of the
    plate's pixels (n,) are between the two.

    The view is the scene's: a camera or a world that was moved shows as slip.
    """
    track, seen = look.check.solve.track, look.seen
    plate = np.array([track.width, track.height])
    matrix = np.array(context.region_data.perspective_matrix) @ look.world
    points, ahead = _projected(context, matrix, seen.positions)
    places = seen.pixel
    if look.undistorted and seen.index is not None:
        places = seen.tracked * track.focal[seen.index] + track.center[seen.index]
    tracked = box.place(places / plate)
    error = np.linalg.norm((points - tracked) * (plate / box.size), axis=1)
    return points[ahead], tracked[ahead], error[ahead]


def _cameras(context: bpy.types.Context, look: Look) -> Array:
    """(2 k, 2) ends of the lines of the cameras around."""
    if look.seen.index is None:
        return np.zeros((0, 2))
    matrix = np.array(context.region_data.perspective_matrix) @ look.world
    ends, ahead = _projected(context, matrix, look.check.neighbors(look.seen.index))
    return ends[ahead.all(axis=1)].reshape(-1, 2)


def _sentence(look: Look, error: Array) -> str:
    note = _STATES.get(look.seen.state, "")
    mean = f"slip {error.mean():.2f} px" if len(error) else ""
    return f"Frame {look.seen.frame}   {note}{mean}"


def _lines_mean(look: Look) -> str:
    return f"Lines: slip x {look.factor:g}"


@dataclass(frozen=True, eq=False)
class _Words:
    """Rows of words below the plate, or over its lower left corner where there is no room.

    The rows but the first and the last have a dot before them, in the colors of the legend.
    """

    rows: Sequence[str]
    corner: Array
    size: Array
    scale: float

    @classmethod
    def of(cls, context: bpy.types.Context, box: Box, rows: Sequence[str], scale: float) -> _Words:
        blf.size(0, _LETTERS * scale)
        width = max(blf.dimensions(0, text)[0] for text in rows) + 4 * _MARGIN * scale
        size = np.array([width, (_ROW * len(rows) + _MARGIN) * scale])
        corner = np.maximum(box.corner, [_left_of_view(context), 0]) + _MARGIN * scale
        if corner[1] > size[1] + 2 * _MARGIN * scale:
            corner[1] -= size[1] + 2 * _MARGIN * scale
        return cls(rows, corner, size, scale)

    def _places(self) -> Array:
        """(r, 2) where the rows begin."""
        places = np.tile(self.corner + _MARGIN * self.scale, (len(self.rows), 1))
        places[:, 1] += _ROW * self.scale * (np.arange(len(self.rows))[::-1] + 0.25)
        return places

    def ground(self) -> list[Painted]:
        """The dark ground and the dots."""
        middles = self._places()[1:-1] + np.array([0.4, 0.35]) * _LETTERS * self.scale
        colors = _colors(np.array(list(LEGEND.values()))).repeat(len(_DISC), axis=0)
        dots = _discs(middles, _SWATCH * self.scale)
        return [_even(self.corner + _SQUARE * self.size, _DARK), (dots, colors)]

    def write(self) -> None:
        places = self._places()
        places[1:-1, 0] += 2 * _MARGIN * self.scale
        blf.color(0, 1.0, 1.0, 1.0, 1.0)
        for text, (x, y) in zip(self.rows, places.tolist(), strict=True):
            blf.position(0, x, y, 0)
            blf.draw(0, text)


def _left_of_view(context: bpy.types.Context) -> float:
    """Where the tools that lie over the view end."""
    tools = (region for region in context.area.regions if region.type == "TOOLS")
    overlaps = context.preferences.system.use_region_overlap
    return float(max((region.width for region in tools if overlaps), default=0))


# Into the region

Painted = tuple[Array, Array]
"""Vertices (v, 2) and their colors (v, 4)."""


def _colors(error: Array) -> Array:
    colors = np.ones((len(error), 4))
    colors[:, :3] = error_colors(error)
    return colors


def _even(places: Array, color: tuple[float, float, float, float]) -> Painted:
    """All in one color."""
    return places, np.broadcast_to(color, (len(places), 4))


def _discs(centers: Array, radius: float) -> Array:
    return (centers[:, None] + radius * _DISC).reshape(-1, 2)


def _lines(context: bpy.types.Context, painted: Sequence[Painted], width: float) -> None:
    shader = gpu.shader.from_builtin("POLYLINE_FLAT_COLOR")
    shader.bind()
    shader.uniform_float("viewportSize", (context.region.width, context.region.height))
    shader.uniform_float("lineWidth", width)
    _paint(shader, "LINES", painted)


def _triangles(painted: Sequence[Painted]) -> None:
    shader = gpu.shader.from_builtin("FLAT_COLOR")
    shader.bind()
    _paint(shader, "TRIS", painted)


def _paint(shader: gpu.types.GPUShader, kind: str, painted: Sequence[Painted]) -> None:
    """One after the other, all at once."""
    count = sum(len(places) for places, _colors in painted)
    if count == 0:
        return
    positions = np.zeros((count, 3), dtype=np.float32)
    np.concatenate([places for places, _colors in painted], out=positions[:, :2], casting="unsafe")
    colors = np.concatenate([colors for _places, colors in painted], dtype=np.float32)
    batch_for_shader(shader, kind, {"pos": positions, "color": colors}).draw(shader)
