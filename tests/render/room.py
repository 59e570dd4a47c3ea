# SPDX-License-Identifier: GPL-3.0-or-later
"""The living room that the sample plate and other test renders are taken in, built by code alone.

Meters, Z up. The room spans x -3..3, y -1..7.5, z 0..2.7; cameras stand near its y = 0 end and
look along +Y. Surfaces are diffuse, everything is still, and the seed decides every detail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector

from . import textures as paint
from .shapes import (
    Pair,
    Room,
    Triple,
    add_ball,
    add_box,
    add_cushion,
    add_lathe,
    add_light,
    add_mesh,
    add_panel,
    add_plant,
    area_light,
    quads,
)
from .textures import COOL, WARM, Canvas, Color

LEFT, RIGHT, FRONT, BACK, TOP = -3.0, 3.0, -1.0, 7.5, 2.7
WINDOWS: tuple[Pair, ...] = ((1.9, 3.3), (4.2, 5.6))
SILL, LINTEL = 0.85, 2.2


def build_room(scene: bpy.types.Scene, seed: int = 5) -> None:
    """Fills an empty scene with the room and its lights; the camera is the caller's."""
    room = Room(scene, np.random.default_rng(seed))
    paint_sheets(room)
    paint_pictures(room)
    add_shell(room)
    add_windows(room)
    add_fireplace(room)
    add_bookshelf(room)
    add_cabinet(room)
    add_sofa(room)
    add_armchair(room)
    add_coffee_table(room)
    add_crates(room)
    add_wall_pictures(room)
    add_lights(room)


def paint_sheets(room: Room) -> None:
    """The materials that furniture and the shell are made of."""
    rng = room.rng
    room.paint("floor", paint.planks(4250, 3000, 500, (0.72, 0.52, 0.34), rng), (6.0, 8.5))
    room.paint("rug", paint.rug(2400, 1800, rng), (2.4, 3.2))
    room.paint("wall", paint.plaster(1350, 4250, (0.80, 0.76, 0.66), rng), (8.5, 2.7))
    room.paint("back wall", paint.plaster(1350, 3000, (0.37, 0.50, 0.50), rng), (6.0, 2.7))
    room.paint("ceiling", paint.plaster(2125, 1500, (0.88, 0.86, 0.82), rng), (6.0, 8.5))
    room.paint("stone", paint.stones(1800, 2400, (95, 150), rng), (3.2, 2.7))
    room.paint("oak", paint.wood(1600, 1600, (0.72, 0.50, 0.29), rng), (1.8, 1.8))
    room.paint("walnut", paint.wood(1600, 1600, (0.42, 0.25, 0.15), rng), (1.8, 1.8))
    room.paint("white wood", paint.wood(1200, 1200, (0.86, 0.83, 0.76), rng), (1.8, 1.8))
    room.paint("blue cloth", paint.cloth(1400, 1400, (0.20, 0.33, 0.44), rng), (1.8, 1.8))
    room.paint("ochre cloth", paint.cloth(1200, 1200, (0.80, 0.53, 0.20), rng), (1.6, 1.6))
    room.paint("linen", paint.cloth(1200, 1200, (0.86, 0.80, 0.68), rng), (2.0, 2.0))
    room.paint("soot", paint.plaster(500, 500, (0.22, 0.20, 0.18), rng), (1.5, 1.5))
    room.paint("leaf", paint.cloth(600, 600, (0.24, 0.42, 0.19), rng), (0.8, 0.8))
    room.paint("fur", paint.wood(700, 700, (0.62, 0.42, 0.25), rng), (0.5, 0.5))
    room.paint("dark", paint.flat(8, 8, (0.03, 0.03, 0.03)), (1.0, 1.0))
    room.paint("ivory", paint.flat(8, 8, (0.95, 0.92, 0.84)), (1.0, 1.0))
    room.paint("spines", paint.spines(2048, 2048, rng), (1.0, 1.0))
    room.paint("globe", paint.globe(512, 1024, rng), (1.0, 1.0))
    room.paint("terracotta", paint.glaze(700, 900, (0.70, 0.36, 0.22), WARM, rng), (1.4, 1.0))
    room.paint("blue ware", paint.glaze(700, 900, (0.84, 0.86, 0.84), COOL[:2], rng), (0.9, 0.6))
    room.paint("green ware", paint.glaze(700, 900, (0.30, 0.46, 0.38), COOL, rng), (0.9, 0.6))


def paint_pictures(room: Room) -> None:
    """Twelve paintings and four cushion covers, each unlike the others."""
    painters: Sequence[Callable[..., Canvas]] = (
        paint.landscape,
        paint.abstract,
        paint.skyline,
        paint.bouquet,
    )
    for index in range(12):
        palette = WARM if index % 3 == 1 else COOL
        canvas = painters[index % 4](640, 512 if index % 2 else 760, palette, room.rng)
        room.paint(f"picture {index}", canvas, (1.0, 1.0))
    grounds: Sequence[Color] = (WARM[0], WARM[3], COOL[1], WARM[2])
    for index, ground in enumerate(grounds):
        canvas = paint.patterned_cloth(512, 512, ground, COOL if index % 2 else WARM, room.rng)
        room.paint(f"cushion {index}", canvas, (1.0, 1.0))


# The shell


def add_shell(room: Room) -> None:
    """Floor, rug, ceiling with beams, and the walls without windows."""
    width, depth = RIGHT - LEFT, BACK - FRONT
    middle = (FRONT + BACK) / 2
    add_panel(room, "floor", width, depth, (0, middle, 0), (0, 0, 0), "floor")
    add_panel(room, "ceiling", width, depth, (0, middle, TOP), (180, 0, 0), "ceiling")
    add_panel(room, "back wall", width, TOP, (0, BACK, TOP / 2), (90, 0, 0), "back wall")
    add_panel(room, "front wall", width, TOP, (0, FRONT, TOP / 2), (90, 0, 180), "wall")
    add_panel(room, "right wall", depth, TOP, (RIGHT, middle, TOP / 2), (90, 0, -90), "wall")
    rug = add_panel(room, "rug", 2.4, 3.2, (-0.15, 4.05, 0.014), (0, 0, -6), "rug")
    rug.modifiers.new("Thickness", "SOLIDIFY").thickness = 0.012
    for y in np.arange(0.6, BACK, 1.15):
        add_box(room, "beam", (width, 0.14, 0.16), (0, float(y), TOP - 0.16), "walnut")
    skirting = "white wood"
    add_box(room, "skirting", (width, 0.02, 0.14), (0, BACK - 0.01, 0), skirting)
    add_box(room, "skirting", (0.02, depth, 0.14), (RIGHT - 0.01, middle, 0), skirting)
    add_box(room, "skirting", (0.02, depth, 0.14), (LEFT + 0.01, middle, 0), skirting)


def add_windows(room: Room) -> None:
    """The left wall, cut open at the windows, with their frames, bars, sills and curtains."""
    edges = [FRONT, *(edge for window in WINDOWS for edge in window), BACK]
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        _wall_piece(room, start, end, 0, TOP)
    for start, end in WINDOWS:
        _wall_piece(room, start, end, 0, SILL)
        _wall_piece(room, start, end, LINTEL, TOP)
        _window_frame(room, start, end)
        for side, y in ((-1, start - 0.08), (1, end + 0.08)):
            add_curtain(room, y, side)
        rod = (0.025, end - start + 0.9, 0.025)
        add_box(room, "rod", rod, (LEFT + 0.13, (start + end) / 2, LINTEL + 0.16), "walnut")


def _wall_piece(room: Room, start: float, end: float, low: float, high: float) -> None:
    size = (0.24, end - start, high - low)
    middle = (start + end) / 2
    spot = (middle - FRONT, low)
    add_box(room, "left wall", size, (LEFT - 0.12, middle, low), "wall", bevel=0, spot=spot)


def _window_frame(room: Room, start: float, end: float) -> None:
    middle, wide, tall = (start + end) / 2, end - start, LINTEL - SILL
    x = LEFT - 0.1
    for y in (start + 0.03, middle, end - 0.03):
        add_box(room, "window post", (0.06, 0.06, tall), (x, y, SILL), "white wood")
    for z in (SILL, SILL + 0.62 * tall, LINTEL - 0.06):
        add_box(room, "window bar", (0.05, wide, 0.05), (x, middle, z), "white wood")
    add_box(room, "sill", (0.3, wide + 0.16, 0.04), (LEFT + 0.05, middle, SILL - 0.04), "oak")


def add_curtain(room: Room, y: float, side: int) -> None:
    """A folded curtain beside a window, reaching from the rod to just above the floor."""
    steps, wide, top = 60, 0.36, LINTEL + 0.16
    along = np.linspace(0, 1, steps + 1)
    folds = np.sin(along * 2 * np.pi * 4.5 + room.rng.uniform(0, 6))
    depth = 0.035 * folds * (0.7 + 0.5 * along)
    vertices = [
        (0.1 + d * flare, side * t * wide * flare, z)
        for z, flare in ((0.04, 1.15), (top * 0.5, 1.0), (top, 0.92))
        for t, d in zip(along.tolist(), depth.tolist(), strict=True)
    ]
    spot = room.spot()
    faces, corners = quads(2, steps)
    uv = [(spot[0] + column * 0.5 / steps, spot[1] + row * 0.55) for row, column in corners]
    thing = add_mesh(room, "curtain", vertices, faces, uv, "linen")
    thing.location = (LEFT, y, 0)
    thing.data.shade_smooth()


# Furniture


def add_fireplace(room: Room) -> None:
    """A chimney breast of stone with a hearth, logs, a mantel and what stands on it."""
    front = BACK - 0.45
    y = BACK - 0.225
    for x in (-0.72, 0.72):
        add_box(
            room, "chimney", (0.56, 0.45, 0.8), (x, y, 0), "stone", bevel=0.015, spot=(x + 1, 0)
        )
    add_box(
        room, "chimney", (2.0, 0.45, TOP - 0.8), (0, y, 0.8), "stone", bevel=0.015, spot=(1, 0.8)
    )
    add_box(room, "firebox", (0.9, 0.04, 0.82), (0, BACK - 0.05, 0), "soot")
    add_box(room, "hearth", (2.2, 0.5, 0.07), (0, front - 0.25, 0), "stone", bevel=0.012)
    add_box(room, "mantel", (2.3, 0.3, 0.11), (0, front - 0.08, 1.16), "walnut", bevel=0.015)
    for x, turn, z in ((-0.16, 8, 0.0), (0.14, -12, 0.0), (0.0, 70, 0.13), (0.02, 14, 0.22)):
        add_box(room, "log", (0.13, 0.36, 0.12), (x, BACK - 0.3, z), "oak", turn, bevel=0.04)
    _stand_on_mantel(room, front - 0.1, 1.27)


def _stand_on_mantel(room: Room, y: float, z: float) -> None:
    vase = [(0.05, 0), (0.09, 0.08), (0.08, 0.17), (0.035, 0.24), (0.05, 0.3), (0.045, 0.29)]
    add_lathe(room, "vase", vase, (-0.92, y, z), "blue ware")
    add_lathe(
        room, "jar", [(0.06, 0), (0.08, 0.05), (0.07, 0.15), (0.0, 0.2)], (-0.7, y, z), "terracotta"
    )
    add_lathe(
        room,
        "urn",
        [(0.04, 0), (0.1, 0.12), (0.05, 0.22), (0.06, 0.26)],
        (0.98, y, z),
        "green ware",
    )
    for x, tall in ((0.66, 0.24), (0.77, 0.17)):
        add_lathe(room, "candle", [(0.024, 0), (0.024, tall), (0, tall)], (x, y, z), "ivory")
        add_lathe(room, "holder", [(0.05, 0), (0.03, 0.03), (0.03, 0.05)], (x, y, z), "walnut")
    hang_picture(room, 0, (0.06, y + 0.08, z + 0.56), 1.0, 0.8, (90, 0, 0))
    hang_picture(room, 7, (-0.5, y + 0.0, z + 0.16), 0.18, 0.24, (80, 0, 12))


def add_bookshelf(room: Room) -> None:
    """A tall case of books at the back, left of the fireplace."""
    left, right, tall, y = -2.86, -1.14, 2.3, BACK - 0.17
    middle, wide = (left + right) / 2, right - left
    for x in (left, middle, right):
        add_box(room, "case side", (0.04, 0.34, tall), (x, y, 0), "oak")
    add_box(room, "case back", (wide, 0.02, tall), (middle, BACK - 0.012, 0), "walnut")
    for z in np.linspace(0.08, tall, 7):
        add_box(room, "case board", (wide + 0.06, 0.34, 0.035), (middle, y, float(z)), "oak")
    for z in np.linspace(0.08, tall, 7)[:-1]:
        for start in (left, middle):
            add_books(room, (start + 0.03, y - 0.01, float(z) + 0.035), wide / 2 - 0.06)


def add_books(room: Room, at: Triple, length: float, tallest: float = 0.3) -> None:
    """A row of books from `at` along +X, spines toward -Y, with gaps, and a thing in some gaps."""
    rng, x, end = room.rng, at[0], at[0] + length
    while x < end - 0.05:
        if rng.random() < 0.07 and x < end - 0.2:
            ball = float(rng.uniform(0.05, 0.08))
            ware = ("blue ware", "terracotta", "green ware")[int(rng.integers(3))]
            spot = (x + 0.09, at[1] - 0.05, at[2] + ball)
            add_ball(room, "curio", (ball, ball, ball), spot, ware)
            x += 0.18
            continue
        size = (rng.uniform(0.018, 0.05), rng.uniform(0.17, 0.23), rng.uniform(0.6, 0.95) * tallest)
        lean = float(rng.normal(0, 1.2))
        spot = (x + size[0] / 2, at[1] - 0.15 + size[1] / 2 + rng.uniform(0, 0.03), at[2])
        add_book(room, size, spot, (0, lean, 0))
        x += size[0] + 0.003 + (0.03 if rng.random() < 0.06 else 0)


def add_book(room: Room, size: Triple, at: Triple, facing: Triple) -> None:
    """A book standing on `at` whose -Y side shows one spine of the atlas."""
    spine = int(room.rng.integers(paint.SPINE_COLUMNS * paint.SPINE_ROWS))
    row, column = divmod(spine, paint.SPINE_COLUMNS)
    thing = add_box(room, "book", size, at, "spines", bevel=0.0015)
    thing.rotation_euler = Euler(np.radians(facing))
    corner = np.array([column / paint.SPINE_COLUMNS, 1 - (row + 1) / paint.SPINE_ROWS])
    cell = np.array([1 / paint.SPINE_COLUMNS, 1 / paint.SPINE_ROWS])
    inner = np.array([(0.04, 0.04), (0.96, 0.04), (0.96, 0.96), (0.04, 0.96)])
    thing.data.uv_layers[0].data.foreach_set(
        "uv", np.tile(corner + cell * inner, (6, 1)).astype(np.float32).ravel()
    )


def add_cabinet(room: Room) -> None:
    """A sideboard right of the fireplace with a globe, books, a lamp and a plant beside it."""
    x, y, tall = 2.0, BACK - 0.24, 0.82
    add_box(room, "cabinet", (1.5, 0.42, tall - 0.12), (x, y, 0.12), "walnut", bevel=0.01)
    add_box(room, "cabinet top", (1.58, 0.48, 0.035), (x, y - 0.01, tall), "oak")
    for step in (-0.49, 0.0, 0.49):
        add_box(room, "door", (0.46, 0.02, 0.6), (x + step, y - 0.22, 0.17), "oak")
        add_ball(room, "knob", (0.018, 0.018, 0.018), (x + step + 0.17, y - 0.24, 0.5), "ivory")
    for foot in (-0.68, 0.68):
        add_box(room, "foot", (0.06, 0.36, 0.12), (x + foot, y, 0), "walnut")
    top = tall + 0.035
    add_ball(room, "globe", (0.15, 0.15, 0.15), (1.5, y - 0.03, top + 0.21), "globe", whole=True)
    add_lathe(
        room, "globe foot", [(0.1, 0), (0.03, 0.03), (0.02, 0.08)], (1.5, y - 0.03, top), "walnut"
    )
    add_books(room, (1.75, y + 0.02, top), 0.42, 0.26)
    add_lamp(room, (2.52, y, top))
    pot = [(0.0, 0), (0.13, 0), (0.18, 0.3), (0.2, 0.32), (0.17, 0.32), (0.16, 0.27), (0, 0.27)]
    add_lathe(room, "pot", pot, (2.66, 6.62, 0), "terracotta")
    add_plant(room, (2.66, 6.62, 0.26), 34, 0.75)


def add_lamp(room: Room, at: Triple) -> None:
    add_lathe(
        room,
        "lamp",
        [(0.09, 0), (0.1, 0.02), (0.05, 0.1), (0.09, 0.22), (0.02, 0.36)],
        at,
        "blue ware",
    )
    shade_at = (at[0], at[1], at[2] + 0.36)
    add_lathe(room, "lamp shade", [(0.2, 0), (0.13, 0.25)], shade_at, "linen")


def add_sofa(room: Room) -> None:
    """A sofa along the right wall with cushions and a throw."""
    x, y, cloth = 2.45, 4.75, "blue cloth"
    add_box(room, "sofa base", (0.9, 2.1, 0.26), (x, y, 0.1), cloth, bevel=0.05)
    add_box(room, "sofa back", (0.26, 2.1, 0.55), (x + 0.36, y, 0.3), cloth, bevel=0.09)
    for side in (-1, 1):
        arm = (x, y + side * 0.98, 0.1)
        add_box(room, "sofa arm", (0.92, 0.2, 0.54), arm, cloth, bevel=0.07)
        seat = (x - 0.06, y + side * 0.44, 0.34)
        add_box(room, "sofa seat", (0.76, 0.86, 0.17), seat, cloth, bevel=0.06)
        for foot in (-0.35, 0.35):
            leg = (x + foot, y + side * 0.9, 0)
            add_box(room, "sofa foot", (0.06, 0.06, 0.1), leg, "walnut")
    for index, (step, lean, turn) in enumerate(
        ((-0.7, 66, -80), (-0.3, 62, -104), (0.35, 64, -86), (0.72, 66, -100))
    ):
        place = (x + 0.06, y + step, 0.69)
        add_cushion(room, (0.42, 0.42, 0.16), place, (lean, 0, turn), f"cushion {index}")
    add_box(room, "throw", (0.56, 0.5, 0.03), (x - 0.12, y + 0.28, 0.5), "ochre cloth", -4, 0.014)
    add_box(room, "throw", (0.03, 0.5, 0.34), (x - 0.47, y + 0.3, 0.2), "ochre cloth", -4, 0.014)


def add_armchair(room: Room) -> None:
    """An armchair at the left, turned toward the middle of the room."""
    chair = bpy.data.objects.new("armchair", None)
    room.scene.collection.objects.link(chair)
    cloth = "ochre cloth"
    parts = [
        add_box(room, "chair base", (0.8, 0.78, 0.2), (0, 0, 0.14), cloth, bevel=0.05),
        add_box(room, "chair seat", (0.54, 0.66, 0.16), (0, -0.06, 0.32), cloth, bevel=0.06),
        add_box(room, "chair back", (0.8, 0.22, 0.66), (0, 0.34, 0.22), cloth, bevel=0.09),
    ]
    for side in (-1, 1):
        arm = (side * 0.36, -0.02, 0.14)
        parts.append(add_box(room, "chair arm", (0.17, 0.78, 0.46), arm, cloth, bevel=0.07))
        for y in (-0.3, 0.3):
            leg = (side * 0.33, y, 0)
            parts.append(add_box(room, "chair leg", (0.05, 0.05, 0.15), leg, "walnut"))
    for part in parts:
        part.parent = chair
    chair.matrix_world = Matrix.Translation((-2.0, 5.75, 0)) @ Matrix.Rotation(0.65, 4, "Z")
    add_cushion(room, (0.4, 0.4, 0.15), (-2.06, 5.86, 0.66), (64, 0, 37), "cushion 0")


def add_coffee_table(room: Room) -> None:
    """A low table on the rug with books, a bowl, a mug and the gopher."""
    x, y, top = 0.98, 4.45, 0.4
    add_box(room, "table top", (0.62, 1.05, 0.04), (x, y, top - 0.04), "oak", 5, 0.01)
    add_box(room, "table shelf", (0.54, 0.95, 0.025), (x, y, 0.12), "walnut", 5)
    for side in (-1, 1):
        for end in (-1, 1):
            leg = (x + side * 0.24 - end * 0.04, y + end * 0.45 + side * 0.02, 0)
            add_box(room, "table leg", (0.05, 0.05, top - 0.04), leg, "walnut", 5)
    for index, (turn, wide) in enumerate(((12, 0.24), (-7, 0.22), (25, 0.2))):
        size, place = (wide, wide * 1.3, 0.03), (x - 0.05, y + 0.28, top + 0.03 * index)
        add_box(room, "magazine", size, place, f"picture {index + 4}", turn, 0.003)
    bowl = [(0.05, 0), (0.13, 0.06), (0.16, 0.1), (0.15, 0.1), (0.1, 0.04), (0, 0.02)]
    add_lathe(room, "bowl", bowl, (x + 0.1, y - 0.05, top), "blue ware")
    mug = [(0.038, 0), (0.042, 0.09), (0.036, 0.09), (0.034, 0.01), (0, 0.01)]
    add_lathe(room, "mug", mug, (x + 0.18, y - 0.36, top), "terracotta")
    add_gopher(room, (x - 0.1, y - 0.28, top), 1.15)


GOPHER: Sequence[tuple[Triple, Triple, str]] = (
    ((0.075, 0.068, 0.115), (0, 0, 0.11), "fur"),
    ((0.064, 0.060, 0.058), (0, -0.012, 0.245), "fur"),
    ((0.046, 0.030, 0.075), (0, -0.046, 0.105), "linen"),
    ((0.012, 0.008, 0.015), (-0.054, 0.006, 0.276), "fur"),
    ((0.012, 0.008, 0.015), (0.054, 0.006, 0.276), "fur"),
    ((0.010, 0.008, 0.011), (-0.026, -0.062, 0.262), "dark"),
    ((0.010, 0.008, 0.011), (0.026, -0.062, 0.262), "dark"),
    ((0.034, 0.024, 0.022), (0, -0.060, 0.228), "linen"),
    ((0.012, 0.010, 0.008), (0, -0.084, 0.240), "dark"),
    ((0.013, 0.006, 0.020), (0, -0.082, 0.204), "ivory"),
    ((0.018, 0.030, 0.016), (-0.046, -0.058, 0.150), "fur"),
    ((0.018, 0.030, 0.016), (0.046, -0.058, 0.150), "fur"),
    ((0.028, 0.046, 0.018), (-0.040, -0.046, 0.018), "fur"),
    ((0.028, 0.046, 0.018), (0.040, -0.046, 0.018), "fur"),
)
"""Radii, place and sheet of the balls it is made of."""


def add_gopher(room: Room, at: Triple, scale: float) -> None:
    """A carved gopher that stands up and looks at the camera."""
    turn = Matrix.Translation(at) @ Matrix.Rotation(-0.3, 4, "Z") @ Matrix.Scale(scale, 4)
    for radii, place, sheet in GOPHER:
        spot = turn @ Vector(place)
        ball = add_ball(room, "gopher", radii, tuple(spot), sheet)
        ball.scale = Vector(radii) * scale
        ball.rotation_euler.z = -0.3


def add_crates(room: Room) -> None:
    """Wooden crates and a plant before the left wall, near enough to slide past the camera."""
    for at, turn, size in (
        ((-1.95, 4.0, 0), 9, 0.46),
        ((-2.46, 4.2, 0), -5, 0.42),
        ((-2.05, 4.05, 0.41), -8, 0.36),
    ):
        add_crate(room, at, size, turn)
    pot = [(0, 0), (0.1, 0), (0.13, 0.2), (0.11, 0.2), (0, 0.17)]
    add_lathe(room, "pot", pot, (-2.46, 4.2, 0.37), "green ware")
    add_plant(room, (-2.46, 4.2, 0.54), 26, 0.42)
    for index, turn in enumerate((15, -12, 4, 30)):
        book = (0.24 - 0.02 * index, 0.17, 0.035)
        place = (-2.05, 4.03, 0.74 + 0.035 * index)
        add_box(room, "book", book, place, f"picture {8 + index % 4}", turn, 0.003)


def add_crate(room: Room, at: Triple, size: float, turn: float) -> None:
    """A slatted crate."""
    high = 0.9 * size
    spin = Matrix.Translation(at) @ Matrix.Rotation(np.radians(turn), 4, "Z")
    slat = high / 4 - 0.012
    add_box(room, "crate", (size - 0.05, size - 0.05, high - 0.03), at, "soot", turn)
    for level in range(4):
        z = level * high / 4
        for side in (-1, 1):
            for place, shape in (
                ((0, side * size / 2, z), (size, 0.02, slat)),
                ((side * size / 2, 0, z), (0.02, size, slat)),
            ):
                add_box(room, "slat", shape, tuple(spin @ Vector(place)), "oak", turn, 0.003)
    for index in range(4):
        spot = tuple(spin @ Vector((0, (index - 1.5) * size / 4, high - 0.03)))
        add_box(room, "slat", (size, size / 4 - 0.012, 0.02), spot, "oak", turn, 0.003)


# Pictures and light


def hang_picture(
    room: Room, index: int, at: Triple, width: float, height: float, facing: Triple
) -> None:
    """A framed painting around `at`, facing as a panel does."""
    turn = Matrix.Translation(at) @ Euler(np.radians(facing)).to_matrix().to_4x4()
    bar, deep = 0.045, 0.035
    frame = ("walnut", "oak", "dark", "white wood")[index % 4]
    for side in (-1, 1):
        for place, shape in (
            ((0, side * height / 2, -deep / 2), (width - bar, bar, deep)),
            ((side * width / 2, 0, -deep / 2), (bar, height + bar, deep)),
        ):
            part = add_box(room, "picture frame", shape, (0, 0, 0), frame)
            part.matrix_world = turn @ Matrix.Translation(place)
    panel = add_panel(room, "picture", width, height, at, facing, f"picture {index}")
    panel.matrix_world = turn


def add_wall_pictures(room: Room) -> None:
    """Paintings on the right wall above the sofa, on the back wall and between the windows."""
    x = RIGHT - 0.02
    for index, y, z, width, height in (
        (1, 3.35, 1.52, 0.5, 0.66),
        (2, 4.15, 1.62, 0.78, 0.62),
        (3, 4.95, 1.36, 0.44, 0.52),
        (8, 4.98, 1.94, 0.48, 0.4),
        (5, 5.62, 1.66, 0.56, 0.74),
        (6, 6.4, 1.58, 0.66, 0.5),
    ):
        hang_picture(room, index, (x, y, z), width, height, (90, 0, -90))
    y = BACK - 0.02
    for index, place, z, width, height in (
        (9, 1.5, 1.72, 0.52, 0.66),
        (10, 2.12, 1.86, 0.46, 0.38),
        (11, 2.16, 1.42, 0.4, 0.32),
        (4, 2.66, 1.78, 0.4, 0.52),
    ):
        hang_picture(room, index, (place, y, z), width, height, (90, 0, 0))
    hang_picture(room, 7, (LEFT + 0.02, 6.5, 1.6), 0.6, 0.75, (90, 0, 90))


def add_lights(room: Room) -> None:
    """Sun through the windows, the sky's light from them, and a soft fill from behind."""
    sun = bpy.data.lights.new("sun", "SUN")
    sun.energy, sun.angle, sun.color = 9.0, np.radians(0.8), (1.0, 0.86, 0.66)
    add_light(room, sun, (0, 0, 6), Vector((0.75, 0.22, -0.62)))
    for start, end in WINDOWS:
        sky = area_light("sky", 120, end - start, LINTEL - SILL, (0.80, 0.90, 1.0))
        middle = ((start + end) / 2, (SILL + LINTEL) / 2)
        add_light(room, sky, (LEFT + 0.02, *middle), Vector((1, 0, -0.1)))
    fill = area_light("fill", 150, 4.5, 2.5, (1.0, 0.93, 0.84))
    add_light(room, fill, (0.8, FRONT + 0.2, 2.3), Vector((0, 1, -0.25)))
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (0.62, 0.78, 1.0, 1.0)
    background.inputs["Strength"].default_value = 1.2
    room.scene.world = world
