# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies and images whose frames carry their own number as a barcode, made with the real ffmpeg."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

WIDTH, HEIGHT, BITS = 192, 108, 12


def coded_frame(number: int, width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """RGB (height, width, 3): the number as black and white bars above, a moving pattern below."""
    bits = [number >> i & 1 for i in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 200 + 20, width // BITS)
    frame = np.full((height, width, 3), 90, np.uint8)
    frame[: height // 2, : len(row)] = row[None, :, None]
    noise = np.random.default_rng(number).integers(60, 120, (height - height // 2, width, 3))
    frame[height // 2 :] = noise
    return frame


def read_code(image: Pixels) -> int:
    """The number in a frame or proxy, of any depth."""
    gray = image.reshape(*image.shape[:2], -1).mean(axis=2)
    if image.dtype == np.uint16:
        gray /= 257
    height, width = gray.shape
    centers = (np.arange(BITS) + 0.5) * width / BITS
    row = gray[height // 4, centers.astype(int)]
    return int(sum(1 << i for i, value in enumerate(row) if value > 120))


def read_image(path: Path) -> Pixels:
    """RGB, in the depth of the file."""
    image: Any = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return image[..., ::-1] if image.ndim == 3 else image


def ffmpeg(*arguments: str | Path, data: bytes | None = None) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def write_movie(
    path: Path, frames: Iterable[Pixels], *encoding: str, rate: str = "24", pixels: str = "rgb24"
) -> Path:
    """Writes a movie of these frames; `encoding` are ffmpeg's output options."""
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = list(frames)
    height, width = listed[0].shape[:2]
    raw = ["-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{width}x{height}", "-r", rate, "-i", "-"]
    chosen = encoding or ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-crf", "12")
    ffmpeg(*raw, *chosen, path, data=b"".join(frame.tobytes() for frame in listed))
    return path


def coded_movie(path: Path, count: int, *encoding: str, rate: str = "24") -> Path:
    return write_movie(path, map(coded_frame, range(count)), *encoding, rate=rate)


def write_images(folder: Path, pattern: str, numbers: Iterable[int], dtype: str = "uint8") -> Path:
    """Images that carry their own number, `pattern` formatted with it; 16-bit with "uint16"."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        image = coded_frame(number)[..., ::-1]
        if dtype == "uint16":
            image = image.astype(np.uint16) * 257 + 100
        assert cv2.imwrite(str(folder / pattern.format(number)), image)
    return folder
