# SPDX-License-Identifier: GPL-3.0-or-later
"""Textures painted with numpy, rich in corners; no two places of one picture look alike.

A canvas is float32 (height, width, 3), sRGB-encoded 0..1, top row first. Lengths are in pixels
unless a name says otherwise. Every painter draws its chances from the generator it is given.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Canvas = NDArray[np.float32]
Color = tuple[float, float, float]
Generator = np.random.Generator

WARM: tuple[Color, ...] = (
    (0.55, 0.13, 0.12),
    (0.76, 0.32, 0.16),
    (0.88, 0.63, 0.27),
    (0.93, 0.86, 0.72),
    (0.15, 0.22, 0.36),
    (0.24, 0.42, 0.43),
    (0.33, 0.16, 0.17),
)
COOL: tuple[Color, ...] = (
    (0.11, 0.21, 0.30),
    (0.17, 0.39, 0.46),
    (0.49, 0.66, 0.64),
    (0.90, 0.88, 0.80),
    (0.86, 0.52, 0.33),
    (0.93, 0.75, 0.42),
    (0.30, 0.32, 0.25),
)


def noise(height: int, width: int, cell: tuple[float, float], rng: Generator) -> Canvas:
    """Smooth value noise 0..1 (height, width); `cell` is the size of a bump, y and x."""
    rows, row_part = _lattice(height, cell[0])
    columns, column_part = _lattice(width, cell[1])
    grid = rng.random((rows[-1] + 2, columns[-1] + 2), dtype=np.float32)
    lines = grid[:, columns] * (1 - column_part) + grid[:, columns + 1] * column_part
    weight = row_part[:, None]
    bumps: Canvas = lines[rows] * (1 - weight) + lines[rows + 1] * weight
    return bumps


def _lattice(length: int, cell: float) -> tuple[NDArray[np.int64], Canvas]:
    at = np.arange(length) / cell
    whole = at.astype(np.int64)
    part = (at - whole).astype(np.float32)
    return whole, part * part * (3 - 2 * part)


def fractal(
    height: int, width: int, cell: tuple[float, float], rng: Generator, octaves: int = 5
) -> Canvas:
    """Noise of halving size added up, stretched to 0..1 (height, width)."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        finer = (max(cell[0] / 2**octave, 1.0), max(cell[1] / 2**octave, 1.0))
        total += 0.6**octave * noise(height, width, finer, rng)
    low, high = np.percentile(total, (0.5, 99.5))
    stretched: Canvas = np.clip((total - low) / (high - low), 0, 1)
    return stretched


def flat(height: int, width: int, color: Color) -> Canvas:
    return np.tile(np.array(color, np.float32), (height, width, 1))


def shade(canvas: Canvas, amount: Canvas) -> Canvas:
    """The canvas lighter and darker by a factor (height, width), 1 leaves it."""
    return np.clip(canvas * amount[..., None], 0, 1)


def varied(color: Color, rng: Generator, hue: float = 0.02, value: float = 0.15) -> Color:
    """A color near the given one."""
    h, s, v = colorsys.rgb_to_hsv(*color)
    h += rng.uniform(-hue, hue)
    return colorsys.hsv_to_rgb(
        h % 1, s, float(np.clip(v * rng.uniform(1 - value, 1 + value), 0, 1))
    )


def scaled(color: Color, factor: float) -> Color:
    """The color lighter or darker by a factor."""
    red, green, blue = (min(factor * channel, 1.0) for channel in color)
    return red, green, blue


def choice(palette: Sequence[Color], rng: Generator) -> Color:
    return varied(palette[int(rng.integers(len(palette)))], rng)


_SHAPES: dict[str, Callable[[Canvas, Canvas], NDArray[np.bool_]]] = {
    "disc": lambda u, v: u * u + v * v < 1,
    "ring": lambda u, v: np.abs(np.hypot(u, v) - 0.75) < 0.25,
    "diamond": lambda u, v: np.abs(u) + np.abs(v) < 1,
    "frame": lambda u, v: np.abs(np.abs(u) + np.abs(v) - 0.8) < 0.2,
    "square": lambda u, v: np.maximum(np.abs(u), np.abs(v)) < 0.7,
    "bar": lambda u, v: (np.abs(u) < 0.95) & (np.abs(v) < 0.22),
    "cross": lambda u, v: np.minimum(np.abs(u), np.abs(v)) < 0.22,
    "triangle": lambda u, v: (v > -0.6) & (2 * np.abs(u) + v < 0.9),
    "leaf": lambda u, v: np.abs(v) < 0.38 * (1 - u * u),
}


def stamp(
    canvas: Canvas, shape: str, at: tuple[float, float], radius: float, turn: float, color: Color
) -> None:
    """Paints one shape in place; `at` is x, y."""
    height, width = canvas.shape[:2]
    left, right = (int(np.clip(at[0] + side * radius, 0, width)) for side in (-1, 1))
    top, bottom = (int(np.clip(at[1] + side * radius, 0, height)) for side in (-1, 1))
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    x, y = (x - at[0]) / radius, (y - at[1]) / radius
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    inside = _SHAPES[shape](u, v) & (np.maximum(np.abs(u), np.abs(v)) < 1)
    canvas[top:bottom, left:right][inside] = color


def scatter(
    canvas: Canvas,
    shapes: Sequence[str],
    palette: Sequence[Color],
    radii: tuple[float, float],
    count: int,
    rng: Generator,
) -> None:
    """Many stamps of random place, size, turn and color, the large ones first, in place."""
    height, width = canvas.shape[:2]
    sizes = np.sort(radii[0] * (radii[1] / radii[0]) ** rng.random(count))[::-1]
    for radius in sizes:
        at = (rng.uniform(0, width), rng.uniform(0, height))
        shape = shapes[int(rng.integers(len(shapes)))]
        turn = np.pi / 4 * rng.integers(8) + rng.normal(0, 0.08)
        stamp(canvas, shape, at, float(radius), float(turn), choice(palette, rng))


def planks(height: int, width: int, per_meter: float, color: Color, rng: Generator) -> Canvas:
    """Floor boards that run along y, of random width, length, tint and grain."""
    grain = fractal(height, width, (0.45 * per_meter, 0.018 * per_meter), rng, 4)
    streaks = fractal(height, width, (1.2 * per_meter, 0.05 * per_meter), rng, 3)
    canvas = shade(flat(height, width, color), 0.72 + 0.33 * grain + 0.2 * streaks)
    left = 0
    while left < width:
        right = left + int(per_meter * rng.uniform(0.10, 0.16))
        top = -int(per_meter * rng.uniform(0, 1.2))
        while top < height:
            bottom = top + int(per_meter * rng.uniform(0.55, 1.6))
            _plank(canvas[max(top, 0) : bottom, left:right], per_meter, rng)
            top = bottom
        left = right
    return canvas


def _plank(board: Canvas, per_meter: float, rng: Generator) -> None:
    """One board: its tint, knots, nails and the dark joint around it, in place."""
    height, width = board.shape[:2]
    board *= np.array(varied((0.92, 0.88, 0.84), rng, 0.01, 0.2), np.float32) * 1.1
    for _ in range(int(rng.poisson(1.1))):
        at = (rng.uniform(0.2, 0.8) * width, rng.uniform(0, height))
        size = per_meter * rng.uniform(0.006, 0.016)
        stamp(board, "disc", at, size * 1.5, 0, (0.36, 0.22, 0.13))
        stamp(board, "disc", at, size, 0, (0.17, 0.10, 0.06))
    for y in (0.02 * per_meter, height - 0.02 * per_meter):
        for x in (0.2 * width, 0.8 * width):
            stamp(board, "disc", (x, y), 0.004 * per_meter, 0, (0.12, 0.10, 0.09))
    board[:2] *= 0.35
    board[:, :2] *= 0.35


def wood(height: int, width: int, color: Color, rng: Generator) -> Canvas:
    """Furniture wood with the grain along x."""
    grain = fractal(height, width, (10, 420), rng, 4)
    figure = fractal(height, width, (90, 900), rng, 4)
    lines = 0.5 + 0.5 * np.sin(2 * np.pi * (figure * 9 + grain * 0.8))
    canvas = shade(flat(height, width, color), 0.68 + 0.3 * grain + 0.22 * lines)
    dark = scaled(color, 0.35)
    for _ in range(height * width // 90000):
        at = (rng.uniform(0, width), rng.uniform(0, height))
        stamp(canvas, "leaf", at, rng.uniform(6, 22), rng.normal(0, 0.1), dark)
    return canvas


def plaster(height: int, width: int, color: Color, rng: Generator) -> Canvas:
    """Painted wall: large soft stains, brush marks and many small chips."""
    stains = fractal(height, width, (260, 260), rng, 7)
    brush = fractal(height, width, (14, 60), rng, 4)
    canvas = shade(flat(height, width, color), 0.8 + 0.17 * stains + 0.12 * brush)
    chips = [scaled(color, factor) for factor in (0.62, 0.78, 1.15)]
    count = height * width // 3000
    scatter(canvas, ("disc", "leaf", "triangle"), chips, (1.5, 7), count, rng)
    return np.clip(canvas, 0, 1)


def stones(height: int, width: int, cell: tuple[float, float], rng: Generator) -> Canvas:
    """A wall of field stones of all tints with light joints; `cell` is a stone's size, y and x."""
    nearest, second, index = _cells(height, width, cell, rng)
    tints = np.array(
        [
            choice(((0.62, 0.55, 0.47), (0.47, 0.44, 0.42), (0.70, 0.60, 0.46)), rng)
            for _ in range(997)
        ],
        np.float32,
    )
    rough = fractal(height, width, (40, 40), rng, 6)
    canvas = shade(tints[index % 997], 0.55 + 0.7 * rough)
    edge = second - nearest
    canvas = shade(canvas, np.clip(0.55 + edge * 2.2, 0, 1).astype(np.float32))
    joint = edge < 0.07 + 0.05 * rough
    canvas[joint] = (flat(height, width, (0.74, 0.71, 0.65)) * (0.75 + 0.3 * rough[..., None]))[
        joint
    ]
    return np.clip(canvas, 0, 1)


def _cells(
    height: int, width: int, cell: tuple[float, float], rng: Generator
) -> tuple[Canvas, Canvas, NDArray[np.int64]]:
    """Distances to the two nearest seeds of a jittered lattice, and the index of the nearest."""
    rows, columns = int(height / cell[0]) + 3, int(width / cell[1]) + 3
    jitter = rng.uniform(0.08, 0.92, (rows, columns, 2)).astype(np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = y / cell[0] + 1, x / cell[1] + 1
    nearest = np.full((height, width), 9, np.float32)
    second = nearest.copy()
    index = np.zeros((height, width), np.int64)
    for step_y in (-1, 0, 1):
        for step_x in (-1, 0, 1):
            row, column = y.astype(np.int64) + step_y, x.astype(np.int64) + step_x
            seed = jitter[row.clip(0, rows - 1), column.clip(0, columns - 1)]
            distance = np.hypot(row + seed[..., 0] - y, column + seed[..., 1] - x)
            second = np.minimum(second, np.maximum(distance, nearest))
            index = np.where(distance < nearest, row * columns + column, index)
            nearest = np.minimum(nearest, distance)
    return nearest, second, index


def weave(height: int, width: int, rng: Generator) -> Canvas:
    """The threads of a cloth as a factor (height, width) around 1."""
    across = noise(height, width, (2, 9), rng)
    along = noise(height, width, (9, 2), rng)
    return 0.78 + 0.22 * across + 0.22 * along


_GROUNDS: tuple[Color, ...] = (
    (0.13, 0.15, 0.27),
    (0.36, 0.09, 0.11),
    (0.62, 0.22, 0.15),
    (0.15, 0.28, 0.31),
)


def rug(height: int, width: int, rng: Generator) -> Canvas:
    """A hand-knotted rug: a field of motifs inside two borders of random blocks."""
    canvas = shade(
        flat(height, width, (0.50, 0.13, 0.13)),
        0.75 + 0.4 * fractal(height, width, (9, 300), rng, 4),
    )
    unit = width / 100
    motifs = ("diamond", "frame", "square", "cross", "triangle", "bar", "leaf", "ring")
    scatter(canvas, ("diamond", "frame"), _GROUNDS, (7 * unit, 16 * unit), 34, rng)
    scatter(canvas, motifs, WARM, (1.2 * unit, 4.2 * unit), 520, rng)
    _border(canvas, 0, int(3 * unit), ((0.14, 0.16, 0.27), (0.20, 0.20, 0.30)), rng)
    _border(canvas, int(3 * unit), int(7 * unit), WARM, rng)
    _border(canvas, int(7 * unit), int(8 * unit), ((0.92, 0.85, 0.70),), rng)
    return shade(canvas, weave(height, width, rng))


def _border(canvas: Canvas, start: int, end: int, palette: Sequence[Color], rng: Generator) -> None:
    """Blocks of random length around the canvas, from `start` to `end` off its edge, in place."""
    height, width = canvas.shape[:2]
    strips = (
        canvas[start:end, start : width - start],
        canvas[height - end : height - start, start : width - start],
        canvas[start : height - start, start:end].swapaxes(0, 1),
        canvas[start : height - start, width - end : width - start].swapaxes(0, 1),
    )
    thick = end - start
    for strip in strips:
        at = 0
        while at < strip.shape[1]:
            step = int(thick * rng.uniform(0.6, 2.2))
            strip[:, at : at + step] = choice(palette, rng)
            center = (at + step / 2, thick / 2)
            stamp(strip, "diamond", center, thick * 0.42, 0, choice(palette, rng))
            at += step


def cloth(height: int, width: int, color: Color, rng: Generator) -> Canvas:
    """Upholstery: a mottled weave with loose flecks."""
    mottled = 0.78 + 0.3 * fractal(height, width, (70, 70), rng, 6)
    canvas = shade(flat(height, width, color), mottled)
    flecks = [scaled(color, factor) for factor in (0.5, 0.7, 1.5)]
    count = height * width // 1500
    scatter(canvas, ("bar", "leaf"), flecks, (2, 7), count, rng)
    return shade(canvas, weave(height, width, rng))


def patterned_cloth(
    height: int, width: int, ground: Color, palette: Sequence[Color], rng: Generator
) -> Canvas:
    """Cloth printed with motifs of all sizes."""
    canvas = flat(height, width, ground)
    motifs = ("leaf", "ring", "diamond", "triangle", "disc", "cross")
    scatter(canvas, motifs, palette, (width / 70, width / 9), 170, rng)
    return shade(canvas, weave(height, width, rng))


def landscape(height: int, width: int, palette: Sequence[Color], rng: Generator) -> Canvas:
    """A painting: sky, sun, ridges one before the other, trees."""
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    canvas: Canvas = flat(height, width, palette[3]) * (1 - down)
    canvas += flat(height, width, palette[5]) * down
    canvas = shade(canvas, 0.85 + 0.2 * fractal(height, width, (20, 120), rng, 5))
    sun = (width * rng.uniform(0.2, 0.8), height * rng.uniform(0.15, 0.35))
    stamp(canvas, "disc", sun, width * 0.09, 0, (0.97, 0.92, 0.75))
    for layer in range(6):
        line = height * (0.3 + 0.11 * layer) + height * 0.22 * (
            fractal(8, width, (8, width / 3), rng, 6)[4] - 0.5
        )
        below = np.arange(height)[:, None] > line[None, :]
        texture = 0.75 + 0.5 * fractal(height, width, (24, 40), rng, 4)
        canvas[below] = shade(flat(height, width, choice(palette, rng)), texture)[below]
        for x in rng.uniform(0, width, 9):
            size = width * 0.012 * (1.5 + layer)
            at = (float(x), float(line[int(x)] - 0.4 * size))
            stamp(canvas, "triangle", at, size, np.pi, choice(palette, rng))
    return np.clip(canvas, 0, 1)


def abstract(height: int, width: int, palette: Sequence[Color], rng: Generator) -> Canvas:
    """A painting of overlapping shapes."""
    canvas = shade(
        flat(height, width, choice(palette, rng)),
        0.75 + 0.4 * fractal(height, width, (60, 60), rng),
    )
    shapes = ("disc", "square", "bar", "triangle", "ring", "diamond")
    scatter(canvas, shapes, palette, (width / 9, width / 2.5), 16, rng)
    scatter(canvas, shapes, palette, (width / 60, width / 12), 80, rng)
    return shade(canvas, 0.85 + 0.25 * fractal(height, width, (6, 40), rng, 3))


def skyline(height: int, width: int, palette: Sequence[Color], rng: Generator) -> Canvas:
    """A painting of a town: towers with lit and dark windows."""
    canvas = shade(
        flat(height, width, palette[5]), 0.7 + 0.4 * fractal(height, width, (40, 160), rng)
    )
    for row in range(3):
        left = 0
        while left < width:
            right = left + int(width * rng.uniform(0.07, 0.18))
            top = int(height * rng.uniform(0.15 + 0.2 * row, 0.5 + 0.2 * row))
            canvas[top:, left:right] = choice(palette, rng)
            _windows(canvas[top:, left:right], width // 40, palette, rng)
            left = right
    return canvas


def _windows(tower: Canvas, step: int, palette: Sequence[Color], rng: Generator) -> None:
    for y in range(step, tower.shape[0] - step, 2 * step):
        for x in range(step // 2, tower.shape[1] - step, 2 * step):
            if rng.random() < 0.7:
                tower[y : y + step, x : x + step] = choice(palette, rng)


def bouquet(height: int, width: int, palette: Sequence[Color], rng: Generator) -> Canvas:
    """A painting of leaves and flowers on a pale ground."""
    canvas = shade(
        flat(height, width, (0.90, 0.87, 0.78)), 0.85 + 0.2 * fractal(height, width, (50, 50), rng)
    )
    greens = ((0.20, 0.36, 0.22), (0.36, 0.46, 0.24), (0.14, 0.28, 0.25))
    scatter(canvas, ("leaf",), greens, (width / 14, width / 4), 46, rng)
    scatter(canvas, ("disc", "ring", "diamond"), palette, (width / 50, width / 14), 60, rng)
    return canvas


SPINE_COLUMNS, SPINE_ROWS = 32, 8


def spines(height: int, width: int, rng: Generator) -> Canvas:
    """An atlas of book spines, SPINE_COLUMNS x SPINE_ROWS, no two alike; titles run along y."""
    canvas = np.zeros((height, width, 3), np.float32)
    tall, wide = height // SPINE_ROWS, width // SPINE_COLUMNS
    for row in range(SPINE_ROWS):
        for column in range(SPINE_COLUMNS):
            cell = canvas[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide]
            _spine(cell, WARM if rng.random() < 0.5 else COOL, rng)
    return shade(canvas, 0.85 + 0.25 * fractal(height, width, (30, 12), rng, 4))


def _spine(cell: Canvas, palette: Sequence[Color], rng: Generator) -> None:
    """One spine: ground, bands and a title of letter-like marks, in place."""
    tall, wide = cell.shape[:2]
    cell[:] = choice(palette, rng)
    ink = choice(palette, rng)
    for _ in range(int(rng.integers(1, 5))):
        top = int(rng.uniform(0, tall * 0.95))
        cell[top : top + int(rng.uniform(2, tall * 0.06)) + 1] = choice(palette, rng)
    y = int(tall * rng.uniform(0.1, 0.3))
    end = int(tall * rng.uniform(0.55, 0.85))
    while y < end:
        step = int(rng.integers(3, 9))
        low, high = sorted(rng.uniform(0.18, 0.82, 2))
        cell[y : y + step - 1, int(low * wide) : int(high * wide) + 3] = ink
        y += step + (int(rng.integers(4, 9)) if rng.random() < 0.2 else 1)


def globe(height: int, width: int, rng: Generator) -> Canvas:
    """A map of a world that is not ours, with its meridians."""
    land = fractal(height, width, (height / 3, width / 6), rng, 7)
    relief = 0.75 + 0.45 * fractal(height, width, (20, 20), rng)
    canvas = shade(flat(height, width, (0.17, 0.38, 0.50)), 0.85 + 0.2 * relief)
    canvas[land > 0.52] = shade(flat(height, width, (0.78, 0.66, 0.38)), relief)[land > 0.52]
    canvas[land > 0.72] = shade(flat(height, width, (0.45, 0.42, 0.25)), relief)[land > 0.72]
    canvas[:: height // 12] *= 0.6
    canvas[:, :: width // 24] *= 0.6
    return canvas


def glaze(
    height: int, width: int, ground: Color, palette: Sequence[Color], rng: Generator
) -> Canvas:
    """Painted pottery: bands of brushed marks on a speckled ground."""
    canvas = shade(
        flat(height, width, ground), 0.8 + 0.3 * fractal(height, width, (30, 30), rng, 6)
    )
    scatter(canvas, ("disc",), palette, (1, 4), height * width // 900, rng)
    scatter(canvas, ("leaf", "ring", "triangle"), palette, (width / 40, width / 10), 70, rng)
    return canvas
