# SPDX-License-Identifier: GPL-3.0-or-later
"""How the pictures that tell of a solve look: colors, letters, and what draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..camera import Array
from ..errors import OutputError
from ..solve import FrameState

Picture = NDArray[np.uint8]
Color = tuple[int, int, int]
"""Blue, green, red."""

FINE = 2
"""Everything is drawn this much larger and then reduced: smooth points and letters."""

BACKGROUND: Color = (28, 26, 25)
TEXT: Color = (235, 235, 235)
DIM: Color = (165, 160, 158)
STATE_COLORS: Mapping[FrameState, Color] = {
    FrameState.SOLVED: TEXT,
    FrameState.INTERPOLATED: (60, 190, 255),
    FrameState.UNSOLVED: (80, 80, 240),
}
_FONT = cv2.FONT_HERSHEY_DUPLEX
_SHIFT = 4
"""Bits behind the point of the positions that lines and dots are drawn at."""
_RIM = 1.32
"""Radius of a dot with its rim over that without."""


def write(picture: Picture, text: str, place: tuple[int, int], size: float, color: Color) -> None:
    """Text whose left end stands on `place` (x, y)."""
    cv2.putText(picture, text, place, _FONT, size, color, max(1, round(size)), cv2.LINE_AA)


def text_width(text: str, size: float) -> int:
    return int(cv2.getTextSize(text, _FONT, size, max(1, round(size)))[0][0])


def wrapped(text: str, size: float, width: int) -> list[str]:
    """The text in lines no wider than `width`."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def line(picture: Picture, points: Array, color: Color, thickness: int) -> None:
    """A smooth line through points (m, 2)."""
    fixed = np.round(points * 2**_SHIFT).astype(np.int32)
    cv2.polylines(picture, [fixed], False, color, thickness, cv2.LINE_AA, _SHIFT)


def dot(picture: Picture, place: Array, radius: float, color: Color) -> None:
    """A smooth disc around a place (2,), with a black rim that is drawn outside it."""
    x, y = (round(float(value) * 2**_SHIFT) for value in place)
    for reach, paint in ((radius * _RIM, (0, 0, 0)), (radius, color)):
        size = round(reach * 2**_SHIFT)
        cv2.circle(picture, (x, y), size, paint, -1, cv2.LINE_AA, _SHIFT)


def mixed(one: Color, other: Color, share: float) -> Color:
    """`share` of the first color, the rest of the other."""
    blue, green, red = (round(share * a + (1 - share) * b) for a, b in zip(one, other, strict=True))
    return blue, green, red


def reduced(picture: Picture) -> Picture:
    """A picture drawn FINE times too large, at its size."""
    size = (picture.shape[1] // FINE, picture.shape[0] // FINE)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def write_png(path: Path, picture: Picture) -> None:
    """Raises OutputError when the file cannot be made."""
    done, data = cv2.imencode(".png", picture)
    if not done:
        raise OutputError(f"{path.name} could not be made.")
    path.write_bytes(data.tobytes())


def ticks(top: float, most: int) -> Sequence[float]:
    """Round numbers from 0 to `top`, in about `most` steps at most."""
    least = max(top, 1e-9) / most
    power = 10.0 ** np.floor(np.log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * 0.999)
    return [float(value) for value in np.arange(0, top + step * 1e-6, step)]
