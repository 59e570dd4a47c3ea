# SPDX-License-Identifier: GPL-3.0-or-later
"""What the text formats share: how numbers are written, and what may be written at all."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from ..camera import DISTORTED_PLATE, Array, CameraTrack
from ..errors import FormatError, OutputError

DIGITS = "%.10g"
"""Ten digits: 1e-6 of a unit a kilometer from the origin, and far below 1e-5 px."""

_ROUNDING = 1e-13
_LARGEST_FILE = 256 * 1024 * 1024


def number(value: float) -> str:
    return DIGITS % value


def numbers(values: Array, between: str = " ") -> str:
    """A row of numbers."""
    return between.join([DIGITS % value for value in values.tolist()])


def rows(table: Array, between: str = " ") -> list[str]:
    """Each row of a table (n, k) as a line of numbers."""
    template = between.join([DIGITS] * table.shape[1])
    return [template % tuple(row) for row in table.tolist()]


def check_writable(track: CameraTrack) -> None:
    """Raises OutputError for a camera that no file should hold."""
    if len(track.frames) == 0:
        raise OutputError("The camera has no frame to write: track it first.")
    parts = (track.matrices, track.focal, track.center)
    if not all(np.isfinite(part).all() for part in parts) or track.focal.min() <= 0:
        raise OutputError(
            "The camera has values that are not numbers, or no focal length: track it again."
        )


def fits_text(track: CameraTrack) -> str:
    """Which plate the camera fits, in words."""
    words = f"fits the {track.fits} of {track.width} x {track.height}"
    return f"{words}, whose lens is in intrinsics.json" if track.fits == DISTORTED_PLATE else words


def window_offset(track: CameraTrack) -> Array:
    """(n, 2) pixels that the picture's middle lies right of and above the principal point."""
    x, y = track.center.T
    return np.stack([track.width / 2 - x, y - track.height / 2], axis=1)


def is_constant(values: Array) -> bool:
    """True when one number says it all: what differs is rounding."""
    return bool((np.abs(values - values[0]) <= _ROUNDING * np.abs(values[0])).all())


def read_text(path: Path) -> str:
    """Raises FormatError when there is no such file or it cannot be text."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise FormatError(f"{path} is far too large for a camera.")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not a text file.") from error


def rate_text(rate: Fraction) -> str:
    """A rate as a decimal number, as exact as a float is."""
    return f"{float(rate):.15g}"


def rate_from(value: float) -> Fraction:
    """The exact rate behind a decimal one: 23.976023976 is 24000/1001. Raises ValueError."""
    rate = Fraction(value).limit_denominator(1001)
    if not 0 < rate <= 1000:
        raise ValueError(f"a rate of {value}")
    return rate
