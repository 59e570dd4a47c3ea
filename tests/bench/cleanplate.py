# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the clean plate: exactness, time and memory of the median, and the projection;
and how depth fits a solve.

    python3 -m tests.bench cleanplate [NAME ...]

Names are of parts: median, time, memory, project, depth.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from tests.bench.cleanplate_depth import depth_figures
from tests.bench.cleanplate_likeness import median_figures, project_figures
from tests.bench.cleanplate_memory import memory_figures
from tests.bench.cleanplate_time import time_figures
from tests.bench.parts import Part, run_parts

PARTS: Mapping[str, Part] = {
    "median": median_figures,
    "time": time_figures,
    "memory": memory_figures,
    "project": project_figures,
    "depth": depth_figures,
}


def main() -> int:
    return run_parts("cleanplate", PARTS)


if __name__ == "__main__":
    sys.exit(main())
