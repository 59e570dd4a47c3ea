# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes with known truth for unwrapping and texturing: the textured room's planes, small ones."""

from __future__ import annotations

import numpy as np

from backend.worker.dense.views import View
from tests.backend.textured_room import Plane


def of_planes(planes: list[Plane], eye: np.ndarray, cuts: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of planes that show their fronts to `eye`, `cuts` x `cuts` quads each."""
    parts = [_grid(plane, eye, cuts) for plane in planes]
    step = (cuts + 1) ** 2
    faces = np.concatenate([part + index * step for index, (_, part) in enumerate(parts)])
    vertices = np.concatenate([part for part, _ in parts])
    return vertices.astype(np.float32), faces.astype(np.int32)


def _grid(plane: Plane, eye: np.ndarray, cuts: int) -> tuple[np.ndarray, np.ndarray]:
    share = np.linspace(0, 1, cuts + 1)
    b, a = np.meshgrid(share, share, indexing="ij")
    vertices = plane.corner + a.reshape(-1, 1) * plane.u + b.reshape(-1, 1) * plane.v
    row, column = np.divmod(np.arange(cuts * cuts), cuts)
    first = row * (cuts + 1) + column
    over = first + cuts + 1
    faces = np.concatenate(
        [np.stack([first, first + 1, over + 1], 1), np.stack([first, over + 1, over], 1)]
    )
    back = np.cross(plane.u, plane.v) @ (eye - plane.corner) < 0
    return vertices, faces[:, ::-1] if back else faces


def ball(rings: int, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A unit sphere with 4 `rings`^2 faces about, its vertices shaken by a share of an edge."""
    turn = np.arange(2 * rings) * np.pi / rings
    rise = np.linspace(0, np.pi, rings + 1)[1:-1]
    body = np.stack(
        [
            np.outer(np.sin(rise), np.cos(turn)),
            np.outer(np.sin(rise), np.sin(turn)),
            np.outer(np.cos(rise), np.ones_like(turn)),
        ],
        axis=2,
    ).reshape(-1, 3)
    vertices = np.concatenate([body, [[0, 0, 1], [0, 0, -1]]])
    wide, count = 2 * rings, len(body)
    row, column = np.divmod(np.arange(wide * (rings - 2)), wide)
    here, right = row * wide + column, row * wide + (column + 1) % wide
    below, across = here + wide, right + wide
    edge = np.arange(wide)
    after, last = (edge + 1) % wide, (rings - 2) * wide
    faces = np.concatenate(
        [
            np.stack([here, below, across], 1),
            np.stack([here, across, right], 1),
            np.stack([np.full(wide, count), edge, after], 1),
            np.stack([np.full(wide, count + 1), last + after, last + edge], 1),
        ]
    )
    shake = np.random.default_rng(2).normal(size=vertices.shape) * noise * np.pi / rings
    return (vertices + shake).astype(np.float32), faces.astype(np.int32)


def facing(colors: np.ndarray, eye: tuple[float, float, float], target: float = 0.0) -> View:
    """A view of the plane z = 0 from `eye`, whose z is over it, toward (`target`, 0, 0); world x
    is right and y up in the picture. The focal length is the picture's width."""
    height, width = colors.shape[:2]
    place = np.array(eye, float)
    forward = np.array([target, 0.0, 0.0]) - place
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return View(
        number=1,
        colors=colors,
        usable=np.ones((height, width), bool),
        focal=(float(width), float(width)),
        center=(width / 2, height / 2),
        rotation=rotation,
        translation=-rotation @ place,
        near=0.1,
        far=100.0,
    )


def tiles(planes: int, cuts: int, side: int, margin: float) -> np.ndarray:
    """(vertices, 2) texture coordinates for `of_planes`: each plane in a tile of its own of
    `side` x `side`, `margin` of the tile free on each side."""
    share = margin + (1 - 2 * margin) * np.linspace(0, 1, cuts + 1)
    b, a = np.meshgrid(share, share, indexing="ij")
    one = np.stack([a.ravel(), b.ravel()], axis=1)
    row, column = np.divmod(np.arange(planes), side)
    corner = np.stack([column, row], axis=1)[:, None]
    return ((one + corner) / side).reshape(-1, 2).astype(np.float32)
