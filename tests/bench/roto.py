# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of roto: what the model remembers of a clip, who is who after a crossing, mattes of a
shot while the GPU runs out of memory, and how often an idle ComfyUI is asked.

    python3 -m tests.bench roto [NAME ...]

Names are of parts: memory, crossing, mattes, comfyui; all by default. The first three run the real
architectures of SAM 3 and VideoMaMa with small random weights, made here: they need the group `ml`,
and say nothing of quality.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from tests.bench.parts import Part, run_parts
from tests.bench.roto_comfyui import comfyui_figures
from tests.bench.roto_crossing import crossing_figures
from tests.bench.roto_mattes import matte_figures
from tests.bench.roto_memory import memory_figures

PARTS: Mapping[str, Part] = {
    "memory": memory_figures,
    "crossing": crossing_figures,
    "mattes": matte_figures,
    "comfyui": comfyui_figures,
}


def main() -> int:
    return run_parts("roto", PARTS)


if __name__ == "__main__":
    sys.exit(main())
