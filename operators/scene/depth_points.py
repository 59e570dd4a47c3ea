# SPDX-License-Identifier: GPL-3.0-or-later
"""The pixels of one or more frames as colored points in the scene, each as far as its depth says.

Made once, with numpy, as vertices that can be snapped to; they stay where they are while the camera
moves on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from ...backend.camera import Array
from ...backend.depth import SKY
from ...backend.errors import FormatError, UsageError
from ...backend.ray_grid import RayGrid, ray_grid
from ...backend.solve import solve_of
from . import parts, placed
from .color_space import mark_as_data
from .depth import SeenDepth, collection_of
from .parts import Role
from .points import draw_dots, fill_places

POINTS = 500_000


def frames_of(depth: SeenDepth, current: int, every: int) -> tuple[int, ...]:
    """The current frame, or with `every` over 0 each of so many. Raises UsageError."""
    if not every:
        if current not in depth.record.frames:
            raise UsageError(f"Frame {current} has no depth.")
        return (current,)
    if depth.place is None:
        raise UsageError(
            "Only depth in the units of the solve fits from frame to frame: take one frame."
        )
    solved = set(depth.frames.tolist())
    found = tuple(number for number in depth.record.frames if number in solved)[::every]
    if not found:
        raise UsageError("No frame has both depth and a camera.")
    return found


def build_points(
    scene: bpy.types.Scene, depth: SeenDepth, frames: Sequence[int], most: int = POINTS
) -> bpy.types.Object:
    """Makes the shot's points of those frames, at most about so many; those that are there get new
    vertices. Raises ShotGopherError."""
    source, name = str(depth.shot.path.resolve()), f"{depth.shot.name} Depth Points"
    existing = parts.find_object(scene, Role.DEPTH_POINTS, source)
    parts.check_editable((existing,))
    grid = ray_grid(depth.lens, depth.focal, max(1, most // len(frames)))
    seen = [_points(depth, grid, number) for number in frames]
    places, colors = (np.concatenate(part) for part in zip(*seen, strict=True))
    if not len(places):
        raise UsageError("There is nothing but sky in these frames.")
    made = existing or bpy.data.objects.new(name, bpy.data.meshes.new(name))
    fill_places(made.data, places, colors)
    made.data.update()
    if existing is None:
        made.hide_render = True
        parts.tag(made, Role.DEPTH_POINTS, source)
        collection_of(scene, depth.shot).objects.link(made)
        draw_dots(made, _radius(depth, grid, places))
    if depth.place is not None:
        placed.note(made, depth.place)
    else:
        placed.forget(made)
    return made


def _radius(depth: SeenDepth, grid: RayGrid, places: Array) -> float:
    """Half as far as pixels of the grid are apart, at the middle depth."""
    start = np.array(depth.camera.matrix_world.translation)
    far = float(np.median(np.linalg.norm(places - start, axis=1)))
    step = np.sqrt(depth.lens.width * depth.lens.height / len(grid.pixels))
    return 0.5 * far * float(step) / float(grid.focal[0])


def _points(depth: SeenDepth, grid: RayGrid, number: int) -> tuple[Array, NDArray[np.uint8]]:
    """Places (p, 3) in the scene and colors (p, 3), sRGB, of what a frame sees."""
    column, row = np.floor(grid.pixels).astype(int).T
    far = _read(depth.shot.depth.map(number), depth)[row, column, 0].astype(np.float64)
    kept = np.unique(grid.quads)
    kept = kept[(far[kept] > 0) & (far[kept] < SKY)]
    index = int(np.argmin(np.abs(depth.frames - number)))
    weights = grid.weights(depth.focal[index : index + 1])[0]
    rays = np.einsum("k,kmc->mc", weights, grid.rays[:, kept])
    matrix = _camera_matrix(depth, number)
    local = rays * (depth.scale * far[kept])[:, None]
    image = _read(depth.shot.frame_file(number), depth)[row[kept], column[kept], :3]
    colors = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
    return local @ matrix[:3, :3].T + matrix[:3, 3], colors


def _camera_matrix(depth: SeenDepth, number: int) -> Array:
    """Of the solve, in the shot's world; of the scene's camera as it stands where there is none."""
    if not depth.shot.solve_file.is_file():
        return np.array(depth.camera.matrix_world, dtype=np.float64)
    track = solve_of(depth.shot).track
    index = np.flatnonzero(track.frames == number)
    if not len(index):
        raise UsageError(f"Frame {number} has no camera.")
    matrix: Array = track.matrices[index[0]]
    return matrix


def _read(path: Path, depth: SeenDepth) -> NDArray[np.float32]:
    """(h, w, 4) from the top, the file's own values. Raises FormatError."""
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise FormatError(f"The image {path} cannot be read.") from error
    try:
        mark_as_data(image)
        width, height = image.size
        if (width, height) != (depth.lens.width, depth.lens.height):
            raise FormatError(f"The image {path} has not the plate's size.")
        values = np.empty(len(image.pixels), dtype=np.float32)
        image.pixels.foreach_get(values)
    finally:
        bpy.data.images.remove(image)
    return values.reshape(height, width, -1)[::-1]
