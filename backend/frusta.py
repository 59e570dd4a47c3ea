# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the camera stood, as lines: a pyramid a frame, and the path from one to the next.

n frames. Of each pyramid the first vertex is the tip, the others are the corners of the image.
"""

from __future__ import annotations

import numpy as np

from .camera import Array, CameraTrack

DEPTH_SHARE = 0.012
"""Height of a pyramid as a share of the middle distance from the camera to the points."""
VERTICES = 5
EDGES = np.array([[0, 1], [0, 2], [0, 3], [0, 4], [1, 2], [2, 3], [3, 4], [4, 1]])
"""Of one pyramid, by its vertices."""
_INTERPOLATED_SIZE = 0.5


def pyramids(track: CameraTrack, size: float) -> Array:
    """(n, 5, 3) vertices of pyramids of that height; those of interpolated frames are smaller."""
    heights = np.where(track.solved, size, size * _INTERPOLATED_SIZE)
    corners = np.array([[0, 0], [track.width, 0], [track.width, track.height], [0, track.height]])
    slopes = (corners[None] - track.center[:, None]) / track.focal[:, None]
    local = np.zeros((len(track.frames), VERTICES, 3))
    local[:, 1:, 0], local[:, 1:, 1], local[:, 1:, 2] = slopes[..., 0], -slopes[..., 1], -1
    local *= heights[:, None, None]
    placed = np.einsum("nij,nkj->nki", track.matrices[:, :3, :3], local)
    vertices: Array = placed + track.matrices[:, None, :3, 3]
    return vertices
