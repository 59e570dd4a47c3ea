# SPDX-License-Identifier: GPL-3.0-or-later
"""A textured mesh beside the plate, from a camera that took no part in making it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from backend.dense_files import Triangles
from backend.worker.dense.views import View
from tests.dense.render_mesh import psnr, render_mesh

COVERED = 0.99
"""A pixel of which the mesh covers less is not compared."""
_AMPLIFIED, _EMPTY, _TALL = 4, 40, 26


@dataclass(frozen=True)
class Likeness:
    """`decibels` PSNR over the pixels that the mesh covers, which are `covered` of all."""

    decibels: float
    covered: float


def beside_the_plate(
    path: Path, mesh: Triangles, texture: np.ndarray, held: View, enlarged: int = 2
) -> Likeness:
    """Writes a PNG of the textured mesh (texture RGB) from the camera of `held`, its plate, and the
    difference between them, side by side. The mesh must have texture coordinates."""
    assert mesh.uvs is not None
    colors, share = render_mesh(mesh.positions, mesh.faces, mesh.uvs, texture, held)
    where = share > COVERED
    found = Likeness(psnr(colors, held.colors, where), float(where.mean()))
    apart = np.abs(colors.astype(np.int16) - held.colors).max(axis=2) * _AMPLIFIED
    titles = {
        f"mesh and texture: {found.decibels:.1f} dB, {found.covered:.0%} covered": np.where(
            where[..., None], colors, _EMPTY
        ),
        "plate, not used for the mesh": held.colors,
        f"difference x {_AMPLIFIED}": np.repeat(
            np.where(where, np.clip(apart, 0, 255), _EMPTY)[..., None], 3, axis=2
        ),
    }
    panels = [_titled(title, image.astype(np.uint8), enlarged) for title, image in titles.items()]
    if not cv2.imwrite(str(path), np.hstack(panels)[:, :, ::-1]):
        raise OSError(f"{path} cannot be written.")
    return found


def _titled(title: str, image: np.ndarray, enlarged: int) -> np.ndarray:
    large = cv2.resize(image, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
    bar = np.full((_TALL, large.shape[1], 3), 24, np.uint8)
    cv2.putText(
        bar, title, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (230, 230, 230), 1, cv2.LINE_AA
    )  # fmt: skip
    return np.vstack([bar, large])
