# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the frames of a shot.

ffmpeg takes two thirds of the time that OpenCV does over a PNG, most of what a tracked frame costs
besides the tracks; and OpenCV opens no names beyond ASCII on Windows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]
"""uint8 or uint16: (h, w), or (h, w, 3) in the order red, green, blue."""

_LAYOUTS = {
    "gray": ("u1", 1),
    "gray16be": (">u2", 1),
    "rgb24": ("u1", 3),
    "bgr24": ("u1", 3),
    "rgb48be": (">u2", 3),
    "rgb48le": ("<u2", 3),
    "rgba": ("u1", 4),
    "rgba64be": (">u2", 4),
}
"""Samples and channels of the layouts that PNGs are decoded to and written from."""


def read_frame(path: Path) -> Pixels | None:
    """The frame without its alpha, None when it is missing or damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    try:
        return _decoded(data)
    except av.error.FFmpegError:
        return None


def read_colors(path: Path) -> NDArray[np.uint8] | None:
    """The frame in 8 bits, (h, w, 3), None when it is missing or damaged."""
    frame = read_frame(path)
    if frame is None:
        return None
    if frame.dtype == np.uint16:
        frame = (frame >> 8).astype(np.uint8)
    return frame if frame.ndim == 3 else np.repeat(frame[:, :, None], 3, axis=2)


def _decoded(data: bytes) -> Pixels | None:
    codec = av.CodecContext.create("png", "r")
    codec.thread_count = 1
    frames: list[Any] = [*codec.decode(av.Packet(data)), *codec.decode(None)]
    if not frames:
        return None
    if frames[0].format.name not in _LAYOUTS:
        return _by_opencv(data)
    found = pixels_of(frames[0])
    return found if found.ndim == 2 else found[:, :, :3]


def pixels_of(frame: Any) -> Pixels:
    """(h, w) or (h, w, channels) of a frame of PyAV in one of these layouts, without a copy where
    the processor has its samples' byte order."""
    kind, channels = _LAYOUTS[frame.format.name]
    rows = np.frombuffer(frame.planes[0], np.uint8).reshape(frame.height, -1)
    width = frame.width * channels * np.dtype(kind).itemsize
    samples = rows[:, :width].view(kind)
    native = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    return native if channels == 1 else native.reshape(frame.height, frame.width, channels)


def _by_opencv(data: bytes) -> Pixels | None:
    """Palettes and the like, which few plates have."""
    found: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    return None if found is None else np.asarray(found)[:, :, ::-1]
