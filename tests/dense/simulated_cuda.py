# SPDX-License-Identifier: GPL-3.0-or-later
"""What CUDA's programs find in numba's simulator, in a file that the program is given.

A program of its own, because numba reads NUMBA_ENABLE_CUDASIM when it is imported.
"""

from __future__ import annotations

import sys
import warnings
from unittest.mock import patch

import numpy as np

from backend.worker.dense.patchmatch import engine
from backend.worker.dense.patchmatch.programs import gpu
from backend.worker.dense.views import DepthMap
from tests.backend.textured_room import sideways, track

from .room_views import views


def both_passes(matcher: engine.PatchMatch) -> DepthMap:
    """A tiny view matched in few turns, since the simulator is slow."""
    before, view, after = views(track(sideways, 5, 24, 16))[1:4]
    coarsest = (engine.COARSEST[0], engine.COARSEST[-1])
    with (
        patch.object(engine, "COARSEST", coarsest),
        patch.object(engine, "CONSISTENT", engine.CONSISTENT[-1:]),
    ):
        own = matcher.photometric(view, [before, after])
        return matcher.geometric(view, own, [(before, own), (after, own)])


if __name__ == "__main__":
    warnings.simplefilter("error")
    found = both_passes(engine.PatchMatch(gpu()))
    np.savez(sys.argv[1], depth=found.depth, normal=found.normal, confidence=found.confidence)
