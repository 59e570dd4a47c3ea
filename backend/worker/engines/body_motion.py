# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model that finds body motion is to the mocap stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...camera import Array, Integers

Progress = Callable[[int, int, str], None]
"""Told how many of how many are done, and of what; what it raises ends the work."""


@dataclass(frozen=True, eq=False)
class PlateCamera:
    """The solved camera over the frames (n) that are looked at, for a plate without distortion.

    frames       (n,) the plate's own numbers
    files        their images, as shot; `straighten` takes pixels of them to those of a pinhole
    size         width and height of the plate
    matrix       (3, 3) of the pinhole, (0, 0) the corner of the first pixel
    rotations    (n, 3, 3) world to camera: x right, y down, z forward
    centers      (n, 3) positions, in units of the shot's world
    """

    frames: Integers
    files: Mapping[int, Path]
    size: tuple[int, int]
    matrix: Array
    rotations: Array
    centers: Array
    straighten: Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Person:
    """Where somebody is seen: `boxes` (m, 4) left, top, right, bottom in the plate, at `frames`
    (m,); the name is that of a label in roto/, or one that was made up."""

    name: str
    frames: Integers
    boxes: Array


@dataclass(frozen=True, eq=False)
class SeenMotion:
    """A person's motion before the camera, at `frames` (n,) without gaps; see `motion.Motion`.

    rotations     (n, 55, 3) axis-angle vectors, the pelvis's as the camera sees it
    translation   (n, 3) SMPL-X's before the camera, in meters
    betas         (b,)
    confidence    (n,) 0 to 1
    contact       (n, 4) 0 to 1; None where the model does not tell
    upright       (n, 3) the pelvis's rotation in a world whose y is up, whatever way it looks;
                  None where the model does not tell
    keypoints     (n, 17, 3) in the plate as shot; None where none were looked for
    """

    frames: Integers
    rotations: Array
    translation: Array
    betas: Array
    confidence: Array
    contact: Array | None = None
    upright: Array | None = None
    keypoints: Array | None = None

    def __len__(self) -> int:
        return len(self.frames)


class MotionEngine(Protocol):
    """Finds motion in a plate."""

    name: str

    def people(self, camera: PlateCamera, progress: Progress) -> Sequence[Person]:
        """Those that it detects by itself, for a shot without masks of persons. Raises ModelError
        where it has no detector."""

    def motion(self, person: Person, camera: PlateCamera, progress: Progress) -> SeenMotion:
        """Raises ModelError, PlateError, OutputError."""


def filled(person: Person, frames: Integers) -> tuple[Array, NDArray[np.bool_]]:
    """Boxes (n, 4) at all of `frames`, and (n,) where there is one; they go straight between."""
    boxes = [np.interp(frames, person.frames, side) for side in person.boxes.T]
    return np.column_stack(boxes), np.isin(frames, person.frames)
