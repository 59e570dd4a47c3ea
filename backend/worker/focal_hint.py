# SPDX-License-Identifier: GPL-3.0-or-later
"""The focal length that a plate's own metadata names: where a solve may start looking.

No more than that: video shows a crop of the sensor that the metadata seldom tells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pycolmap

FILM_WIDTH = 36.0
"""Width in mm of the picture that a 35 mm equivalent focal length refers to."""

_QUICKTIME = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
_PLAUSIBLE = (0.2, 20.0)


def image_focal(path: Path) -> float:
    """Focal length in px by an image's EXIF data, 0 when it has none."""
    bitmap = pycolmap.Bitmap.read(path, as_rgb=False)
    if bitmap is None:
        return 0.0
    return _plausible(bitmap.exif_focal_length() or 0.0, max(bitmap.width, bitmap.height))


def movie_focal(metadata: Mapping[str, str], width: int, height: int) -> float:
    """Focal length in px by a movie's QuickTime metadata, 0 when it has none."""
    try:
        equivalent = float(metadata.get(_QUICKTIME, "0"))
    except ValueError:
        return 0.0
    longer = max(width, height)
    return _plausible(equivalent / FILM_WIDTH * longer, longer)


def _plausible(focal: float, longer: int) -> float:
    within = math.isfinite(focal) and _PLAUSIBLE[0] <= focal / longer <= _PLAUSIBLE[1]
    return focal if within else 0.0
