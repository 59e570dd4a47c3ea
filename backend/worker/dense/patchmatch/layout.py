# SPDX-License-Identifier: GPL-3.0-or-later
"""What the programs of a pixel are given: constants, and where settings stand in their arrays.

Constants are of 32 bits because numba computes in 64 with plain ones.
"""

from __future__ import annotations

import numpy as np

ZERO = np.float32(0)
HALF = np.float32(0.5)
ONE = np.float32(1)
TWO = np.float32(2)

REACH = 5
STRIDE = 2
SAMPLES = 36
"""A patch is 11 x 11 pixels, every other row and column: offsets -5, -3, -1, 1, 3, 5."""
MOST_VIEWS = 16
BEST = 3
"""So many of the source views, the best of a pixel, make its cost."""

# float32 settings by their place
CLOSE, DISTANT, STEP, PRIOR, SMOOTH, GEOMETRIC = 0, 1, 2, 3, 4, 5
FOCAL_X, FOCAL_Y, CENTER_X, CENTER_Y = 6, 7, 8, 9
SETTINGS = 10
# int32 numbers by their place
COLOR, SEED, CHOSEN, THOROUGH, PARABOLA, PROGRAM = 0, 1, 2, 3, 4, 5
NUMBERS = 6
"""COLOR 0 or 1 of the checkerboard, -1 for every pixel; CHOSEN views match a pixel, 0 for all."""
PROGRAMS = ("start", "finer", "score", "update", "describe")
START, FINER, SCORE, UPDATE = 0, 1, 2, 3
"""PROGRAM is the place of one of these, the last where it is none of the others."""
