# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot's depth in the scene: the camera that saw it, the size it has there, what is made of it.

Call what builds from an operator that undoes.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ...backend.camera import Array, Integers
from ...backend.dense import Place, place_of
from ...backend.depth import DepthRecord
from ...backend.errors import FormatError, Remedy, UsageError
from ...backend.reconstruction import CameraModel
from ...backend.shot import Plate, Shot
from ...backend.solve import solve_of
from . import parts, placed
from .parts import Role


@dataclass(frozen=True, eq=False)
class SeenDepth:
    """Depth and the camera that saw it.

    lens, focal   fx in px (n,) of each of `frames` (n,), and everything else of the lens
    scale         from the maps' units to the scene's; 1 where they have none in common
    place         the world that the depth stands in now, None where it is of no world
    """

    shot: Shot
    record: DepthRecord
    plate: Plate
    camera: bpy.types.Object
    lens: CameraModel
    frames: Integers
    focal: Array
    scale: float = 1.0
    place: Place | None = None


def read_depth(scene: bpy.types.Scene, shot: Shot) -> SeenDepth:
    """Raises ShotGopherError: without depth, without a camera, after another solve."""
    if not shot.depth.record.is_file():
        raise UsageError("The shot has no depth yet: run Estimate Depth first.")
    record, plate = DepthRecord.load(shot.depth.record), shot.load_plate()
    if not record.frames:
        raise FormatError("No frame of the shot has depth: run Estimate Depth again.")
    if not shot.solve_file.is_file():
        return _seen_by_scene(scene, shot, record, plate)
    camera = parts.find_object(scene, Role.CAMERA, str(shot.path.resolve()))
    if camera is None:
        raise UsageError("Import the camera first: depth is measured from it.")
    solve, scale, now = solve_of(shot), 1.0, None
    if record.place is not None:
        now = place_of(shot)
        step = record.place.step_to(now)
        if step is None:
            raise UsageError(f"{placed.OTHER_DEPTH}.", Remedy.RUN_AGAIN)
        scale = step.scale
    frames, focal = solve.track.frames, solve.track.focal[:, 0]
    return SeenDepth(shot, record, plate, camera, solve.camera, frames, focal, scale, now)


def _seen_by_scene(
    scene: bpy.types.Scene, shot: Shot, record: DepthRecord, plate: Plate
) -> SeenDepth:
    """Before there is a solve: by the camera that the artist has put there."""
    camera = scene.camera
    if camera is None or camera.type != "CAMERA" or camera.data.type != "PERSP":
        raise UsageError(
            "No camera has seen this depth: track the camera first, or add one to the scene.",
            Remedy.TRACK_CAMERA,
        )
    lens = _lens_of(camera.data, plate)
    frames, focal = np.array(record.frames), np.full(len(record.frames), lens.focal[0])
    return SeenDepth(shot, record, plate, camera, lens, frames, focal)


def _lens_of(data: bpy.types.Camera, plate: Plate) -> CameraModel:
    """The pinhole of a camera whose frame, without a scene to shape it, the plate fills."""
    width, height = plate.width, plate.height
    vertical = data.sensor_fit == "VERTICAL"
    side = height if vertical or (data.sensor_fit == "AUTO" and height > width) else width
    sensor = data.sensor_height if vertical else data.sensor_width
    focal = data.lens / sensor * side
    center = (width / 2 - data.shift_x * side, height / 2 + data.shift_y * side)
    return CameraModel("PINHOLE", width, height, (focal, focal, *center))


def collection_of(scene: bpy.types.Scene, shot: Shot) -> bpy.types.Collection:
    """Where the shot's depth goes in the scene, inside the collection of its camera if there is
    one."""
    inside, source = scene.collection.children_recursive, str(shot.path.resolve())
    found = parts.find(inside, Role.DEPTH, source)
    if found is None:
        found = bpy.data.collections.new(f"{shot.name} Depth")
        parts.tag(found, Role.DEPTH, source)
        above = parts.find(inside, Role.TRACK, source) or scene.collection
        above.children.link(found)
    return found
