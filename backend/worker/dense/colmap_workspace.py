# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP's workspace for dense stereo, written for it and read when it is done.

COLMAP takes the center of the first pixel for (0.5, 0.5) in its cameras and for (0, 0) in its dense
part: cameras are handed over with their centers moved by half a pixel, which undoes that.

    images/frame_0001.png     the views, masked pixels black
    sparse/                   their cameras and the solve's points
    stereo/patch-match.cfg    which views each is matched with
    stereo/depth_maps/        what comes out, first of likeness alone, then of consistency
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pycolmap

from ...camera import Array, quaternions_from_rotations
from ...formats.colmap import write_model
from ...reconstruction import CameraModel, Observations, Points, Reconstruction
from ...shot import FRAME_PATTERN
from .views import DepthMap, View

HALF_PIXEL = 0.5
_SURE = np.float32(0.9)
"""The confidence of what COLMAP leaves: it has dropped what other views do not agree with."""


def write_workspace(
    workspace: Path,
    outlines: Sequence[View],
    views: Iterable[View],
    points: Array,
    sources: Mapping[int, Sequence[int]],
    shift: float = HALF_PIXEL,
) -> None:
    """`outlines` are all views, their pictures apart, which `views` gives one after the other;
    `points` (p, 3) tell COLMAP between which depths to look."""
    for name in ("images", "sparse", *(f"stereo/{kind}_maps" for kind in ("depth", "normal"))):
        (workspace / name).mkdir(parents=True, exist_ok=True)
    (workspace / "stereo" / "consistency_graphs").mkdir(exist_ok=True)
    write_model(_model(outlines, points, shift), workspace / "sparse")
    _write_pairs(workspace / "stereo", sources)
    for view in views:
        pixels = np.where(view.usable[..., None], view.colors, 0)[..., ::-1]
        cv2.imwrite(str(workspace / "images" / _name(view.number)), np.ascontiguousarray(pixels))


def _write_pairs(stereo: Path, sources: Mapping[int, Sequence[int]]) -> None:
    lines = []
    for number, others in sources.items():
        lines += [_name(number), ", ".join(map(_name, others))]
    (stereo / "patch-match.cfg").write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = "\n".join(map(_name, sources))
    (stereo / "fusion.cfg").write_text(f"{names}\n", encoding="utf-8")


def _model(views: Sequence[View], points: Array, shift: float) -> Reconstruction:
    """The views' cameras, moved to the left and up, and the points (p, 3) in their pictures."""
    image, point, pixel = [], [], []
    for index, view in enumerate(views):
        local = points @ view.rotation.T + view.translation
        front = np.flatnonzero(local[:, 2] > 0)
        place = local[front, :2] / local[front, 2:] * view.focal + view.center - shift
        inside = ((place > 0) & (place < view.size)).all(axis=1)
        point.append(front[inside])
        pixel.append(place[inside])
        image.append(np.full(int(inside.sum()), index))
    seen = Observations(np.concatenate(image), np.concatenate(point), np.concatenate(pixel))
    count = len(points)
    return Reconstruction(
        cameras={index + 1: _camera(view, shift) for index, view in enumerate(views)},
        names=tuple(_name(view.number) for view in views),
        camera_ids=np.arange(1, len(views) + 1),
        quaternions=quaternions_from_rotations(np.stack([view.rotation for view in views])),
        translations=np.stack([view.translation for view in views]),
        points=Points(
            ids=np.arange(1, count + 1, dtype=np.uint64),
            positions=points,
            colors=np.full((count, 3), 128, np.uint8),
            errors=np.zeros(count),
            tracks=np.bincount(seen.point, minlength=count),
        ),
        observations=seen,
    )


def _camera(view: View, shift: float) -> CameraModel:
    center = view.center[0] - shift, view.center[1] - shift
    return CameraModel("PINHOLE", *view.size, (*view.focal, *center))


def _name(number: int) -> str:
    return f"{FRAME_PATTERN.format(number)}.png"


def read_found(workspace: Path, view: View) -> DepthMap:
    """What COLMAP found of a view; nothing where it wrote none."""
    name = f"{_name(view.number)}.geometric.bin"
    depth_file = workspace / "stereo" / "depth_maps" / name
    width, height = view.size
    depth = np.zeros((height, width), np.float32)
    normal = np.zeros((height, width, 3), np.float32)
    if depth_file.is_file():
        depths, normals = pycolmap.DepthMap(), pycolmap.NormalMap()
        depths.read(depth_file)
        normals.read(workspace / "stereo" / "normal_maps" / name)
        depth, normal = depths.to_array(), normals.to_array()
    known = np.isfinite(depth) & (depth > 0)
    return DepthMap(
        number=view.number,
        depth=np.where(known, depth, 0),
        normal=np.where(known[..., None], normal, 0),
        confidence=np.where(known, _SURE, 0).astype(np.float32),
    )
