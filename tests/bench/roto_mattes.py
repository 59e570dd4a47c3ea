# SPDX-License-Identifier: GPL-3.0-or-later
"""Mattes of a shot while the GPU runs out of memory: all there, each under its own frame number.

The stage is run on VideoMaMa's real classes with tiny random weights. Its answer depends on plate,
mask and frame; that of a frame is told from all others by the run in which nothing failed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from backend.worker import weights
from tests.backend.mask_shots import read_masks
from tests.bench.figure import at_least, at_most
from tests.models.tiny_videomama import make_shot, run_mama, square_masks, tiny_engine

FRAMES = range(1001, 1041)
CHUNK = 14
_HOW = (
    "stage mama on 40 frames, chunks of 14, torch.OutOfMemoryError raised in the UNet's forward in "
    "chunk 2"
)


class _Failing:
    """Raises in one of the UNet's forwards, as torch does when a GPU is full."""

    def __init__(self, call: int) -> None:
        self.calls, self._call = 0, call

    def __call__(self, _module: Any, _arguments: Any) -> None:
        self.calls += 1
        if self.calls == self._call:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def matte_figures(folder: Path) -> list[dict[str, Any]]:
    """Mattes there, mattes under their own number, and how far fading is off at the seams."""
    weights.prepare()
    right = _mattes(folder / "calm", _Failing(0))
    failing = _Failing(2)
    found = _mattes(folder / "failing", failing)
    own = sum(_nearest(matte, right) == number for number, matte in found.items())
    jump = max(_jumps(found)) / max(_jumps(right))
    return [
        at_least("mattes after out of memory", len(set(found) & set(FRAMES)), "n", 40, _HOW),
        at_least("mattes under their own frame", own, "n", 40, f"{_HOW}; nearest of a calm run"),
        at_least("forwards of one loaded model", failing.calls, "n", 5, _HOW),
        at_most("largest step between frames", jump, "of a calm run's", 1.5, _HOW),
    ]


def _mattes(folder: Path, hook: _Failing) -> dict[int, np.ndarray]:
    shot = make_shot(folder, FRAMES, {"actor_00": square_masks(FRAMES, FRAMES)})
    run_mama(shot, tiny_engine(hook), chunk=CHUNK)
    return read_masks(shot.mattes / "actor_00")


def _nearest(matte: np.ndarray, others: dict[int, np.ndarray]) -> int:
    off = {number: np.abs(matte - other.astype(int)).mean() for number, other in others.items()}
    return min(off, key=off.__getitem__)


def _jumps(mattes: dict[int, np.ndarray]) -> list[float]:
    levels = [float(matte.mean()) for matte in mattes.values()]
    return list(np.abs(np.diff(levels)))
