# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws picks over the plate in the movie clip and image editors, and the masks they give.

Places are pixels of the region, y up; the editors' own view has the picture from 0 to 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from .picks import BOX, POINT

Place = tuple[float, float]

_ARM, _LINE, _RIM = 7.0, 2.0, 4.0
"""Half the size of a point's cross and the widths of its lines, at interface scale 1."""
_BLACK = (0.0, 0.0, 0.0, 0.8)
_NOT = (1.0, 0.2, 0.2, 1.0)
_OPACITY = 0.45


@dataclass(frozen=True, eq=False)
class Preview:
    """The mask of an object in a frame: `texture` is white where it is."""

    color: tuple[float, float, float]
    texture: gpu.types.GPUTexture


def texture_of(mask: np.ndarray) -> gpu.types.GPUTexture:
    """A mask (h, w) of uint8, its first line on top."""
    height, width = mask.shape
    values = np.ascontiguousarray(mask[::-1], np.float32) / 255
    data = gpu.types.Buffer("FLOAT", height * width, values.ravel())
    return gpu.types.GPUTexture((width, height), format="R8", data=data)


def pixel_at(region: bpy.types.Region, size: tuple[int, int], place: Place) -> Place:
    """The plate's pixel, (0, 0) at the corner of the first one, at a place of the region."""
    u, v = region.view2d.region_to_view(*place)
    return u * size[0], (1 - v) * size[1]


def place_of(region: bpy.types.Region, size: tuple[int, int], pixel: Place) -> Place:
    """The place of the region where a pixel of the plate is."""
    x, y = region.view2d.view_to_region(pixel[0] / size[0], 1 - pixel[1] / size[1], clip=False)
    return float(x), float(y)


def draw(
    context: bpy.types.Context,
    size: tuple[int, int],
    objects: Iterable[Any],
    previews: Sequence[Preview],
    frame: int,
) -> None:
    """Draws the masks and what is picked in a frame into the region."""
    region, scale = context.region, context.preferences.system.ui_scale
    gpu.state.blend_set("ALPHA")
    corners = [place_of(region, size, corner) for corner in _corners(size)]
    for preview in previews:
        _draw_mask(corners, preview)
    for each in objects:
        color = (*each.color, 1.0)
        for pick in each.picks:
            if pick.frame != frame:
                continue
            if pick.kind == POINT:
                _draw_point(place_of(region, size, (pick.x, pick.y)), color, pick.inside, scale)
            elif pick.kind == BOX:
                ends = (pick.x, pick.y), (pick.right, pick.bottom)
                draw_box(*(place_of(region, size, end) for end in ends), color, scale)
    gpu.state.blend_set("NONE")


def _corners(size: tuple[int, int]) -> list[Place]:
    width, height = size
    return [(0, height), (width, height), (width, 0), (0, 0)]


def _draw_mask(corners: Sequence[Place], preview: Preview) -> None:
    shader = _mask_shader()
    coordinates = [(0, 0), (1, 0), (1, 1), (0, 1)]
    places = {"pos": _two_triangles(corners), "texCoord": _two_triangles(coordinates)}
    batch = batch_for_shader(shader, "TRIS", places)
    view = gpu.matrix.get_projection_matrix() @ gpu.matrix.get_model_view_matrix()
    shader.bind()
    shader.uniform_sampler("mask", preview.texture)
    shader.uniform_float("color", (*preview.color, _OPACITY))
    shader.uniform_float("projection", view)
    batch.draw(shader)


def _two_triangles(corners: Sequence[Any]) -> list[Any]:
    return [corners[place] for place in (0, 1, 2, 0, 2, 3)]


_shaders: dict[str, gpu.types.GPUShader] = {}


def _mask_shader() -> gpu.types.GPUShader:
    """A color where the mask is, and a line of it around."""
    if "mask" not in _shaders:
        _shaders["mask"] = _made()
    return _shaders["mask"]


def _made() -> gpu.types.GPUShader:
    through = gpu.types.GPUStageInterfaceInfo("shot_gopher_mask")
    through.smooth("VEC2", "uv")
    info = gpu.types.GPUShaderCreateInfo()
    info.push_constant("MAT4", "projection")
    info.push_constant("VEC4", "color")
    info.sampler(0, "FLOAT_2D", "mask")
    info.vertex_in(0, "VEC2", "pos")
    info.vertex_in(1, "VEC2", "texCoord")
    info.vertex_out(through)
    info.fragment_out(0, "VEC4", "shown")
    info.vertex_source(
        "void main() { uv = texCoord; gl_Position = projection * vec4(pos, 0.0, 1.0); }"
    )
    info.fragment_source(
        "void main() {"
        " float m = texture(mask, uv).r;"
        " float edge = clamp(fwidth(m) * 4.0, 0.0, 1.0);"
        " shown = vec4(color.rgb, max(m * color.a, edge)); }"
    )
    return gpu.shader.create_from_info(info)


def _draw_point(place: Place, color: tuple[float, ...], inside: bool, scale: float) -> None:
    """A plus for what belongs to the object, a red minus for what does not."""
    x, y = place
    arm = _ARM * scale
    lines = [(x - arm, y), (x + arm, y)]
    if inside:
        lines += [(x, y - arm), (x, y + arm)]
    _draw_lines(lines, _BLACK, _RIM * scale)
    _draw_lines(lines, color if inside else _NOT, _LINE * scale)


def draw_box(corner: Place, other: Place, color: tuple[float, ...], scale: float) -> None:
    (left, top), (right, bottom) = corner, other
    round_ = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    lines = [end for pair in itertools.pairwise(round_) for end in pair]
    _draw_lines(lines, _BLACK, _RIM * scale)
    _draw_lines(lines, color, _LINE * scale)


def _draw_lines(ends: Sequence[Place], color: Sequence[float], width: float) -> None:
    shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    batch = batch_for_shader(shader, "LINES", {"pos": [(x, y, 0.0) for x, y in ends]})
    shader.bind()
    shader.uniform_float("viewportSize", gpu.state.viewport_get()[2:])
    shader.uniform_float("lineWidth", width)
    shader.uniform_float("color", color)
    batch.draw(shader)
