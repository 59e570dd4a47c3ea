# SPDX-License-Identifier: GPL-3.0-or-later
"""FOLDER SHOT: brings depth and clean plate into the scene by the panel's buttons, and looks."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bpy
import window
from installed import module, scene, view
from looking import Looking, without_panels
from mathutils import Quaternion
from quiet_draw import DrawWatch
from window import Player, Step, area, in_window, open_sidebar, picture, press

FRAME = 9
folder, shot = map(Path, sys.argv[sys.argv.index("--") + 1 :])
watch = DrawWatch()
told: dict[str, Any] = {}
look = Looking(folder, told)


def known() -> bool:
    return bool(view().solved and view().stages["depth"].facts)


def open_panels() -> None:
    """As if the artist had opened them: their headings cannot be pressed by a script."""
    for name in ("depth", "clean_plate"):
        panel = getattr(bpy.types, f"SHOTGOPHER_PT_{name}")
        bpy.utils.unregister_class(panel)
        panel.bl_options = set()
        bpy.utils.register_class(panel)


def draw_open(column: Any, context: Any, _stage: Any, _preview: Any, icons: Any) -> None:
    """The preview's fold, open."""
    told["icons"] = icons
    module("panels.pieces").picture(column, context, icons)


def measure() -> None:
    """Seconds a frame takes that was not seen before: until it is known, and drawn, too."""
    known = drawn = 0.0
    with in_window("WINDOW"):
        for number in range(1, 8):
            began = time.monotonic()
            scene().frame_set(number)
            known += time.monotonic() - began
            bpy.ops.wm.redraw_timer(type="DRAW_WIN_SWAP", iterations=1)
            drawn += time.monotonic() - began
    told["known"], told["drawn"] = known / 7, drawn / 7


def rendered() -> None:
    """A green cube on the floor of the room, its right half behind the higher box."""
    bpy.ops.mesh.primitive_cube_add(size=1.3, location=(1.44, 7.63, 1.35))
    cube = bpy.context.object
    material = bpy.data.materials.new("green")
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    shader, output = (
        tree.nodes.new("ShaderNodeEmission"),
        tree.nodes.new("ShaderNodeOutputMaterial"),
    )
    shader.inputs[0].default_value = (0, 1, 0, 1)
    tree.links.new(shader.outputs[0], output.inputs[0])
    cube.data.materials.append(material)
    for each in scene().objects:
        each.hide_render = each not in (cube, scene().camera)
    scene().render.engine, scene().cycles.samples = "CYCLES", 1
    scene().cycles.use_denoising = False
    scene().view_settings.view_transform = "Standard"
    scene().render.filepath = str(folder / "composite.png")
    bpy.ops.render.render(write_still=True)


def scenario() -> Iterator[Step]:
    watch.start()
    open_panels()
    module("panels.stage")._draw_preview = draw_open
    yield from open_sidebar()
    scene().shot_gopher.shot = str(shot)
    yield known
    press("camera_import")
    space = area().spaces.active
    space.shading.type, space.overlay.show_overlays = "MATERIAL", False
    scene().frame_set(FRAME)
    press("depth_card", faces=60000)
    space.region_3d.view_perspective = "CAMERA"
    without_panels("shot", "roto", "masks")
    yield from look.colored()
    yield from look.take("stages")
    measure()
    scene().frame_set(FRAME)
    without_panels("stages")
    yield from look.take("card")
    side = space.region_3d
    side.view_perspective = "PERSP"
    turn = scene().camera.matrix_world.to_quaternion()
    side.view_rotation = turn @ Quaternion((0, 1, 0), 0.7) @ Quaternion((1, 0, 0), -0.3)
    side.view_location, side.view_distance = (0, 4, 1), 11
    yield from look.take("card_side")
    bpy.data.objects["sh080 Card"].hide_set(True)
    press("depth_points", every=8, most=60000)
    yield from look.take("points_side")
    bpy.data.objects["sh080 Depth Points"].hide_set(True)
    press("dense_import")
    press("dense_look", look="CLEAN")
    side.view_distance = 5
    yield from look.colored()
    yield from look.take("clean_side")
    scene().frame_set(FRAME)
    press("dense_look", look="CLEAN", hold=True)
    scene().frame_set(2)
    yield from look.take("clean_held_side", 4.0)
    side.view_perspective = "CAMERA"
    press("dense_look", look="CLEAN")
    scene().frame_set(FRAME)
    press("background_show", source="depth")
    yield from look.take("clean", 4.0)
    without_panels("dense")
    yield from look.take("panels")
    press("depth_compositing")
    rendered()
    told["draws"], told["touched"] = watch.draws, watch.touched
    area().type = "NODE_EDITOR"
    place = area("NODE_EDITOR")
    place.ui_type = "CompositorNodeTree"
    yield 1.0
    if hasattr(scene(), "compositing_node_group"):
        place.spaces.active.node_tree = scene().compositing_node_group
    with in_window("WINDOW", "NODE_EDITOR"):
        bpy.ops.node.view_all()
    yield 2.0
    picture(folder / "nodes.png")
    told["pictures"]["nodes"] = [0, 0, 200, 200]


window.PATIENCE = 300.0
Player(scenario(), folder / "report.json", told).start()
