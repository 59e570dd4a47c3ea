# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws solved points over the plate in a camera view: dots, their slip, the cameras around.

Positions are pixels of the region, y up. n points.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import gpu
import numpy as np

from ...backend.camera import Array
from ...backend.solve import FrameState
from ...backend.track_check import LEGEND, Seen, TrackCheck, error_colors, slip_ends
from .view_drawing import (
    Box,
    Words,
    colored_discs,
    discs,
    even,
    lines,
    plate_box,
    projected,
    triangles,
)

_RADIUS, _RIM, _LINE = 3.6, 1.3, 1.6
"""Radius of a dot, its rim's radius over that, and the width of lines, at interface scale 1."""
_CAMERAS = (0.6, 0.85, 1.0, 0.75)
_BLACK = (0.0, 0.0, 0.0, 1.0)
_STATES = {FrameState.INTERPOLATED: "interpolated, ", FrameState.UNSOLVED: "not solved"}


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
    track = look.check.solve.track
    box = plate_box(context, camera, (track.width, track.height))
    points, tracked, error = _slip(context, box, look)
    colors = _colors(error)
    ends = slip_ends(points, tracked, look.factor)
    slips = np.stack([points, ends], axis=1).reshape(-1, 2)
    cameras = _cameras(context, look)
    rows = [_sentence(look, error), *LEGEND, _lines_mean(look)]
    words = Words.of(context, box, rows, _colors(np.array(list(LEGEND.values()))))
    gpu.state.blend_set("ALPHA")
    lines(context, [even(cameras, _CAMERAS), (slips, colors.repeat(2, axis=0))], _LINE * scale)
    rims = even(discs(points, _RADIUS * _RIM * scale), _BLACK)
    dots = colored_discs(points, _RADIUS * scale, colors)
    triangles([rims, dots, *words.ground()])
    words.write()
    gpu.state.blend_set("NONE")


def _slip(context: bpy.types.Context, box: Box, look: Look) -> tuple[Array, Array, Array]:
    """Where the view shows the points and where the plate has them (n, 2), and how many of the
    plate's pixels (n,) are between the two.

    The view is the scene's: a camera or a world that was moved shows as slip.
    """
    track, seen = look.check.solve.track, look.seen
    plate = np.array([track.width, track.height])
    matrix = np.array(context.region_data.perspective_matrix) @ look.world
    points, ahead = projected(context, matrix, seen.positions)
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
    ends, ahead = projected(context, matrix, look.check.neighbors(look.seen.index))
    return ends[ahead.all(axis=1)].reshape(-1, 2)


def _sentence(look: Look, error: Array) -> str:
    note = _STATES.get(look.seen.state, "")
    mean = f"slip {error.mean():.2f} px" if len(error) else ""
    return f"Frame {look.seen.frame}   {note}{mean}"


def _lines_mean(look: Look) -> str:
    return f"Lines: slip x {look.factor:g}"


def _colors(error: Array) -> Array:
    colors = np.ones((len(error), 4))
    colors[:, :3] = error_colors(error)
    return colors
