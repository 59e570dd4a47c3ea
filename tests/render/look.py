# SPDX-License-Identifier: GPL-3.0-or-later
"""How the bench's plates look: light without lamps, an almost empty room, and a sensor's noise.

Every material shows its texture times a factor that its normal alone decides, so that a picture
needs no light sampling: a few seconds of processor time instead of twenty.
"""

from __future__ import annotations

import bpy
import numpy as np

from . import textures as paint
from .shapes import Room, add_box, add_panel
from .textures import Canvas

LIGHTS = (((-0.62, -0.5, 0.6), 0.75), ((0.6, -0.75, 0.28), 0.45))
AMBIENT = 0.45
SKY = (0.62, 0.78, 1.0, 1.0)
MID_GRAY, NOISE, READ_NOISE = 118.0, 1.5, 0.5


def light_by_normal(scene: bpy.types.Scene) -> None:
    """Turns every diffuse material into light of its own, takes the lamps away, adds a sky."""
    for material in bpy.data.materials:
        if material.use_nodes and any(n.type == "BSDF_DIFFUSE" for n in material.node_tree.nodes):
            _shine(material)
    for thing in [thing for thing in scene.objects if thing.type == "LIGHT"]:
        bpy.data.objects.remove(thing)
    world = bpy.data.worlds.new("plain sky")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = SKY
    scene.world = world


def _shine(material: bpy.types.Material) -> None:
    nodes, links = material.node_tree.nodes, material.node_tree.links
    texture = next(node for node in nodes if node.type == "TEX_IMAGE")
    output = next(node for node in nodes if node.type == "OUTPUT_MATERIAL")
    for node in [node for node in nodes if node.type == "BSDF_DIFFUSE"]:
        nodes.remove(node)
    emission = nodes.new("ShaderNodeEmission")
    links.new(texture.outputs["Color"], emission.inputs["Color"])
    links.new(_brightness(nodes, links), emission.inputs["Strength"])
    links.new(emission.outputs["Emission"], output.inputs["Surface"])
    material.cycles.emission_sampling = "NONE"


def _brightness(nodes: bpy.types.Nodes, links: bpy.types.NodeLinks) -> bpy.types.NodeSocket:
    """AMBIENT and Lambert's cosine to each of LIGHTS."""
    normal = nodes.new("ShaderNodeNewGeometry").outputs["Normal"]
    total: bpy.types.NodeSocket | None = None
    for direction, strength in LIGHTS:
        cosine = nodes.new("ShaderNodeVectorMath")
        cosine.operation = "DOT_PRODUCT"
        links.new(normal, cosine.inputs[0])
        cosine.inputs[1].default_value = np.array(direction) / np.linalg.norm(direction)
        lit = nodes.new("ShaderNodeMath")
        lit.operation = "MAXIMUM"
        links.new(cosine.outputs["Value"], lit.inputs[0])
        lit.inputs[1].default_value = 0.0
        added = nodes.new("ShaderNodeMath")
        added.operation = "MULTIPLY_ADD"
        links.new(lit.outputs[0], added.inputs[0])
        added.inputs[1].default_value, added.inputs[2].default_value = strength, AMBIENT
        if total is not None:
            links.new(total, added.inputs[2])
        total = added.outputs[0]
    return total


def build_bare_room(scene: bpy.types.Scene) -> None:
    """Walls, floor and two blocks of smooth paint: hardly anything to track."""
    room = Room(scene, np.random.default_rng(4))
    for name, color in (("wall", 0.58), ("floor", 0.55), ("block", 0.57)):
        stains = paint.fractal(512, 512, (220, 220), room.rng, 2)
        canvas = paint.shade(paint.flat(512, 512, (color, color, color)), 0.99 + 0.02 * stains)
        room.paint(name, canvas, (6.0, 6.0))
    add_panel(room, "floor", 16, 20, (0, 6, 0), (0, 0, 0), "floor")
    add_panel(room, "back wall", 16, 8, (0, 9, 4), (90, 0, 0), "wall")
    add_panel(room, "left wall", 20, 8, (-5, 6, 4), (90, 0, 90), "wall")
    add_panel(room, "right wall", 20, 8, (5, 6, 4), (90, 0, -90), "wall")
    add_box(room, "block", (1.6, 1.2, 0.9), (-1.4, 5.5, 0), "block", 20, bevel=0.2)
    add_box(room, "block", (1.0, 1.0, 1.6), (1.7, 6.4, 0), "block", -15, bevel=0.2)


def set_cycles(scene: bpy.types.Scene, samples: int, shutter: float) -> None:
    """Cycles on the processor: camera rays only. `shutter` in frames around the frame's time."""
    scene.render.engine = "CYCLES"
    scene.render.use_persistent_data = True
    scene.render.use_motion_blur = shutter > 0
    scene.render.motion_blur_shutter = shutter
    scene.render.motion_blur_position = "CENTER"
    cycles = scene.cycles
    cycles.device, cycles.samples = "CPU", samples
    cycles.use_adaptive_sampling = cycles.use_denoising = cycles.use_light_tree = False
    cycles.max_bounces = cycles.diffuse_bounces = cycles.glossy_bounces = 0
    cycles.transmission_bounces = cycles.transparent_max_bounces = 0
    cycles.pixel_filter_type, cycles.filter_width = "BLACKMAN_HARRIS", 1.5
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.image_settings.color_depth = "16"
    scene.render.image_settings.compression = 0


def with_sensor_noise(picture: Canvas, rng: np.random.Generator) -> np.ndarray:
    """An 8-bit picture of one of 0..255 floats, with shot noise over a little read noise.

    The standard deviation is NOISE at MID_GRAY, and READ_NOISE in black.
    """
    per_level = (NOISE**2 - READ_NOISE**2) / MID_GRAY
    sigma = np.sqrt(READ_NOISE**2 + per_level * picture)
    noisy = picture + sigma * rng.standard_normal(picture.shape, dtype=np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
