# SPDX-License-Identifier: GPL-3.0-or-later
"""Half-size proxies with the lens distortion taken out, in Blender's own layout.

They are what lies behind the solved pinhole camera while an artist scrubs: taking the distortion
out of full-size frames on the fly is far too slow for that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..camera import Array
from ..errors import OutputError
from ..reconstruction import CameraModel
from ..shot import frame_number
from .lens_maps import everywhere
from .projection import colmap_camera
from .report import Report

PLAIN = "proxy_50"
UNDISTORTED = "proxy_50_undistorted"
JPEG_QUALITY = 90


def write_undistorted_proxies(
    lens_at: Callable[[int], CameraModel], proxies: Path, output: Path, report: Report
) -> int:
    """Undistorts each clip's half-size proxies, for any camera model; how many were written.

    `lens_at` gives the lens of a proxy by its number, 1 for the clip's first frame. `proxies` and
    `output` are folders that Blender calls BL_proxy. What falls outside the lens's picture is
    black. Raises OutputError.
    """
    files = sorted(proxies.glob(f"*/{PLAIN}/*.jpg"))
    known: tuple[tuple[CameraModel, int, int], tuple[Any, Any]] | None = None
    for index, file in enumerate(files):
        image: Any = cv2.imread(str(file), cv2.IMREAD_COLOR)
        number = frame_number(file.name)
        if image is None or number is None:
            continue
        key = (lens_at(number), image.shape[1], image.shape[0])
        if known is None or known[0] != key:
            known = (key, _maps(*key))
        flat = cv2.remap(image, *known[1], interpolation=cv2.INTER_LINEAR)
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
    camera = colmap_camera(lens)
    scale = np.array([width / lens.width, height / lens.height])

    def bent(pixels: Array) -> Array:
        rays = np.ones((len(pixels), 3))
        rays[:, :2] = (pixels / scale - lens.center) / lens.focal
        found: Array = np.asarray(camera.img_from_cam(rays)) * scale
        return found

    # cv2 counts from the center of the first pixel, COLMAP from its corner.
    grid = (everywhere(bent, width, height) - 0.5).astype(np.float32)
    return grid[..., 0], grid[..., 1]
