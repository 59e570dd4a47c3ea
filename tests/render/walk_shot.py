# SPDX-License-Identifier: GPL-3.0-or-later
"""The shot of somebody who walks before a moving camera: what it shows, and where it is kept.

Nothing here needs Blender. It lives in ROOT/.tests/mocap/walk-FINGERPRINT. To render what is
missing, in a Python 3.11 environment with bpy and OpenCV:

    python -m tests.render.render_walk

    frame_0001.png          the plate
    masks/frame_0001.png    white where the person is, as little as it covers of a pixel
    truth.json              the true camera, and points on what it sees

The person and the camera are those of `walk_of`, exactly: the body model of tests/body_model.py in
the poses of tests/walking.py.
"""

from __future__ import annotations

import ast
import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np

from backend.body_model import BodyModel
from tests.body_model import write_model
from tests.walking import Array, Walk, walk

from .bench_shots import FPS, PAINTERS, ROOT

FRAMES, WIDTH, HEIGHT, SAMPLES = 36, 960, 540, 8
_TESTS = Path(__file__).parent.parent
_CODE = (
    *(Path(__file__).parent / name for name in (*PAINTERS, "render_walk.py")),
    _TESTS / "body_model.py",
    _TESTS / "walking.py",
)


def walk_of(model: BodyModel) -> Walk:
    return walk(FRAMES, 1, Fraction(FPS), rest=model.joints, size=(WIDTH, HEIGHT))


def body(folder: Path) -> BodyModel:
    """The neutral one, without any betas; its file is written to a folder."""
    return BodyModel.load(write_model(folder), np.zeros(10))


def posed(model: BodyModel, motion: Walk) -> Array:
    """(n, v, 3) in the walk's world."""
    return np.concatenate(list(model.posed(motion.rotations, motion.translation)))


def folder() -> Path:
    """Named after the code and the numbers that make its pictures."""
    digest = hashlib.sha256(repr((FRAMES, WIDTH, HEIGHT, SAMPLES, FPS)).encode())
    for file in _CODE:
        digest.update(ast.dump(ast.parse(file.read_text(encoding="utf-8"))).encode())
    return ROOT / ".tests" / "mocap" / f"walk-{digest.hexdigest()[:12]}"


def frame_of(number: int) -> Path:
    return folder() / f"frame_{number:04d}.png"


def mask_of(number: int) -> Path:
    return folder() / "masks" / f"frame_{number:04d}.png"


def missing() -> list[int]:
    numbers = range(1, FRAMES + 1)
    return [n for n in numbers if not (frame_of(n).exists() and mask_of(n).exists())]
