# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames from images that hold light: OpenEXR and floating-point TIFF, by OpenImageIO.

Each becomes a 16-bit PNG in sRGB, with its proxies. Of an OpenEXR file with several parts or layers
the beauty is taken; its data window is laid into its display window.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio

from ..errors import OutputError, PlateError
from ..shot import FRAME_PATTERN
from .colors import Pixels, View
from .extraction import Encoding, Extraction, thread_count
from .proxy_layout import proxy_size
from .report import Report

JPEG_QUALITY = 92
_PNG_LEVEL = 1
_BEAUTY = ("rgba", "rgb", "beauty", "combined", "c", "color", "main", "")
"""Names of the part or layer that is the picture, the likeliest first."""


def extract_light(
    files: Mapping[int, Path], encoding: Encoding, view: View, done: int, report: Report
) -> Extraction:
    """Writes the frames of the images by frame number; `done` others are there already.

    Raises PlateError, naming an image that cannot be read, and OutputError.
    """
    for percent in encoding.percents:
        encoding.proxies(percent).mkdir(parents=True, exist_ok=True)
    total = len(encoding.numbers)
    threads = max(1, thread_count())
    with ThreadPoolExecutor(threads) as pool:
        waiting: set[Future[None]] = set()
        try:
            for number, file in files.items():
                waiting.add(pool.submit(_write_frame, number, file, encoding, view))
                if len(waiting) > threads:
                    ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    done = _count(ended, done, total, report)
            done = _count(waiting, done, total, report)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return Extraction(encoding.numbers)


def _count(ended: set[Future[None]], done: int, total: int, report: Report) -> int:
    for future in ended:
        future.result()
        done += 1
        report.progress(done, total, "frames")
    return done


def _write_frame(number: int, file: Path, encoding: Encoding, view: View) -> None:
    shown: Any = view(read_beauty(file))
    if (shown.shape[1], shown.shape[0]) != encoding.size:
        shown = cv2.resize(shown, encoding.size, interpolation=cv2.INTER_AREA)
    frame = (np.clip(shown[..., ::-1], 0.0, 1.0) * 65535 + 0.5).astype(np.uint16)
    small: Any = (frame >> 8).astype(np.uint8)
    for percent in encoding.percents:
        small = cv2.resize(small, proxy_size(encoding.size, percent), interpolation=cv2.INTER_AREA)
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        _write(encoding.proxy(number, percent), small, quality)
    level = [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL]
    _write(encoding.folder / f"{FRAME_PATTERN.format(number)}.png", frame, level)


def _write(path: Path, image: Any, settings: Sequence[int]) -> None:
    """The file appears whole. Raises OutputError."""
    done, data = cv2.imencode(path.suffix, image, settings)
    if not done:
        raise OutputError(f"{path} could not be written.")
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data.tobytes())
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"{path} could not be written: {error.strerror}.") from error


def read_beauty(file: Path) -> Pixels:
    """(height, width, 3) the picture's red, green and blue light. Raises PlateError."""
    opened: Any = oiio.ImageInput.open(str(file))
    if opened is None:
        oiio.geterror()
        raise PlateError(f"{file} cannot be read as an image. Replace or remove it.")
    try:
        part, channels = _beauty(opened, file)
        first, last = min(channels), max(channels) + 1
        pixels = opened.read_image(part, 0, first, last, oiio.FLOAT)
        spec = opened.spec(part)
    finally:
        opened.close()
    if pixels is None:
        raise PlateError(f"{file} is damaged. Replace it, or remove it to leave a hole.")
    chosen = np.asarray(pixels, np.float32)[..., [channel - first for channel in channels]]
    return _in_display_window(np.ascontiguousarray(chosen), spec)


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


def _in_display_window(pixels: Pixels, spec: Any) -> Pixels:
    """The pixels of the display window; black where the data window does not reach."""
    width, height = spec.full_width or spec.width, spec.full_height or spec.height
    left, top = spec.x - spec.full_x, spec.y - spec.full_y
    if (left, top, width, height) == (0, 0, spec.width, spec.height):
        return pixels
    shown: Pixels = np.zeros((height, width, 3), np.float32)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + spec.width, width), min(top + spec.height, height)
    if x1 > x0 and y1 > y0:
        shown[y0:y1, x0:x1] = pixels[y0 - top : y1 - top, x0 - left : x1 - left]
    return shown
