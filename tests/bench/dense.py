# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of dense points and meshes, on scenes that Blender renders with known depth.

    python3 -m tests.bench dense [NAME ...]

Names are of parts: points, mesh, texture, memory, import by default; cuda wants an NVIDIA GPU, and
colmap one with pycolmap-cuda12 (see dense_colmap.py).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from tests.bench.dense_colmap import colmap_figures
from tests.bench.dense_cuda import cuda_figures
from tests.bench.dense_import import import_figures
from tests.bench.dense_memory import memory_figures
from tests.bench.dense_meshes import mesh_figures, texture_figures
from tests.bench.dense_points import point_figures
from tests.bench.parts import Part, run_parts

PARTS: Mapping[str, Part] = {
    "points": point_figures,
    "mesh": mesh_figures,
    "texture": texture_figures,
    "memory": memory_figures,
    "import": import_figures,
}
WITH_GPU: Mapping[str, Part] = {"cuda": cuda_figures, "colmap": colmap_figures}


def main() -> int:
    return run_parts("dense", PARTS, WITH_GPU)


if __name__ == "__main__":
    sys.exit(main())
