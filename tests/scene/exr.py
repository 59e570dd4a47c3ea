# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes depth maps as the stages do, without their libraries."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def write_exr(path: Path, image: np.ndarray) -> None:
    """A 32-bit image (h, w) in the one channel Y, uncompressed, by the OpenEXR file layout."""
    height, width = image.shape
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    channel = b"Y\0" + struct.pack("<iB3xii", 2, 0, 1, 1) + b"\0"
    head = struct.pack("<2i", 20000630, 2) + b"".join(
        name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value
        for name, kind, value in (
            (b"channels", b"chlist", channel),
            (b"compression", b"compression", b"\0"),
            (b"dataWindow", b"box2i", box),
            (b"displayWindow", b"box2i", box),
            (b"lineOrder", b"lineOrder", b"\0"),
            (b"pixelAspectRatio", b"float", struct.pack("<f", 1)),
            (b"screenWindowCenter", b"v2f", bytes(8)),
            (b"screenWindowWidth", b"float", struct.pack("<f", 1)),
        )
    )
    start, size = len(head) + 1 + 8 * height, 8 + 4 * width
    rows = np.zeros(height, [("y", "<i4"), ("size", "<i4"), ("values", "<f4", (width,))])
    rows["y"], rows["size"], rows["values"] = np.arange(height), 4 * width, image
    offsets = start + size * np.arange(height, dtype="<u8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + b"\0" + offsets.tobytes() + rows.tobytes())
