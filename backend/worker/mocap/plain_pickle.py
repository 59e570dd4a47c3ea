# SPDX-License-Identifier: GPL-3.0-or-later
"""motion.pkl: a motion for programs that know SMPL's parameters as a pickled dict.

numpy 1 and 2 pickle arrays under names that the other does not have. Here an array is made by
numpy.ndarray itself out of bytes, which both have.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from ...atomic import write_bytes
from ...motion import Motion
from ...smplx import BODY_JOINTS, JOINTS

_PROTOCOL = 4
_AXES = "z up, right-handed, meters; times scale it is the shot's world"


def write_pickle(motion: Motion, path: Path) -> None:
    """Raises OutputError.

    poses (n, 72)      axis-angle: the pelvis, SMPL-X's 21 body joints, and six zeros for SMPL's
                       hands
    poses_smplx (n, 165), trans (n, 3), betas (b,), gender, joint_names, frames (n,), fps, scale,
    confidence (n,), contact (n, 4), axes
    """
    count = len(motion.frames)
    poses = np.zeros((count, 72))
    poses[:, : 3 * len(BODY_JOINTS)] = motion.rotations[:, : len(BODY_JOINTS)].reshape(count, -1)
    content: dict[str, Any] = {
        "poses": poses,
        "poses_smplx": motion.rotations.reshape(count, -1),
        "trans": motion.translation,
        "betas": motion.betas,
        "gender": motion.gender,
        "person": motion.person,
        "joint_names": list(JOINTS),
        "frames": motion.frames,
        "fps": float(motion.fps),
        "scale": float(motion.scale),
        "confidence": motion.confidence,
        "contact": motion.contact,
        "axes": _AXES,
    }
    data = io.BytesIO()
    _Pickler(data, protocol=_PROTOCOL).dump(content)
    write_bytes(path, data.getvalue())


class _Pickler(pickle.Pickler):
    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, np.ndarray):
            data = bytearray(np.ascontiguousarray(thing).tobytes())
            return np.ndarray, (thing.shape, thing.dtype.str, data)
        return NotImplemented
