# SPDX-License-Identifier: GPL-3.0-or-later
"""Compositing by depth: a rendered cube stands behind the plate's box and in front of its floor."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from shot_gopher.backend.depth import NOTHING
from shot_gopher.backend.reconstruction import CameraModel
from shot_gopher.backend.shot import Shot
from shot_gopher.backend.solve import Solve
from shot_gopher.operators.scene.depth import read_depth
from shot_gopher.operators.scene.depth_compositing import build_compositing
from shot_gopher.operators.scene.shot import import_shot

from .depth_shot import (
    BENT,
    FIRST,
    PINHOLE,
    WORLD,
    Seen,
    depth_shot,
    look,
    move_world,
    pixels_of,
    solver_pose,
)

GREEN = (0.0, 1.0, 0.0)
CUBE = np.array([[-0.6, -1.2, 1.4], [0.6, 1.0, 2.4]])
"""Two corners in the solver's world: behind the box, and higher."""


def add_cube() -> bpy.types.Object:
    """Green in every light, in the shot's world."""
    corners = np.array([(x, y, z) for x in CUBE[:, 0] for y in CUBE[:, 1] for z in CUBE[:, 2]])
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new("cube")
    mesh.from_pydata(WORLD.apply(corners).tolist(), [], faces)
    material = bpy.data.materials.new("green")
    if material.node_tree is None:
        material.use_nodes = True
    material.node_tree.nodes.clear()
    shader = material.node_tree.nodes.new("ShaderNodeEmission")
    output = material.node_tree.nodes.new("ShaderNodeOutputMaterial")
    shader.inputs[0].default_value = (*GREEN, 1)
    material.node_tree.links.new(shader.outputs[0], output.inputs[0])
    mesh.materials.append(material)
    cube = bpy.data.objects.new("cube", mesh)
    bpy.context.scene.collection.objects.link(cube)
    return cube


def rendered(folder: Path, number: int) -> np.ndarray:
    """(h, w, 3) from the top, sRGB, 0 to 255."""
    scene = bpy.context.scene
    scene.frame_set(number)
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.cycles.use_denoising = False
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BOX", 0.01
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(folder / "view.png")
    bpy.ops.render.render(write_still=True)
    view = bpy.data.images.load(scene.render.filepath)
    pixels = np.array(view.pixels[:]).reshape(view.size[1], view.size[0], 4)[::-1, :, :3]
    bpy.data.images.remove(view)
    return pixels * 255


def pinhole_view(shot: Shot, number: int) -> tuple[Seen, np.ndarray]:
    """What the render's camera would see of the plate's scene, and the depth (m,) of the cube."""
    solve = Solve.load(shot.camera)
    lens = solve.camera_at(number - FIRST)
    rotation, translation = solver_pose(solve, number - FIRST)
    slopes = (pixels_of(lens) - lens.center) / lens.focal
    rays = np.column_stack([slopes, np.ones(len(slopes))]) @ rotation
    ends = np.sort((CUBE[:, None] + rotation.T @ translation) / rays, axis=0)
    enter, leave = ends[0].max(axis=1), ends[1].min(axis=1)
    cube = np.where((enter > 0) & (enter < leave), enter, NOTHING)
    return look(slopes, rotation, translation), cube


def check(shot: Shot, folder: Path, number: int) -> None:
    seen, cube = pinhole_view(shot, number)
    height, width = PINHOLE.height, PINHOLE.width
    in_front = (cube < seen.depth).reshape(height, width)
    hidden = ((cube < NOTHING) & (cube > seen.depth)).reshape(height, width)
    assert in_front.sum() > 100
    assert hidden.sum() > 100
    picture = rendered(folder, number)
    green = (picture[..., 1] > 200) & (picture[..., 0] < 60)
    assert (green == in_front).mean() > 0.985
    assert green[in_front].mean() > 0.9
    assert green[hidden].mean() < 0.1
    colors = seen.colors.reshape(height, width, 3).astype(float)
    # At edges pixels are mixed.
    even = np.ptp(sliding_window_view(colors, (3, 3), axis=(0, 1)), axis=(-2, -1)).max(axis=-1) == 0
    plain = even & ~in_front[1:-1, 1:-1] & ~hidden[1:-1, 1:-1]
    away = np.abs(picture - colors).max(axis=2)[1:-1, 1:-1][plain]
    assert plain.mean() > 0.3
    assert (away < 4).mean() > 0.985


@pytest.mark.parametrize("lens", [PINHOLE, BENT], ids=lambda lens: lens.model)
def test_a_cube_is_half_hidden_by_the_box_in_the_plate(tmp_path: Path, lens: CameraModel) -> None:
    shot = depth_shot(tmp_path / "shot", lens)
    import_shot(bpy.context, shot)
    add_cube()
    made = build_compositing(bpy.context, read_depth(bpy.context.scene, shot))
    assert (made.connected, made.warnings) == (True, ())
    for number in (FIRST, FIRST + 4):
        check(shot, tmp_path, number)


def test_compositing_has_the_size_of_the_world(tmp_path: Path) -> None:
    shot = depth_shot(tmp_path / "shot", PINHOLE)
    import_shot(bpy.context, shot)
    cube = add_cube()
    build_compositing(bpy.context, read_depth(bpy.context.scene, shot))
    world = move_world(shot)
    import_shot(bpy.context, shot)
    old = np.array([vertex.co for vertex in cube.data.vertices], dtype=np.float64)
    corners = (old - WORLD.translation) @ WORLD.rotation / WORLD.scale
    cube.data.vertices.foreach_set("co", world.apply(corners).astype(np.float32).ravel())
    check(shot, tmp_path, FIRST + 2)
    build_compositing(bpy.context, read_depth(bpy.context.scene, shot))
    check(shot, tmp_path, FIRST + 2)


def scene_tree() -> bpy.types.NodeTree:
    scene = bpy.context.scene
    new = hasattr(scene, "compositing_node_group")
    return scene.compositing_node_group if new else scene.node_tree


def test_the_artists_nodes_stay(tmp_path: Path) -> None:
    shot = depth_shot(tmp_path / "shot", BENT)
    import_shot(bpy.context, shot)
    depth = read_depth(bpy.context.scene, shot)
    made = build_compositing(bpy.context, depth)
    tree = scene_tree()
    blur = tree.nodes.new("CompositorNodeBlur")
    end = next(each for each in tree.nodes if each.bl_idname.endswith(("Composite", "GroupOutput")))
    ours = next(each for each in tree.nodes if getattr(each, "node_tree", None) == made.group)
    tree.links.new(ours.outputs["Image"], blur.inputs[0])
    tree.links.new(blur.outputs[0], end.inputs[0])
    names = sorted(each.name for each in tree.nodes)
    images, groups = len(bpy.data.images), len(bpy.data.node_groups)
    again = build_compositing(bpy.context, depth)
    assert (again.group, again.connected) == (made.group, False)
    assert sorted(each.name for each in tree.nodes) == names
    assert end.inputs[0].links[0].from_node == blur
    assert (len(bpy.data.images), len(bpy.data.node_groups)) == (images, groups)
    assert ours.parent.label == "Shot Gopher: Depth Compositing"


def test_a_zoom_through_a_bent_lens_is_told(tmp_path: Path) -> None:
    shot = depth_shot(tmp_path / "shot", BENT, zoom=np.linspace(1.0, 1.5, 6))
    import_shot(bpy.context, shot)
    made = build_compositing(bpy.context, read_depth(bpy.context.scene, shot))
    assert any("lens zooms" in text for text in made.warnings)


@pytest.mark.parametrize("lens", [PINHOLE, BENT], ids=lambda lens: lens.model)
def test_a_smaller_render_is_composited_as_well(tmp_path: Path, lens: CameraModel) -> None:
    shot = depth_shot(tmp_path / "shot", lens)
    import_shot(bpy.context, shot)
    add_cube()
    build_compositing(bpy.context, read_depth(bpy.context.scene, shot))
    bpy.context.scene.render.resolution_percentage = 50
    picture = rendered(tmp_path, FIRST + 1)
    assert picture.shape == (45, 80, 3)
    seen, cube = pinhole_view(shot, FIRST + 1)
    in_front = (cube < seen.depth).reshape(90, 160)
    wanted = in_front.reshape(45, 2, 80, 2).mean(axis=(1, 3))
    green = (picture[..., 1] > 200) & (picture[..., 0] < 60)
    sure = (wanted == 0) | (wanted == 1)
    assert (green == (wanted > 0.5))[sure].mean() > 0.985
