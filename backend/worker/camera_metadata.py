# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera that a plate's own metadata names: EXIF and XMP of images, QuickTime tags, XMP and
Sony's camera data of movies, standard attributes of OpenEXR files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import OpenImageIO as oiio

from ..plate_tags import PlateCamera
from .image_headers import attributes

_SEARCHED = 4 << 20
"""Bytes at either end of a movie where its metadata is looked for."""

_NAMES = {
    "make": ("make", "cameramake", "manufacturer", "com.apple.quicktime.make"),
    "model": ("model", "cameramodel", "modelname", "com.apple.quicktime.model"),
    "lens": ("lensmodel", "lens", "com.apple.quicktime.camera.lens_model"),
    "focal": ("focallength", "nominalfocallength", "effectivefocallength"),
    "focal_35mm": (
        *("focallengthin35mmfilm", "focallengthin35mmformat"),
        "com.apple.quicktime.camera.focal_length.35mm_equivalent",
    ),
    "sensor_width": ("sensorwidth",),
}
"""What files call a value, in small letters and without the name of its schema."""

_GAMMAS = (
    (r"s-?log-?3[ -]*(s-gamut3\.)?cine", "slog3cine"),
    (r"s-?log-?3", "slog3"),
    (r"v-?log", "vlog"),
    (r"log-?c-?4", "logc4"),
    (r"log-?c", "logc3"),
    (r"(canon|c)[ -]?log[ -]?2", "clog2"),
    (r"(canon|c)[ -]?log[ -]?3", "clog3"),
    (r"log3g10", "log3g10"),
    (r"d-?log(?! ?m)", "dlog"),
    (r"apple[ -_]?log(?![ -]?2)", "applelog"),
    (r"\bhlg\b|hybrid log", "hlg"),
)
_GAMMA_KEYS = re.compile(r"gamma|transfer|curve|log|colou?r|look|lut")
_XMP = re.compile(
    r"(?:exif|exifEX|aux|tiff|xmpDM):(\w+)\s*(?:=\s*[\"']([^\"'<>]{1,100})[\"']"
    r"|>(?:\s*<[^>]*>)*\s*([^<>]{1,100}?)\s*<)"
)
_SONY_DEVICE = re.compile(r"<Device\s[^>]*?manufacturer=\"([^\"]+)\"[^>]*?modelName=\"([^\"]+)\"")
_SONY_ITEM = re.compile(r"<Item\s+name=\"(\w+)\"\s+value=\"([^\"]+)\"")
_INCH, _CENTIMETER = 25.4, 10.0


def image_camera(path: Path) -> PlateCamera:
    """The camera by an image's metadata."""
    opened: Any = oiio.ImageInput.open(str(path))
    if opened is None:
        oiio.geterror()
        return PlateCamera()
    try:
        spec = opened.spec()
        tags = attributes(spec)
        width = max(spec.width, spec.height)
    finally:
        opened.close()
    return _camera(tags, _sensor_width(_plain(tags), width))


def movie_camera(path: Path, metadata: Mapping[str, str]) -> PlateCamera:
    """The camera by a movie's tags and by what is embedded in it."""
    text = _both_ends(path)
    tags: dict[str, Any] = {}
    for name, value, other in _XMP.findall(text):
        tags.setdefault(name, value or other)
    for name, value in _SONY_ITEM.findall(text):
        tags.setdefault(name, value)
    if device := _SONY_DEVICE.search(text):
        tags |= {"make": device[1], "model": device[2]}
    return _camera(tags | dict(metadata), 0.0)


def _both_ends(path: Path) -> str:
    """The text at the beginning and the end of a file, whatever is between it."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        data = file.read(_SEARCHED)
        if size > _SEARCHED:
            file.seek(max(_SEARCHED, size - _SEARCHED))
            data += b"\n" + file.read(_SEARCHED)
    return data.decode("latin-1")


def _camera(tags: Mapping[str, Any], sensor_width: float) -> PlateCamera:
    plain = _plain(tags)
    return PlateCamera(
        make=_text(plain, "make"),
        model=_text(plain, "model"),
        lens=_text(plain, "lens"),
        focal=_number(plain, "focal"),
        focal_35mm=_number(plain, "focal_35mm"),
        sensor_width=_number(plain, "sensor_width") or sensor_width,
        gamma=_gamma(tags.items()),
    )


def _plain(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Values by their names in small letters, also without what stands before the last : or /."""
    found: dict[str, Any] = {}
    for name, value in tags.items():
        lower = name.casefold()
        found[lower] = value
        found.setdefault(re.split(r"[:/]", lower)[-1], value)
    return found


def _text(plain: Mapping[str, Any], what: str) -> str:
    value = next((plain[name] for name in _NAMES[what] if name in plain), "")
    return re.sub(r"[^\x20-\U0010ffff]", "", str(value)).strip()[:100]


def _number(plain: Mapping[str, Any], what: str) -> float:
    return next((_positive(plain[name]) for name in _NAMES[what] if name in plain), 0.0)


def _positive(value: Any) -> float:
    """A number, or a text such as "35/1" or "35.0 mm", 0 for anything else."""
    found = re.match(r"\s*(\d+(?:\.\d+)?(?:/\d+)?)", str(value))
    try:
        number = float(Fraction(found[1])) if found else 0.0
    except (ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) else 0.0


def _sensor_width(plain: Mapping[str, Any], width: int) -> float:
    """The width in mm of what EXIF says is so many px wide; 0 where it does not say."""
    density = _positive(plain.get("focalplanexresolution", 0))
    unit = _INCH if int(_positive(plain.get("focalplaneresolutionunit", 2))) == 2 else _CENTIMETER
    pixels = _positive(plain.get("pixelxdimension", 0)) or width
    found = pixels / density * unit if density else 0.0
    return found if 1.0 < found < 100.0 else 0.0


def _gamma(tags: Iterable[tuple[str, Any]]) -> str:
    """The color space that a tag about colors names."""
    said = [str(value) for name, value in tags if _GAMMA_KEYS.search(name.casefold())]
    for pattern, space in _GAMMAS:
        if any(re.search(pattern, value, re.IGNORECASE) for value in said):
            return space
    return ""
