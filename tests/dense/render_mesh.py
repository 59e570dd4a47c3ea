# SPDX-License-Identifier: GPL-3.0-or-later
"""A textured mesh as a camera sees it, and how near that is to a picture."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.worker.dense.compiled import compiled
from backend.worker.dense.views import Floats, View
from backend.worker.dense.visibility import edge_functions, projection, rasterize

Bytes = NDArray[np.uint8]


def render_mesh(
    vertices: Floats,
    faces: NDArray[np.int32],
    uvs: Floats,
    texture: Bytes,
    view: View,
    supersampling: int = 3,
) -> tuple[Bytes, Floats]:
    """Colors (h, w, 3) from the view's camera, and the share (h, w) of each pixel that is covered.

    `uvs` (m, 3, 2) have their origin at the texture's lower left corner; `texture` (s, s, 3).
    """
    width, height = (side * supersampling for side in view.size)
    matrix = projection(view, supersampling)
    _, owner = rasterize(vertices, faces, matrix, (width, height))
    points = np.ascontiguousarray(vertices @ matrix[:, :3].T + matrix[:, 3])
    place = np.full((height, width, 2), -1, np.float32)
    _look_up(points, faces, uvs, owner, place)
    seen = _sample(texture, place)
    there = (owner >= 0).astype(np.float32)
    covered = _smaller(there, view.size)
    colors = _smaller(seen * there[..., None], view.size) / np.maximum(covered, 1e-6)[..., None]
    return np.clip(colors + 0.5, 0, 255).astype(np.uint8), covered


def _smaller(image: Floats, size: tuple[int, int]) -> Floats:
    small: Floats = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
    return small


def psnr(picture: Bytes, truth: Bytes, where: NDArray[np.bool_] | None = None) -> float:
    """Peak signal to noise ratio in dB over the pixels of `where`, all when None."""
    error = (picture.astype(np.float64) - truth) ** 2
    mean = float(error.mean() if where is None else error[where].mean())
    return float(10 * np.log10(255.0**2 / max(mean, 1e-12)))


def _sample(texture: Bytes, place: Floats) -> Floats:
    """Bilinear colors (h, w, 3) at texture coordinates (h, w, 2)."""
    # remap takes no picture over 32767 pixels a side, far over any texture's size.
    size = np.array([texture.shape[1], texture.shape[0]], np.float32)
    x = place[..., 0] * size[0] - np.float32(0.5)
    y = (1 - place[..., 1]) * size[1] - np.float32(0.5)
    seen = cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    colors: Floats = seen.astype(np.float32)
    return colors


@compiled
def _look_up(points: Any, faces: Any, uvs: Any, owner: Any, place: Any) -> None:
    """Texture coordinates of the face at each pixel's center."""
    edges = np.empty((3, 3))
    for row in range(owner.shape[0]):
        last = -1
        for column in range(owner.shape[1]):
            face = owner[row, column]
            if face < 0:
                continue
            if face != last:
                a, b, c = points[faces[face, 0]], points[faces[face, 1]], points[faces[face, 2]]
                edge_functions(a, b, c, edges)
                last = face
            x, y = column + 0.5, row + 0.5
            total, u, v = 0.0, 0.0, 0.0
            for corner in range(3):
                share = edges[corner, 0] * x + edges[corner, 1] * y + edges[corner, 2]
                total += share
                u += share * uvs[face, corner, 0]
                v += share * uvs[face, corner, 1]
            place[row, column, 0] = u / total
            place[row, column, 1] = v / total
