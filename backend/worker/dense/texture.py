# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture projected from the plates.

Views come one at a time, twice: first for how they differ in exposure and sharpness, then for
their samples. Of every texel the best few samples are kept, and blended where they agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ..threads import thread_count, threads
from . import texel_samples as kernels
from .exposure import Doubles, offsets, to_linear, to_srgb
from .views import Floats, View
from .visibility import Trust, projection, rasterize, trust_map

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int32]
ViewOf = Callable[[int], View]
Progress = Callable[[int, int], None]

_DARK, _BRIGHT = 6.0, 249.0
"""Outside of these a value may be clipped and says nothing of exposure."""
_PIECE = 1 << 18
_SPREAD_ROUNDS = 400


@dataclass(frozen=True)
class Settings:
    """`size` texels a side; `samples` kept of each texel: a texture takes about 5 bytes of each
    and 25 bytes more for every texel that a face covers. `tolerance` is how far behind the
    nearest surface a point may lie, as a share of its depth. `power` sharpens the choice of
    views; `spread` of 255 is what samples may differ from their median. `probes` are the surface
    points that exposure is measured at."""

    size: int = 4096
    samples: int = 6
    tolerance: float = 0.01
    power: float = 2.0
    spread: float = 14.0
    probes: int = 8000
    balance: bool = True
    trust: Trust = field(default_factory=Trust)


@dataclass(frozen=True, eq=False)
class Texture:
    """colors (s, s, 3) uint8, top row first; alpha (s, s) 255 where a view saw the surface, 0
    where it was filled in or no face is; coverage the seen share of all texels with a face; gains
    (views, 3) by which each view's light was multiplied; sharpness (views,) relative to all."""

    colors: Bytes
    alpha: Bytes
    coverage: float
    gains: Floats
    sharpness: Floats


@dataclass(frozen=True, eq=False)
class _Surface:
    """The mesh with its face normals; its corners in texels, y down; the texels that a face covers
    as flat indices, and their faces."""

    vertices: Floats
    faces: Ints
    normals: Floats
    side: int
    places: Doubles
    to_world: Doubles
    texels: Ints
    owner: Ints


@dataclass(frozen=True, eq=False)
class _Eye:
    """A view made ready: what the kernels ask of it."""

    place: Doubles
    matrix: Doubles
    inverse: Floats
    trust: Floats


def project_texture(
    vertices: Floats,
    faces: Ints,
    uvs: Floats,
    numbers: Sequence[int],
    view_of: ViewOf,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Texture:
    """The texture of a mesh of vertices (n, 3), faces (m, 3) and uvs (m, 3, 2) from the views of
    those numbers, which `view_of` gives one at a time. `progress` may raise to cancel."""
    settings = settings or Settings()
    tell = progress or (lambda _done, _total: None)
    total = 2 * len(numbers)
    surface = _surface(vertices, faces, uvs, settings.size)
    gains, sharpness = _differences(
        surface, numbers, view_of, settings, lambda done: tell(done, total)
    )
    count = len(surface.texels)
    weights = np.zeros((count, settings.samples), np.uint16)
    samples = np.zeros((count, settings.samples, 3), np.uint8)
    unit = _unit_weight(surface, view_of, numbers)
    for index, number in enumerate(numbers):
        view = view_of(number)
        factor = unit * float(sharpness[index])
        _add(surface, view, _balanced(view, gains[index]), factor, settings, weights, samples)
        tell(len(numbers) + index + 1, total)
    return _finish(surface, weights, samples, settings, gains, sharpness)


def _surface(vertices: Floats, faces: Ints, uvs: Floats, size: int) -> _Surface:
    vertices = np.ascontiguousarray(vertices, np.float32)
    faces = np.ascontiguousarray(faces, np.int32)
    places = uvs.astype(np.float64) * [size, -size] + [0, size]
    owner = np.full((size, size), -1, np.int32)
    for reach in (0.0, 1.0):
        kernels.claim_texels(places, owner, reach)
    texels = np.flatnonzero(owner >= 0).astype(np.int32)
    corners = vertices[faces].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    return _Surface(
        vertices,
        faces,
        normals.astype(np.float32),
        size,
        places,
        _to_world(corners, places),
        texels,
        owner.ravel()[texels],
    )


def _to_world(corners: Doubles, places: Doubles) -> Doubles:
    """(m, 3, 3) from (column, row, 1) in texels to the world; a face without area in the texture
    gives its middle."""
    first, second = places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    flat = np.abs(area) < 1e-9
    scale = np.where(flat, 0, 1 / np.where(flat, 1, area))[:, None]
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    x = (u * second[:, 1:] - v * first[:, 1:]) * scale
    y = (v * first[:, :1] - u * second[:, :1]) * scale
    start = corners[:, 0] - x * places[:, 0, :1] - y * places[:, 0, 1:]
    start[flat] = corners[flat].mean(axis=1)
    return np.stack([x, y, start], axis=2)


def _eye(surface: _Surface, view: View, trust: Trust) -> _Eye:
    matrix = projection(view)
    inverse, _ = rasterize(surface.vertices, surface.faces, matrix, view.size)
    return _Eye(view.eye, matrix, inverse, trust_map(view, inverse, trust))


def _unit_weight(surface: _Surface, view_of: ViewOf, numbers: Sequence[int]) -> float:
    """What makes weights about 1: they go by pixels per area, in the world's units."""
    if not numbers or not len(surface.vertices):
        return 1.0
    middle = surface.vertices.mean(axis=0)
    return float(np.sum((view_of(numbers[0]).eye - middle) ** 2)) or 1.0


def _differences(
    surface: _Surface,
    numbers: Sequence[int],
    view_of: ViewOf,
    settings: Settings,
    tell: Callable[[int], None],
) -> tuple[Floats, Floats]:
    """Gains (v, 3) that make the views alike, and their sharpness (v,) as a factor of weight."""
    points, normals = _probes(surface, settings.probes)
    seen = np.zeros((len(numbers), len(points), 4), np.float32)
    weights = np.zeros((len(numbers), len(points)), np.float32)
    for index, number in enumerate(numbers):
        view = view_of(number)
        eye = _eye(surface, view, settings.trust)
        layers = np.dstack([view.colors, _detail(view.colors)]).astype(np.float32)
        kernels.probe_points(
            points, normals, eye.place, eye.matrix, eye.inverse, eye.trust, layers,
            settings.tolerance, weights[index], seen[index],
        )  # fmt: skip
        tell(index + 1)
    # A sample from beside a silhouette may be of something else.
    trusted = weights > 0.05 * np.max(weights, initial=0)
    gains = np.ones((len(numbers), 3), np.float32)
    if settings.balance:
        for channel in range(3):
            value = seen[..., channel]
            usable = trusted & (value > _DARK) & (value < _BRIGHT)
            light = to_linear(np.maximum(value, 1) / np.float32(255))
            gains[:, channel] = np.exp(-_offsets(np.log(light), usable))
    detail = _offsets(np.log(seen[..., 3] + 1.0), trusted)
    return gains, np.exp(np.clip(2 * detail, -3, 3)).astype(np.float32)


def _offsets(values: Floats, usable: NDArray[np.bool_]) -> Doubles:
    if len(values) == 0:
        return np.zeros(0)
    shared = usable & (usable.sum(axis=0) > 1)
    return offsets(values.astype(np.float64), shared.astype(np.float64))


def _probes(surface: _Surface, count: int) -> tuple[Doubles, Floats]:
    """Points (p, 3) spread evenly over the texture's faces, and their normals."""
    if len(surface.texels) == 0:
        return np.zeros((0, 3)), np.zeros((0, 3), np.float32)
    step = max(len(surface.texels) // count, 1)
    # A fixed shuffle, as even steps through rows would line up with them.
    every = np.random.default_rng(7).permutation(len(surface.texels))[::step]
    texels, owner = surface.texels[every], surface.owner[every]
    at = np.stack(
        [texels % surface.side + 0.5, texels // surface.side + 0.5, np.ones(len(texels))], axis=1
    )
    points = np.einsum("kij,kj->ki", surface.to_world[owner], at)
    return points, surface.normals[owner]


def _detail(colors: Bytes) -> Floats:
    """(h, w) how much brightness varies around each pixel."""
    gray = cv2.cvtColor(colors, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges = cv2.Laplacian(gray, cv2.CV_32F) ** 2
    mean: Floats = np.sqrt(cv2.blur(edges, (7, 7)))
    return mean


def _balanced(view: View, gains: Floats) -> Floats:
    """The view's colors as if exposed like the others, 0..255."""
    steps = np.arange(256, dtype=np.float32) / np.float32(255)
    tables = [to_srgb(to_linear(steps) * gain) * np.float32(255) for gain in gains]
    layers = [table[view.colors[..., c]] for c, table in enumerate(tables)]
    return np.dstack(layers).astype(np.float32)


def _add(
    surface: _Surface,
    view: View,
    colors: Floats,
    factor: float,
    settings: Settings,
    weights: NDArray[np.uint16],
    samples: Bytes,
) -> None:
    """Adds one view's samples, in pieces on all processors."""
    eye = _eye(surface, view, settings.trust)

    def work(start: int) -> None:
        part = slice(start, start + _PIECE)
        kernels.add_view(
            surface.texels[part], settings.size, surface.owner[part], surface.to_world,
            surface.normals, eye.place, eye.matrix, eye.inverse, eye.trust, colors,
            settings.tolerance, factor, weights[part], samples[part],
        )  # fmt: skip

    with threads(work, range(0, len(surface.texels), _PIECE), most=thread_count()) as finished:
        for _ in finished:
            pass


def _finish(
    surface: _Surface,
    weights: NDArray[np.uint16],
    samples: Bytes,
    settings: Settings,
    gains: Floats,
    sharpness: Floats,
) -> Texture:
    """Blends, fills what no view saw, and pads around the charts."""
    count, side = len(surface.texels), surface.side
    colors = np.zeros((count, 3), np.float32)
    best = np.zeros(count, np.uint16)

    def work(start: int) -> None:
        part = slice(start, start + _PIECE)
        kernels.blend(
            weights[part], samples[part], settings.power, settings.spread, colors[part], best[part]
        )

    with threads(work, range(0, count, _PIECE), most=thread_count()) as finished:
        for _ in finished:
            pass
    seen = best > 0
    _fill(surface, seen, colors)
    alpha = np.zeros(side * side, np.uint8)
    alpha[surface.texels[seen]] = 255
    picture = _padded(surface, np.clip(colors + 0.5, 0, 255).astype(np.uint8))
    coverage = float(seen.mean()) if count else 0.0
    return Texture(picture, alpha.reshape(side, side), coverage, gains, sharpness)


def _fill(surface: _Surface, seen: NDArray[np.bool_], colors: Floats) -> None:
    """Colors texels that no view saw from the seen surface around them, over the mesh."""
    total = np.zeros((len(surface.vertices), 3))
    weight = np.zeros(len(surface.vertices))
    texels, side, owner, faces = surface.texels, surface.side, surface.owner, surface.faces
    kernels.gather(texels, side, owner, faces, surface.places, colors, seen, total, weight)
    known = weight > 0
    mean = total.sum(axis=0) / max(float(weight.sum()), 1e-9)
    by_vertex = np.where(known[:, None], total / np.maximum(weight, 1e-9)[:, None], mean)
    if not known.all():
        kernels.spread_colors(faces, known, by_vertex, _SPREAD_ROUNDS)
    kernels.fill_unseen(texels, side, owner, faces, surface.places, by_vertex, seen, colors)


def _padded(surface: _Surface, colors: Bytes) -> Bytes:
    """(s, s, 3) with every texel beside the charts in the color of the nearest one in a chart."""
    side = surface.side
    if len(colors) == 0:
        return np.zeros((side, side, 3), np.uint8)
    outside = np.ones((side, side), np.uint8)
    outside.ravel()[surface.texels] = 0
    _, label = cv2.distanceTransformWithLabels(
        outside, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Labels count the texels of charts from 1, in an order of their own.
    table = np.zeros((len(colors) + 1, 3), np.uint8)
    table[label.ravel()[surface.texels]] = colors
    padded: Bytes = table[label]
    return padded
