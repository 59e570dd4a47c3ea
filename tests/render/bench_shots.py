# SPDX-License-Identifier: GPL-3.0-or-later
"""The plates of the camera bench: what each shows, and where its frames are kept.

Nothing here needs Blender. Rendered plates live in ROOT/.tests/plates/NAME-FINGERPRINT, named after
the numbers and the code that make their pictures, so that a changed plate is rendered anew.
"""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import bench_paths as paths
from .bench_paths import Move
from .camera_path import Array

ROOT = Path(__file__).resolve().parents[2]
PLATES = ROOT / ".tests" / "plates"
FPS, SENSOR = 24, 36.0


@dataclass(frozen=True)
class Shot:
    """A plate to render. `lens` in mm at the first and the last frame, `shutter` in frames.

    `actor` is a key of actor.ACTOR_PATHS, or empty; `samples` a pixel.
    """

    move: Move
    count: int = 100
    width: int = 1280
    height: int = 720
    samples: int = 8
    lens: tuple[float, float] = (28.0, 28.0)
    shutter: float = 0.0
    actor: str = ""
    bare: bool = False

    @property
    def frames(self) -> range:
        return range(1, self.count + 1)

    def poses(self) -> Array:
        """Camera-to-world (n, 4, 4) that the camera is keyed with."""
        return self.move.poses(self.count, FPS)

    def lenses(self) -> Array:
        """Focal length (n,) in mm."""
        share = np.linspace(0, 1, self.count)
        return self.lens[0] + (self.lens[1] - self.lens[0]) * share**2 * (3 - 2 * share)


SHOTS: dict[str, Shot] = {
    "dolly": Shot(paths.DOLLY),
    "pan": Shot(paths.Pan()),
    "orbit": Shot(paths.Orbit()),
    "zoom": Shot(paths.ZOOM, lens=(28.0, 50.0)),
    "walk": Shot(paths.WALK, actor="before", samples=6),
    "slow": Shot(paths.SLOW),
    "blur": Shot(paths.SWINGS, shutter=0.5, samples=12),
    "low_texture": Shot(paths.BARE, count=50, bare=True, samples=4),
    "static": Shot(paths.Locked(), count=50, actor="across", samples=4),
    "dolly_1080": Shot(paths.DOLLY, count=60, width=1920, height=1080, samples=4),
}
"""By name, in the order to render them."""

PAINTERS = ("room.py", "shapes.py", "textures.py", "look.py")


def fingerprint(shot: Shot) -> str:
    """Names the pictures that these numbers and this code make."""
    numbers = (*_numbers(shot), FPS, SENSOR)
    digest = hashlib.sha256(repr(numbers).encode())
    digest.update(np.round(shot.poses(), 6).astype("<f8").tobytes())
    for name in (*PAINTERS, *(("actor.py",) if shot.actor else ())):
        source = (Path(__file__).parent / name).read_text(encoding="utf-8")
        digest.update(ast.dump(ast.parse(source)).encode())
    return digest.hexdigest()[:12]


def _numbers(shot: Shot) -> tuple[object, ...]:
    """The shot's numbers; its move is told by its poses."""
    exposed = ("keyed exposures",) if shot.shutter else ()
    return (
        *exposed,
        shot.count,
        shot.width,
        shot.height,
        shot.samples,
        shot.lens,
        shot.shutter,
        shot.actor,
        shot.bare,
    )


def folder_of(name: str) -> Path:
    """Where the plate's truth.json, frame_0001.png and so on, and masks/ are."""
    return PLATES / f"{name}-{fingerprint(SHOTS[name])}"


def frame_of(folder: Path, number: int) -> Path:
    return folder / f"frame_{number:04d}.png"


def missing(name: str) -> list[int]:
    """The frames that are not rendered yet."""
    folder = folder_of(name)
    return [number for number in SHOTS[name].frames if not frame_of(folder, number).exists()]
