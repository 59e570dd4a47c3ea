# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs COLMAP's dense stereo over a workspace: `colmap_patch_match.py WORKSPACE`.

A program of its own, for the Python whose pycolmap is built with CUDA; it imports nothing else.
"""

from __future__ import annotations

import sys

import pycolmap

_CACHE_GIGABYTES = 4.0


def main(workspace: str) -> int:
    if not pycolmap.has_cuda:
        sys.stderr.write("This COLMAP was built without CUDA.\n")
        return 1
    options = pycolmap.PatchMatchOptions()
    options.geom_consistency = True
    options.cache_size = _CACHE_GIGABYTES
    pycolmap.patch_match_stereo(workspace, options=options)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
