# SPDX-License-Identifier: GPL-3.0-or-later
"""How a plate's code values look on a screen (sRGB): for its proxies, and for float plates.

Light is turned into what a screen shows by OpenColorIO's own studio configuration: log plates with
the ACES 2.0 view, as a camera's monitor would show them; linear ones plainly, so that values up to
1 can be turned back. HDR video is brought down by the formulas of ITU-R BT.2100 and BT.2408.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PyOpenColorIO as ocio

from ..camera import Array
from ..color_spaces import COLOR_SPACES, Kind
from ..errors import PlateError

_CONFIG = "ocio://studio-config-latest"
_SCREEN = "sRGB - Display"
_PLAIN, _GRADED = "Un-tone-mapped", "ACES 2.0 - SDR 100 nits (Rec.709)"
_CUBE = 33
_WHITE = 203.0
"""Nits of the diffuse white of HDR video (ITU-R BT.2408)."""
_HLG_PEAK, _HLG_GAMMA = 1000.0, 1.2
_KNEE = 0.7
"""Light over white up to which HDR video is shown as it is; what is brighter is squeezed in."""

# BT.2020 to BT.709 primaries, both with the white D65 (ITU-R BT.2087).
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)

Pixels = np.ndarray[Any, np.dtype[np.float32]]
View = Callable[[Pixels], Pixels]
"""Turns code values (..., 3) into sRGB, 0 to 1."""


@cache
def view_of(space: str, exposure: float = 0.0) -> View:
    """How a color space is shown; `exposure` is in stops, for linear plates.

    Raises PlateError for a name that is none.
    """
    if space not in COLOR_SPACES:
        raise PlateError(f"'{space}' is not the name of a color space.")
    found = COLOR_SPACES[space]
    if found.kind is Kind.SCREEN:
        return lambda pixels: np.clip(pixels, 0.0, 1.0)
    if found.kind is Kind.HDR:
        light = _hlg_light if space == "hlg" else _pq_light
        return lambda pixels: _brought_down(light(np.asarray(pixels, np.float64)))
    return _ocio_view(found.ocio, _GRADED if found.kind is Kind.LOG else _PLAIN, exposure)


def write_cube(space: str, path: Path) -> None:
    """Writes the view as a 3-D lookup table in the .cube format."""
    axis = np.linspace(0.0, 1.0, _CUBE, dtype=np.float32)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    shown = view_of(space)(np.stack([red, green, blue], axis=-1).reshape(-1, 3))
    with path.open("w", encoding="ascii") as file:
        file.write(f"LUT_3D_SIZE {_CUBE}\n")
        np.savetxt(file, shown, fmt="%.6f")


def _ocio_view(name: str, view: str, exposure: float) -> View:
    config = ocio.Config.CreateFromFile(_CONFIG)
    shown = ocio.DisplayViewTransform(src=name, display=_SCREEN, view=view)
    processor = config.getProcessor(shown).getDefaultCPUProcessor()
    gain = np.float32(2.0**exposure)

    def apply(pixels: Pixels) -> Pixels:
        found = np.ascontiguousarray(pixels, np.float32) * gain
        np.nan_to_num(found, copy=False)
        processor.applyRGB(found)
        return np.clip(found, 0.0, 1.0)

    return apply


def _pq_light(values: Array) -> Array:
    """Light over diffuse white by the EOTF of SMPTE ST 2084."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = np.clip(values, 0.0, 1.0) ** (1 / m2)
    light: Array = 10000.0 * (np.maximum(power - c1, 0.0) / (c2 - c3 * power)) ** (1 / m1)
    return light / _WHITE


def _hlg_light(values: Array) -> Array:
    """Light over diffuse white by HLG's inverse OETF and its OOTF on a screen of 1000 nits."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    values = np.clip(values, 0.0, 1.0)
    scene = np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
    luma = scene @ np.array([0.2627, 0.6780, 0.0593])
    light: Array = scene * np.maximum(luma, 1e-6)[..., None] ** (_HLG_GAMMA - 1) * _HLG_PEAK
    return light / _WHITE


def _brought_down(light: Array) -> Pixels:
    """Light of BT.2020 primaries as sRGB; highlights roll off from the knee towards white."""
    linear = np.maximum(light @ _TO_709.T, 0.0)
    room = 1.0 - _KNEE
    over = np.maximum(linear - _KNEE, 0.0)
    rolled = np.where(linear > _KNEE, _KNEE + room * over / (over + room), linear)
    encoded = np.where(
        rolled <= 0.0031308, 12.92 * rolled, 1.055 * np.maximum(rolled, 1e-9) ** (1 / 2.4) - 0.055
    )
    return np.clip(encoded, 0.0, 1.0).astype(np.float32)
