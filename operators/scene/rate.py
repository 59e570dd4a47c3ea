# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's frame rate as an exact fraction, both ways."""

from __future__ import annotations

import math
from fractions import Fraction

import bpy

_MOST_BASE = 1000
"""Denominator up to which a 32-bit fps_base still has one simple fraction next to it."""


def scene_rate(scene: bpy.types.Scene) -> Fraction:
    """Frames a second: 24 / 1.001 is read as 24000/1001."""
    base = Fraction(scene.render.fps_base).limit_denominator(_MOST_BASE)
    return Fraction(scene.render.fps) / base


def set_scene_rate(scene: bpy.types.Scene, fps: Fraction) -> None:
    """Blender has a whole number and a divisor: 24000/1001 becomes 24 / 1.001."""
    whole = math.ceil(fps)
    scene.render.fps = whole
    scene.render.fps_base = float(Fraction(whole) / fps)
