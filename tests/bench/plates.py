# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of plates: ingest against bare ffmpeg, memory, exact values, frame maps, scrubbing.

    python3 -m tests.bench plates [NAME ...]

Names are of parts: ratio, memory, exact, maps, scrub; all by default. The last needs real Blenders.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from tests.bench.ingest_exact import exact_figures
from tests.bench.ingest_maps import map_figures
from tests.bench.ingest_memory import memory_figures
from tests.bench.ingest_ratio import ratio_figures
from tests.bench.parts import Part, run_parts
from tests.bench.scrub import scrub_figures

PARTS: Mapping[str, Part] = {
    "ratio": ratio_figures,
    "memory": memory_figures,
    "exact": exact_figures,
    "maps": map_figures,
    "scrub": scrub_figures,
}


def main() -> int:
    return run_parts("plates", PARTS)


if __name__ == "__main__":
    sys.exit(main())
