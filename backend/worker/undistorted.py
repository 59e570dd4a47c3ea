# SPDX-License-Identifier: GPL-3.0-or-later
"""Half-size proxies with the lens distortion taken out, in Blender's own layout.

They are what lies behind the solved pinhole camera while an artist scrubs: taking the distortion
out of full-size frames on the fly is far too slow for that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pycolmap

from ..errors import OutputError
from ..reconstruction import CameraModel
from .report import Report

PLAIN = "proxy_50"
UNDISTORTED = "proxy_50_undistorted"
JPEG_QUALITY = 90


def write_undistorted_proxies(
    lens: CameraModel, proxies: Path, output: Path, report: Report
) -> int:
    """Undistorts each clip's half-size proxies, for any camera model; how many were written.

    `proxies` and `output` are folders that Blender calls BL_proxy. What falls outside the lens's
    picture is black. Raises OutputError.
    """
    files = sorted(proxies.glob(f"*/{PLAIN}/*.jpg"))
    maps: tuple[Any, Any] | None = None
    for index, file in enumerate(files):
        image: Any = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            continue
        if maps is None or maps[0].shape[:2] != image.shape[:2]:
            maps = _maps(lens, image.shape[1], image.shape[0])
        flat = cv2.remap(image, *maps, interpolation=cv2.INTER_LINEAR)
        _write(output / file.parent.parent.name / UNDISTORTED / file.name, flat)
        report.progress(index + 1, len(files), "proxies")
    return len(files)


def _write(path: Path, image: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(path.suffix, image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise OutputError(f"{path} cannot be written.")
    path.write_bytes(data.tobytes())


def _maps(lens: CameraModel, width: int, height: int) -> tuple[Any, Any]:
    """Where each pixel of the pinhole picture lies in the distorted one, for cv2.remap.

    Both have the lens's focal length and principal point, and this size.
    """
    camera = pycolmap.Camera(
        model=lens.model, width=lens.width, height=lens.height, params=list(lens.params)
    )
    scale = np.array([width / lens.width, height / lens.height])
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    pinhole = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / scale
    rays = np.ones((len(pinhole), 3))
    rays[:, :2] = (pinhole - lens.center) / lens.focal
    # cv2 counts from the center of the first pixel, COLMAP from its corner.
    distorted = np.asarray(camera.img_from_cam(rays)) * scale - 0.5
    grid = distorted.reshape(height, width, 2).astype(np.float32)
    return grid[..., 0], grid[..., 1]
