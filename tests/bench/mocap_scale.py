# SPDX-License-Identifier: GPL-3.0-or-later
"""How well planted feet tell the scale of a shot, and whether a placed body covers its pixels.

Nothing here is rendered: a walk of formulas (`tests.walking`) is seen as motion capture sees it,
its depth off by a steady share and by a share that wanders, its joints jittering.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from backend.camera import Array
from backend.kinematics import joint_places
from backend.smplx import FEET
from backend.worker.mocap.contacts import contact_from_heights
from backend.worker.mocap.placing import Root, Views, placed
from backend.worker.mocap.scale import Scale, pairs_of, scale_from_feet
from tests.bench.figure import at_most
from tests.walking import Walk, walk

_SEEDS, _FRAMES = 20, 240
_BIAS, _WANDER, _JITTER = 0.02, 0.02, 0.005
"""Shares of depth, and meters."""
_KEEPS = 0.9
"""Of an error of depth that the next frame has too."""
_HANDHELD = 0.05
"""Meters of sway."""
_GOAL, _GOAL_OF_MOST = 3.0, 8.0
"""Percent."""


def views_of(shot: Walk, scale: float = 1.0) -> Views:
    """The walk's camera in a world of which so many units are a meter."""
    count = len(shot.frames)
    focal = np.array([shot.matrix[0, 0], shot.matrix[1, 1]])
    return Views(
        frames=shot.frames,
        rotations=shot.camera_rotations,
        centers=shot.camera_centers * scale,
        focal=np.tile(focal, (count, 1)),
        center=np.tile(shot.matrix[:2, 2], (count, 1)),
    )


def handheld(shot: Walk, random: np.random.Generator) -> Walk:
    """The same before a camera that stays, but for the sway of who holds it."""
    time = np.arange(len(shot.frames)) / float(shot.fps)
    sway = np.zeros((len(time), 3))
    for rate in (0.25, 0.6, 1.1):
        phase = random.uniform(0, 2 * np.pi, 3)
        sway += _HANDHELD / (1 + rate) * np.sin(2 * np.pi * rate * time[:, None] + phase)
    return replace(shot, camera_centers=shot.camera_centers[:1] + sway)


def seen_joints(shot: Walk, random: np.random.Generator) -> Array:
    """(n, 55, 3) before the camera, as motion capture finds them."""
    places = joint_places(shot.rotations, shot.rest, shot.translation)
    seen = views_of(shot).seen(places)
    depth = 1 + _BIAS + _WANDER * _wandering(len(shot.frames), random)
    shift = seen[:, :1] * (depth - 1)[:, None, None]
    jitter = random.normal(0, _JITTER, seen.shape)
    found: Array = seen + shift + jitter
    return found


def _wandering(count: int, random: np.random.Generator) -> Array:
    """(n,) a first-order autoregression of deviation 1."""
    steps = random.normal(0, np.sqrt(1 - _KEEPS**2), count)
    values = np.empty(count)
    values[0] = random.normal()
    for index in range(1, count):
        values[index] = _KEEPS * values[index - 1] + steps[index]
    return values


def simulated(travel: float | None, seed: int, told: bool = True) -> Scale | None:
    """What feet tell of a walk in a world of 0.4 units a meter; None of `travel` is handheld.
    Unless `told`, which feet stand is found from how high they are."""
    random = np.random.default_rng(seed)
    shot = walk(_FRAMES, travel=travel or 0.0, across=random.uniform(0, 6))
    shot = handheld(shot, random) if travel is None else shot
    joints, views = seen_joints(shot, random), views_of(shot, TRUE_SCALE)
    feet = joints[:, FEET]
    heights = views.to_world(feet)[..., 2]
    contact = shot.contact if told else contact_from_heights(heights, shot.frames, float(shot.fps))
    return scale_from_feet(pairs_of(feet, joints[:, 0], contact, views, float(shot.fps)))


TRUE_SCALE = 0.4


def scale_figures(_folder: Path) -> list[dict[str, Any]]:
    """Part scale."""
    figures = []
    for name, travel in (("3 m", 3.0), ("1.5 m", 1.5), ("handheld", None)):
        for told in (True, False):
            found = [simulated(travel, seed, told) for seed in range(_SEEDS)]
            errors = np.array(
                [np.inf if each is None else abs(each.value / TRUE_SCALE - 1) for each in found]
            )
            how = f"{_SEEDS} walks of {_FRAMES} frames, camera {name}, contact " + (
                "told" if told else "from heights"
            )
            middle, most = 100 * np.median(errors), 100 * np.quantile(errors, 0.9)
            figures += [
                at_most("scale error, median", float(middle), "%", _GOAL, how),
                at_most("scale error, 90 %", float(most), "%", _GOAL_OF_MOST, how),
            ]
    return figures


def reprojection_figures(_folder: Path) -> list[dict[str, Any]]:
    """Part reprojection."""
    shot = walk(_FRAMES)
    worst = 0.0
    for scale in (0.01, 1.0, 37.0):
        views = views_of(shot, scale)
        seen = Root(shot.seen_rotation, shot.seen_translation)
        root = placed(seen, views, shot.rest[0], scale)
        places = scale * joint_places(_with_root(shot, root), shot.rest, root.translation)
        before = joint_places(_with_root(shot, seen), shot.rest, seen.translation)
        off = views.project(views.seen(places)) - views.project(before)
        worst = max(worst, float(np.abs(off).max()))
    return [at_most("reprojection of the placed body", worst, "px", 0.01, "all joints, 3 scales")]


def _with_root(shot: Walk, root: Root) -> Array:
    rotations = shot.rotations.copy()
    rotations[:, 0] = root.rotation
    return rotations
