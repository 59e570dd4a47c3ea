# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth Anything 3's networks with random weights, and frames that a camera takes.

The classes are the real ones; the backbone is the smallest that the package has, also for what is
published in a larger one. What comes out means nothing, but the same goes in twice alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backend.worker.engines.depth_models import Frame, Pose
from backend.worker.image_files import write_png

SIZE = (96, 64)
FOCAL = 90.0
SIDE = 70
"""The longest side that the networks see."""
_SMALL = {
    "net": {"name": "vits", "out_layers": [2, 5, 8, 11]},
    "head": {"dim_in": 384, "features": 32, "out_channels": [16, 32, 32, 32]},
}


def tiny_network(model: str) -> Any:
    """The same at every call."""
    import torch

    from backend.worker.engines.depth_anything import VARIANTS, make_network

    variant = VARIANTS[model]
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return make_network(variant.config, **({} if variant.together else _SMALL))


def tiny_engine(model: str, **settings: Any) -> Any:
    import torch

    from backend.worker.engines.depth_anything import DepthAnything

    device = torch.device(settings.pop("device", "cpu"))
    settings.setdefault("resolution", SIDE)
    return DepthAnything(model, tiny_network(model), device, **settings)


def make_frames(folder: Path, count: int, step: Sequence[float] = (), bits: int = 8) -> list[Frame]:
    """Frames of noise. With a `step` (3,) the camera has gone so far from each to the next."""
    random = np.random.default_rng(4)
    most, kind = (255, np.uint8) if bits == 8 else (65535, np.uint16)
    frames = []
    for index in range(count):
        file = folder / f"frame_{1001 + index}.png"
        write_png(file, random.integers(0, most, (SIZE[1], SIZE[0], 3), kind))
        pose = pose_at(index * np.array(step)) if len(step) else None
        frames.append(Frame(1001 + index, file, pose))
    return frames


def pose_at(place: np.ndarray, focal: float = FOCAL) -> Pose:
    """A camera there that looks along z."""
    matrix = np.eye(4)
    matrix[:3, 3] = -place
    return Pose(matrix, np.array([focal, focal]), np.array(SIZE) / 2)
