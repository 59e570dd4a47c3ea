# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the background into a frame where its mask says so; every other pixel stays as it was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..frame_files import Pixels
from ..mask_files import Mask
from .blocks import around

Floats = NDArray[np.float32]

_AT_ONCE = 1 << 17
"""Pixels that are held in floats."""


def composite(frame: Pixels, mask: Mask, colors: Floats) -> Pixels:
    """The frame (h, w) or (h, w, c), of its own type, with `colors` mixed in: see `mix_in`."""
    made = frame.copy()
    mix_in(made, mask, colors)
    return made


def mix_in(frame: Pixels, mask: Mask, colors: Floats) -> None:
    """Mixes `colors` (p, c), in the frame's code values, into it as far as `mask` (h, w) says, in
    the order of its p pixels over 0. A gray frame takes the mean of three channels."""
    part = around(mask, 0)
    if part is None:
        return
    wanted = colors if frame.ndim == 3 else colors.mean(axis=1, keepdims=True)
    own = frame[part].copy()
    flat, shares = own.reshape(-1, wanted.shape[1]), mask[part].ravel()
    where = np.flatnonzero(shares)
    for start in range(0, len(where), _AT_ONCE):
        span = slice(start, start + _AT_ONCE)
        flat[where[span]] = _mixed(
            flat.take(where[span], axis=0), shares.take(where[span]), wanted[span]
        )
    frame[part] = own


def _mixed(old: Pixels, shares: Mask, wanted: Floats) -> Pixels:
    top = np.iinfo(old.dtype).max
    mixed: Pixels = np.rint(np.clip(wanted, 0, top)).astype(old.dtype)
    fades = np.flatnonzero(shares < 255)
    share = shares[fades, None].astype(np.float32) / np.float32(255)
    under = old[fades]
    mixed[fades] = np.rint(np.clip(under + share * (wanted[fades] - under), 0, top))
    return mixed


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
