# SPDX-License-Identifier: GPL-3.0-or-later
"""Painted materials, simple bodies and lights that rooms are built from.

Meters, Z up; angles in degrees where a parameter is called `turn` or `facing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import bpy
import numpy as np
from mathutils import Euler, Vector

from .textures import Canvas

Triple = tuple[float, float, float]
Pair = tuple[float, float]


@dataclass(frozen=True)
class Sheet:
    """A painted material and the size in meters that its picture covers."""

    material: bpy.types.Material
    size: Pair


@dataclass
class Room:
    """The builder's state: where objects go, the chances, and the materials by name."""

    scene: bpy.types.Scene
    rng: np.random.Generator
    sheets: dict[str, Sheet] = field(default_factory=dict)

    def paint(self, name: str, canvas: Canvas, size: Pair) -> None:
        self.sheets[name] = Sheet(painted_material(name, canvas), size)

    def spot(self) -> Pair:
        """A random place on a sheet, so that objects sharing one do not look alike."""
        return float(self.rng.uniform(0, 4)), float(self.rng.uniform(0, 4))


def painted_material(name: str, canvas: Canvas) -> bpy.types.Material:
    """A diffuse material that shows the canvas through the object's UV map."""
    height, width = canvas.shape[:2]
    image = bpy.data.images.new(name, width, height)
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = canvas[::-1]
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = image
    diffuse = nodes.new("ShaderNodeBsdfDiffuse")
    output = nodes.new("ShaderNodeOutputMaterial")
    links.new(texture.outputs["Color"], diffuse.inputs["Color"])
    links.new(diffuse.outputs["BSDF"], output.inputs["Surface"])
    return material


def add_mesh(
    room: Room,
    name: str,
    vertices: Sequence[Sequence[float]],
    faces: Sequence[Sequence[int]],
    uv: Sequence[Pair],
    sheet: str,
) -> bpy.types.Object:
    """An object of polygons; `uv` has one pair per face corner, 1 being the whole picture."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices, [], faces)
    layer = mesh.uv_layers.new(name="UVMap")
    layer.data.foreach_set("uv", np.asarray(uv, np.float32).ravel())
    mesh.materials.append(room.sheets[sheet].material)
    thing = bpy.data.objects.new(name, mesh)
    room.scene.collection.objects.link(thing)
    return thing


_BOX = ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))
_BOX_UV = ((0, 1), (0, 1), (0, 2), (1, 2), (0, 2), (1, 2))


def add_box(
    room: Room,
    name: str,
    size: Triple,
    at: Triple,
    sheet: str,
    turn: float = 0.0,
    bevel: float = 0.006,
    spot: Pair | None = None,
) -> bpy.types.Object:
    """A box of `size`, centered in x and y on `at` and standing on it, turned about Z (degrees).

    `spot` (meters) is where on the sheet it was cut, a random place when None.
    """
    x, y, z = size[0] / 2, size[1] / 2, size[2]
    square = ((-x, -y), (x, -y), (x, y), (-x, y))
    vertices = [(*corner, level) for level in (0.0, z) for corner in square]
    (left, low), (wide, tall) = spot or room.spot(), room.sheets[sheet].size
    uv = [
        ((vertices[corner][across] + left) / wide, (vertices[corner][up] + low) / tall)
        for face, (across, up) in zip(_BOX, _BOX_UV, strict=True)
        for corner in face
    ]
    thing = add_mesh(room, name, vertices, _BOX, uv, sheet)
    thing.location = at
    thing.rotation_euler.z = np.radians(turn)
    if bevel:
        round_off(thing, bevel)
    return thing


def round_off(thing: bpy.types.Object, width: float, segments: int = 3) -> None:
    modifier = thing.modifiers.new("Bevel", "BEVEL")
    modifier.width, modifier.segments = width, segments
    thing.data.shade_smooth()
    modifier.harden_normals = True


def add_panel(
    room: Room, name: str, width: float, height: float, at: Triple, facing: Triple, sheet: str
) -> bpy.types.Object:
    """A rectangle that shows its whole sheet, centered on `at`; `facing` are Euler degrees from
    lying face up with the picture's top toward +Y."""
    x, y = width / 2, height / 2
    corners = ((-x, -y, 0), (x, -y, 0), (x, y, 0), (-x, y, 0))
    thing = add_mesh(room, name, corners, ((0, 1, 2, 3),), ((0, 0), (1, 0), (1, 1), (0, 1)), sheet)
    thing.location = at
    thing.rotation_euler = Euler(np.radians(facing))
    return thing


def add_lathe(
    room: Room,
    name: str,
    profile: Sequence[Pair],
    at: Triple,
    sheet: str,
    whole: bool = False,
    steps: int = 40,
) -> bpy.types.Object:
    """A round body from its profile of (radius, height); `whole` wraps the sheet once around."""
    angles = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    vertices = [(r * np.cos(a), r * np.sin(a), z) for r, z in profile for a in angles]
    faces, uv = [], []
    extent, offset = room.sheets[sheet].size, (0.0, 0.0) if whole else room.spot()
    around = extent[0] if whole else 2 * np.pi * max(r for r, _ in profile)
    low, tall = profile[0][1], (profile[-1][1] - profile[0][1]) or 1.0
    for ring in range(len(profile) - 1):
        for step in range(steps):
            ahead = (step + 1) % steps
            base, above = ring * steps, (ring + 1) * steps
            faces.append((base + step, base + ahead, above + ahead, above + step))
            for turn, level in ((0, 0), (1, 0), (1, 1), (0, 1)):
                height = profile[ring + level][1]
                up = extent[1] * (height - low) / tall if whole else height
                across = around * (step + turn) / steps
                uv.append(((across + offset[0]) / extent[0], (up + offset[1]) / extent[1]))
    thing = add_mesh(room, name, vertices, faces, uv, sheet)
    thing.location = at
    thing.data.shade_smooth()
    return thing


def add_ball(
    room: Room, name: str, radii: Triple, at: Triple, sheet: str, whole: bool = False
) -> bpy.types.Object:
    """An ellipsoid around `at`."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, 17)
    profile = [(float(np.cos(a)) + 1e-4, float(np.sin(a))) for a in angles]
    thing = add_lathe(room, name, profile, at, sheet, whole, steps=28)
    thing.scale = radii
    return thing


def quads(
    rows: int, columns: int, base: int = 0, turned: bool = False
) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """The faces of a grid of (rows + 1) x (columns + 1) vertices that begin at index `base`, and
    the (row, column) of every face corner. `turned` faces look the other way."""
    faces, corners = [], []
    for row in range(rows):
        for column in range(columns):
            quad = [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column)]
            quad = quad[::-1] if turned else quad
            faces.append([base + r * (columns + 1) + c for r, c in quad])
            corners += quad
    return faces, corners


def add_cushion(room: Room, size: Triple, at: Triple, facing: Triple, sheet: str) -> None:
    """A pillow around `at`, its thickness along its own Z, turned by Euler degrees."""
    steps = 14
    vertices: list[Triple] = []
    faces: list[list[int]] = []
    uv: list[Pair] = []
    for side in (1, -1):
        more, corners = quads(steps, steps, len(vertices), turned=side < 0)
        faces += more
        uv += [(column / steps, row / steps) for row, column in corners]
        vertices += _pillow(size, side, steps)
    thing = add_mesh(room, "cushion", vertices, faces, uv, sheet)
    thing.location = at
    thing.rotation_euler = Euler(np.radians(facing))
    thing.data.shade_smooth()


def _pillow(size: Triple, side: int, steps: int) -> list[Triple]:
    """The vertices of a pillow's upper (1) or lower (-1) half, with corners drawn out."""
    v, u = np.meshgrid(*[np.linspace(-1, 1, steps + 1)] * 2, indexing="ij")
    pinch = 1 - 0.08 * (1 - np.abs(u * v))
    z = side * size[2] / 2 * ((1 - u**4) * (1 - v**4)) ** 0.6
    grid = np.stack([u * pinch * size[0] / 2, v * pinch * size[1] / 2, z], axis=-1)
    return [(x, y, z) for x, y, z in grid.reshape(-1, 3).tolist()]


def add_plant(room: Room, at: Triple, leaves: int, reach: float) -> None:
    """Arching leaves that grow from `at`."""
    steps = 8
    vertices: list[Triple] = []
    faces: list[list[int]] = []
    uv: list[Pair] = []
    for _ in range(leaves):
        leaf = _leaf(room.rng, reach, steps)
        spot = room.spot()
        more, corners = quads(steps, 2, len(vertices))
        faces += more
        uv += [(spot[0] + row * 0.07, spot[1] + column * 0.06) for row, column in corners]
        vertices += leaf
    thing = add_mesh(room, "plant", vertices, faces, uv, "leaf")
    thing.location = at
    thing.data.shade_smooth()


def _leaf(rng: np.random.Generator, reach: float, steps: int) -> list[Triple]:
    """The vertices of one leaf, three across, from its foot at the origin to its tip."""
    heading, rise = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.4)
    length, wide = reach * rng.uniform(0.6, 1.1), reach * rng.uniform(0.06, 0.11)
    cosine, sine = float(np.cos(heading)), float(np.sin(heading))
    vertices = []
    for t in np.linspace(0, 1, steps + 1).tolist():
        out = length * np.cos(rise) * t * (1 + 0.4 * t)
        up = length * (np.sin(rise) * t - 0.55 * t**2.4)
        half = wide * np.sin(np.pi * min(t + 0.12, 1)) ** 0.8
        for edge in (-half, 0.0, half):
            place = (cosine * out - sine * edge, sine * out + cosine * edge)
            vertices.append((*place, up + 0.25 * abs(edge)))
    return vertices


def area_light(name: str, power: float, wide: float, tall: float, color: Triple) -> bpy.types.Light:
    light = bpy.data.lights.new(name, "AREA")
    light.shape, light.size, light.size_y = "RECTANGLE", wide, tall
    light.energy, light.color = power, color
    return light


def add_light(room: Room, light: bpy.types.Light, at: Triple, toward: Vector) -> None:
    lamp = bpy.data.objects.new(light.name, light)
    lamp.location = at
    lamp.rotation_euler = toward.to_track_quat("-Z", "Y").to_euler()
    lamp.visible_camera = False
    room.scene.collection.objects.link(lamp)
