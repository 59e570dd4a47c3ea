# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tracker is told and what it returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....camera import Array, Integers
from ....tracks import Floats, Tracks

Booleans = NDArray[np.bool_]


PATCH_REACH = 12
"""Working px from the middle of a kept patch to its border."""


@dataclass(frozen=True)
class TrackSettings:
    """How a plate is tracked; the quality presets differ in these. px are of the working image.

    max_size     longest side of the working image, in which tracks are registered; 0 = the plate
    coarse_size  longest side of the image in which tracks are searched from frame to frame
    cells        cells over the longer side of the plate, one live track in each
    live         most tracks at a time
    redetect     frames between two detections
    window       px of the coarse image, side of the search window
    levels       pyramid levels above the coarse image
    radius       px, of the registered patch
    forward_backward  px of the coarse image, most that a search there and back may miss
    correlation  least correlation of a mark with its reference patch
    renew        correlation below which a track takes a new reference patch
    correction   px, most that registration may move what the search found
    steps        registration steps a frame
    misses       frames in a row without a mark after which a track ends
    strength     least strength of a corner, over the image's own noise
    mask_margin  how far masks are grown, over the longer side
    shortest     marks a track must have to be kept
    patches      most tracks whose birth patches are kept for `reacquire`
    """

    max_size: int = 2048
    coarse_size: int = 720
    cells: int = 36
    live: int = 2500
    redetect: int = 4
    window: int = 11
    levels: int = 3
    radius: int = 11
    forward_backward: float = 0.4
    correlation: float = 0.75
    renew: float = 0.85
    correction: float = 1.5
    steps: int = 3
    misses: int = 3
    strength: float = 2.0
    mask_margin: float = 0.008
    shortest: int = 4
    patches: int = 20000

    def __post_init__(self) -> None:
        if not 0 < self.radius < PATCH_REACH:
            raise ValueError(f"a radius of {self.radius} px is not within 1..{PATCH_REACH - 1}")


@dataclass(frozen=True)
class Sizes:
    """Plate, working and coarse image as (width, height)."""

    plate: tuple[int, int]
    working: tuple[int, int]
    coarse: tuple[int, int]

    @classmethod
    def of(cls, width: int, height: int, settings: TrackSettings) -> Sizes:
        working = _fitted((width, height), settings.max_size)
        return cls((width, height), working, _fitted(working, settings.coarse_size))

    @property
    def working_scale(self) -> Floats:
        """(2,) working px per plate px."""
        return _ratio(self.working, self.plate)

    @property
    def coarse_scale(self) -> Floats:
        """(2,) coarse px per working px."""
        return _ratio(self.coarse, self.working)

    def to_plate(self, position: Floats) -> Array:
        """Plate px of working positions (n, 2), which have (0, 0) at a pixel's middle."""
        plate: Array = (position.astype(np.float64) + 0.5) / self.working_scale
        return plate

    def to_working(self, pixel: Array) -> Floats:
        """Working positions (n, 2) of plate px."""
        working: Floats = (pixel * self.working_scale - 0.5).astype(np.float32)
        return working

    def to_coarse(self, position: Floats) -> Floats:
        """Coarse positions of working ones (n, 2); both have (0, 0) at a pixel's middle."""
        half = np.float32(0.5)
        return np.asarray((position + half) * self.coarse_scale - half)

    def from_coarse(self, position: Floats) -> Floats:
        half = np.float32(0.5)
        return np.asarray((position + half) / self.coarse_scale - half)


def _ratio(size: tuple[int, int], other: tuple[int, int]) -> Floats:
    ratio: Floats = np.divide(size, other).astype(np.float32)
    return ratio


def _fitted(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """The size divided by a whole number until its longer side is at most `longest`; 0 leaves it.

    Whole numbers: pixels are then averaged in blocks, which is fast and shifts nothing.
    """
    parts = -(-max(size) // longest) if longest else 1
    return max(1, round(size[0] / parts)), max(1, round(size[1] / parts))


def visible(
    position: Floats, sizes: Sizes, ignored: NDArray[np.uint8] | None, border: int
) -> Booleans:
    """True for working positions (n, 2) at least `border` px inside the frame, where `ignored`
    (of the coarse size, None: nowhere) is 0."""
    width, height = sizes.working
    x, y = position.T
    inside = (x >= border) & (y >= border) & (x < width - border) & (y < height - border)
    if ignored is None:
        return np.asarray(inside)
    place = np.rint(sizes.to_coarse(position)).astype(np.int64)
    column = place[:, 0].clip(0, ignored.shape[1] - 1)
    row = place[:, 1].clip(0, ignored.shape[0] - 1)
    return np.asarray(inside & (ignored[row, column] == 0))


@dataclass(frozen=True, eq=False)
class Patches:
    """The patch of its birth for each track in `ids`.

    ids     (p,) int, ascending
    frame   (p,) plate frame the patch is from
    pixel   (p, 2) plate px the track has in that frame
    values  (p, side, side) float16, gray levels of 0..255 around the center
    sizes   the pictures they are from
    mask_margin  how far masks are grown, over the longer side
    """

    ids: Integers
    frame: Integers
    pixel: Array
    values: NDArray[np.float16]
    sizes: Sizes
    mask_margin: float


@dataclass(frozen=True, eq=False)
class Faults:
    """What was noticed in each frame of the plate; n frames in order.

    frames       (n,) plate frame numbers
    duplicates   (n,) the frame repeats its predecessor
    cuts         (n,) another picture begins here: no track crosses it
    sharpness    (n,) of the frame over that of its neighborhood; a blurred frame is well under 1
    combing      (n,) 0..1, share of the frame where line by line alternates, as two fields do
    gain         (n,) exposure over that of the first frame
    features     (n,) live tracks
    survival     (n,) share of the predecessor's tracks that this frame kept; 1 in the first
    motion       (n,) median motion from the predecessor in plate px
    noise        of the image that is searched, its standard deviation in gray levels of 0..255
    """

    frames: Integers
    duplicates: Booleans
    cuts: Booleans
    sharpness: Array
    combing: Array
    gain: Array
    features: Integers
    survival: Array
    motion: Array
    noise: float

    @property
    def interlaced(self) -> bool:
        """True when most moving frames show lines of two fields."""
        moving = self.motion > 1.0
        return bool(moving.sum() >= 3 and (self.combing[moving] > COMBED).mean() > 0.5)


COMBED = 0.005
"""Combing above which a frame is taken to be interlaced."""


@dataclass(frozen=True, eq=False)
class Tracking:
    """What the tracker found. The tracks' errors are UNUSED."""

    tracks: Tracks
    patches: Patches
    faults: Faults
