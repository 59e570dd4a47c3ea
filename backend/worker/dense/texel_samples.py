# SPDX-License-Identifier: GPL-3.0-or-later
"""The inner loops of texturing: which face a texel shows, what a view sees there, and the blend.

Weights are kept as 16-bit logarithms, colors as bytes: of every texel only the best few samples
stay in memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import compiled

OCTAVE, MIDDLE = 2048.0, 32768.0
"""Steps of a stored weight for a factor of two, and the weight of 1."""


@compiled
def claim_texels(places: Any, owner: Any, reach: float) -> None:
    """Writes the face into each free texel (s, s) whose center is in it or at most `reach` texels
    from it. `places` (m, 3, 2) are corners in texels, y down."""
    for face in range(len(places)):
        (ax, ay), (bx, by), (cx, cy) = places[face]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0:
            continue
        sign = 1.0 if area > 0 else -1.0
        # Lengths of the edges turn cross products into distances.
        ab = sign / max(np.hypot(bx - ax, by - ay), 1e-9)
        bc = sign / max(np.hypot(cx - bx, cy - by), 1e-9)
        ca = sign / max(np.hypot(ax - cx, ay - cy), 1e-9)
        top, bottom = min(ay, by, cy) - reach, max(ay, by, cy) + reach
        left, right = min(ax, bx, cx) - reach, max(ax, bx, cx) + reach
        for row in range(max(int(top), 0), min(int(bottom) + 1, owner.shape[0])):
            y = row + 0.5
            if y < top or y > bottom:
                continue
            for column in range(max(int(left), 0), min(int(right) + 1, owner.shape[1])):
                x = column + 0.5
                if owner[row, column] >= 0 or x < left or x > right:
                    continue
                first = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) * ab
                second = ((cx - bx) * (y - by) - (cy - by) * (x - bx)) * bc
                third = ((ax - cx) * (y - cy) - (ay - cy) * (x - cx)) * ca
                if min(first, second, third) >= -reach - 1e-6:
                    owner[row, column] = face


@compiled
def _look(
    x: float, y: float, z: float, normal: Any, eye: Any, matrix: Any, inverse: Any, trust: Any,
    tolerance: float, out: Any,
) -> float:  # fmt: skip
    """How good the view's sample of a world point is, 0 where it does not see it; its pixel in
    `out`. Pixels per area of surface, by the angle once more, times the pixel's trust."""
    depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
    if depth <= 1e-9:
        return 0.0
    column = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]) / depth - 0.5
    row = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]) / depth - 0.5
    height, width = inverse.shape
    if column < 0 or row < 0 or column >= width - 1 or row >= height - 1:
        return 0.0
    i, j = int(row), int(column)
    p, q = row - i, column - j
    worst = min(
        abs(trust[i, j]), abs(trust[i, j + 1]), abs(trust[i + 1, j]), abs(trust[i + 1, j + 1])
    )
    if worst == 0 or trust[int(row + 0.5), int(column + 0.5)] < 0:
        return 0.0
    toward_x, toward_y, toward_z = eye[0] - x, eye[1] - y, eye[2] - z
    distance = np.sqrt(toward_x**2 + toward_y**2 + toward_z**2)
    cosine = (normal[0] * toward_x + normal[1] * toward_y + normal[2] * toward_z) / distance
    if cosine < 0.1:
        return 0.0
    upper = (1 - q) * inverse[i, j] + q * inverse[i, j + 1]
    lower = (1 - q) * inverse[i + 1, j] + q * inverse[i + 1, j + 1]
    if depth * ((1 - p) * upper + p * lower) > 1 + tolerance:
        return 0.0
    out[0], out[1] = row, column
    return float(worst * cosine * cosine / (depth * depth))


@compiled
def _bilinear(colors: Any, row: float, column: float, channel: int) -> float:
    i, j = int(row), int(column)
    p, q = row - i, column - j
    upper = (1 - q) * colors[i, j, channel] + q * colors[i, j + 1, channel]
    lower = (1 - q) * colors[i + 1, j, channel] + q * colors[i + 1, j + 1, channel]
    return float((1 - p) * upper + p * lower)


@compiled
def _cubic_shares(part: float, out: Any) -> None:
    """Of four values in a row, for a place between the middle ones (Catmull and Rom 1974)."""
    out[0] = part * (part * (1 - 0.5 * part) - 0.5)
    out[1] = part * part * (1.5 * part - 2.5) + 1
    out[2] = part * (part * (2 - 1.5 * part) + 0.5)
    out[3] = part * part * (0.5 * part - 0.5)


@compiled
def _bicubic(colors: Any, row: float, column: float, down: Any, across: Any, out: Any) -> None:
    """The colors (3,) between pixels, which linear interpolation would blur."""
    i, j = int(row), int(column)
    height, width = colors.shape[:2]
    _cubic_shares(row - i, down)
    _cubic_shares(column - j, across)
    for channel in range(3):
        out[channel] = 0.0
    for k in range(4):
        y = min(max(i + k - 1, 0), height - 1)
        for m in range(4):
            x = min(max(j + m - 1, 0), width - 1)
            share = down[k] * across[m]
            for channel in range(3):
                out[channel] += share * colors[y, x, channel]


@compiled
def probe_points(
    points: Any, normals: Any, eye: Any, matrix: Any, inverse: Any, trust: Any, colors: Any,
    tolerance: float, weights: Any, seen: Any,
) -> None:  # fmt: skip
    """The view's weights (p,) and colors (p, channels) of points; weight 0 where not seen."""
    pixel = np.empty(2)
    for k in range(len(points)):
        x, y, z = points[k]
        weight = _look(x, y, z, normals[k], eye, matrix, inverse, trust, tolerance, pixel)
        weights[k] = weight
        if weight > 0:
            for channel in range(colors.shape[2]):
                seen[k, channel] = _bilinear(colors, pixel[0], pixel[1], channel)


@compiled
def add_view(
    texels: Any, side: int, owner: Any, to_world: Any, normals: Any, eye: Any, matrix: Any,
    inverse: Any, trust: Any, colors: Any, tolerance: float, factor: float, weights: Any,
    samples: Any,
) -> None:  # fmt: skip
    """Puts a view's samples among the best of each texel, the best first.

    `texels` (t,) are flat indices, `owner` (t,) their faces, `to_world` (m, 3, 3) takes
    (column, row, 1) in texels to the world; `weights` (t, k) uint16, `samples` (t, k, 3) uint8.
    """
    pixel, color = np.empty(2), np.empty(3)
    down, across = np.empty(4), np.empty(4)
    places = weights.shape[1]
    for k in range(len(texels)):
        face = owner[k]
        u, v = texels[k] % side + 0.5, texels[k] // side + 0.5
        way = to_world[face]
        x = way[0, 0] * u + way[0, 1] * v + way[0, 2]
        y = way[1, 0] * u + way[1, 1] * v + way[1, 2]
        z = way[2, 0] * u + way[2, 1] * v + way[2, 2]
        weight = _look(x, y, z, normals[face], eye, matrix, inverse, trust, tolerance, pixel)
        if weight <= 0:
            continue
        code = min(max(MIDDLE + OCTAVE * np.log2(weight * factor), 1.0), 65535.0)
        stored = np.uint16(code)
        if stored <= weights[k, places - 1]:
            continue
        place = places - 1
        while place > 0 and weights[k, place - 1] < stored:
            weights[k, place] = weights[k, place - 1]
            for channel in range(3):
                samples[k, place, channel] = samples[k, place - 1, channel]
            place -= 1
        weights[k, place] = stored
        _bicubic(colors, pixel[0], pixel[1], down, across, color)
        for channel in range(3):
            samples[k, place, channel] = np.uint8(min(max(color[channel] + 0.5, 0.0), 255.0))


@compiled
def _median(values: Any, count: int) -> float:
    """The median of the first `count` values, which are sorted in place."""
    for i in range(1, count):
        value, place = values[i], i
        while place > 0 and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value
    return float(0.5 * (values[(count - 1) // 2] + values[count // 2]))


@compiled
def blend(weights: Any, samples: Any, power: float, spread: float, out: Any, best: Any) -> None:
    """Colors (t, 3) float32 from the samples, and the best weight (t,) as stored, 0 for none.

    A full list's last weight is taken off the others, so that a view enters without a step
    (Buehler et al. 2001, Unstructured lumigraph rendering). What is far from the median of the
    samples of some weight, by more than `spread` and their own scatter, counts for little.
    """
    places = weights.shape[1]
    share = np.empty(places)
    middle, work = np.empty(3), np.empty(places)
    for k in range(len(weights)):
        best[k] = weights[k, 0]
        count = 0
        while count < places and weights[k, count] > 0:
            share[count] = 2.0 ** (power * (float(weights[k, count]) - weights[k, 0]) / OCTAVE)
            count += 1
        if count == 0:
            continue
        solid = 1
        while solid < count and share[solid] > 0.02:
            solid += 1
        scatter = 0.0
        for channel in range(3):
            for i in range(solid):
                work[i] = samples[k, i, channel]
            middle[channel] = _median(work, solid)
            for i in range(solid):
                work[i] = abs(samples[k, i, channel] - middle[channel])
            scatter = max(scatter, _median(work, solid))
        limit = spread + scatter
        floor = 0.99 * share[places - 1] if count == places else 0.0
        total = 0.0
        for channel in range(3):
            out[k, channel] = 0.0
        for i in range(count):
            away = 0.0
            for channel in range(3):
                away = max(away, abs(samples[k, i, channel] - middle[channel]))
            weight = (share[i] - floor) / (1 + (away / limit) ** 6 if solid > 2 else 1.0)
            total += weight
            for channel in range(3):
                out[k, channel] += weight * samples[k, i, channel]
        for channel in range(3):
            out[k, channel] /= total


@compiled
def gather(
    texels: Any, side: int, owner: Any, faces: Any, places: Any, colors: Any, seen: Any, total: Any,
    weight: Any,
) -> None:  # fmt: skip
    """Adds the colors of seen texels up at the vertices of their faces, by nearness."""
    share = np.empty(3)
    for k in range(len(texels)):
        if not seen[k]:
            continue
        face = owner[k]
        _shares(places[face], texels[k] % side + 0.5, texels[k] // side + 0.5, share)
        for corner in range(3):
            vertex = faces[face, corner]
            weight[vertex] += share[corner]
            for channel in range(3):
                total[vertex, channel] += share[corner] * colors[k, channel]


@compiled
def spread_colors(faces: Any, known: Any, colors: Any, rounds: int) -> None:
    """Vertices (n,) that are not `known` take their neighbors' mean, again and again."""
    count = np.empty(len(known))
    total = np.empty((len(known), 3))
    has = known.copy()
    for _ in range(rounds):
        count[:] = 0
        total[:] = 0
        for face in range(len(faces)):
            for corner in range(3):
                a, b = faces[face, corner], faces[face, (corner + 1) % 3]
                for start, end in ((a, b), (b, a)):
                    if has[start] and not known[end]:
                        count[end] += 1
                        for channel in range(3):
                            total[end, channel] += colors[start, channel]
        for vertex in range(len(known)):
            if count[vertex] > 0:
                has[vertex] = True
                for channel in range(3):
                    colors[vertex, channel] = total[vertex, channel] / count[vertex]


@compiled
def fill_unseen(
    texels: Any, side: int, owner: Any, faces: Any, places: Any, by_vertex: Any, seen: Any,
    colors: Any,
) -> None:  # fmt: skip
    """Gives texels that no view saw the colors of their face's vertices."""
    share = np.empty(3)
    for k in range(len(texels)):
        if seen[k]:
            continue
        face = owner[k]
        _shares(places[face], texels[k] % side + 0.5, texels[k] // side + 0.5, share)
        for channel in range(3):
            value = 0.0
            for corner in range(3):
                value += share[corner] * by_vertex[faces[face, corner], channel]
            colors[k, channel] = value


@compiled
def _shares(place: Any, x: float, y: float, out: Any) -> None:
    """Barycentric shares of a texel, kept inside the triangle."""
    (ax, ay), (bx, by), (cx, cy) = place
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    out[:] = 1 / 3
    if abs(area) > 1e-12:
        out[0] = max(((bx - x) * (cy - y) - (by - y) * (cx - x)) / area, 0.0)
        out[1] = max(((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area, 0.0)
        out[2] = max(((ax - x) * (by - y) - (ay - y) * (bx - x)) / area, 0.0)
        out /= out.sum()
