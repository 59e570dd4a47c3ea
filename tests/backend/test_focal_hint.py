# SPDX-License-Identifier: GPL-3.0-or-later
"""The focal length that an image's EXIF data or a movie's tags name."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from backend.worker.focal_hint import image_focal, movie_focal
from backend.worker.media import probe_movie

FOCAL_LENGTH_IN_35MM_FILM = 0xA405
EXIF_FOLDER = 0x8769
SHORT, LONG = 3, 4


def jpeg(path: Path, equivalent: int | None = None) -> Path:
    """A 320 x 180 picture, with that 35 mm equivalent focal length in its EXIF data."""
    data = cv2.imencode(".jpg", np.zeros((180, 320, 3), np.uint8))[1].tobytes()
    if equivalent is not None:
        main = struct.pack("<HHHIII", 1, EXIF_FOLDER, LONG, 1, 26, 0)
        sub = struct.pack("<HHHIHHI", 1, FOCAL_LENGTH_IN_35MM_FILM, SHORT, 1, equivalent, 0, 0)
        exif = b"Exif\0\0" + struct.pack("<2sHI", b"II", 42, 8) + main + sub
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    path.write_bytes(data)
    return path


def test_exif_names_the_focal_length(tmp_path: Path) -> None:
    assert image_focal(jpeg(tmp_path / "a.jpg", 45)) == pytest.approx(45 / 36 * 320, rel=0.05)


def test_an_image_without_exif_names_none(tmp_path: Path) -> None:
    assert image_focal(jpeg(tmp_path / "a.jpg")) == 0
    assert image_focal(jpeg(tmp_path / "b.jpg", 60000)) == 0
    (tmp_path / "c.jpg").write_bytes(b"no image")
    assert image_focal(tmp_path / "c.jpg") == 0


def test_a_movie_of_a_phone_names_the_focal_length(tmp_path: Path) -> None:
    path = tmp_path / "phone.mov"
    key = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
    source = "testsrc=size=320x180:rate=24:duration=0.2"
    tags = ["-movflags", "use_metadata_tags", "-metadata", f"{key}=26"]
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source]
    subprocess.run([*ffmpeg, *tags, "-c:v", "mjpeg", str(path)], check=True)
    movie = probe_movie(path)
    assert movie_focal(movie.metadata, 320, 180) == pytest.approx(26 / 36 * 320)
    assert movie_focal({}, 320, 180) == 0
    assert movie_focal({key: "wide"}, 320, 180) == 0
