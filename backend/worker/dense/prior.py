# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth that a network has guessed, as a start for stereo and for what stereo cannot see.

A guess is right but for a scale and a shift, either of depth or of inverse depth (Ranftl et al.,
"Towards Robust Monocular Depth Estimation", 2020). Both are fitted to the solve's points, and the
better one counts.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ..depth.line import Doubles, robust_line
from .views import DepthMap, Floats, View

FEWEST_POINTS = 20
WORST = 0.1
"""A guess that is off by more than this share at half of the points is of no use."""
SURE = 0.5
"""Stereo's confidence from which on it is believed and not filled over."""
FILLED = 0.55
"""The confidence of what is filled in: it counts where other views have it too, little more than
the least of what stereo is sure of. Means of it must not be rounded to under SURE."""
_MOST_POINTS = 4000
_ALIKE = 0.02
"""Stereo and the prior agree within this share of depth."""
_WIDTHS = (4.0, 16.0, 64.0)
"""Pixels over which stereo corrects the guess around it, the nearest first."""
_LEAST_SUPPORT, _FULL_SUPPORT = 1e-3, 0.05
"""Shares of sure pixels around one from which on they count, and count alone."""


def fitted(guess: Floats, view: View, points: Doubles) -> DepthMap | None:
    """The guess (h, w), 0 where there is none, as depth in the world of the solve's points (p, 3).

    None where it agrees with too few of them.
    """
    seen, depth = _seen(guess, view, points)
    if len(seen) < FEWEST_POINTS:
        return None
    line = min(
        (robust_line(seen, depth, inverse) for inverse in (True, False)), key=lambda one: one.error
    )
    if not line.error <= WORST:
        return None
    return depth_map(view, line.depth(guess), np.float32(FILLED))


def _seen(guess: Floats, view: View, points: Doubles) -> tuple[Doubles, Doubles]:
    """The guess where points lie in the picture, and their depth."""
    local = points @ view.rotation.T + view.translation
    local = local[local[:, 2] > 0]
    pixels = np.floor(local[:, :2] / local[:, 2:] * view.focal + view.center).astype(int)
    inside = ((pixels >= 0) & (pixels < view.size)).all(axis=1)
    x, y = pixels[inside].T
    value = guess[y, x].astype(np.float64)
    usable = np.flatnonzero((value > 0) & view.usable[y, x])
    usable = usable[:: len(usable) // _MOST_POINTS + 1]
    return value[usable], local[inside, 2][usable]


def depth_map(view: View, depth: Floats, confidence: np.float32) -> DepthMap:
    """With the normals of the surface that the depth describes."""
    known = depth > 0
    width, height = view.size
    x = (np.arange(width, dtype=np.float32) + 0.5 - view.center[0]) / view.focal[0]
    y = (np.arange(height, dtype=np.float32) + 0.5 - view.center[1]) / view.focal[1]
    places = np.stack([x[None] * depth, y[:, None] * depth, depth], axis=2)
    down, right = np.gradient(places, axis=(0, 1))
    normal = np.cross(down, right)
    normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-12)
    normal *= np.where((normal * places).sum(axis=2) > 0, -1, 1)[..., None]
    return DepthMap(
        number=view.number,
        depth=depth,
        normal=np.where(known[..., None], normal, 0).astype(np.float32),
        confidence=np.where(known, confidence, 0).astype(np.float32),
    )


def filled(found: DepthMap, prior: DepthMap, view: View) -> DepthMap:
    """The map with the prior where stereo is not sure, bent to agree with what is sure around.

    What is sure stays, and what agrees with the prior; what stereo doubts besides makes room.
    """
    sure = (found.confidence >= SURE) & (found.depth > 0) & (prior.depth > 0)
    ratio = np.where(sure, found.depth / np.where(prior.depth > 0, prior.depth, 1), 0)
    bent = prior.depth * _spread(ratio.astype(np.float32), sure.astype(np.float32))
    alike = np.abs(found.depth - bent) < _ALIKE * bent
    holes = (found.confidence < SURE) & ~alike & (bent > 0) & view.usable
    filling = depth_map(view, np.where(bent > 0, bent, 0).astype(np.float32), np.float32(FILLED))
    return replace(
        found,
        depth=np.where(holes, filling.depth, found.depth),
        normal=np.where(holes[..., None], filling.normal, found.normal),
        confidence=np.where(holes, filling.confidence, found.confidence),
    )


def _spread(values: Floats, weight: Floats) -> Floats:
    """Weighted means of values around each pixel, taken as near as there are any; 1 where none."""
    spread = np.ones_like(values)
    for width in reversed(_WIDTHS):
        total = cv2.GaussianBlur(values * weight, (0, 0), width)
        support = cv2.GaussianBlur(weight, (0, 0), width)
        share = np.clip(support / _FULL_SUPPORT, 0, 1)
        mean = total / np.maximum(support, _LEAST_SUPPORT)
        spread = np.where(support > _LEAST_SUPPORT, share * mean + (1 - share) * spread, spread)
    return spread
