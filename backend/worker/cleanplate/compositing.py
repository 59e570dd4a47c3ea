# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the background into a frame where its mask says so; every other pixel stays as it was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..frame_files import Pixels
from ..mask_files import Mask
from .removal import around

Floats = NDArray[np.float32]


def composite(frame: Pixels, mask: Mask, colors: Floats) -> Pixels:
    """The frame (h, w) or (h, w, c), of its own type, with `colors` (p, c) in its code values mixed
    in as far as `mask` (h, w) says, in the order of its p pixels over 0. A gray frame takes the
    mean of three channels."""
    made = frame.copy()
    part = around(mask, 0)
    if part is None:
        return made
    top = np.iinfo(frame.dtype).max
    wanted = colors if frame.ndim == 3 else colors.mean(axis=1, keepdims=True)
    own = frame[part].copy()
    flat = own.reshape(-1, wanted.shape[1])
    where = np.flatnonzero(mask[part])
    shares = mask[part].ravel().take(where)
    mixed = np.rint(np.clip(wanted, 0, top)).astype(frame.dtype)
    fades = np.flatnonzero(shares < 255)
    share = shares[fades, None].astype(np.float32) / np.float32(255)
    old = flat.take(where[fades], axis=0)
    mixed[fades] = np.rint(np.clip(old + share * (wanted[fades] - old), 0, top))
    flat[where] = mixed
    made[part] = own
    return made


def transparent(frame: Pixels, mask: Mask, holes: NDArray[np.bool_]) -> Pixels:
    """(h, w, 4) the frame with as much alpha less as `mask` (h, w) says where there are `holes`
    (h, w); black where nothing of it is left."""
    top = np.iinfo(frame.dtype).max
    alpha = np.full(mask.shape, top, frame.dtype)
    alpha[holes] = np.rint(top * (1 - mask[holes] / np.float32(255))).astype(frame.dtype)
    colors = frame if frame.ndim == 3 else np.repeat(frame[:, :, None], 3, axis=2)
    made = np.dstack([colors, alpha])
    made[alpha == 0] = 0
    return made
