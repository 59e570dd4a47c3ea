# SPDX-License-Identifier: GPL-3.0-or-later
"""Where frames without a pose may stand: beside a placed one, or between two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....camera import Array, rotations_from_vectors, vectors_from_rotations
from .marks import Flags
from .scene import Scene


def nearest_pose(scene: Scene, frame: int) -> Scene:
    """The scene with the frame standing where its nearest placed neighbor does."""
    placed = np.flatnonzero(scene.placed)
    near = placed[np.argmin(np.abs(placed - frame))]
    rotation, translation = scene.rotation.copy(), scene.translation.copy()
    rotation[frame], translation[frame] = rotation[near], translation[near]
    focal = scene.lens.focal.copy()
    focal[frame] = focal[near]
    lens = replace(scene.lens, focal=focal)
    return replace(scene, rotation=rotation, translation=translation, lens=lens)


def interpolated(scene: Scene, frames: Flags) -> Scene:
    """The scene with poses of `frames` (f,) on the line between their placed neighbors', or where
    the nearest stands beyond them."""
    placed, wanted = np.flatnonzero(scene.placed), np.flatnonzero(frames)
    after = np.searchsorted(placed, wanted).clip(0, len(placed) - 1)
    before = np.maximum(np.searchsorted(placed, wanted, side="right") - 1, 0)
    a, b = placed[before], placed[after]
    part = np.clip((wanted - a) / np.maximum(b - a, 1), 0, 1)[:, None]
    turn = vectors_from_rotations(scene.rotation[b] @ np.swapaxes(scene.rotation[a], 1, 2))
    rotation, translation = scene.rotation.copy(), scene.translation.copy()
    rotation[wanted] = rotations_from_vectors(part * turn) @ scene.rotation[a]
    centers: Array = scene.centers
    center = centers[a] * (1 - part) + centers[b] * part
    translation[wanted] = -np.einsum("fij,fj->fi", rotation[wanted], center)
    focal = scene.lens.focal.copy()
    if scene.lens.zooms:
        focal[wanted] = np.exp(np.interp(wanted, placed, np.log(focal[placed])))
    lens = replace(scene.lens, focal=focal)
    return replace(scene, rotation=rotation, translation=translation, lens=lens)
