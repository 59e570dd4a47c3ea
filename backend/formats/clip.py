# SPDX-License-Identifier: GPL-3.0-or-later
""".clip: channels for Houdini's File CHOP, under the names of its camera's parameters.

Y up, the camera looks along -Z, Houdini's own rotation order xyz (R = Rz Ry Rx). `start` counts
samples, and sample 0 is frame 1. Every frame from the first to the last has a sample, so gaps are
filled by interpolation. `aperture` is the width of the film in mm, `aspect` that of a pixel,
`winx` and `winy` move the window by shares of the image's width and height. There is no room for
the name of the plate.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ..atomic import write_text
from ..camera import (
    Array,
    CameraTrack,
    euler_degrees,
    filled_gaps,
    rotations_from_euler,
    y_up,
    z_up,
)
from ..errors import FormatError
from .text import check_writable, numbers, rate_from, rate_text, read_text, window_offset

ORDER = "XYZ"
_CHANNELS = (
    "tx", "ty", "tz", "rx", "ry", "rz",
    "focal", "aperture", "aspect", "winx", "winy", "resx", "resy",
)  # fmt: skip


def write(track: CameraTrack, path: Path) -> None:
    """Raises OutputError."""
    check_writable(track)
    every = np.arange(track.frames[0], track.frames[-1] + 1)
    whole = filled_gaps(track, every)
    head = {
        "rate": rate_text(track.fps),
        "start": str(every[0] - 1),
        "tracklength": str(len(every)),
        "tracks": str(len(_CHANNELS)),
    }
    lines = ["{", *(f"   {key} = {value}" for key, value in head.items())]
    for name, values in zip(_CHANNELS, _values(whole).T, strict=True):
        lines += ["   {", f"      name = {name}", f"      data = {numbers(values)}", "   }"]
    write_text(path, "\n".join([*lines, "}", ""]))


def _values(track: CameraTrack) -> Array:
    """(n, 13) in the order of _CHANNELS."""
    matrices = y_up(track.matrices)
    size = np.array([track.width, track.height])
    still = np.tile([track.sensor_width], (len(track.frames), 1))
    columns = [
        matrices[:, :3, 3],
        euler_degrees(matrices[:, :3, :3], ORDER),
        track.lens_mm()[:, None],
        still,
        track.focal[:, 1:] / track.focal[:, :1],
        window_offset(track) / size,
        np.tile(size, (len(track.frames), 1)),
    ]
    return np.hstack(columns)


def read(path: Path) -> CameraTrack:
    """A camera that has the channels this module writes. Raises FormatError."""
    try:
        return _track(path, read_text(path).split())
    except (ValueError, KeyError, IndexError, ArithmeticError) as error:
        raise FormatError(
            f"{path} is not a camera that can be read: it needs the channels "
            f"{', '.join(_CHANNELS)} ({error!r})."
        ) from error


def _track(path: Path, words: list[str]) -> CameraTrack:
    head, channels = _parsed(words)
    values = np.stack([channels[name] for name in _CHANNELS], axis=1)
    width, height = (round(float(values[0, column])) for column in (11, 12))
    if not np.isfinite(values).all() or not (0 < width < 10**6 and 0 < height < 10**6):
        raise ValueError("values that are not numbers")
    if not (values[:, 6:9] > 0).all():
        raise ValueError("no focal length, film or pixel aspect")
    matrices = np.tile(np.eye(4), (len(values), 1, 1))
    matrices[:, :3, :3] = rotations_from_euler(values[:, 3:6], ORDER)
    matrices[:, :3, 3] = values[:, :3]
    focal = values[:, 6] / values[:, 7] * width
    size = np.array([width, height])
    return CameraTrack(
        frames=round(float(head["start"])) + 1 + np.arange(len(values)),
        matrices=z_up(matrices),
        focal=np.stack([focal, focal * values[:, 8]], axis=1),
        center=size / 2 - values[:, 9:11] * [1, -1] * size,
        solved=np.ones(len(values), dtype=np.bool_),
        width=width,
        height=height,
        fps=rate_from(float(head["rate"])),
        sensor_width=float(values[0, 7]),
        name=path.stem,
    )


def _parsed(words: list[str]) -> tuple[dict[str, str], dict[str, Array]]:
    """The values of the head and the channels by name; raises ValueError or IndexError."""
    rest = iter(words)
    _expect(rest, "{")
    head: dict[str, str] = {}
    channels: dict[str, Array] = {}
    while (word := next(rest, "}")) != "}":
        if word == "{":
            name, values = _channel(rest, int(head["tracklength"]))
            channels[name] = values
        else:
            _expect(rest, "=")
            head[word] = next(rest, "")
    return head, channels


def _channel(rest: Iterator[str], length: int) -> tuple[str, Array]:
    name, values = "", list[str]()
    while (word := next(rest, "}")) != "}":
        _expect(rest, "=")
        if word == "data":
            values = list(islice(rest, length))
        elif word == "data_rle":
            values = _unpacked(rest, length)
        elif word == "name":
            name = next(rest, "")
        else:
            next(rest, "")
    if len(values) != length:
        raise ValueError(f"channel {name} is cut short")
    return name, np.array(values, dtype=np.float64)


def _unpacked(rest: Iterator[str], length: int) -> list[str]:
    """Run-length coded samples: `@5 0.25` is five times 0.25."""
    values: list[str] = []
    while len(values) < length and (word := next(rest, "")):
        times = min(int(word[1:]), length - len(values)) if word.startswith("@") else 1
        values += [next(rest, "") if word.startswith("@") else word] * times
    return values


def _expect(rest: Iterator[str], wanted: str) -> None:
    word = next(rest, "the end")
    if word != wanted:
        raise ValueError(f"{word} stands where {wanted} should")
