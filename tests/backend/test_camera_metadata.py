# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera that an image's EXIF data or a movie's tags, XMP and camera data name."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import OpenImageIO as oiio
import pytest

from backend.plate_tags import PlateCamera
from backend.worker.camera_metadata import image_camera, movie_camera
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
    camera = image_camera(jpeg(tmp_path / "a.jpg", 45))
    assert camera.focal_35mm == 45
    assert camera.focal_pixels(320, 180) == pytest.approx(45 / 36 * 320)


def test_an_image_without_exif_names_none(tmp_path: Path) -> None:
    assert image_camera(jpeg(tmp_path / "a.jpg")) == PlateCamera()
    assert image_camera(jpeg(tmp_path / "b.jpg", 60000)).focal_pixels(320, 180) == 0
    (tmp_path / "c.jpg").write_bytes(b"no image")
    assert image_camera(tmp_path / "c.jpg") == PlateCamera()


def test_exif_of_a_photo_tells_the_sensor(tmp_path: Path) -> None:
    """Written by OpenImageIO: 50 mm, 160 px a centimeter of a picture 320 px wide: 20 mm."""
    path = tmp_path / "a.jpg"
    spec = oiio.ImageSpec(320, 180, 3, "uint8")
    told = {
        "Make": "Canon",
        "Model": "EOS R5",
        "Exif:LensModel": "RF 50mm",
        "Exif:FocalLength": 50.0,
    }
    for name, value in told.items():
        spec.attribute(name, value)
    spec.attribute("Exif:FocalPlaneXResolution", 160.0)
    spec.attribute("Exif:FocalPlaneResolutionUnit", 3)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec)
    assert out.write_image(np.zeros((180, 320, 3), np.uint8))
    out.close()
    camera = image_camera(path)
    assert (camera.make, camera.model, camera.lens) == ("Canon", "EOS R5", "RF 50mm")
    assert camera.sensor_width == pytest.approx(20.0)
    assert camera.focal_pixels(1920, 1080) == pytest.approx(50 / 20 * 1920)


def movie(path: Path, *tags: str) -> Path:
    source = "testsrc=size=320x180:rate=24:duration=0.2"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source]
    written = [
        "-movflags",
        "use_metadata_tags",
        *(part for tag in tags for part in ("-metadata", tag)),
    ]
    subprocess.run([*ffmpeg, *written, "-c:v", "mjpeg", str(path)], check=True)
    return path


def camera_of(path: Path) -> PlateCamera:
    return movie_camera(path, probe_movie(path).metadata)


def test_a_movie_of_a_phone_names_the_focal_length(tmp_path: Path) -> None:
    key = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
    path = movie(tmp_path / "phone.mov", f"{key}=26", "com.apple.quicktime.model=iPhone 15 Pro")
    camera = camera_of(path)
    assert (camera.focal_35mm, camera.model) == (26, "iPhone 15 Pro")
    assert camera.focal_pixels(320, 180) == pytest.approx(26 / 36 * 320)
    assert movie_camera(path, {}).focal_35mm == 0
    assert movie_camera(path, {key: "wide"}).focal_35mm == 0


_XMP = b"""<x:xmpmeta><rdf:Description tiff:Make="GoPro" tiff:Model="HERO11"
exif:FocalLength="35/10"><exif:FocalLengthIn35mmFilm>19</exif:FocalLengthIn35mmFilm></rdf:Description></x:xmpmeta>"""
_SONY = b"""<NonRealTimeMeta><Device manufacturer="Sony" modelName="ILME-FX3" serialNo="1"/>
<AcquisitionRecord><Item name="CaptureGammaEquation" value="s-log3-cine"/></AcquisitionRecord>
</NonRealTimeMeta>"""


def test_what_is_embedded_in_a_movie(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mov")
    whole = path.read_bytes()
    path.write_bytes(whole + _XMP)
    camera = camera_of(path)
    assert (camera.make, camera.model) == ("GoPro", "HERO11")
    assert (camera.focal, camera.focal_35mm) == (3.5, 19)
    path.write_bytes(whole + bytes(9 << 20) + _SONY)
    camera = camera_of(path)
    assert (camera.make, camera.model, camera.gamma) == ("Sony", "ILME-FX3", "slog3cine")


@pytest.mark.parametrize("noise", range(20))
def test_noise_is_no_camera(tmp_path: Path, noise: int) -> None:
    path = tmp_path / "a.mov"
    data = np.random.default_rng(noise).integers(0, 256, 20000).astype(np.uint8).tobytes()
    path.write_bytes(data + b'exif:FocalLength="1/0"' + data[:50])
    assert movie_camera(path, {}).focal_pixels(320, 180) == 0
