# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies without distortion, written by the worker, equal what Blender itself would show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .shots import write_png
from .test_plate import DISTORTED, DOTS, SIZE, centroids, colmap_camera, dotted

cv2 = pytest.importorskip("cv2")

from backend.events import EventWriter  # noqa: E402
from backend.reconstruction import CameraModel  # noqa: E402
from backend.worker.report import Report  # noqa: E402
from backend.worker.undistorted import write_undistorted_proxies  # noqa: E402

LENSES = DISTORTED | {
    "OPENCV_FISHEYE": CameraModel(
        "OPENCV_FISHEYE", *SIZE, (400, 400, 240, 150, 0.1, 0.02, 0.0, 0.0)
    ),
}


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_dots_come_back_to_where_a_pinhole_has_them(tmp_path: Path, lens: CameraModel) -> None:
    rays = np.ones((len(DOTS), 3))
    rays[:, :2] = (DOTS - lens.center) / lens.focal
    bent = colmap_camera(lens).img_from_cam(rays)
    plain = tmp_path / "in" / "frame_1001.png" / "proxy_50"
    write_png(tmp_path / "bent.png", dotted(bent))
    plain.mkdir(parents=True)
    cv2.imwrite(
        str(plain / "00000001.jpg"),
        cv2.imread(str(tmp_path / "bent.png")),
        [cv2.IMWRITE_JPEG_QUALITY, 100],
    )
    report = Report(EventWriter(tmp_path / "events.jsonl"), tmp_path / "cancel")
    # The lens is that of a plate twice as large: proxies are half its size.
    double = CameraModel(lens.model, SIZE[0] * 2, SIZE[1] * 2, _doubled(lens))
    assert (
        write_undistorted_proxies(lambda _number: double, tmp_path / "in", tmp_path / "out", report)
        == 1
    )
    file = tmp_path / "out" / "frame_1001.png" / "proxy_50_undistorted" / "00000001.jpg"
    straight = cv2.imread(str(file))[..., 0] / 255
    slips = np.linalg.norm(centroids(straight, DOTS) - DOTS, axis=1)
    assert np.median(slips) < 0.06
    assert slips.max() < 0.5


def _doubled(lens: CameraModel) -> tuple[float, ...]:
    pixels = ("f", "fx", "fy", "cx", "cy")
    return tuple(value * (2 if name in pixels else 1) for name, value in lens.named().items())
