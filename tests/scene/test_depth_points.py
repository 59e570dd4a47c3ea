# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of depth: on the surfaces that the pixels saw, in their colors, in one world."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from shot_gopher.backend.camera import Similarity
from shot_gopher.backend.depth import METERS, NOTHING
from shot_gopher.backend.errors import UsageError
from shot_gopher.backend.shot import Shot
from shot_gopher.operators.scene.depth import read_depth
from shot_gopher.operators.scene.depth_points import build_points, frames_of
from shot_gopher.operators.scene.shot import import_shot

from .depth_shot import (
    BENT,
    BOX,
    BOX_COLOR,
    COUNT,
    FIRST,
    FLOOR,
    PINHOLE,
    SKY_COLOR,
    WORLD,
    depth_shot,
    move_world,
    view,
)

ALL = 10**9


def shot_in_scene(folder: Path, **how: object) -> Shot:
    shot = depth_shot(folder, **how)
    import_shot(bpy.context, shot)
    return shot


def solver_places(points: bpy.types.Object, world: Similarity = WORLD) -> np.ndarray:
    """Where the points are in the solver's world."""
    found = np.empty(3 * len(points.data.vertices), dtype=np.float32)
    points.data.vertices.foreach_get("co", found)
    return (found.reshape(-1, 3) - world.translation) @ world.rotation / world.scale


def colors_of(points: bpy.types.Object) -> np.ndarray:
    data = points.data.attributes["color"].data
    return np.array([each.color_srgb[:3] for each in data]) * 255


def off(places: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """How far each point is from the floor, or the faces of the box if it has that color."""
    inside = np.maximum(BOX[0] - places, places - BOX[1])
    box = np.abs(inside.max(axis=1))
    is_box = np.abs(colors - BOX_COLOR).max(axis=1) < 2
    return np.where(is_box, box, np.abs(places[:, 1] - FLOOR))


@pytest.mark.parametrize("zoom", [None, np.linspace(1.0, 1.7, COUNT)], ids=["fixed", "zoom"])
def test_points_lie_on_what_was_seen(tmp_path: Path, zoom: np.ndarray | None) -> None:
    shot = shot_in_scene(tmp_path / "shot", lens=BENT, zoom=zoom)
    scene = bpy.context.scene
    depth = read_depth(scene, shot)
    points = build_points(scene, depth, frames_of(depth, FIRST + 2, 0), ALL)
    places, colors = solver_places(points), colors_of(points)
    assert len(places) == (view(shot, FIRST + 2).depth < NOTHING).sum()
    near = np.linalg.norm(places, axis=1) < 20
    assert near.sum() > 4000
    assert off(places, colors)[near].max() < 1e-3
    assert not (np.abs(colors - SKY_COLOR).max(axis=1) < 2).any()
    assert points.hide_render
    assert [each.name for each in points.users_collection] == ["shot Depth"]


def test_points_of_many_frames_are_one_scene(tmp_path: Path) -> None:
    shot = shot_in_scene(tmp_path / "shot", without=(FIRST + 2,))
    scene = bpy.context.scene
    depth = read_depth(scene, shot)
    assert frames_of(depth, FIRST, 2) == (FIRST, FIRST + 3, FIRST + 5)
    points = build_points(scene, depth, frames_of(depth, FIRST, 2), 6000)
    places, colors = solver_places(points), colors_of(points)
    assert 3000 < len(places) < 7000
    near = np.linalg.norm(places, axis=1) < 20
    assert off(places, colors)[near].max() < 1e-3
    again = build_points(scene, depth, (FIRST,), 1000)
    assert again == points
    assert len(points.data.vertices) < 1200
    with pytest.raises(UsageError, match="1003 has no depth"):
        frames_of(depth, FIRST + 2, 0)


def test_points_move_with_the_world(tmp_path: Path) -> None:
    shot = shot_in_scene(tmp_path / "shot")
    scene = bpy.context.scene
    points = build_points(scene, read_depth(scene, shot), (FIRST,), ALL)
    before = solver_places(points)
    world = move_world(shot)
    import_shot(bpy.context, shot)
    np.testing.assert_allclose(solver_places(points, world), before, rtol=1e-4, atol=1e-3)
    build_points(scene, read_depth(scene, shot), (FIRST,), ALL)
    np.testing.assert_allclose(solver_places(points, world), before, rtol=1e-4, atol=1e-3)


def test_depth_in_meters_is_taken_frame_by_frame(tmp_path: Path) -> None:
    shot = shot_in_scene(tmp_path / "shot", lens=PINHOLE, units=METERS)
    depth = read_depth(bpy.context.scene, shot)
    with pytest.raises(UsageError, match="take one frame"):
        frames_of(depth, FIRST, 1)
    assert frames_of(depth, FIRST, 0) == (FIRST,)
