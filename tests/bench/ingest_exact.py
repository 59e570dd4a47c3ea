# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of frames against those of the plate: test patterns of 8 and 10 bits."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import cv2
import imageio_ffmpeg
import numpy as np

from backend.shot import Shot
from tests.bench.figure import at_most
from tests.bench.ingest_ratio import run_stage

_WIDTH, _HEIGHT = 256, 192


def exact_figures(folder: Path) -> list[dict[str, Any]]:
    """The largest difference, in code values of the plate's own depth."""
    return [
        _rgb(folder, 8),
        _rgb(folder, 10),
        _ycbcr(folder, 8, "bt709", (0.2126, 0.0722), False),
        _ycbcr(folder, 8, "smpte170m", (0.299, 0.114), True),
        _ycbcr(folder, 10, "bt709", (0.2126, 0.0722), False),
        _ycbcr(folder, 10, "bt2020nc", (0.2627, 0.0593), False),
    ]


def _rgb(folder: Path, bits: int) -> dict[str, Any]:
    """RGB, lossless: every value of the depth, in every channel."""
    top = (1 << bits) - 1
    rng = np.random.default_rng(bits)
    wanted = rng.integers(0, top + 1, (_HEIGHT, _WIDTH, 3))
    wanted[:4].reshape(-1)[: top + 1] = np.arange(top + 1)
    planes = [wanted[..., channel] for channel in (1, 2, 0)]
    pixels = "gbrp" if bits == 8 else f"gbrp{bits}le"
    found = _through(folder, planes, pixels, bits, ("-c:v", "ffv1"))
    exact = np.rint(found * top) / top
    return _figure(f"{bits}-bit RGB", exact, wanted / top, top, 1e-6, "FFV1 in Matroska")


def _ycbcr(
    folder: Path, bits: int, matrix: str, weights: tuple[float, float], full: bool
) -> dict[str, Any]:
    """Y'CbCr 4:4:4, lossless: colors inside the RGB cube, as ITU-R BT.601, 709 and 2020 give
    them."""
    top, scale = (1 << bits) - 1, 1 << bits - 8
    rng = np.random.default_rng(bits)
    rgb = rng.random((_HEIGHT, _WIDTH, 3))
    kr, kb = weights
    luma = rgb @ np.array([kr, 1 - kr - kb, kb])
    blue, red = (rgb[..., 2] - luma) / (2 * (1 - kb)), (rgb[..., 0] - luma) / (2 * (1 - kr))
    low, high, chroma = (0, top, top) if full else (16 * scale, 219 * scale, 224 * scale)
    middle = 128 * scale
    planes = [np.rint(low + high * luma), np.rint(middle + chroma * blue)]
    planes = [*planes, np.rint(middle + chroma * red)]
    y, u, v = (planes[0] - low) / high, (planes[1] - middle) / chroma, (planes[2] - middle) / chroma
    r, b = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    wanted = np.stack([r, (y - kr * r - kb * b) / (1 - kr - kb), b], axis=-1)
    pixels = "yuv444p" if bits == 8 else f"yuv444p{bits}le"
    tags = f"setparams=colorspace={matrix}:range={'pc' if full else 'tv'}"
    coded = ("-vf", tags, "-c:v", "libx264", "-qp", "0", "-preset", "ultrafast")
    found = _through(folder, planes, pixels, bits, coded)
    name = f"{bits}-bit {matrix}, {'full' if full else 'limited'} range"
    return _figure(name, found, np.clip(wanted, 0, 1), top, 1.0, "lossless H.264 in Matroska")


def _through(
    folder: Path, planes: list[Any], pixels: str, bits: int, coded: tuple[str, ...]
) -> Any:
    """(height, width, 3) in 0..1 what a frame has of the planes, by way of a movie."""
    kind = np.uint8 if bits == 8 else np.dtype("<u2")
    data = b"".join(plane.astype(kind).tobytes() for plane in planes) * 2
    movie = folder / "pattern.mkv"
    raw = ["-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{_WIDTH}x{_HEIGHT}", "-r", "24", "-i", "-"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *raw, *coded, str(movie)]
    subprocess.run(command, input=data, check=True)
    shot: Shot = run_stage(movie, folder / "shot")
    image: Any = cv2.imread(str(shot.frame_file(2)), cv2.IMREAD_UNCHANGED)
    return image[..., ::-1] / np.iinfo(image.dtype).max


def _figure(name: str, found: Any, wanted: Any, top: int, goal: float, how: str) -> dict[str, Any]:
    worst = float(np.abs(found - wanted).max() * top)
    text = f"{_WIDTH}x{_HEIGHT} random colors, {how}; frames read by OpenCV"
    return at_most(f"largest difference, {name}", worst, "code values", goal, text)
