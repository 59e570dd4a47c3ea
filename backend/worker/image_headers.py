# SPDX-License-Identifier: GPL-3.0-or-later
"""What the images of a sequence are, by their headers alone."""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import OpenImageIO as oiio

from ..errors import PlateError
from .media import Picture, nearest_standard

_SPACES = {
    "acescg": ((0.713, 0.293), (0.165, 0.830), (0.128, 0.044)),
    "aces": ((0.7347, 0.2653), (0.0, 1.0), (0.0001, -0.077)),
    "linear2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "linearp3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "linear": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
}
"""Chromaticities (x, y) of red, green and blue."""
_SAME_PRIMARY = 0.005
_NAMED = {"lin_ap1": "acescg", "lin_ap0": "aces", "acescg": "acescg", "aces2065-1": "aces"}
_NAMED |= {"lin_rec2020": "linear2020", "lin_p3d65": "linearp3"}
_LOG_TRANSFERS = ("printing density", "logarithmic")
_PNG_HEADER = struct.Struct(">8x4x4sIIBB")
_PNG_CHANNELS_WITH_ALPHA = (4, 6)


@dataclass(frozen=True)
class ImageHeader:
    """One image: `size` as shown (the display window), `bits` a channel, `floats` for light.

    space     a name of backend/color_spaces.py, "" where the file does not tell
    rate, timecode    None and "" where the file does not tell
    """

    size: tuple[int, int]
    bits: int
    floats: bool = False
    aspect: Fraction = Fraction(1)
    alpha: bool = False
    space: str = ""
    rate: Fraction | None = None
    timecode: str = ""

    @property
    def depth(self) -> str:
        return f"{self.bits} bits (floating point)" if self.floats else f"{self.bits} bits"

    def picture(self) -> Picture:
        """The same as what a movie's picture is told by, of an image that holds light."""
        return Picture(
            codec="light",
            pixel_format="rgbf32",
            width=self.size[0],
            height=self.size[1],
            stored_size=self.size,
            depth=16,
            matrix="",
            full_range=True,
            pixel_aspect=self.aspect,
            rotation=0,
            alpha=self.alpha,
        )


def read_headers(files: Sequence[Path]) -> tuple[ImageHeader, ...]:
    """The headers of all files. Raises PlateError, naming the first that cannot be read."""
    with ThreadPoolExecutor() as threads:
        return tuple(threads.map(read_header, files))


def read_header(file: Path) -> ImageHeader:
    """Raises PlateError."""
    if file.suffix.casefold() == ".png":
        return _png(file)
    opened: Any = oiio.ImageInput.open(str(file))
    if opened is None:
        oiio.geterror()
        raise PlateError(f"{file} cannot be read as an image. Replace or remove it.")
    try:
        return _of_spec(opened.spec())
    finally:
        opened.close()


def _png(file: Path) -> ImageHeader:
    """OpenImageIO takes ten times as long."""
    with file.open("rb") as opened:
        data = opened.read(_PNG_HEADER.size)
    if len(data) < _PNG_HEADER.size:
        raise PlateError(f"{file} cannot be read as an image. Replace or remove it.")
    kind, width, height, bits, channels = _PNG_HEADER.unpack(data)
    if kind != b"IHDR" or not width or not height:
        raise PlateError(f"{file} cannot be read as an image. Replace or remove it.")
    return ImageHeader((width, height), bits, alpha=channels in _PNG_CHANNELS_WITH_ALPHA)


def _of_spec(spec: Any) -> ImageHeader:
    tags = attributes(spec)
    floats = spec.format.basetype in (oiio.HALF, oiio.FLOAT, oiio.DOUBLE)
    width, height = spec.full_width or spec.width, spec.full_height or spec.height
    aspect = float(spec.get_float_attribute("PixelAspectRatio", 1.0))
    plausible = math.isfinite(aspect) and 0.1 < aspect < 10
    return ImageHeader(
        size=(width, height),
        bits=spec.get_int_attribute("oiio:BitsPerSample", 8 * spec.format.size()),
        floats=floats,
        aspect=Fraction(aspect).limit_denominator(1000) if plausible else Fraction(1),
        alpha=spec.alpha_channel >= 0,
        space=_linear_space(tags) if floats else _coded_space(tags),
        rate=_rate(tags),
        timecode=_timecode(tags),
    )


def attributes(spec: Any) -> dict[str, Any]:
    """What an image's header says by name; texts that are none are left out."""
    found: dict[str, Any] = {}
    for attribute in spec.extra_attribs:
        with contextlib.suppress(UnicodeDecodeError):
            found[attribute.name] = attribute.value
    return found


def _linear_space(tags: Mapping[str, Any]) -> str:
    """By the chromaticities, or the name that the file gives its colors; BT.709 without either."""
    told = tags.get("chromaticities")
    if told and len(told) >= 6:
        for name, primaries in _SPACES.items():
            wanted = [value for pair in primaries for value in pair]
            if all(abs(a - b) < _SAME_PRIMARY for a, b in zip(told, wanted, strict=False)):
                return name
    if tags.get("acesImageContainerFlag"):
        return "aces"
    named = str(tags.get("oiio:ColorSpace") or "").casefold()
    return _NAMED.get(named, "linear")


def _coded_space(tags: Mapping[str, Any]) -> str:
    transfer = str(tags.get("dpx:Transfer") or "").casefold()
    return "filmlog" if transfer in _LOG_TRANSFERS else ""


def _rate(tags: Mapping[str, Any]) -> Fraction | None:
    for name in ("FramesPerSecond", "framesPerSecond", "dpx:FrameRate", "dpx:TemporalFrameRate"):
        told = tags.get(name)
        if isinstance(told, tuple) and len(told) == 2 and told[1]:
            told = Fraction(int(told[0]), int(told[1]))
        if isinstance(told, int | float | Fraction) and 1 <= told <= 1000:
            return nearest_standard(Fraction(told).limit_denominator(100000))
    return None


def _timecode(tags: Mapping[str, Any]) -> str:
    """OpenImageIO gives timecodes as the text of SMPTE ST 12, or as its two packed words."""
    for name in ("smpte:TimeCode", "dpx:TimeCode", "timeCode"):
        told = tags.get(name)
        if isinstance(told, str):
            return told
        if isinstance(told, tuple) and told:
            return _unpacked(int(told[0]) & 0xFFFFFFFF)
    return ""


def _unpacked(word: int) -> str:
    """The label in the first word of a packed timecode: eight binary coded decimals, with flags."""
    frames = (word & 0xF) + 10 * (word >> 4 & 0x3)
    drop = bool(word & 0x40)
    seconds = (word >> 8 & 0xF) + 10 * (word >> 12 & 0x7)
    minutes = (word >> 16 & 0xF) + 10 * (word >> 20 & 0x7)
    hours = (word >> 24 & 0xF) + 10 * (word >> 28 & 0x3)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{';' if drop else ':'}{frames:02d}"
