# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth maps as 32-bit OpenEXR files: depth, normals and confidence of a frame.

Depth and confidence are in the channel Y. Normals are in the shot's world in the files, as other
programs want them, and in the camera's axes in a DepthMap.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from ...camera import Similarity
from ...errors import FormatError, OutputError
from ...shot import DenseFolder
from .views import DepthMap, Floats, View


def write_maps(folder: DenseFolder, view: View, found: DepthMap) -> None:
    """Writes the three files of a frame, depth last: where that is, all are. Raises OutputError."""
    world = found.normal @ view.rotation.astype(np.float32)
    write_map(folder.confidence(found.number), found.confidence)
    _write(folder.normal(found.number), world, ("R", "G", "B"))
    write_map(folder.depth(found.number), found.depth)


def read_maps(folder: DenseFolder, view: View) -> DepthMap:
    """Raises FormatError for a file that is missing, damaged or of another size."""
    number, size = view.number, view.size
    world = _read(folder.normal(number), size, 3)
    return DepthMap(
        number=number,
        depth=_read(folder.depth(number), size, 1)[..., 0],
        normal=world @ view.rotation.T.astype(np.float32),
        confidence=_read(folder.confidence(number), size, 1)[..., 0],
    )


def read_map(path: Path) -> Floats:
    """(h, w) of a file with one channel. Raises FormatError."""
    return _read(path, None, 1)[..., 0]


def write_map(path: Path, pixels: Floats) -> None:
    """Writes (h, w) as a file with one channel, whole or not at all. Raises OutputError."""
    _write(path, pixels[..., None], ("Y",))


def _write(path: Path, pixels: Floats, channels: tuple[str, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.part.exr")
    height, width = pixels.shape[:2]
    spec = oiio.ImageSpec(width, height, len(channels), oiio.FLOAT)
    spec.channelnames = channels
    spec.attribute("compression", "zip")
    output = oiio.ImageOutput.create(str(part))
    done = output is not None and output.open(str(part), spec)
    done = done and output.write_image(np.ascontiguousarray(pixels, np.float32))
    done = bool(output is not None and output.close() and done)
    if not done:
        oiio.geterror()
        raise OutputError(f"{path} cannot be written: see that the disk has room.")
    part.replace(path)


def _read(path: Any, size: tuple[int, int] | None, channels: int) -> Floats:
    """Pixels (h, w, channels), of any size where none is named."""
    opened: Any = oiio.ImageInput.open(str(path))
    pixels = opened.read_image(oiio.FLOAT) if opened else None
    if opened:
        opened.close()
    shape = (*size[::-1], channels) if size else (*getattr(pixels, "shape", ())[:2], channels)
    if pixels is None or pixels.shape != shape:
        oiio.geterror()
        raise FormatError(f"{path} is missing or damaged: make the dense points again.")
    found: Floats = np.ascontiguousarray(pixels, np.float32)
    return found


def move_maps(source: DenseFolder, target: DenseFolder, number: int, step: Similarity) -> None:
    """Writes a frame's maps as they are in a world that was moved. Raises FormatError for what is
    damaged, OutputError."""
    confidence, world, depth = (
        _read(kind(number), None, count)
        for kind, count in ((source.confidence, 1), (source.normal, 3), (source.depth, 1))
    )
    turned = world @ step.rotation.T.astype(np.float32)
    write_map(target.confidence(number), confidence[..., 0])
    _write(target.normal(number), turned, ("R", "G", "B"))
    write_map(target.depth(number), depth[..., 0] * np.float32(step.scale))
