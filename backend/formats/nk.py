# SPDX-License-Identifier: GPL-3.0-or-later
""".nk: a Nuke script with the camera, and the frame range, rate and format of its plate.

Y up, the camera looks along -Z, rot_order ZXY (R = Ry Rx Rz). Nuke projects both axes with the
horizontal aperture: with N the point on the film in half widths, the pixel is
`(N - win_translate) / win_scale` half widths from the center of the format. So win_scale y is
fx / fy, and win_translate y is in half widths too, times that ratio (the factors are those of
nukescripts' cameraProjectionMatrix, which is where their order can be read).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..atomic import write_text
from ..camera import Array, CameraTrack, Integers, euler_degrees, y_up
from .text import DIGITS, check_writable, fits_text, is_constant, number, rate_text, window_offset


def write(track: CameraTrack, path: Path) -> None:
    """Raises OutputError."""
    check_writable(track)
    write_text(path, f"# Shot Gopher: {fits_text(track)}\n{_root(track)}{_camera(track)}")


def _root(track: CameraTrack) -> str:
    size = f"{track.width} {track.height}"
    knobs = {
        "first_frame": str(track.frames[0]),
        "last_frame": str(track.frames[-1]),
        "lock_range": "true",
        "frame": str(track.frames[0]),
        "fps": rate_text(track.fps),
        "format": f'"{size} 0 0 {size} 1 plate_{track.width}x{track.height}"',
    }
    return _node("Root", knobs)


def _camera(track: CameraTrack) -> str:
    matrices = y_up(track.matrices)
    ratio = track.focal[:, 0] / track.focal[:, 1]
    scale = np.stack([np.ones_like(ratio), ratio], axis=1)
    offset = window_offset(track) / (track.width / 2) * scale
    aperture = track.sensor_width * track.height / track.width * ratio
    frames = track.frames
    knobs = {
        "inputs": "0",
        "rot_order": "ZXY",
        "translate": _knob(frames, matrices[:, :3, 3]),
        "rotate": _knob(frames, euler_degrees(matrices[:, :3, :3], "ZXY")),
        "focal": _knob(frames, track.lens_mm()[:, None]),
        "haperture": number(track.sensor_width),
        "vaperture": _knob(frames, aperture[:, None]),
        "win_translate": _knob(frames, offset),
        "win_scale": _knob(frames, scale),
        "name": _node_name(track.name),
        "label": f'"{fits_text(track)}"',
    }
    return _node("Camera2", knobs)


def _node(kind: str, knobs: dict[str, str]) -> str:
    lines = "".join([f" {name} {value}\n" for name, value in knobs.items()])
    return f"{kind} {{\n{lines}}}\n"


def _node_name(name: str) -> str:
    safe = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    return safe if safe[:1].isalpha() else f"Camera_{safe}".rstrip("_")


def _knob(frames: Integers, values: Array) -> str:
    """One knob of (n, k) values: plain numbers where they stand still, else a curve each."""
    parts = [_component(frames, column) for column in values.T]
    single = len(parts) == 1 and not parts[0].startswith("{")
    return parts[0] if single else f"{{{' '.join(parts)}}}"


def _component(frames: Integers, values: Array) -> str:
    if is_constant(values):
        return number(float(values[0]))
    # A key without a frame comes one step after the key before. Whether a step is one frame or
    # as long as the last one is not written down anywhere: so frames are left out only where
    # both say the same.
    steps = np.diff(frames, prepend=frames[0] - 1)
    follows = (steps == 1) & (np.roll(steps, 1) == 1)
    follows[0] = False
    keys = [
        DIGITS % value if after else f"x{frame} {DIGITS % value}"
        for frame, value, after in zip(
            frames.tolist(), values.tolist(), follows.tolist(), strict=True
        )
    ]
    return f"{{curve {' '.join(keys)}}}"
