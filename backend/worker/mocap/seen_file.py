# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model has found of a person, kept: placing it anew asks no model."""

from __future__ import annotations

import io
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from ...atomic import write_bytes
from ...errors import FormatError
from ...smplx import FEET, JOINTS, KEYPOINTS
from ..engines.body_motion import SeenMotion

_NAMES = tuple(field.name for field in fields(SeenMotion))
_KEY = "made_of"


def save_seen(seen: SeenMotion, path: Path, key: str) -> None:
    """`key` tells what it was made of. Raises OutputError."""
    arrays = {name: getattr(seen, name) for name in _NAMES if getattr(seen, name) is not None}
    data = io.BytesIO()
    np.savez_compressed(data, **arrays, **{_KEY: np.array(key)})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data.getvalue())


def load_seen(path: Path, key: str) -> SeenMotion | None:
    """None where there is none that was made of the same."""
    try:
        with np.load(path, allow_pickle=False) as content:
            if str(content[_KEY]) != key:
                return None
            arrays: dict[str, Any] = {n: content[n] for n in _NAMES if n in content.files}
        seen = SeenMotion(**arrays)
        check_seen(seen)
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile, FormatError):
        return None
    return seen


def check_seen(seen: SeenMotion) -> None:
    """Raises FormatError for a motion of another shape, or that is not finite."""
    count = len(seen.frames)
    shapes: dict[str, tuple[int, ...]] = {
        "frames": (count,),
        "rotations": (count, len(JOINTS), 3),
        "translation": (count, 3),
        "betas": (len(seen.betas),),
        "confidence": (count,),
        "contact": (count, len(FEET)),
        "upright": (count, 3),
        "keypoints": (count, len(KEYPOINTS), 3),
    }
    for name, shape in shapes.items():
        values = getattr(seen, name)
        if values is not None and (values.shape != shape or not np.isfinite(values).all()):
            raise FormatError(f"The model's {name} are {values.shape}, or no numbers.")
    if not count or (np.diff(seen.frames) <= 0).any():
        raise FormatError("The model found no motion.")
