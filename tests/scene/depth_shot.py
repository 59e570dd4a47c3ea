# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracked shot of a floor and a box whose depth is known, with what a run of depth leaves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from shot_gopher.backend.camera import Similarity, matrices_from_colmap
from shot_gopher.backend.dense import place_of
from shot_gopher.backend.depth import NOTHING, SOLVE, DepthRecord
from shot_gopher.backend.lens import straighten
from shot_gopher.backend.outputs import stage_file
from shot_gopher.backend.reconstruction import CameraModel
from shot_gopher.backend.shot import Shot, write_json
from shot_gopher.backend.solve import Solve
from shot_gopher.backend.stages import STAGES

from .exr import write_exr
from .shots import WORLD, make_shot, write_png

FIRST, COUNT = 1001, 6
PINHOLE = CameraModel("PINHOLE", 160, 90, (150.0, 150.0, 79.0, 46.0))
BENT = CameraModel("OPENCV", 160, 90, (150.0, 150.0, 79.0, 46.0, -0.12, 0.03, 0.002, -0.001))
FLOOR = 1.0
"""Height of the floor in the solver's world, whose y points down."""
BOX = np.array([[-1.0, -0.4, -1.0], [1.0, FLOOR, 1.0]])
"""Two corners of the box on it."""
BOX_COLOR, FLOOR_COLORS, SKY_COLOR = (220, 60, 30), ((90, 120, 60), (160, 180, 120)), (80, 120, 220)


@dataclass(frozen=True)
class Seen:
    """What a pinhole at `rotation`, `translation` (world-to-camera) sees along rays (m, 2) slopes:
    depth (m,) in the solver's units, NOTHING for the sky; colors (m, 3)."""

    depth: np.ndarray
    colors: np.ndarray


def look(slopes: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> Seen:
    """Casts a ray for each pixel. Along it the camera's depth is the ray's parameter."""
    rays = np.column_stack([slopes, np.ones(len(slopes))]) @ rotation
    origin = -rotation.T @ translation
    with np.errstate(divide="ignore", invalid="ignore"):
        floor = (FLOOR - origin[1]) / rays[:, 1]
        ends = np.sort((BOX[:, None] - origin) / rays, axis=0)
    floor = np.where((floor > 0) & (floor < 200), floor, NOTHING)
    enter, leave = ends[0].max(axis=1), ends[1].min(axis=1)
    box = np.where((enter > 0) & (enter < leave), enter, NOTHING)
    depth = np.minimum(floor, box)
    spot = origin + rays * np.where(depth < NOTHING, depth, 0)[:, None]
    checks = (np.floor(spot[:, 0]) + np.floor(spot[:, 2])).astype(int) % 2
    colors = np.array(FLOOR_COLORS)[checks]
    colors[box < floor] = BOX_COLOR
    colors[depth >= NOTHING] = SKY_COLOR
    return Seen(depth, colors.astype(np.uint8))


def pixels_of(lens: CameraModel) -> np.ndarray:
    """(w * h, 2): the middle of every pixel, row by row."""
    x, y = np.meshgrid(np.arange(lens.width) + 0.5, np.arange(lens.height) + 0.5)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def view(shot: Shot, number: int) -> Seen:
    """What the plate's pixels see in that frame; depth is in the solver's units."""
    solve = Solve.load(shot.camera)
    index = solve.track.frames.tolist().index(number)
    lens = solve.camera_at(index)
    return look(straighten(lens, pixels_of(lens)), *solver_pose(solve, index))


def solver_pose(solve: Solve, index: int) -> tuple[np.ndarray, np.ndarray]:
    """World-to-camera in the solver's world: rotation and translation."""
    matrix = solve.track.matrices[index] @ np.diag([1.0, -1, -1, 1])
    turn = solve.world.rotation
    center = turn.T @ (matrix[:3, 3] - solve.world.translation) / solve.world.scale
    rotation = (turn.T @ matrix[:3, :3]).T
    return rotation, -rotation @ center


def depth_shot(
    folder: Path,
    lens: CameraModel = BENT,
    units: str = SOLVE,
    zoom: np.ndarray | None = None,
    without: tuple[int, ...] = (),
) -> Shot:
    """Plate, camera and depth; frames in `without` have no depth."""
    shot = make_shot(folder, lens, FIRST, COUNT, zoom=zoom)
    write_json(stage_file(shot, STAGES["colmap"]), {"finished": 1.0, "fingerprint": "x"})
    for number in range(FIRST, FIRST + COUNT):
        seen = view(shot, number)
        write_png(shot.frame_file(number), seen.colors.reshape(lens.height, lens.width, 3))
        if number not in without:
            far = seen.depth >= NOTHING
            depth = np.where(far, NOTHING, seen.depth * WORLD.scale)
            write_exr(shot.depth.map(number), depth.reshape(lens.height, lens.width))
            gray = np.where(far, 0, 255 * 3 / np.maximum(depth, 3)).astype(np.uint8)
            image = np.repeat(gray.reshape(lens.height, lens.width, 1), 3, axis=2)
            write_png(shot.depth.image(number), image)
    frames = tuple(n for n in range(FIRST, FIRST + COUNT) if n not in without)
    place = place_of(shot) if units == SOLVE else None
    DepthRecord("made up", "test", units, place, 3.0, 100.0, frames).save(shot.depth.record)
    return shot


def move_world(shot: Shot) -> Similarity:
    """Puts the same solve into another world, as a survey does; that world."""
    turn = np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]])
    world = Similarity(2.5, turn @ WORLD.rotation, np.array([1.0, 2.0, 3.0]))
    solve = Solve.load(shot.camera)
    poses = [solver_pose(solve, index) for index in range(COUNT)]
    rotations, translations = (np.stack(part) for part in zip(*poses, strict=True))
    matrices = matrices_from_colmap(rotations, translations, world)
    replace(solve, track=replace(solve.track, matrices=matrices), world=world).save(shot.camera)
    return world
