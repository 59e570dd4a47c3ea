# SPDX-License-Identifier: GPL-3.0-or-later
"""What an open shutter does to a picture: each point leaves a streak, as long as its motion.

Light adds up, not gray levels: pictures are averaged along streaks in light.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ....camera import Integers
from ....tracks import Floats

_SAMPLES = ((0.0, 1), (1.0, 3), (10.0, 5), (24.0, 9))
"""Working px of a streak, and the samples along it from that length on."""

_ROWS = 32000
"""Most rows of a picture that `cv2.remap` reads."""


@dataclass(frozen=True, eq=False)
class Blur:
    """A picture that patches are to see blurred.

    lights   the picture as light
    streaks  (n, 2) along which each patch sees it, in px of the patch
    """

    lights: Floats
    streaks: Floats

    def take(self, index: Integers | slice) -> Blur:
        return Blur(self.lights, self.streaks[index])


def light(gray: Floats) -> Floats:
    """Of gray levels: a display's usual gamma is near enough to 2."""
    return np.asarray(np.square(np.maximum(gray, 0)), np.float32)


def averaged(lights: Floats, x: Floats, y: Floats, streaks: Floats) -> Floats:
    """Gray levels (n, p) at positions x, y (n, p) of a picture of light, each averaged along the
    streak (n, 2) of its row."""
    length = np.hypot(*streaks.T)
    seen = np.empty(x.shape, np.float32)
    ends = [least for least, _samples in _SAMPLES[1:]] + [np.inf]
    for (least, samples), most in zip(_SAMPLES, ends, strict=True):
        rows = np.flatnonzero((length >= least) & (length < most))
        if len(rows):
            seen[rows] = _mean(lights, x[rows], y[rows], streaks[rows], samples)
    return np.asarray(np.sqrt(seen))


def _mean(lights: Floats, x: Floats, y: Floats, streaks: Floats, samples: int) -> Floats:
    total = np.zeros(x.shape, np.float32)
    for part in (np.arange(samples) + 0.5) / samples - 0.5:
        across, down = (streaks * np.float32(part)).T[:, :, None]
        total += cv2.remap(
            lights, x + across, y + down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    total *= np.float32(1 / samples)
    return total


def streaked(patches: Floats, streaks: Floats, reach: int) -> Floats:
    """Middles (n, 2 reach + 1, 2 reach + 1) in gray levels of square patches of light, each drawn
    out along its streak (n, 2) as far as the patch has something to draw from."""
    side, size = patches.shape[1], 2 * reach + 1
    most = side - size - 2
    kept = np.clip(streaks, -most, most)
    axis = np.arange(size, dtype=np.float32) + np.float32((side - size) // 2)
    at_once = _ROWS // side
    parts = [np.zeros((0, size, size), np.float32)]
    for start in range(0, len(patches), at_once):
        # All patches as one tall picture.
        some = patches[start : start + at_once]
        top = np.arange(len(some), dtype=np.float32)[:, None] * np.float32(side)
        x = np.tile(axis, (len(some), size))
        y = np.repeat(axis, size) + top
        seen = averaged(some.reshape(-1, side), x, y, kept[start : start + at_once])
        parts.append(seen.reshape(-1, size, size))
    return np.concatenate(parts)
