# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots with an actor and the same without: what each shows, and where its frames are kept.

Nothing here needs Blender. Rendered shots live in ROOT/.tests/cleanplate/NAME-FINGERPRINT, named
after the numbers and the code that make their pictures. To render what is missing, in a Python 3.11
environment with bpy and OpenCV:

    python -m tests.render.render_clean [NAME ...]

    frame_0001.png          the plate with the actor
    clean_0001.png          without it and without noise; one alone where the camera stands still
    masks/frame_0001.png    white where the actor is, as little as it covers of a pixel
    truth.json              the true camera, and points on what it sees
"""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .bench_paths import Locked, Steady
from .bench_shots import FPS, PAINTERS, ROOT, SENSOR, Shot
from .camera_path import Array, Walk

RENDERED = ROOT / ".tests" / "cleanplate"


@dataclass(frozen=True)
class CleanShot:
    """The actor walks on a straight line over the floor, from `start` to `end` (x and y in meters).

    `noisy`: the plate has a sensor's noise; without it a still camera sees the same in every frame.
    """

    shot: Shot
    start: tuple[float, float]
    end: tuple[float, float]
    noisy: bool

    @property
    def still(self) -> bool:
        return isinstance(self.shot.move, Locked)

    def places(self) -> Array:
        """(n, 2) where on the floor the actor is."""
        share = np.linspace(0, 1, self.shot.count)[:, None]
        places: Array = np.array(self.start) * (1 - share) + np.array(self.end) * share
        return places

    def clean_frame(self, number: int) -> int:
        """The frame that shows what this one shows without the actor."""
        return 1 if self.still else number


TRUCK = Steady(
    Walk(
        start=(-0.45, 0.1, 1.5),
        end=(0.5, -0.1, 1.45),
        target_start=(-0.2, 5.5, 0.95),
        target_end=(0.2, 5.5, 0.95),
        sway=0.006,
        shake=0.15,
        seed=18,
    )
)
"""Sideways and a little back, by hand: parallax, and nothing at the frame's edge is lost."""

CLEAN_SHOTS: dict[str, CleanShot] = {
    "moving": CleanShot(Shot(TRUCK, count=36, samples=24), (-1.15, 3.2), (1.35, 3.4), noisy=True),
    "static": CleanShot(
        Shot(Locked(), count=60, width=1920, height=1080, samples=4),
        (-1.3, 3.2),
        (1.5, 3.4),
        noisy=False,
    ),
}


def fingerprint(spec: CleanShot) -> str:
    """Names the pictures that these numbers and this code make."""
    shot = spec.shot
    numbers = (shot.count, shot.width, shot.height, shot.samples, shot.lens, spec.noisy)
    digest = hashlib.sha256(repr((numbers, FPS, SENSOR)).encode())
    digest.update(np.round(shot.poses(), 6).astype("<f8").tobytes())
    digest.update(np.round(spec.places(), 6).astype("<f8").tobytes())
    for name in (*PAINTERS, "actor.py", "render_clean.py"):
        source = (Path(__file__).parent / name).read_text(encoding="utf-8")
        digest.update(ast.dump(ast.parse(source)).encode())
    return digest.hexdigest()[:12]


def folder_of(name: str) -> Path:
    return RENDERED / f"{name}-{fingerprint(CLEAN_SHOTS[name])}"


def frame_of(folder: Path, number: int) -> Path:
    return folder / f"frame_{number:04d}.png"


def clean_of(folder: Path, spec: CleanShot, number: int) -> Path:
    """What a frame shows without the actor."""
    return folder / f"clean_{spec.clean_frame(number):04d}.png"


def mask_of(folder: Path, number: int) -> Path:
    return frame_of(folder / "masks", number)


def missing(name: str) -> list[int]:
    """The frames that are not rendered yet, or whose mask or clean frame is not."""
    spec, folder = CLEAN_SHOTS[name], folder_of(name)
    return [
        number
        for number in spec.shot.frames
        if not all(
            file.exists()
            for file in (
                frame_of(folder, number),
                mask_of(folder, number),
                clean_of(folder, spec, number),
            )
        )
    ]
