# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn over a 3D view: where the plate stands in it, dots, lines and words.

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

_LETTERS, _MARGIN, _ROW, _SWATCH = 12, 10, 20, 4.7
_DARK = (0.0, 0.0, 0.0, 0.6)

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

    def shares(self, places: Array) -> Array:
        """The inverse of `place`."""
        found: Array = (places - self.corner - [0, self.size[1]]) / self.size * [1, -1]
        return found


def plate_box(context: bpy.types.Context, camera: bpy.types.Object, plate: tuple[int, int]) -> Box:
    """The plate, so many pixels wide and high, as a background that fits the camera's frame."""
    corners = np.array(camera.data.view_frame(scene=context.scene))
    frame = projected(context, np.array(context.region_data.window_matrix), corners)[0]
    low, high = frame.min(axis=0), frame.max(axis=0)
    render = context.scene.render
    ratio = plate[0] * render.pixel_aspect_x / (plate[1] * render.pixel_aspect_y)
    width, height = high - low
    size = np.array([min(width, height * ratio), min(height, width / ratio)])
    return Box((low + high - size) / 2, size)


def projected(context: bpy.types.Context, matrix: Array, points: Array) -> tuple[Array, Array]:
    """Pixels (..., 2) of points (..., 3), and whether (...,) they lie ahead."""
    clip = points @ matrix[:, :3].T + matrix[:, 3]
    ahead = clip[..., 3] > 1e-6
    depth = np.where(ahead, clip[..., 3], 1.0)[..., None]
    size = np.array([context.region.width, context.region.height])
    return (clip[..., :2] / depth + 1) / 2 * size, ahead


@dataclass(frozen=True, eq=False)
class Words:
    """Rows of words below the plate, or over its lower left corner where there is no room.

    The rows but the first and the last have a dot before them, in the `colors` (r - 2, 4).
    """

    rows: Sequence[str]
    colors: Array
    corner: Array
    size: Array
    scale: float

    @classmethod
    def of(
        cls,
        context: bpy.types.Context,
        box: Box,
        rows: Sequence[str],
        colors: Array,
    ) -> Words:
        scale = context.preferences.system.ui_scale
        blf.size(0, _LETTERS * scale)
        width = max(blf.dimensions(0, text)[0] for text in rows) + 4 * _MARGIN * scale
        size = np.array([width, (_ROW * len(rows) + _MARGIN) * scale])
        corner = np.maximum(box.corner, [_left_of_view(context), 0]) + _MARGIN * scale
        if corner[1] > size[1] + 2 * _MARGIN * scale:
            corner[1] -= size[1] + 2 * _MARGIN * scale
        return cls(rows, colors, corner, size, scale)

    def _places(self) -> Array:
        """(r, 2) where the rows begin."""
        places = np.tile(self.corner + _MARGIN * self.scale, (len(self.rows), 1))
        places[:, 1] += _ROW * self.scale * (np.arange(len(self.rows))[::-1] + 0.25)
        return places

    def ground(self) -> list[Painted]:
        """The dark ground and the dots."""
        middles = self._places()[1:-1] + np.array([0.4, 0.35]) * _LETTERS * self.scale
        dots = colored_discs(middles, _SWATCH * self.scale, self.colors)
        return [even(self.corner + _SQUARE * self.size, _DARK), dots]

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


def even(places: Array, color: tuple[float, float, float, float]) -> Painted:
    """All in one color."""
    return places, np.broadcast_to(color, (len(places), 4))


def colored_discs(centers: Array, radius: float, colors: Array) -> Painted:
    """Each in its color (n, 4)."""
    return discs(centers, radius), colors.repeat(len(_DISC), axis=0)


def discs(centers: Array, radius: float) -> Array:
    return (centers[:, None] + radius * _DISC).reshape(-1, 2)


def lines(context: bpy.types.Context, painted: Sequence[Painted], width: float) -> None:
    shader = gpu.shader.from_builtin("POLYLINE_FLAT_COLOR")
    shader.bind()
    shader.uniform_float("viewportSize", (context.region.width, context.region.height))
    shader.uniform_float("lineWidth", width)
    _paint(shader, "LINES", painted)


def triangles(painted: Sequence[Painted]) -> None:
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
    # Filled, because numpy joins colors that are all broadcast column by column.
    colors = np.empty((count, 4), dtype=np.float32)
    np.concatenate([colors for _places, colors in painted], out=colors, casting="unsafe")
    batch_for_shader(shader, kind, {"pos": positions, "color": colors}).draw(shader)
