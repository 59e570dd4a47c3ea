# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ways to make a clean plate hand to the stage: the pixels of each frame's holes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..frame_files import Pixels

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Filling:
    """What belongs into the holes of a frame: p pixels, in the order of `np.nonzero(holes)`.

    colors   (p, 3) in the plate's own code values: 0 to 255, or to 65535 in one of 16 bits
    seen     (p,) where some other frame shows the background; colors mean nothing elsewhere
    """

    colors: Floats
    seen: Flags


class Filler(Protocol):
    """Finds the background. Frames are asked for in the plate's order.

    reads_frames    whether `fill` looks at frames besides the one that it is given
    """

    reads_frames: bool

    def fill(self, number: int, frame: Pixels, holes: Flags) -> Filling:
        """`frame` is the plate's, (h, w, 3) or (h, w) as it is read; `holes` (h, w) are all pixels
        of which something is to be replaced, the feathered ones too. Raises PlateError."""
