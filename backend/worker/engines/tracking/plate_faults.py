# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a plate that show while it is tracked: repeats, cuts, blur, lines of two fields."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from ....camera import Array
from .frames import Picture
from .records import Faults

_REPEAT = 0.15
"""Share of the image noise that two copies of one frame may differ by (compression)."""

_CUT_SURVIVAL = 0.1
_CUT_CHANGE = 3.0
"""Change of the picture at a cut, over that from frame to frame before it."""

_NEIGHBORHOOD = 49
"""Frames that a frame's sharpness is compared with."""

_LAPLACIAN_NOISE = 20.0
"""Sum of the squares of its coefficients."""

_SOFT = 0.75
"""Sharpness under which a frame counts as blurred."""


def repeats(before: Picture, after: Picture, noise: float) -> bool:
    """True when a frame shows its predecessor again."""
    if change(before, after) > noise:
        return False
    return float(np.mean(cv2.absdiff(before.coarse, after.coarse))) < _REPEAT * noise


def change(before: Picture, after: Picture) -> float:
    """How much a few large cells of the picture changed, in gray levels."""
    return float(np.mean(np.abs(before.thumb - after.thumb)))


def detail(picture: Picture, noise: float) -> float:
    """Mean square of the finest detail beyond the noise; falls with blur."""
    inner = picture.coarse[2:-2, 2:-2]
    every = float(np.mean(np.square(cv2.Laplacian(inner, cv2.CV_32F))))
    return max(every - _LAPLACIAN_NOISE * noise**2, 0.02 * every)


@dataclass
class FaultLog:
    """Collects what each frame shows; a list has one entry a frame."""

    numbers: list[int] = field(default_factory=list)
    duplicates: list[bool] = field(default_factory=list)
    cuts: list[bool] = field(default_factory=list)
    details: list[float] = field(default_factory=list)
    combs: list[float] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    survival: list[float] = field(default_factory=list)
    motion: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)

    def sees(self, picture: Picture, before: Picture | None, noise: float) -> None:
        """What the picture alone tells. Call it once for each frame, in order."""
        self.numbers.append(picture.number)
        self.duplicates.append(False)
        self.cuts.append(False)
        self.details.append(detail(picture, noise))
        self.gains.append(picture.gain)
        self.combs.append(picture.combing)
        self.changes.append(change(before, picture) if before else 0.0)

    def tracks(self, survival: float, motion: float) -> None:
        """What the tracks tell of the frame seen last."""
        self.survival.append(survival)
        self.motion.append(motion)

    def softness(self) -> float:
        """Sharpness of the frame seen last over that of those before it, at most 1."""
        return min(1.0, float(_relative(np.array(self.details[-_NEIGHBORHOOD:]))[-1]))

    def is_cut(self, survival: float) -> bool:
        """True when the frame seen last shows another picture than its predecessor."""
        usual = float(np.median(self.changes[-12:-1])) if len(self.changes) > 2 else 0.0
        return survival < _CUT_SURVIVAL and self.changes[-1] > max(_CUT_CHANGE * usual, 4.0)

    def faults(self, noise: float) -> Faults:
        details = np.array(self.details)
        reach = _NEIGHBORHOOD // 2
        sharpness = [
            _relative(details[max(0, i - reach) : i + reach + 1], i - max(0, i - reach))[0]
            for i in range(len(details))
        ]
        return Faults(
            frames=np.array(self.numbers, dtype=np.int64),
            duplicates=np.array(self.duplicates, dtype=np.bool_),
            cuts=np.array(self.cuts, dtype=np.bool_),
            sharpness=np.array(sharpness),
            combing=np.array(self.combs),
            gain=np.array(self.gains),
            features=np.array(self.features, dtype=np.int64),
            survival=np.array(self.survival),
            motion=np.array(self.motion),
            noise=noise,
        )


def _relative(details: Array, index: int | None = None) -> Array:
    """Root of the details over their upper quartile: all of them, or the one at `index`."""
    usual = max(float(np.percentile(details, 75)), 1e-6)
    ratio: Array = np.sqrt(details / usual)
    return ratio if index is None else ratio[index : index + 1]


def is_soft(sharpness: float) -> bool:
    return sharpness < _SOFT
