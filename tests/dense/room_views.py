# SPDX-License-Identifier: GPL-3.0-or-later
"""The textured room as views of dense stereo, with exact depth in closed form."""

from __future__ import annotations

import numpy as np

from backend.camera import CameraTrack
from backend.worker.dense.views import DepthMap, View
from tests.backend.textured_room import Plane, picture, room

TO_CV = np.diag([1.0, -1.0, -1.0, 1.0])
NEAR, FAR = 1.5, 14.0


def world_to_camera(camera: CameraTrack, index: int) -> np.ndarray:
    """4x4, x right, y down, z forward."""
    return np.linalg.inv(camera.matrices[index] @ TO_CV)


def view(camera: CameraTrack, index: int, colors: np.ndarray) -> View:
    matrix = world_to_camera(camera, index)
    return View(
        number=int(camera.frames[index]),
        colors=colors,
        usable=np.ones(colors.shape[:2], bool),
        focal=(float(camera.focal[index, 0]), float(camera.focal[index, 1])),
        center=(float(camera.center[index, 0]), float(camera.center[index, 1])),
        rotation=matrix[:3, :3],
        translation=matrix[:3, 3],
        near=NEAR,
        far=FAR,
    )


def views(camera: CameraTrack, planes: list[Plane] | None = None) -> list[View]:
    planes = planes or room()
    return [view(camera, i, picture(planes, camera, i)) for i in range(len(camera.frames))]


def rays_of(of: View) -> np.ndarray:
    """(h, w, 3) through pixel centers in the camera's axes, of depth 1."""
    width, height = of.size
    x = (np.arange(width) + 0.5 - of.center[0]) / of.focal[0]
    y = (np.arange(height) + 0.5 - of.center[1]) / of.focal[1]
    return np.stack(np.broadcast_arrays(x[None], y[:, None], 1.0), -1)


def true_map(of: View, planes: list[Plane]) -> DepthMap:
    """What stereo should find."""
    depth, normal = (values.astype(np.float32) for values in true_depth(of, planes))
    return DepthMap(of.number, depth, normal, np.ones(depth.shape, np.float32))


def true_depth(of: View, planes: list[Plane]) -> tuple[np.ndarray, np.ndarray]:
    """(h, w) depth and (h, w, 3) normals in the camera's axes at pixel centers."""
    rays = rays_of(of)
    depth, normals = np.full(rays.shape[:2], np.inf), np.zeros(rays.shape)
    for plane in planes:
        t, hit = _met(plane, of, rays)
        nearer = hit & (t < depth)
        depth[nearer] = t[nearer]
        normal = of.rotation @ np.cross(plane.u, plane.v)
        normal /= np.linalg.norm(normal)
        facing = np.where((rays[nearer] @ normal)[:, None] > 0, -normal, normal)
        normals[nearer] = facing
    return depth, normals


def seen_by(of: View, depth: np.ndarray, source: View, planes: list[Plane]) -> np.ndarray:
    """(h, w) whether the source sees the points at these depths, with no plane in between."""
    points = (rays_of(of) * depth[..., None] - of.translation) @ of.rotation
    local = points @ source.rotation.T + source.translation
    there = local / local[..., 2:]
    pixels = there[..., :2] * source.focal + source.center
    seen = (local[..., 2] > 0) & ((pixels >= 0) & (pixels < source.size)).all(-1)
    for plane in planes:
        t, hit = _met(plane, source, there)
        seen &= ~(hit & (t < 0.999 * local[..., 2]))
    return seen


def _met(plane: Plane, of: View, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    across, up = of.rotation @ plane.u, of.rotation @ plane.v
    corner = of.rotation @ plane.corner + of.translation
    inverse = np.linalg.inv(np.column_stack([across, up, np.cross(across, up)]))
    start, turned = inverse @ -corner, rays @ inverse.T
    with np.errstate(divide="ignore", invalid="ignore"):
        t = -start[2] / turned[..., 2]
        a, b = start[0] + t * turned[..., 0], start[1] + t * turned[..., 1]
    return t, (t > 0) & (a >= 0) & (a <= 1) & (b >= 0) & (b <= 1)
