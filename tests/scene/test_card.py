# SPDX-License-Identifier: GPL-3.0-or-later
"""The 2.5-D card: where its vertices are, what is left out, that it follows zoom and survey."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from shot_gopher.backend.camera import Similarity
from shot_gopher.backend.depth import METERS, NOTHING
from shot_gopher.backend.errors import UsageError
from shot_gopher.backend.lens import straighten
from shot_gopher.backend.outputs import stage_file
from shot_gopher.backend.reconstruction import CameraModel
from shot_gopher.backend.shot import Shot, write_json
from shot_gopher.backend.solve import Solve
from shot_gopher.backend.stages import STAGES
from shot_gopher.operators.scene.card import build_card
from shot_gopher.operators.scene.depth import read_depth
from shot_gopher.operators.scene.shot import import_shot

from .depth_shot import (
    BENT,
    COUNT,
    FIRST,
    PINHOLE,
    WORLD,
    depth_shot,
    move_world,
    solver_pose,
    view,
)

ALL = 10**9
"""More faces than any plate has pixels."""


def card_of(shot: Shot, faces: int = ALL) -> bpy.types.Object:
    return build_card(bpy.context.scene, read_depth(bpy.context.scene, shot), faces)


def evaluated(card: bpy.types.Object, number: int) -> tuple[np.ndarray, np.ndarray]:
    """World places (m, 3) of the card's vertices in that frame, and their places on the plate."""
    scene = bpy.context.scene
    scene.frame_set(number)
    now = card.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = now.data
    places = np.empty(3 * len(mesh.vertices), dtype=np.float32)
    mesh.vertices.foreach_get("co", places)
    uvs = np.empty(2 * len(mesh.vertices), dtype=np.float32)
    if len(mesh.vertices):
        mesh.attributes["plate_uv"].data.foreach_get("vector", uvs)
    world = np.array(now.matrix_world, dtype=np.float64)
    places = places.reshape(-1, 3).astype(np.float64) @ world[:3, :3].T + world[:3, 3]
    return places, uvs.reshape(-1, 2).astype(np.float64)


def true_places(shot: Shot, number: int, uvs: np.ndarray, world: Similarity) -> np.ndarray:
    """Where the pixels' surface is in `world`."""
    solve = Solve.load(shot.camera)
    lens = solve.camera_at(number - FIRST)
    pixels = (uvs * [1, -1] + [0, 1]) * [lens.width, lens.height]
    column, row = np.floor(pixels).astype(int).T
    depth = view(shot, number).depth[row * lens.width + column]
    assert (depth < NOTHING).all()
    slopes = straighten(lens, np.column_stack([column, row]) + 0.5)
    rotation, translation = solver_pose(solve, number - FIRST)
    local = np.column_stack([slopes, np.ones(len(slopes))]) * depth[:, None]
    return world.apply((local - translation) @ rotation)


def off(shot: Shot, card: bpy.types.Object, number: int, world: Similarity = WORLD) -> float:
    """The worst distance of a vertex from where it belongs, as a share of its depth."""
    places, uvs = evaluated(card, number)
    assert len(places) > 1000
    center = np.array(bpy.context.scene.camera.matrix_world.translation)
    true = true_places(shot, number, uvs, world)
    away = np.linalg.norm(places - true, axis=1) / np.linalg.norm(true - center, axis=1)
    return float(away.max())


@pytest.mark.parametrize("lens", [PINHOLE, BENT])
def test_every_vertex_lies_on_the_surface_its_pixel_saw(tmp_path: Path, lens: CameraModel) -> None:
    shot = depth_shot(tmp_path / "shot", lens)
    import_shot(bpy.context, shot)
    card = card_of(shot)
    for number in (FIRST + 3, FIRST, FIRST + COUNT - 1):
        assert off(shot, card, number) < 1e-4


@pytest.mark.parametrize("lens", [PINHOLE, BENT])
def test_the_card_follows_the_zoom(tmp_path: Path, lens: CameraModel) -> None:
    shot = depth_shot(tmp_path / "shot", lens, zoom=np.linspace(1.0, 1.8, COUNT))
    import_shot(bpy.context, shot)
    for _ in range(2):
        card = card_of(shot)
        for number in (FIRST + 3, FIRST, FIRST + COUNT - 1):
            assert off(shot, card, number) < 1e-4
    assert len(card.modifiers) == 1


def test_sky_and_jumps_are_left_out(tmp_path: Path) -> None:
    shot = depth_shot(tmp_path / "shot")
    import_shot(bpy.context, shot)
    card = card_of(shot)
    places, _uvs = evaluated(card, FIRST)
    assert np.abs(places).max() < 1e4
    seen = view(shot, FIRST).depth
    now = card.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    edges = np.empty(2 * len(now.edges), dtype=np.int32)
    now.edges.foreach_get("vertices", edges)
    local = np.empty(3 * len(now.vertices), dtype=np.float32)
    now.vertices.foreach_get("co", local)
    depth = -local.reshape(-1, 3)[edges.reshape(-1, 2), 2]
    assert (depth.max(axis=1) <= 1.1001 * depth.min(axis=1)).all()
    kept = len(now.polygons)
    assert 0.5 * (seen < NOTHING).sum() < kept < (seen < NOTHING).sum()
    modifier = card.modifiers[0]
    (stretch,) = (
        item for item in modifier.node_group.interface.items_tree if item.name == "Stretch"
    )
    modifier[stretch.identifier] = 100.0
    card.update_tag()
    assert len(evaluated(card, FIRST)[0]) >= len(places)
    whole = card.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    assert len(whole.polygons) > kept
    # Made anew, it keeps what the artist has set.
    card_of(shot)
    assert modifier[stretch.identifier] == 100.0
    assert len(card.modifiers) == 1


def test_a_frame_without_depth_shows_nothing(tmp_path: Path) -> None:
    shot = depth_shot(tmp_path / "shot", without=(FIRST + 2,))
    import_shot(bpy.context, shot)
    card = card_of(shot)
    assert len(evaluated(card, FIRST + 2)[0]) == 0
    assert len(evaluated(card, FIRST + COUNT)[0]) == 0
    assert len(evaluated(card, FIRST + 1)[0]) > 1000


def test_the_card_stays_on_the_surface_after_a_survey(tmp_path: Path) -> None:
    shot = depth_shot(tmp_path / "shot")
    import_shot(bpy.context, shot)
    card = card_of(shot)
    world = move_world(shot)
    import_shot(bpy.context, shot)
    assert off(shot, card, FIRST + 1, world) < 1e-4
    assert off(shot, card_of(shot), FIRST + 1, world) < 1e-4
    bpy.data.objects.remove(card)
    assert off(shot, card_of(shot), FIRST + 1, world) < 1e-4


def test_depth_of_another_solve_is_told(tmp_path: Path) -> None:
    shot = depth_shot(tmp_path / "shot")
    import_shot(bpy.context, shot)
    card_of(shot)
    write_json(stage_file(shot, STAGES["colmap"]), {"finished": 2.0, "fingerprint": "x"})
    assert any("depth is of another" in text for text in import_shot(bpy.context, shot).warnings)
    with pytest.raises(UsageError, match="depth is of another solve"):
        read_depth(bpy.context.scene, shot)


def test_depth_without_a_solve_hangs_on_the_scenes_camera(tmp_path: Path) -> None:
    shot = depth_shot(tmp_path / "shot", PINHOLE, units=METERS)
    depth = view(shot, FIRST).depth
    shot.solve_file.unlink()
    scene = bpy.context.scene
    with pytest.raises(UsageError, match="track the camera first"):
        read_depth(scene, shot)
    data = bpy.data.cameras.new("mine")
    data.sensor_width, data.lens = 36.0, 150 / 160 * 36
    data.shift_x, data.shift_y = 1 / 160, 1 / 160
    scene.camera = bpy.data.objects.new("mine", data)
    scene.collection.objects.link(scene.camera)
    card = card_of(shot)
    assert card.parent == scene.camera
    places, uvs = evaluated(card, FIRST)
    column, row = np.floor((uvs * [1, -1] + [0, 1]) * [160, 90]).astype(int).T
    z = depth[row * 160 + column] * WORLD.scale
    expected = np.column_stack([(column + 0.5 - 79) / 150 * z, (46 - row - 0.5) / 150 * z, -z])
    np.testing.assert_allclose(places, expected, rtol=1e-4, atol=1e-4)
    card.scale = (3, 3, 3)
    assert card_of(shot).scale[0] == 3


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    shot = depth_shot(tmp_path / "shot")
    with pytest.raises(UsageError, match="Import the camera first"):
        read_depth(bpy.context.scene, shot)
    shot.depth.record.unlink()
    with pytest.raises(UsageError, match="run Estimate Depth"):
        read_depth(bpy.context.scene, shot)


def test_the_card_looks_as_the_plate_does(tmp_path: Path) -> None:
    """Rendered through a pinhole it is the plate as shot: only the camera's frame bends."""
    shot = depth_shot(tmp_path / "shot", PINHOLE)
    import_shot(bpy.context, shot)
    card_of(shot)
    scene = bpy.context.scene
    scene.frame_set(FIRST + 2)
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.cycles.use_denoising = False
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BOX", 0.01
    scene.view_settings.view_transform = "Standard"
    scene.render.film_transparent = True
    scene.render.filepath = str(tmp_path / "view.png")
    bpy.ops.render.render(write_still=True)
    view_image = bpy.data.images.load(scene.render.filepath)
    pixels = np.array(view_image.pixels[:]).reshape(90, 160, 4)[::-1]
    covered = pixels[..., 3] > 0.99
    seen = view(shot, FIRST + 2)
    solid = (seen.depth < NOTHING).reshape(90, 160)
    assert not covered[~solid].any()
    assert covered[solid].mean() > 0.8
    away = np.abs(pixels[..., :3] - seen.colors.reshape(90, 160, 3) / 255)[covered].max(axis=1)
    # What is off lies at the edges of the checks, where the texture mixes pixels.
    assert (away < 8 / 255).mean() > 0.98, np.quantile(away, [0.9, 0.95, 0.97, 0.98, 0.99, 1])
