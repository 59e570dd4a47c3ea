# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws people over the plate in a camera view: their bones as the scene has them, and what was
seen of them in the plate.

Positions are pixels of the region, y up. k keypoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import bpy
import gpu
import numpy as np

from ...backend.camera import Array
from ...backend.lens import bend, is_polynomial, straighten
from ...backend.motion import Motion
from ...backend.reconstruction import CameraModel
from ...backend.smplx import BODY_JOINTS, KEYPOINTS
from ...backend.solve import Solve
from ...backend.track_check import BAD_ERROR, GOOD_ERROR, error_colors
from .view_drawing import (
    Box,
    Words,
    colored_discs,
    discs,
    even,
    lines,
    plate_box,
    projected,
    triangles,
)

_RADIUS, _RIM, _LINE = 3.6, 1.3, 2.0
"""Radius of a dot, its rim's radius over that, and the width of lines, at interface scale 1."""
_LEFT, _RIGHT, _MIDDLE = (0.30, 0.65, 1.0, 0.9), (1.0, 0.55, 0.2, 0.9), (0.9, 0.9, 0.9, 0.9)
_BLACK = (0.0, 0.0, 0.0, 1.0)
_COARSER = 10.0
"""Keypoints are no corners: what counts for tracks in pixels counts for them in ten."""
_SURE = 0.3
"""Confidence under which a keypoint is not drawn."""
_LEGEND = {
    f"under {_COARSER * GOOD_ERROR:g} px": _COARSER * GOOD_ERROR,
    f"{_COARSER * BAD_ERROR:g} px and over": _COARSER * BAD_ERROR,
}
_WITH_JOINT = tuple(name for name in KEYPOINTS if name in BODY_JOINTS)
_KEYPOINT_PLACES = [KEYPOINTS.index(name) for name in _WITH_JOINT]


@dataclass(frozen=True, eq=False)
class Look:
    """What is drawn of people, by their names.

    armatures     those that are in the scene
    undistorted   whether the plate is shown with its lens distortion taken out
    """

    solve: Solve
    motions: Mapping[str, Motion]
    armatures: Mapping[str, bpy.types.Object]
    undistorted: bool


@dataclass(frozen=True, eq=False)
class PlateView:
    """How the plate is seen: through a lens, in a box of the region."""

    lens: CameraModel
    pinhole: tuple[Array, Array]
    size: Array
    box: Box
    undistorted: bool

    def keypoints(self, pixels: Array) -> Array:
        """(k, 2) of pixels of the plate as shot."""
        if self.undistorted and is_polynomial(self.lens):
            focal, center = self.pinhole
            pixels = straighten(self.lens, pixels) * focal + center
        return self.box.place(pixels / self.size)

    def seen(self, places: Array) -> Array:
        """(..., 2) of places that a camera without distortion shows there."""
        if self.undistorted or not is_polynomial(self.lens) or self.lens.is_pinhole:
            return places
        focal, center = self.pinhole
        pixels = self.box.shares(places.reshape(-1, 2)) * self.size
        bent = bend(self.lens, (pixels - center) / focal)
        return self.box.place(bent / self.size).reshape(places.shape)


def draw(context: bpy.types.Context, camera: bpy.types.Object, look: Look) -> None:
    """Draws into the region of a view through that camera, after everything else."""
    frame, track = context.scene.frame_current, look.solve.track
    at = np.flatnonzero(track.frames == frame)
    if len(at) == 0:
        return
    size = np.array([track.width, track.height])
    box = plate_box(context, camera, (track.width, track.height))
    pinhole = track.focal[at[0]], track.center[at[0]]
    view = PlateView(look.solve.camera_at(int(at[0])), pinhole, size, box, look.undistorted)
    bones, dots, off = [], [], {}
    for person, motion in look.motions.items():
        points, sure = _keypoints(view, motion, frame)
        joints: dict[str, Array] = {}
        if person in look.armatures:
            joints, parts = _bones(context, view, look.armatures[person])
            bones += parts
        away = _away(points, joints) * (track.width / box.size[0])
        dots.append((points[sure], away[sure]))
        known = sure & np.isfinite(away)
        off[person] = float(away[known].mean()) if known.any() else float("nan")
    _paint(context, box, bones, dots, _rows(frame, off))


def _keypoints(view: PlateView, motion: Motion, frame: int) -> tuple[Array, Array]:
    """(17, 2) of the frame, and whether (17,) each is sure."""
    at = np.flatnonzero(motion.frames == frame)
    if motion.keypoints is None or len(at) == 0:
        return np.zeros((len(KEYPOINTS), 2)), np.zeros(len(KEYPOINTS), dtype=np.bool_)
    found = motion.keypoints[at[0]]
    return view.keypoints(found[:, :2]), found[:, 2] > _SURE


def _bones(
    context: bpy.types.Context, view: PlateView, armature: bpy.types.Object
) -> tuple[dict[str, Array], list[tuple[Array, Array]]]:
    """Where joints (2,) of the body are seen, by name, and lines of its bones with their colors."""
    evaluated = armature.evaluated_get(context.evaluated_depsgraph_get())
    names = [name for name in BODY_JOINTS if name in evaluated.pose.bones]
    chosen = [evaluated.pose.bones[name] for name in names]
    ends = np.array([[bone.head, bone.tail] for bone in chosen]).reshape(-1, 2, 3)
    matrix = np.array(context.region_data.perspective_matrix @ evaluated.matrix_world)
    places, ahead = projected(context, matrix, ends)
    places, there = view.seen(places), ahead.all(axis=1)
    joints = {name: places[index, 0] for index, name in enumerate(names) if there[index]}
    sides = {
        color: np.array([_side(name) == color for name in names], dtype=np.bool_) & there
        for color in (_LEFT, _RIGHT, _MIDDLE)
    }
    return joints, [even(places[side].reshape(-1, 2), color) for color, side in sides.items()]


def _side(name: str) -> tuple[float, float, float, float]:
    return _LEFT if name.startswith("left") else _RIGHT if name.startswith("right") else _MIDDLE


def _away(points: Array, joints: Mapping[str, Array]) -> Array:
    """(17,) how far keypoints are from their joints, in pixels of the region; NaN without one."""
    found = np.full(len(KEYPOINTS), np.nan)
    for place, name in zip(_KEYPOINT_PLACES, _WITH_JOINT, strict=True):
        if name in joints:
            found[place] = np.linalg.norm(points[place] - joints[name])
    return found


def _rows(frame: int, off: Mapping[str, float]) -> list[str]:
    people = [
        f"{person}: keypoints {away:.1f} px from their joints"
        for person, away in off.items()
        if np.isfinite(away)
    ]
    return [f"Frame {frame}", *_LEGEND, "; ".join(people) or "No keypoints to compare with joints"]


def _colors(away: Array) -> Array:
    """(k, 4) of keypoints that are so many pixels from their joints; white for those without."""
    colors = np.ones((len(away), 4))
    known = np.isfinite(away)
    colors[known, :3] = error_colors(away[known] / _COARSER)
    return colors


def _paint(
    context: bpy.types.Context,
    box: Box,
    bones: Sequence[tuple[Array, Array]],
    dots: Sequence[tuple[Array, Array]],
    rows: Sequence[str],
) -> None:
    scale = context.preferences.system.ui_scale
    words = Words.of(context, box, rows, _colors(np.array(list(_LEGEND.values()))))
    gpu.state.blend_set("ALPHA")
    lines(context, bones, _LINE * scale)
    painted = []
    for points, away in dots:
        painted += [
            even(discs(points, _RADIUS * _RIM * scale), _BLACK),
            colored_discs(points, _RADIUS * scale, _colors(away)),
        ]
    triangles([*painted, *words.ground()])
    words.write()
    gpu.state.blend_set("NONE")
