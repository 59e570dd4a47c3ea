# SPDX-License-Identifier: GPL-3.0-or-later
"""A skeleton of usual proportions, for shots without the SMPL-X files: 1.7 m tall, arms out.

Its numbers are rough and our own; a person's own body needs the model.
"""

from __future__ import annotations

import numpy as np

from .camera import Array
from .smplx import FEET, JOINTS

_PELVIS = (0.0, -0.35, 0.01)
"""SMPL-X's origin is in the chest, not at the pelvis."""
_MIDDLE = {
    "pelvis": (0, 0, 0), "spine1": (0, 0.11, -0.02), "spine2": (0, 0.24, -0.02),
    "spine3": (0, 0.30, 0.0), "neck": (0, 0.46, -0.02), "head": (0, 0.54, 0.0),
    "jaw": (0, 0.53, 0.02),
}  # fmt: skip
_LEFT = {
    "hip": (0.07, -0.09, 0.0), "knee": (0.09, -0.48, 0.0), "ankle": (0.09, -0.88, -0.03),
    "foot": (0.11, -0.94, 0.09), "collar": (0.06, 0.40, -0.01), "shoulder": (0.17, 0.43, -0.02),
    "elbow": (0.43, 0.43, -0.03), "wrist": (0.68, 0.43, -0.02), "eye_smplhf": (0.03, 0.59, 0.07),
}  # fmt: skip
_FINGERS = {"index": 0.025, "middle": 0.0, "pinky": -0.045, "ring": -0.022}
_SOLES = {"ankle": 0.08, "foot": 0.02}
"""How far the ground is under the joints of a foot that stands flat."""


def _side(sign: int) -> dict[str, Array]:
    name = "left" if sign > 0 else "right"
    found: dict[str, Array] = {part: np.array(place, float) for part, place in _LEFT.items()}
    for number in (1, 2, 3):
        for finger, across in _FINGERS.items():
            along = 0.76 + 0.025 * number - 0.2 * abs(across)
            found[f"{finger}{number}"] = np.array([along, 0.42, across])
        found[f"thumb{number}"] = np.array([0.70 + 0.02 * number, 0.41, 0.03 + 0.015 * number])
    return {(f"{name}_{part}"): place * np.array([sign, 1, 1]) for part, place in found.items()}


def _joints() -> Array:
    places = (
        {name: np.array(place, float) for name, place in _MIDDLE.items()} | _side(1) | _side(-1)
    )
    joints: Array = np.array([places[name] for name in JOINTS]) + np.array(_PELVIS)
    return joints


AVERAGE_JOINTS: Array = _joints()
"""(55, 3) at rest, in meters: y up, z out of the chest, x to the body's left."""
AVERAGE_SOLES: Array = np.array([_SOLES[JOINTS[joint].split("_")[1]] for joint in FEET])
"""(4,) how far the ground is under each of `smplx.FEET`."""
