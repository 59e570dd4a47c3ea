# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames from images that hold light: OpenEXR and floating-point TIFF, by OpenImageIO.

Each becomes a 16-bit PNG in sRGB, with its proxies. Of an OpenEXR file with several parts or layers
the beauty is taken; its data window is laid into its display window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio

from ..errors import PlateError
from ..shot import FRAME_PATTERN
from .colors import View
from .encoding import Encoding
from .extraction import Extraction
from .image_files import write_png, write_sizes
from .report import Report
from .threads import thread_count, threads

_BAND = 128
"""Lines that are turned into what a screen shows at a time."""
_BEAUTY = ("rgba", "rgb", "beauty", "combined", "c", "color", "main", "")
"""Names of the part or layer that is the picture, the likeliest first."""


def extract_light(
    files: Mapping[int, Path], encoding: Encoding, view: View, done: int, report: Report
) -> Extraction:
    """Writes the frames of the images by frame number; `done` others are there already.

    Raises PlateError, naming an image that cannot be read, and OutputError.
    """
    for percent in encoding.percents:
        encoding.proxies.folder(percent, False).mkdir(parents=True, exist_ok=True)

    def write(number: int) -> None:
        _write_frame(number, files[number], encoding, view)

    with threads(write, files, most=thread_count()) as finished:
        for count, _ in enumerate(finished, done + 1):
            report.progress(count, len(encoding.numbers), "frames")
    return Extraction(encoding.numbers)


def _write_frame(number: int, file: Path, encoding: Encoding, view: View) -> None:
    frame: Any = read_shown(file, view)
    if (frame.shape[1], frame.shape[0]) != encoding.size:
        frame = cv2.resize(frame, encoding.size, interpolation=cv2.INTER_AREA)
    # The frame comes last: one that is there has its proxies.
    if encoding.percents:
        small = np.ascontiguousarray((frame[:, :, ::-1] >> 8).astype(np.uint8))
        write_sizes(encoding.proxy_files(number), small)
        del small
    write_png(encoding.folder / f"{FRAME_PATTERN.format(number)}.png", frame)


def read_shown(file: Path, view: View) -> Any:
    """(height, width, 3) uint16: the picture as a screen shows it, its data window laid
    into its display window. Raises PlateError, naming an image that cannot be read."""
    opened: Any = oiio.ImageInput.open(str(file))
    if opened is None:
        oiio.geterror()
        raise PlateError(f"{file} cannot be read as an image. Replace or remove it.")
    try:
        part, channels = _beauty(opened, file)
        first, last = min(channels), max(channels) + 1
        spec = opened.spec(part)
        # Half floats stay what they are until they are shown: they take half the memory.
        kind = oiio.HALF if spec.format.basetype == oiio.HALF else oiio.FLOAT
        pixels = opened.read_image(part, 0, first, last, kind)
    finally:
        opened.close()
    if pixels is None:
        raise PlateError(f"{file} is damaged. Replace it, or remove it to leave a hole.")
    order = [channel - first for channel in channels]
    shown = np.zeros((spec.full_height or spec.height, spec.full_width or spec.width, 3), np.uint16)
    _lay(np.asarray(pixels), order, view, spec, shown)
    return shown


def _lay(pixels: Any, order: Sequence[int], view: View, spec: Any, shown: Any) -> None:
    """Shows the pixels in bands, where they lie in the display window."""
    height, width = shown.shape[:2]
    left, top = spec.x - spec.full_x, spec.y - spec.full_y
    x0, x1 = max(left, 0), min(left + spec.width, width)
    y0, y1 = max(top, 0), min(top + spec.height, height)
    if x1 <= x0:
        return
    for begin in range(y0, y1, _BAND):
        end = min(begin + _BAND, y1)
        band = pixels[begin - top : end - top, x0 - left : x1 - left]
        seen = view(np.ascontiguousarray(band[..., order], np.float32))
        shown[begin:end, x0:x1] = (seen * 65535 + 0.5).astype(np.uint16)


def _beauty(opened: Any, file: Path) -> tuple[int, tuple[int, int, int]]:
    """The part and its channels for red, green and blue; gray counts as all three."""
    found: dict[str, tuple[int, tuple[int, int, int]]] = {}
    part = 0
    while opened.seek_subimage(part, 0):
        spec = opened.spec()
        if spec.deep:
            raise PlateError(f"{file} holds deep pixels, which are no plate. Flatten it first.")
        name = str(spec.getattribute("oiio:subimagename") or spec.getattribute("name") or "")
        for layer, channels in layers_of(list(spec.channelnames)).items():
            found.setdefault((layer or name).casefold(), (part, channels))
        part += 1
    known = next((found[name] for name in _BEAUTY if name in found), None)
    if known is None and not found:
        raise PlateError(f"{file} holds no red, green and blue.")
    return known or next(iter(found.values()))


def layers_of(names: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """The channels for red, green and blue of each layer; the one without a name is "".

    A layer of a single Y, or a file of one channel, is gray.
    """
    places = {name.casefold(): place for place, name in enumerate(names)}
    layers: dict[str, tuple[int, int, int]] = {}
    for name in names:
        layer, dot, channel = name.casefold().rpartition(".")
        triple = [places.get(f"{layer}{dot}{letter}") for letter in _letters(channel)]
        if triple and all(place is not None for place in triple):
            layers.setdefault(layer, tuple(triple))  # type: ignore[arg-type]
    if not layers and len(names) == 1:
        layers[""] = (0, 0, 0)
    return layers


def _letters(channel: str) -> tuple[str, ...]:
    if channel == "r":
        return ("r", "g", "b")
    if channel == "red":
        return ("red", "green", "blue")
    return ("y", "y", "y") if channel == "y" else ()
