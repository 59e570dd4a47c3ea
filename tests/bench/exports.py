# SPDX-License-Identifier: GPL-3.0-or-later
"""How long each text format takes to write."""

from __future__ import annotations

import statistics
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from backend.camera import CameraTrack, rotations_from_quaternions
from backend.formats import TEXT_FORMATS
from tests.bench.figure import at_most

FRAMES = 1000
ROUNDS = 5


def long_track() -> CameraTrack:
    """1000 frames of a camera that turns and wanders."""
    time_line = np.linspace(0, 6, FRAMES)
    turns = np.stack([np.cos(time_line / 3), *(np.sin(time_line / k) for k in (3, 5, 7))], axis=1)
    matrices = np.tile(np.eye(4), (FRAMES, 1, 1))
    matrices[:, :3, :3] = rotations_from_quaternions(turns)
    matrices[:, :3, 3] = np.stack([time_line, np.sin(time_line), np.cos(time_line)], axis=1)
    return CameraTrack(
        frames=np.arange(1001, 1001 + FRAMES),
        matrices=matrices,
        focal=np.tile([1400.0, 1400.0], (FRAMES, 1)),
        center=np.tile([960.0, 540.0], (FRAMES, 1)),
        solved=np.ones(FRAMES, dtype=np.bool_),
        width=1920,
        height=1080,
        fps=Fraction(24000, 1001),
    )


def export_figures(folder: Path) -> list[dict[str, Any]]:
    """CPU seconds of each writer for 1000 frames, median of several runs."""
    track = long_track()
    figures = []
    for extension, write in TEXT_FORMATS.items():
        seconds = []
        for _ in range(ROUNDS):
            began = time.process_time()
            write(track, folder / f"camera.{extension}")
            seconds.append(time.process_time() - began)
        how = f"CPU time, median of {ROUNDS} writes of {FRAMES} frames"
        figures.append(at_most(f"write .{extension}", statistics.median(seconds), "s", 0.1, how))
    return figures
