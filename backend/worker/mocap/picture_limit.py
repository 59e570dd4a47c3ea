# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a motion that move nothing far in the picture.

n frames, j joints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...camera import Array
from ...kinematics import joint_places
from ...motion import Motion
from .along_time import gaussian, lowest
from .placing import Views

_HALVINGS = 8
_EASE = 3
"""Frames that a limit is eased in and out over."""

Picture = Callable[[Motion], Array]
"""Where the joints of a motion are in the picture: (n, j, 2) px."""


@dataclass(frozen=True, eq=False)
class Limited:
    """A changed motion, and the most that a joint moved in the picture in any frame, in px. done is
    the share of the change that was made, over all frames."""

    motion: Motion
    off: float
    done: float


def pixels_of(joints: Array, views: Views) -> Picture:
    """For bodies with these joints (j, 3) at rest."""

    def pixels(motion: Motion) -> Array:
        places = joint_places(motion.rotations, joints, motion.translation)
        return views.project(views.seen(motion.scale * places))

    return pixels


def within(
    motion: Motion, changed: Callable[[Array], Motion], pixels: Picture, most: float
) -> Limited:
    """As much of a change, `changed` (n,) by shares of it, as moves no joint by more than `most`
    px. Neighbors get about the same share, so that nothing jumps."""
    before = pixels(motion)

    def off(found: Motion) -> Array:
        # What is behind the camera is not in the picture.
        distance = np.linalg.norm(pixels(found) - before, axis=2)
        farthest: Array = np.nan_to_num(distance, nan=0.0).max(axis=1)
        return farthest

    low, high = np.zeros(len(before)), np.ones(len(before))
    good = off(changed(high)) <= most
    low[good] = 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        fits = off(changed(middle)) <= most
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    share = np.minimum(low, _eased(low))
    found = changed(share)
    late = off(found) > most
    if late.any():
        # More of a change is not always farther off; where it is not, nothing is done.
        share = np.where(late, 0.0, share)
        found = changed(share)
    return Limited(found, float(off(found).max()), float(share.mean()))


def _eased(share: Array) -> Array:
    """No higher than `share` (n,), and smooth."""
    return gaussian(lowest(share, _EASE), _EASE / 3)
